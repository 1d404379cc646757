"""The echo server, as every other server is found."""

from __future__ import annotations

from protogen_runtime.echo import serve_http, serve_stdio
from protogen_runtime.io.http.server import Settings

__all__ = ["Settings", "serve_http", "serve_stdio"]
