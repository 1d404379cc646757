"""What a client may send over HTTP/1.1, and what it gets: tables first."""

from __future__ import annotations

import json

import pytest
import trio
from http_rig import call, post, run, running, split

from protogen_runtime.io.http.access import Access
from protogen_runtime.io.http.limits import Limits
from protogen_runtime.io.http.messages import Request

ADD = call("add", {"a": 1, "b": 2})
SUM = {"jsonrpc": "2.0", "id": 1, "result": {"sum": 3}}


def error(code: int, request_id: object = None) -> dict[str, object]:
    texts = {-32700: "Parse error", -32600: "Invalid Request", -32601: "Method not found", -32602: "Invalid params"}
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": texts[code]}}


def calls(*members: str) -> str:
    return "[" + ",".join(members) + "]"


ONE = '{"jsonrpc":"2.0","id":1,"method":"add","params":{"a":1,"b":2}}'
NOTE = '{"jsonrpc":"2.0","method":"notify","params":{"topic":"x"}}'

BODIES: list[tuple[str, str | bytes, object]] = [
    # clause, body, answer (None: 202 without a body)
    ("JR-REQ-001", ONE, SUM),
    ("JR-REQ-002", ONE.replace('"2.0"', "2.0"), error(-32600, 1)),
    ("JR-REQ-002", ONE.replace('"jsonrpc":"2.0",', ""), error(-32600, 1)),
    ("JR-REQ-004", ONE.replace('"add"', "1"), error(-32600, 1)),
    ("JR-REQ-005", ONE.replace('"add"', '"rpc.add"'), error(-32601, 1)),
    ("JR-REQ-008", ONE.replace('"id":1', '"id":true'), error(-32600)),
    ("JR-REQ-008", ONE.replace('"id":1', '"id":[]'), error(-32600)),
    ("JR-REQ-012", ONE.replace('"id":1', '"id":1.50'), {**SUM, "id": 1.5}),
    ("JR-REQ-011", ONE.replace('"id":1', '"id":null'), {**SUM, "id": None}),
    ("JR-REQ-012", ONE.replace('"id":1', '"id":"é"'), {**SUM, "id": "é"}),
    ("JR-REQ-012", ONE.replace('"id":1', '"id":123456789012345678901234567890'), {**SUM, "id": int("1234567890" * 3)}),
    ("JR-NOTIF-001", NOTE, None),
    ("JR-NOTIF-002", calls(ONE, NOTE), [SUM]),
    ("JR-NOTIF-003", NOTE.replace("notify", "nope"), None),
    ("JR-NOTIF-003", NOTE.replace('"topic"', '"tropic"'), None),
    ("JR-PARAM-002", ONE.replace('{"a":1,"b":2}', '"x"'), error(-32600, 1)),
    ("JR-PARAM-002", ONE.replace('{"a":1,"b":2}', "null"), error(-32600, 1)),
    ("JR-PARAM-007", ONE.replace('{"a":1,"b":2}', "[1,2]"), SUM),
    ("JR-RESP-014", ONE.replace('"id":1', '"id":1,"extra":{}'), SUM),
    ("JR-ERR-008", "", error(-32700)),
    ("JR-ERR-008", "{", error(-32700)),
    ("JR-ERR-008", '{"a":1,}', error(-32700)),
    ("JR-ERR-008", ONE.replace("2}", "NaN}"), error(-32700)),
    ("JR-ERR-008", b"\xef\xbb\xbf" + ONE.encode(), error(-32700)),
    ("JR-ERR-008", ONE.encode("utf-16"), error(-32700)),
    ("JR-ERR-008", b'{"jsonrpc":"2.0","id":1,"method":"echo","params":{"value":"\xff"}}', error(-32700)),
    ("JR-ERR-009", "1", error(-32600)),
    ("JR-ERR-009", "{}", error(-32600)),
    ("JR-ERR-010", ONE.replace('"add"', '"ADD"'), error(-32601, 1)),
    ("JR-ERR-010", ONE.replace('"add"', '""'), error(-32601, 1)),
    ("JR-ERR-010", ONE.replace('"add"', '"client/echo"'), error(-32601, 1)),
    ("JR-BATCH-003", calls(ONE, ONE), [SUM, SUM]),
    ("JR-BATCH-008", '[{"jsonrpc": "2.0",', error(-32700)),
    ("JR-BATCH-009", "[]", error(-32600)),
    ("JR-BATCH-010", "[1,2,3]", [error(-32600)] * 3),
    ("JR-BATCH-011", calls("1", ONE, '{"foo":"boo"}'), [error(-32600), SUM, error(-32600)]),
    ("JR-BATCH-012", calls(NOTE, NOTE), None),
    ("max_batch", calls(*[ONE] * 101), error(-32600)),
]


