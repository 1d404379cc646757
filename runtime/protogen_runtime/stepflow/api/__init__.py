"""The runtime's own HTTP API (spec section 12): operations, what they take, what they answer, and their description.

Knows no transport: requests come as `Asked`, answers go out as `Answer`; the node's wiring puts them on a server.
"""
