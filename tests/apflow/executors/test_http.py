"""The executor `http`: what it sends, what it makes of answers, and its bounds."""

from __future__ import annotations

import base64
import gzip
import json
import ssl
import zlib
from typing import Any
from urllib.parse import parse_qs

import pytest
import trio
import trustme
from executor_rig import Names, Seen, Web, answer, execution, perform, redirect, registry, web

from protogen_runtime.apflow.executors import ExecutorFailed, InvalidInputs, run

HERE = {"allow_private_addresses": True}


def exchange(respond: Any, inputs: dict[str, Any], **settings: Any) -> tuple[dict[str, Any], Seen]:
    """The result, and the last request that the server saw."""

    async def main() -> tuple[dict[str, Any], Seen]:
        async with web(respond) as server:
            result = await perform("http", {"url": server.url("/here?x=1")} | inputs, **(HERE | settings))
            return result, server.seen[-1]

    return trio.run(main)


def test_a_json_answer_is_a_json_result() -> None:
    result, seen = exchange(lambda _: answer({"a": [1, None]}), {})
    assert result.pop("url").endswith("/here")
    assert result.pop("headers")["content-type"] == "application/json"
    assert result == {"success": True, "status_code": 200, "method": "GET", "json": {"a": [1, None]}}
    assert (seen.method, seen.target, seen.body) == ("GET", "/here?x=1", b"")


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"content-type": "text/plain"}, b"hi", {"text": "hi"}),
        ({"content-type": "text/plain; charset=latin-1"}, b"\xe9", {"text": "\u00e9"}),
        ({"content-type": "text/plain; charset=nonsense"}, "\u00e9".encode(), {"text": "\u00e9"}),
        ({"content-type": "application/json"}, b"{", {"text": "{"}),
        ({"content-type": "application/json"}, b"\xff", {"text": "\ufffd"}),
        ({"content-type": "application/problem+json"}, b'{"a":1}', {"json": {"a": 1}}),
        ({}, b"", {"text": ""}),
    ],
)
def test_bodies_become_json_or_text(headers: dict[str, str], body: bytes, expected: dict[str, Any]) -> None:
    result, _ = exchange(lambda _: (200, headers, body), {})
    assert {key: result[key] for key in result if key in ("json", "text")} == expected


@pytest.mark.parametrize("status", [304, 400, 404, 500, 503])
def test_an_answer_of_any_status_completes(status: int) -> None:
    result, _ = exchange(lambda _: (status, {"content-length": "0"}, b""), {})
    assert (result["success"], result["status_code"]) == (False, status)


def test_what_a_task_says_is_sent() -> None:
    inputs = {
        "method": "post",
        "headers": {"X-One": "1", "X-Number": 2, "X-True": True},
        "params": {"q": "a b&c", "many": ["1", 2], "yes": True},
        "json": {"n": 1},
    }
    _, seen = exchange(lambda _: answer(), inputs)
    assert seen.method == "POST"
    assert parse_qs(seen.target.partition("?")[2])["q"] == ["a b&c"]
    assert parse_qs(seen.target.partition("?")[2])["many"] == ["1", "2"]
    assert (seen.headers["x-one"], seen.headers["x-number"], seen.headers["x-true"]) == ("1", "2", "true")
    assert (seen.headers["content-type"], json.loads(seen.body)) == ("application/json", {"n": 1})


def test_data_is_a_form_or_text() -> None:
    _, seen = exchange(lambda _: answer(), {"method": "PUT", "data": {"a": "x y", "b": 1, "c": None}})
    assert (seen.headers["content-type"], seen.body) == ("application/x-www-form-urlencoded", b"a=x+y&b=1&c=")
    _, seen = exchange(lambda _: answer(), {"method": "PUT", "data": "plain"})
    assert (seen.headers["content-type"], seen.body) == ("text/plain; charset=utf-8", b"plain")


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"type": "bearer", "token": "t"}, "authorization", "Bearer t"),
        (
            {"type": "basic", "username": "u", "password": "p"},
            "authorization",
            "Basic " + base64.b64encode(b"u:p").decode(),
        ),
        ({"type": "apikey", "key": "X-Key", "value": "k"}, "x-key", "k"),
    ],
)
def test_credentials_go_into_headers(auth: dict[str, str], header: str, value: str) -> None:
    _, seen = exchange(lambda _: answer(), {"auth": auth})
    assert seen.headers[header] == value


