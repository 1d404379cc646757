"""The suite for runtimes: the kit plays a worker, and runs flows over the runtime's HTTP API."""
