"""The target `openrpc`: a protocol as an OpenRPC document."""
