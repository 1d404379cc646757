"""The suites of JSON-RPC 2.0 itself: for any endpoint, and for any client."""
