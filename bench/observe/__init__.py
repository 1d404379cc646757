"""What observing costs a call."""
