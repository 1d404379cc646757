"""Round trips over pipes: servers and clients of this project beside plain blocking ones."""