def test_a_key_may_go_into_the_query_and_stays_out_of_results() -> None:
    auth = {"type": "apikey", "key": "k", "value": "secret", "location": "query"}
    result, seen = exchange(lambda _: answer(), {"auth": auth})
    assert "k=secret" in seen.target
    assert "secret" not in json.dumps(result)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "internal"},
        {"Content-Length": "5"},
        {"Transfer-Encoding": "chunked"},
        {"Connection": "upgrade"},
        {"X-A": "1\r\nX-B: 2"},
        {"X-A": "1\n\nGET / HTTP/1.1"},
        {"X-A\r\nX-B": "1"},
        {"X A": "1"},
        {"": "1"},
        {"X-A": "\x00"},
        {"X-\u00c4": "1"},
        {"X-A": "\u2603"},
    ],
)
def test_headers_cannot_smuggle(headers: dict[str, str]) -> None:
    async def main() -> None:
        async with web(lambda _: answer()) as server:
            with pytest.raises((ExecutorFailed, InvalidInputs)):
                await perform("http", {"url": server.url(), "headers": headers}, **HERE)
            assert server.connections == 0

    trio.run(main)


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"url": 1},
        {"url": "http://a.example/", "method": "CONNECT"},
        {"url": "http://a.example/", "method": "GET / HTTP/1.1\r\nX: "},
        {"url": "http://a.example/", "timeout": 0},
        {"url": "http://a.example/", "headers": {"a": ["b"]}},
        {"url": "http://a.example/", "auth": {"type": "digest"}},
    ],
)
def test_inputs_are_checked_first(inputs: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputs):
        trio.run(perform, "http", inputs)


def test_credentials_that_lack_a_part_are_one_line() -> None:
    with pytest.raises(ExecutorFailed, match="basic needs username and password"):
        trio.run(perform, "http", {"url": "http://a.example/", "auth": {"type": "basic", "username": "u"}})


def test_secrets_stay_with_their_origin() -> None:
    async def main() -> None:
        async with web(lambda _: answer("other")) as other, web(lambda _: redirect(other.url())) as first:
            inputs = {
                "url": first.url(),
                "headers": {"Authorization": "Bearer s", "X-Api-Key": "s", "Cookie": "s", "Accept": "text/plain"},
            }
            result = await perform("http", inputs, **HERE)
            assert result["json"] == "other"
            assert first.seen[0].headers["x-api-key"] == "s"
            assert {"authorization", "x-api-key", "cookie"}.isdisjoint(other.seen[0].headers)
            assert other.seen[0].headers["accept"] == "text/plain"

    trio.run(main)


def test_headers_go_along_within_an_origin() -> None:
    def respond(seen: Seen) -> Any:
        return redirect("/there") if seen.target != "/there" else answer(seen.headers["x-api-key"])

    result, seen = exchange(respond, {"headers": {"X-Api-Key": "s"}, "method": "POST", "json": 1})
    assert (result["json"], seen.method, seen.body) == ("s", "GET", b"")


def test_redirects_can_be_left_alone() -> None:
    result, _ = exchange(lambda _: redirect("/there"), {"follow_redirects": False})
    assert (result["status_code"], result["headers"]["location"]) == (302, "/there")


# --- bounds ---------------------------------------------------------------------------------------

