"""The Go target: an IR protocol becomes a module of the standard library only."""
