"""JSON-RPC over HTTP: our connections where they are fast, hypercorn's where it knows more. `server` is the way in."""
