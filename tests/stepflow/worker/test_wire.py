"""What a worker makes of bytes (spec, sections 3, 5 and 13): both spellings, odd ids, extras, rubbish, streams."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from plugin_rig import running
from worker_components import app
from worker_rig import execute_message, post, serving, serving_lines


def request(method: str, params: Any, request_id: Any = 1) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}).encode()


LATER = {"serverProtocolVersion": 1, "supportsBlobRefs": True}
BOTH = {"runtimeProtocolVersion": 1, "runtime_protocol_version": 1}
HANDSHAKES = [
    ({"runtime_protocol_version": 1}, {"server_protocol_version": 1}),
    ({"runtime_protocol_version": 1, "observability": None}, {"server_protocol_version": 1}),
    ({"runtime_protocol_version": 7, "extra": [1]}, {"server_protocol_version": 1}),
    ({"runtimeProtocolVersion": 1}, LATER),
    ({"runtimeProtocolVersion": 2, "capabilities": {"blobApiUrl": "http://x"}, "observability": {}}, LATER),
    ({"runtimeProtocolVersion": 1, "capabilities": None, "more": 1}, LATER),
    ({"runtimeProtocolVersion": 1, "capabilities": {"blobApiUrl": None, "blobThreshold": None}}, LATER),
    (BOTH, {"server_protocol_version": 1}),
    ({**BOTH, "dialect": "0.9", "capabilities": {}}, {"server_protocol_version": 1, "takesCancel": True}),
    ({**BOTH, "dialect": "0.11"}, {**LATER, "takesCancel": True}),
    ({**BOTH, "dialect": 5}, {"server_protocol_version": 1, "takesCancel": True}),
]


@pytest.mark.parametrize(("params", "result"), HANDSHAKES)
def test_initialize_answers_in_the_spelling_it_was_asked_in(params: Any, result: Any) -> None:
    async def scenario() -> None:
        async with serving(app) as url:
            for _ in range(2):  # it may be repeated
                answer = await post(url, request("initialize", params))
                assert (answer.status, answer.json) == (200, {"jsonrpc": "2.0", "id": 1, "result": result})

    running(scenario)


@pytest.mark.parametrize(("name", "code"), [("runtime_protocol_version", -32002), ("runtimeProtocolVersion", -32006)])
def test_a_runtime_without_our_version_is_refused(name: str, code: int) -> None:
    async def scenario() -> None:
        async with serving(app) as url:
            error = (await post(url, request("initialize", {name: 0}))).json["error"]
            assert (error["code"], error["data"]) == (code, {"expected": 1, "got": 0})
            for params in ({}, {name: "1"}, {name: -1}, {name: None}):
                assert (await post(url, request("initialize", params))).json["error"]["code"] == -32602

    running(scenario)


TAKEN: list[tuple[str, bytes, Any]] = [
    ("a string id", execute_message("/echo", 1, request_id="x-é"), "x-é"),
    ("an empty id", execute_message("/echo", 1, request_id=""), ""),
    ("a large id", execute_message("/echo", 1, request_id=2**53), 2**53),
    ("reordered keys", (b'{"params":{"observability":{},"attempt":1,"input":1,"component":"/echo"},'
     b'"method":"components/execute","id":1,"jsonrpc":"2.0"}'), 1),
    ("whitespace", (b' \r\n\t{ "jsonrpc" : "2.0" , "id" : 1 , "method" : "components/execute" , "params" : '
     b'{ "component" : "/echo" , "input" : 1 , "attempt" : 1 , "observability" : { } } }\n'), 1),
    ("unknown members", execute_message("/echo", 1, more={"a": [1]}), 1),
    ("an attempt of 0", execute_message("/echo", 1, attempt=0), 1),
    ("nulls in the context", execute_message("/echo", 1, observability={"run_id": None, "flow_id": None}), 1),
    ("foreign members in the context", execute_message("/echo", 1, observability={"baggage": {}}), 1),
    ("no version", execute_message("/echo", 1).replace(b'"jsonrpc": "2.0", ', b""), 1),
]  # fmt: skip


@pytest.mark.parametrize(("body", "request_id"), [case[1:] for case in TAKEN], ids=[case[0] for case in TAKEN])
def test_what_a_runtime_may_send_is_taken(body: bytes, request_id: Any) -> None:
    async def scenario() -> None:
        async with serving(app) as url:
            answer = await post(url, body)
            assert (answer.status, answer.json) == (
                200,
                {"jsonrpc": "2.0", "id": request_id, "result": {"output": 1}},
            )

    running(scenario)


REFUSED: list[tuple[str, bytes, int, Any]] = [
    ("no JSON", b"{", -32700, None),
    ("nothing", b"", -32700, None),
    ("a scalar", b"1", -32600, None),
    ("an empty batch", b"[]", -32600, None),
    ("a batch", b"[%b]" % execute_message("/echo", 1), -32600, None),
    ("an id that is null", execute_message("/echo", 1, request_id=None), -32600, None),
    ("an id with a fraction", execute_message("/echo", 1, request_id=1.5), -32600, None),
    ("an id with an exponent", execute_message("/echo", 1, request_id="@").replace(b'"@"', b"1e3"), -32600, None),
    ("no version, and params that are no object", b'{"id":1,"method":"components/list","params":1}', -32600, 1),
    ("not UTF-8", b'{"jsonrpc":"2.0","id":1,"method":"\xff"}', -32700, None),
    ("NaN", b'{"jsonrpc":"2.0","id":1,"method":"components/list","params":{"a":NaN}}', -32700, None),
    ("a lone surrogate", execute_message("/echo", "\ud800"), -32700, None),
    ("an id that is an object", request("components/list", {}, {}), -32600, None),
    ("an id that is a truth", request("components/list", {}, True), -32600, None),
    ("another version", b'{"jsonrpc":"1.0","id":1,"method":"components/list","params":{}}', -32600, 1),
    ("an unknown method", request("flows/evaluate", {}), -32601, 1),
    ("a method of the runtime's", request("blobs/put", {"data": 1, "blob_type": "data"}), -32601, 1),
    ("params without a component", request("components/execute", {"input": 1}), -32602, 1),
    ("params of another type", request("components/execute", 1), -32600, 1),
    ("no component of that name", execute_message("/none"), -32001, 1),
]


@pytest.mark.parametrize(("body", "code", "request_id"), [case[1:] for case in REFUSED], ids=[it[0] for it in REFUSED])
def test_what_is_no_call_of_ours_gets_a_proper_error(body: bytes, code: int, request_id: Any) -> None:
    async def scenario() -> None:
        async with serving(app) as url:
            answer = await post(url, body)
            assert answer.status == 200
            told = answer.json
            assert (told["jsonrpc"], told["id"], told["error"]["code"]) == ("2.0", request_id, code)

    running(scenario)


@pytest.mark.parametrize("params", [b"", b',"params":null', b',"params" : null '])
@pytest.mark.parametrize("version", [b'"jsonrpc":"2.0",', b""])
def test_params_may_be_left_out_or_null(params: bytes, version: bytes) -> None:
    async def scenario() -> None:
        body = b'{%b"id":"a","method":"components/list"%b}' % (version, params)
        told = b'{%b"method":"initialized"%b}' % (version, params)
        async with serving(app) as url:
            answer = (await post(url, body)).json
            assert (answer["id"], answer["result"]["components"][0]["component"]) == ("a", "/echo")
            assert (await post(url, told)).status == 202
        async with serving_lines(app) as lines:
            await lines.send(told, body)
            assert await lines.receive() == answer

    running(scenario)


def test_lines_refuse_what_posts_refuse() -> None:
    async def scenario() -> None:
        async with serving_lines(app) as lines:
            for body, code, request_id in [case[1:] for case in REFUSED if case[1]]:
                await lines.send(body)
                told = await lines.receive()
                assert (told["jsonrpc"], told["id"], told["error"]["code"]) == ("2.0", request_id, code)

    running(scenario)


def test_values_keep_their_digits_and_their_depth() -> None:
    async def scenario() -> None:
        deep = "[" * 400 + "]" * 400
        for text in ("18446744073709551615", "-9223372036854775808", "1.5", "1e300", deep, '{"b":1,"a":2}'):
            body = execute_message("/echo", "@").replace(b'"@"', text.encode())
            async with serving(app) as url:
                output = (await post(url, body)).body
                assert json.loads(output)["result"]["output"] == json.loads(text)

    running(scenario)


def test_notifications_and_answers_get_202_and_strange_ones_400() -> None:
    async def scenario() -> None:
        async with serving(app) as url:
            for params in (b',"params":{}', b"", b',"params":{"more":1}'):
                answer = await post(url, b'{"jsonrpc":"2.0","method":"initialized"%b}' % params)
                assert (answer.status, answer.body) == (202, b"")
            strange = await post(url, b'{"jsonrpc":"2.0","id":"nobody","result":{}}')
            assert (strange.status, strange.json["error"]["code"]) == (400, -32600)
            assert (await post(url, b"{}", content_type="text/plain")).status == 415
            assert (await post(url, b"", verb="PUT")).status == 405
            assert (await post(url, b"", verb="GET", path="/else")).status in (404, 405)
            assert (await post(url, execute_message("/echo", 1), path="/else")).status == 404
            # No handshake came before any of this.
            assert "result" in (await post(url, request("components/list", {}))).json

    running(scenario)


def test_callbacks_travel_as_events_of_one_line_and_are_answered_by_posts_in_any_order() -> None:
    async def scenario() -> None:
        async with serving(app) as url:
            host, _, port = url.removeprefix("http://").partition(":")
            stream = await trio.open_tcp_stream(host, int(port))
            body = execute_message("/blobs", ["é", {"b": 1}], request_id="call")
            head = (
                f"POST / HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
                f"accept: application/json, text/event-stream\r\ncontent-length: {len(body)}\r\n\r\n"
            )
            await stream.send_all(head.encode() + body)
            data = b""
            while data.count(b"\n\n") < 2:
                data += await stream.receive_some()
            headers, _, events = data.partition(b"\r\n\r\n")
            lines = dict(line.lower().split(b": ", 1) for line in headers.split(b"\r\n")[1:])
            assert headers.startswith(b"HTTP/1.1 200 ")
            assert lines[b"content-type"] == b"text/event-stream"
            instance = lines[b"stepflow-instance-id"].decode()
            page = (await post(url, b"", verb="GET", path="/health")).json
            assert (page["status"], page["instanceId"], page["service"]) == ("healthy", instance, "tested")
            assert set(page) == {"status", "instanceId", "timestamp", "service"}
            assert events.isascii()
            found = [json.loads(line[6:]) for line in events.split(b"\n") if line.startswith(b"data: ")]
            assert [call["method"] for call in found] == ["blobs/put", "blobs/put"]
            assert sorted(map(str, (call["params"]["data"] for call in found))) == ["{'b': 1}", "é"]
            assert all(type(call["id"]) is str and call["jsonrpc"] == "2.0" for call in found)

            for call in reversed(found):
                name = str(call["params"]["data"])
                answer = json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": {"blob_id": name}}).encode()
                elsewhere = await post(url, answer, stepflow_instance_id="another")
                assert elsewhere.status == 400
                taken = await post(url, answer, stepflow_instance_id=instance)
                assert (taken.status, taken.body) == (202, b"")
            rest = b""
            while b"0\r\n\r\n" not in rest:
                rest += await stream.receive_some()
            last = next(json.loads(line[6:]) for line in rest.split(b"\n") if line.startswith(b"data: "))
            assert (last["id"], last["result"]) == ("call", {"output": ["é", "{'b': 1}"]})
            await stream.aclose()

    running(scenario)


def test_two_runtimes_in_sessions_do_not_see_each_other() -> None:
    async def scenario() -> None:
        async with serving(app) as url:
            endpoints = []
            streams = []
            for _ in range(2):
                host, _, port = url.removeprefix("http://").partition(":")
                stream = await trio.open_tcp_stream(host, int(port))
                accept = b"accept: text/event-stream\r\n\r\n"
                await stream.send_all(b"GET /runtime/events HTTP/1.1\r\nhost: 127.0.0.1\r\n" + accept)
                data = b""
                while b"\n\n" not in data.partition(b"\r\n\r\n")[2]:
                    data += await stream.receive_some()
                line = next(line for line in data.split(b"\n") if line.startswith(b"data: "))
                endpoints.append(json.loads(line[6:])["endpoint"])
                streams.append(stream)
            assert endpoints[0] != endpoints[1]
            for endpoint in endpoints:
                answer = await post(url, execute_message("/echo", endpoint), path=endpoint)
                assert answer.json["result"] == {"output": endpoint}
            unknown = await post(url, execute_message("/echo", 1), path="/?sessionId=none")
            assert (unknown.status, unknown.json["error"]["code"]) == (400, -32600)
            for stream in streams:
                await stream.aclose()

    running(scenario)


def test_a_session_ends_with_its_stream() -> None:
    async def scenario() -> None:
        async with serving(app) as url:
            host, _, port = url.removeprefix("http://").partition(":")
            stream = await trio.open_tcp_stream(host, int(port))
            await stream.send_all(
                b"GET /runtime/events HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: text/event-stream\r\n\r\n"
            )
            data = b""
            while b"\n\n" not in data.partition(b"\r\n\r\n")[2]:
                data += await stream.receive_some()
            line = next(line for line in data.split(b"\n") if line.startswith(b"data: "))
            endpoint = json.loads(line[6:])["endpoint"]
            assert (await post(url, execute_message("/echo", 1), path=endpoint)).status == 200
            await stream.aclose()
            with trio.fail_after(1):
                while (ended := await post(url, execute_message("/echo", 1), path=endpoint)).status == 200:
                    await trio.lowlevel.checkpoint()
            assert (ended.status, ended.json["id"], ended.json["error"]["code"]) == (400, 1, -32600)

    running(scenario)


def test_lines_are_served_side_by_side_and_rubbish_does_not_end_them() -> None:
    async def scenario() -> None:
        async with serving_lines(app) as lines:
            await lines.send(execute_message("/get", "0" * 64, request_id="first"))
            asked = await lines.receive()
            assert (asked["method"], type(asked["id"])) == ("blobs/get", str)
            await lines.send(b"rubbish", b"", execute_message("/echo", 2, request_id=2) + b"\r")
            answers = [await lines.receive(), await lines.receive()]
            assert {answer["id"]: answer.get("result") for answer in answers} == {None: None, 2: {"output": 2}}
            refused = {"code": -32000, "message": "Blob not found", "data": None}
            await lines.send(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "error": refused}).encode())
            answer = await lines.receive()
            assert (answer["id"], answer["error"]["code"]) == ("first", -32000)
            assert answer["error"]["message"] == "Blob not found"

    running(scenario)
