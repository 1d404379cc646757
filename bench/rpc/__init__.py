"""JSON-RPC over HTTP: ours beside other servers."""