@pytest.mark.parametrize(("clause", "body", "expected"), BODIES)
def test_body_gets_its_one_answer(clause: str, body: str | bytes, expected: object) -> None:
    async def main() -> None:
        async with running() as server:
            status, headers, answer = split(await server.exchange(post(body, close=True)))
        if expected is None:
            assert (status, answer) == (202, b"")
        else:
            assert (status, headers["content-type"], json.loads(answer)) == (200, "application/json", expected)

    run(main)


def test_invalid_params_list_their_faults() -> None:
    async def main() -> None:
        async with running() as server:
            _, _, answer = split(await server.exchange(post(call("add", {"a": "x", "b": 2}), close=True)))
        failure = json.loads(answer)["error"]
        assert (failure["code"], [fault["path"] for fault in failure["data"]["errors"]]) == (-32602, ["$.a"])

    run(main)


HEADS: list[tuple[str, bytes, int]] = [
    ("GET at the endpoint", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    ("GET of health", b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
    ("HEAD of health", b"HEAD /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
    ("POST to health", post(ADD, path="/health"), 405),
    ("an unknown path", post(ADD, path="/x"), 404),
    ("a query", post(ADD, path="/?x=1"), 200),
    ("absolute form", post(ADD, path="http://localhost/"), 200),
    ("absolute form of a foreign host", post(ADD, path="http://evil.example/"), 421),
    ("text/plain", post(ADD, "Content-Type: text/plain"), 415),
    ("no content type", post(ADD).replace(b"Content-Type: application/json\r\n", b""), 415),
    ("a parameter", post(ADD, "Content-Type: application/json; charset=UTF-8"), 200),
    ("another charset", post(ADD, "Content-Type: application/json; charset=utf-16"), 415),
    ("gzip", post(ADD, "Content-Encoding: gzip"), 415),
    ("no Host", post(ADD).replace(b"Host: localhost\r\n", b""), 400),
    ("two Hosts", post(ADD, "Host: localhost", "Host: x"), 400),
    ("a foreign Host", post(ADD, "Host: evil.example"), 421),
    ("a Host that looks local", post(ADD, "Host: localhost.evil.example"), 421),
    ("an address with port", post(ADD, "Host: 127.0.0.1:1"), 200),
    ("an IPv6 address", post(ADD, "Host: [::1]:80"), 200),
    ("a foreign Origin", post(ADD, "Origin: http://evil.example"), 403),
    ("the Origin null", post(ADD, "Origin: null"), 403),
    ("both lengths", post(ADD, f"Content-Length: {len(ADD)}", "Transfer-Encoding: chunked"), 400),
    ("two lengths", post(ADD, f"Content-Length: {len(ADD)}", f"Content-Length: {len(ADD)}"), 400),
    ("a signed length", post(ADD, f"Content-Length: +{len(ADD)}"), 400),
    ("a folded header", post(ADD, "X: a\r\n b"), 400),
    ("bare line feeds", post(ADD).replace(b"\r\n", b"\n"), 400),
    ("one bare line feed", post(ADD, "X: a\nY: b"), 400),
    ("a space before the colon", post(ADD, "X : a"), 400),
    ("a NUL", post(ADD, "X: a\0b"), 400),
    ("gzip as transfer coding", post(ADD, "Transfer-Encoding: gzip, chunked"), 501),
    ("a huge length", post(ADD, "Content-Length: 99999999999999999999999"), 400),
    ("too long", post(ADD, "Content-Length: 17000000"), 413),
    ("a large header", post(ADD, "X: " + "a" * 20_000), 431),
    ("a large target", post(ADD, path="/" + "a" * 20_000), 431),
    ("many headers", post(ADD, *(f"X{i}: a" for i in range(70))), 431),
    ("HTTP/2 in the clear", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ("HTTP/1.2", post(ADD).replace(b"HTTP/1.1", b"HTTP/1.2"), 400),
    ("HTTP/0.9", b"GET /\r\n\r\n", 505),
    ("CONNECT", b"CONNECT a:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    ("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ("an unknown expectation", post(ADD, "Expect: magic"), 417),
    (
        "an upgrade to h2c",
        post(ADD, "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMA"),
        200,
    ),
    ("an upgrade to nothing known", post(ADD, "Upgrade: foo", "Connection: Upgrade"), 200),
]


@pytest.mark.parametrize(("name", "data", "status"), HEADS, ids=[name for name, _, _ in HEADS])
def test_head_gets_its_status(name: str, data: bytes, status: int) -> None:
    async def main() -> None:
        async with running(limits=Limits(idle_seconds=0.2)) as server:
            assert split(await server.exchange(data))[0] == status

    run(main)


def test_requests_are_the_same_however_they_are_cut() -> None:
    async def main() -> None:
        wanted = [3, 300, 30_000]
        data = b"".join(post(call("add", {"a": total - 1, "b": 1})) for total in wanted[:-1])
        data += post(call("add", {"a": wanted[-1] - 1, "b": 1}), close=True)
        async with running() as server:
            for pieces in (0, 1, 2, 3, 5, 7, 64, 97, 150):
                answer = await server.exchange(data, pieces=pieces)
                bodies = [json.loads(part[part.index(b"\r\n\r\n") :]) for part in answer.split(b"HTTP/1.1 200 OK")[1:]]
                assert [body["result"]["sum"] for body in bodies] == wanted, pieces

    run(main)


def test_chunked_body_is_a_body() -> None:
    async def main() -> None:
        data = post(b"", "Transfer-Encoding: chunked", close=True)
        data += b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (ADD[:5], ADD[5:6], ADD[6:])) + b"0\r\n\r\n"
        async with running() as server:
            for pieces in (0, 1, 9):
                assert json.loads(split(await server.exchange(data, pieces=pieces))[2]) == SUM

    run(main)


def test_pipelined_answers_keep_the_order_of_their_requests() -> None:
    async def main() -> None:
        async with running() as server:
            data = (
                post(call("sleep", {"seconds": 0.1}, 1))
                + post(call("add", [1, 2], 2))
                + post(ADD.replace(b"1,", b"3,"))
            )
            data += post(call("sleep", {"seconds": 0}, 4)) + post(call("add", [1, 2], 5), close=True)
            for pieces in (0, 40):
                answer = await server.exchange(data, pieces=pieces)
                bodies = [json.loads(part[part.index(b"\r\n\r\n") :]) for part in answer.split(b"HTTP/1.1 200 OK")[1:]]
                assert [body["id"] for body in bodies] == [1, 2, 3, 4, 5]

    run(main)


def test_body_too_large_is_refused_before_it_comes() -> None:
    async def main() -> None:
        async with running(limits=Limits(max_body_bytes=1000, linger_seconds=0.1)) as server:
            stream = await server.connect()
            await stream.send_all(post(b"", "Content-Length: 1001"))
            assert (await stream.receive_some(100)).startswith(b"HTTP/1.1 413 ")
            chunks = post(b"", "Transfer-Encoding: chunked") + b"3e9\r\n" + b" " * 1001
            assert (await server.exchange(chunks)).startswith(b"HTTP/1.1 413 ")
            fits = b" " * (1000 - len(ADD)) + ADD
            assert split(await server.exchange(post(fits, close=True)))[0] == 200

    run(main)


def test_continue_is_said_to_who_expects_it() -> None:
    async def main() -> None:
        async with running() as server:
            stream = await server.connect()
            await stream.send_all(post(b"", f"Content-Length: {len(ADD)}", "Expect: 100-continue"))
            assert await stream.receive_some(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            await stream.send_all(ADD)
            assert json.loads(split(await stream.receive_some(1000))[2]) == SUM

    run(main)


def test_key_decides_who_asks() -> None:
    async def main() -> None:
        access = Access(keys={"ann": "secret-a", "bob": "secret-b"})
        async with running(access=access) as server:
            for header, status in (
                ("X: y", 401),
                ("Authorization: Bearer wrong", 401),
                ("Authorization: Basic secret-a", 401),
                ("Authorization: Bearer secret-a", 200),
                ("X-Api-Key: secret-b", 200),
            ):
                assert split(await server.exchange(post(ADD, header, close=True)))[0] == status, header
            guard = server.shell.endpoint.guard
            for header, user in ((b"Bearer secret-a", "ann"), (b"bearer secret-b", "bob"), (b"Bearer ", None)):
                request = Request(b"POST", b"/", {b"host": b"localhost", b"authorization": header})
                assert (guard.check(request) is None) == (user is not None)
                assert request.identity == user

    run(main)


def test_allowed_origin_gets_cors_and_no_other() -> None:
    async def main() -> None:
        async with running(access=Access(origins=("https://app.example",))) as server:
            ours = post(ADD, "Origin: https://app.example", close=True)
            status, headers, _ = split(await server.exchange(ours))
            assert (status, headers["access-control-allow-origin"]) == (200, "https://app.example")
            preflight = (
                b"OPTIONS / HTTP/1.1\r\nHost: localhost\r\nOrigin: https://app.example\r\nConnection: close\r\n\r\n"
            )
            status, headers, _ = split(await server.exchange(preflight))
            assert (status, headers["access-control-allow-methods"]) == (204, "post")
            assert split(await server.exchange(ours.replace(b"app.", b"evil.")))[0] == 403

    run(main)


REFUSED_EARLY = [
    ("a wrong type with a body", post(ADD, "Content-Type: text/plain"), 415),
    ("a foreign host with a body", post(ADD, "Host: evil.example"), 421),
    ("too large a body", post(b"", "Content-Length: 17000000"), 413),
    ("too large a head", post(ADD, "X: " + "a" * 20_000), 431),
    ("a head that is no HTTP", post(ADD, "X : a"), 400),
    ("another path", post(ADD, path="/x"), 404),
    ("half a body", post(b"", "Content-Length: 10") + b"{", 408),
    ("half a head", b"POST / HTTP/1.1\r\nHost: loc", 408),
]


@pytest.mark.parametrize(("name", "data", "status"), REFUSED_EARLY, ids=[name for name, _, _ in REFUSED_EARLY])
def test_refusal_carries_what_every_answer_does(name: str, data: bytes, status: int) -> None:
    quick = Limits(header_seconds=0.1, body_grace_seconds=0.1, min_bytes_per_second=10**6, linger_seconds=0.1)

    async def main() -> None:
        async with running(limits=quick, access=Access(origins=("https://app.example",))) as server:
            server.shell.endpoint.tags_requests = True
            got, headers, _ = split(await server.exchange(data))
            assert (got, len(headers["x-request-id"])) == (status, 32)
            if name in ("half a head", "a head that is no HTTP"):
                return
            mine = data.replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\nX-Request-Id: mine\r\nOrigin: https://app.example\r\n")
            got, headers, _ = split(await server.exchange(mine))
            assert (got, headers["x-request-id"]) == (status, "mine")
            assert headers["access-control-allow-origin"] == "https://app.example"

    run(main)


def test_host_by_name_can_be_allowed() -> None:
    async def main() -> None:
        async with running(access=Access(hosts=("rpc.example",))) as server:
            for host, status in (("rpc.example", 200), ("RPC.example:8000", 200), ("x.rpc.example", 421)):
                assert split(await server.exchange(post(ADD, f"Host: {host}", close=True)))[0] == status

    run(main)


def test_rate_is_per_client() -> None:
    async def main() -> None:
        limits = Limits(requests_per_second=0.001, burst=2)
        async with running(limits=limits, access=Access(keys={"a": "1", "b": "2"})) as server:

            async def ask(key: str) -> int:
                return split(await server.exchange(post(ADD, f"X-Api-Key: {key}", close=True)))[0]

            assert [await ask("1"), await ask("1"), await ask("1"), await ask("2")] == [200, 200, 429, 200]

    run(main)


def test_calls_beyond_the_cap_are_told_to_come_back() -> None:
    async def main() -> None:
        async with running(limits=Limits(max_in_flight=1)) as server:
            first = await server.connect()
            await first.send_all(post(call("sleep", {"seconds": 30})))
            while server.shell.endpoint.in_flight < 1:
                await trio.lowlevel.checkpoint()
            status, headers, _ = split(await server.exchange(post(call("sleep", {"seconds": 0}), close=True)))
            assert (status, headers["retry-after"]) == (503, "1")
            assert split(await server.exchange(post(ADD, close=True)))[0] == 200

    run(main)


def test_connections_beyond_the_cap_are_turned_away() -> None:
    async def main() -> None:
        async with running(limits=Limits(max_connections=1)) as server:
            first = await server.connect()
            await first.send_all(post(ADD))
            await first.receive_some(1000)
            status, headers, _ = split(await server.exchange(post(ADD)))
            assert (status, headers["retry-after"]) == (503, "1")

    run(main)


def test_head_seen_before_means_the_same_and_is_not_a_way_around() -> None:
    async def main() -> None:
        async with running() as server:
            stream = await server.connect()

            async def ask(data: bytes) -> tuple[int, bytes]:
                await stream.send_all(data)
                status, _, body = split(await stream.receive_some(65536))
                return status, body

            for number in range(10, 20):
                assert json.loads((await ask(post(call("add", [number, 1]))))[1])["result"] == {"sum": number + 1}
            assert len(server.shell.heads._known) == 1
            # The same head with more or fewer bytes behind it: the parser decides again.
            head = post(call("add", [10, 1])).partition(b"\r\n\r\n")[0]
            pair = post(call("add", [10, 1])) + post(call("add", [20, 1]))
            await stream.send_all(pair)
            got = b""
            while got.count(b"result") < 2:
                got += await stream.receive_some(65536)
            assert got.index(b'"sum":11') < got.index(b'"sum":21')
            await stream.send_all(head + b"\r\n\r\n" + call("add", [30, 1])[:-5])
            await trio.sleep(0.02)
            await stream.send_all(call("add", [30, 1])[-5:])
            assert b'"sum":31' in await stream.receive_some(65536)

    run(main)


@pytest.mark.parametrize("header", ["Origin: http://evil.example", "X-Api-Key: 1", "Expect: 100-continue", "X-New: 1"])
def test_head_with_more_than_the_ordinary_is_never_kept(header: str) -> None:
    async def main() -> None:
        async with running() as server:
            await server.exchange(post(ADD, header) + post(ADD, header, close=True))
            assert server.shell.heads._known == {}

    run(main)


def test_every_request_is_counted_where_there_is_a_rate() -> None:
    async def main() -> None:
        async with running(limits=Limits(requests_per_second=0.001, burst=3)) as server:
            stream = await server.connect()
            statuses = []
            for _ in range(4):
                await stream.send_all(post(ADD))
                statuses.append(split(await stream.receive_some(65536))[0])
            assert statuses == [200, 200, 200, 429]

    run(main)
