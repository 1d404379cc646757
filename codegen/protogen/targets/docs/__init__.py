"""The reference of a protocol: Markdown pages, and the same as a site that needs no server."""
