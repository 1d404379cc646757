"""The target `python`."""
