"""A server of HTTP for the endpoints of libraries that turn a text into a text, as their own pages show it."""

from __future__ import annotations

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def serve(answer: Callable[[str], str]) -> None:
    """Announces a free port on standard output, and answers each POST with what `answer` makes of its body."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = answer(request.decode("utf-8", "replace")).encode()
            self.send_response(200 if body else 204)
            if body:
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        print(f'{{"port": {server.server_port}}}', flush=True)
        server.serve_forever()
