"""The Stepflow runtime as a server."""
