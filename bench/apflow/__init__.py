"""Task nodes: ours beside the reference implementation, and whole flows of up to 100,000 tasks."""