LIMIT = 100_000


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b"x" * (LIMIT + 1)),
        ({}, b"x" * (5 * LIMIT)),
        ({"content-encoding": "gzip"}, gzip.compress(bytes(50_000_000))),
        ({"content-encoding": "deflate"}, zlib.compress(bytes(50_000_000))),
    ],
    ids=["one over", "far over", "gzip bomb", "deflate bomb"],
)
def test_long_answers_fail(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(ExecutorFailed, match=r"more than 100000 bytes|longer than the node takes"):
        exchange(lambda _: (200, headers, body), {}, http_max_response_bytes=LIMIT)


def test_answers_at_the_limit_arrive() -> None:
    result, _ = exchange(lambda _: (200, {}, b"x" * LIMIT), {}, http_max_response_bytes=LIMIT)
    assert len(result["text"]) == LIMIT


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_encoded_answers_are_decoded(encoding: str) -> None:
    body = {"gzip": gzip.compress, "deflate": zlib.compress}[encoding](b"hello")
    result, seen = exchange(lambda _: (200, {"content-encoding": encoding}, body), {})
    assert (result["text"], seen.headers["accept-encoding"]) == ("hello", "identity")


@pytest.mark.parametrize(("encoding", "body"), [("br", b"x"), ("gzip", b"no gzip")])
def test_encodings_that_fail_are_one_line(encoding: str, body: bytes) -> None:
    with pytest.raises(ExecutorFailed, match="the answer is"):
        exchange(lambda _: (200, {"content-encoding": encoding}, body), {})


async def forever(_: Seen) -> Any:
    await trio.sleep_forever()


def test_a_server_that_does_not_answer_is_left() -> None:
    async def main() -> None:
        async with web(forever) as server:
            with pytest.raises(ExecutorFailed, match="no complete answer within"):
                await perform("http", {"url": server.url(), "timeout": 0.1}, **HERE)

    trio.run(main)


def test_settings_shorten_what_a_task_may_wait() -> None:
    async def main() -> None:
        async with web(forever) as server:
            with pytest.raises(ExecutorFailed, match=r"within 0\.1 s"):
                await perform("http", {"url": server.url(), "timeout": 1000}, **HERE, http_max_seconds=0.1)

    trio.run(main)


def test_cancellation_closes_the_connection() -> None:
    gone = trio.Event()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            came = trio.Event()

            async def serve(stream: trio.SocketStream) -> None:
                await stream.receive_some()
                came.set()
                with trio.fail_after(5):
                    while await stream.receive_some():
                        pass
                gone.set()

            nursery.start_soon(trio.serve_listeners, serve, listeners)
            url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/"
            async with trio.open_nursery() as calls:
                calls.start_soon(lambda: perform("http", {"url": url}, **HERE))
                await came.wait()
                calls.cancel_scope.cancel()
            with trio.fail_after(5):
                await gone.wait()
            nursery.cancel_scope.cancel()

    trio.run(main)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"no http\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\na: " + b"x" * 200_000,
    ],
)
def test_servers_that_speak_no_http_are_one_line(sent: bytes) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")

            async def serve(stream: trio.SocketStream) -> None:
                async with stream:
                    await stream.receive_some()
                    if sent:
                        await stream.send_all(sent)

            nursery.start_soon(trio.serve_listeners, serve, listeners)
            with pytest.raises(ExecutorFailed) as caught:
                await perform("http", {"url": f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/"}, **HERE)
            assert "\n" not in str(caught.value)
            nursery.cancel_scope.cancel()

    trio.run(main)


# --- TLS ------------------------------------------------------------------------------------------


def certified() -> tuple[trustme.CA, ssl.SSLContext]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("named.example").configure_cert(context)
    return authority, context


def test_tls_names_and_verifies_the_host_not_the_address() -> None:
    authority, context = certified()
    asked: list[str | None] = []
    context.sni_callback = lambda _, name, __: asked.append(name)

    async def main() -> dict[str, Any]:
        trio.socket.set_custom_hostname_resolver(Names(named_example=["127.0.0.1"], other_example=["127.0.0.1"]))
        found = registry(**HERE)
        http = found.find("http")
        assert http is not None
        authority.configure_trust(http.executor._outgoing._verified)  # type: ignore[attr-defined]  # an authority of the test's own
        async with web(lambda _: answer("safe"), ssl_context=context) as server:
            result = await run(http, {"url": f"https://named.example:{server.port}/"}, execution())
            with pytest.raises(ExecutorFailed, match="certificate"):
                await run(http, {"url": f"https://other.example:{server.port}/"}, execution())
            return result

    assert trio.run(main)["json"] == "safe"
    assert asked == ["named.example", "other.example"]


def test_certificates_are_checked_unless_the_operator_lets_tasks_choose() -> None:
    _, context = certified()

    async def main() -> None:
        async with web(lambda _: answer("unsafe"), ssl_context=context) as server:
            inputs = {"url": f"https://127.0.0.1:{server.port}/"}
            with pytest.raises(ExecutorFailed, match="certificate"):
                await perform("http", inputs, **HERE)
            with pytest.raises(ExecutorFailed, match="allow_unverified_tls"):
                await perform("http", inputs | {"verify": False}, **HERE)
            result = await perform("http", inputs | {"verify": False}, **HERE, allow_unverified_tls=True)
            assert result["json"] == "unsafe"

    trio.run(main)


def test_no_server_is_one_line() -> None:
    async def main() -> None:
        async with web(lambda _: answer()) as server:
            closed: Web = server
        with pytest.raises(ExecutorFailed, match="cannot connect to"):
            await perform("http", {"url": closed.url()}, **HERE)

    trio.run(main)
