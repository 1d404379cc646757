"""The suite for agents that speak A2A over JSON-RPC."""
