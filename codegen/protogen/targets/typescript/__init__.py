"""The TypeScript SDK: interfaces over parsed JSON, clients, handlers, and a library without dependencies."""
