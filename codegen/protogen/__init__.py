"""protogen: typed SDKs for JSON-RPC protocols, made from one description in JSON Schema."""

__version__ = "0.1.0"
