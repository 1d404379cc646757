"""The suite for workers: the kit plays the runtime."""
