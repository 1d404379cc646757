"""The suite of the AI Partner Up Flow Protocol 1.0: needs a node's address, and says what it breaks."""
