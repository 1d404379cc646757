"""apflow: a node of the AI Partner Up Flow Protocol; tasks, what runs them, and the ways in."""
