"""The command on nodes that are none, and on wrong command lines; test_bad_targets.py has what all roles share."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from click.testing import CliRunner

from protogen.cli import cli

UNREACHED, USAGE = 3, 2


def one_finding(done: Any, said: str) -> None:
    assert done.code == UNREACHED, done.said
    assert said in done.said
    assert done.said.startswith("nothing to test at ")
    assert len(done.said.splitlines()) == 1
    assert done.run["verdicts"] == []


def lost_midway(done: Any, said: str) -> None:
    assert done.code == UNREACHED, done.said
    assert f"\nLOST: {said}" in done.said
    assert "Traceback" not in done.said
    assert "not conformant: 270 clauses" in done.said
    assert done.named("NOT_TESTED", "FAIL") == set()
    assert {it["texts"][0] for it in done.run["verdicts"] if it["status"] == "BLOCKED"} == {done.run["lost"]}
    assert done.run["lost"].startswith(said)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (501, b"", "HTTP 501"),
        (200, b"<html>hello</html>", "no JSON-RPC response"),
        (404, b'{"error":"no such page"}', "HTTP 404"),
        (401, b"", "authentication is needed"),
        (200, b'{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"x"}}', "has no method tasks.list"),
    ],
)
def test_server_of_something_else(refused: Callable[..., Any], status: int, body: bytes, said: str) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
            """Stays silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        one_finding(refused(f"http://127.0.0.1:{server.server_address[1]}"), said)
        server.shutdown()


def test_node_that_goes_away_is_one_finding(kit: Callable[..., Any], reference: Any) -> None:
    with reference.ReferenceNode() as node:
        answer, left = node.reply, iter(range(300))

        def reply_or_vanish(*arguments: Any) -> Any:
            if next(left, None) is None:
                node.server.socket.close()
                raise ConnectionAbortedError  # ends the connection without an answer
            return answer(*arguments)

        node.server.handle_error = lambda *_: None
        node.reply = reply_or_vanish
        lost_midway(kit(node.url), "the node went away: no connection to 127.0.0.1")


def test_node_that_stops_answering_is_one_finding(kit: Callable[..., Any], reference: Any) -> None:
    over = threading.Event()
    with reference.ReferenceNode() as node:
        answer, left = node.reply, iter(range(200))

        def reply_or_hang(*arguments: Any) -> Any:
            if next(left, None) is None:
                over.wait(60)
            return answer(*arguments)

        node.reply = reply_or_hang
        done = kit(node.url, "--timeout", "0.5")
        over.set()
    lost_midway(done, "the node stopped answering: no answer within 0.5 s, 5 times in a row")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["localhost:80", "--protocol", "apflow"], "expected an address such as"),
        (
            ["http://127.0.0.1:1", "--protocol", "nothing-such"],
            "no suite for 'nothing-such'; there is one for a2a, apflow",
        ),
        (["http://127.0.0.1:1", "--protocol", "apflow", "--role", "judge"], "no suite for the role 'judge'"),
        (["http://127.0.0.1:1", "--protocol", "apflow", "--timeout", "long"], "'long' is not a valid float"),
        (["http://127.0.0.1:1", "--protocol", "apflow", "--executor", "ok"], "expected NAME=VALUE for --executor"),
        (["http://127.0.0.1:1", "--protocol", "apflow", "--profile", "x"], "no profile 'x'; choose one of streaming"),
        (["http://127.0.0.1:1", "--protocol", "apflow", "--dialect", "x"], "no dialect 'x'; choose one of apflow-0.18"),
        (["http://127.0.0.1:1", "--protocol", "apflow", "--clause", "AF-X-1"], "there is no clause 'AF-X-1'"),
        (["http://127.0.0.1:1", "--protocol", "apflow", "-k", "nope"], "has 'nope' in its id"),
        (["stdio:cat", "--protocol", "apflow"], "is not tested over stdio"),
        (["http://127.0.0.1:1"], "name the protocol with --protocol"),
        (["--protocol", "apflow"], "give either a TARGET or --client COMMAND"),
    ],
)
def test_wrong_usage_is_told_in_a_line(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(cli, ["test", *arguments])
    assert done.exit_code == USAGE
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


class Quiet(BaseHTTPRequestHandler):
    """Answers with what the class says, on HTTP/1.1."""

    protocol_version = "HTTP/1.1"
    status = 200
    kind = "application/json"
    body = b'{"jsonrpc":"2.0","id":1,"result":{"tasks":[],"total":0,"limit":1,"offset":0}}'
    more: tuple[tuple[str, str], ...] = ()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(self.status)
        self.send_header("content-type", self.kind)
        self.send_header("content-length", str(len(self.body)))
        for name, value in self.more:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Stays silent."""


@contextlib.contextmanager
def quiet(**attributes: Any) -> Iterator[str]:
    handler = type("Handler", (Quiet,), attributes)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"kind": "text/html", "body": b"<html>"}, "(a web page: is this the right address?)"),
        ({"status": 308, "body": b"", "more": (("location", "/there"),)}, "HTTP 308 to '/there'; give that address"),
        ({"body": b""}, "no JSON-RPC response to tasks.list"),
        ({"body": b"[]"}, "no JSON-RPC response to tasks.list"),
        ({"status": 403, "body": b"<html>", "kind": "text/html"}, "authentication is needed; give --header"),
        ({"body": b'{"jsonrpc":"2.0","id":1,"error":{"code":-32004,"message":"x"}}'}, "authentication is needed"),
    ],
    ids=lambda it: it if isinstance(it, str) else "",
)
def test_endpoint_of_something_else(refused: Callable[..., Any], attributes: dict[str, Any], said: str) -> None:
    with quiet(**attributes) as url:
        one_finding(refused(url), said)


def test_one_clause_can_be_run_alone(kit: Callable[..., Any], reference: Any) -> None:
    with reference.ReferenceNode("AF-RPC-010") as node:
        done = kit(node.url, "--clause", "AF-RPC-010", "--clause", "AF-RPC-003")
    assert {it["clause"]: it["status"] for it in done.run["verdicts"] if it["tests"]} == {
        "AF-RPC-003": "PASS",
        "AF-RPC-010": "FAIL",
    }
    assert done.code == 1
    assert "the id of a parse error is 0; expected null" in done.said
    assert "curl -sS -X POST" in done.said
