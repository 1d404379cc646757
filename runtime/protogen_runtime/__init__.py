"""protogen_runtime: the JSON-RPC core, transports and servers that protocols of protogen run on."""
