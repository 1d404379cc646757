"""JSON-RPC 2.0 clause by clause: what a server must do over real HTTP, and what a client must do on any connection.

The ids are those of schemas/jsonrpc/clauses.json; docs/reference/jsonrpc.md lists which test here names which. The
last test here sees to it that none is left out and none is made up.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from echo_protocol import AddParams, EchoParams, EchoResult, RpcError, ServerClient
from echo_protocol.client import CLIENTS
from echo_protocol.handlers import client_dispatcher
from echo_protocol.methods import PROTOCOL
from http_rig import Server, post, run, running, split
from msgspec import Raw

from protogen_runtime.dispatch import CallContext, Service
from protogen_runtime.echo import EchoHandler
from protogen_runtime.io.channel import TransportError
from protogen_runtime.io.memory import memory_streams
from protogen_runtime.io.peer import Peer
from protogen_runtime.jsonrpc import Failure, FrameTooLong, Success

ROOT = Path(__file__).resolve().parents[2]
SILENCE = None
"""The expectation of bodies that are owed nothing: 202 and no byte."""

ADD = '{"jsonrpc":"2.0","id":1,"method":"add","params":{"a":1,"b":2}}'
NOTE = '{"jsonrpc":"2.0","method":"notify","params":{"topic":"x"}}'
SUM = {"jsonrpc": "2.0", "id": 1, "result": {"sum": 3}}
TEXTS = {-32700: "Parse error", -32600: "Invalid Request", -32601: "Method not found", -32603: "Internal error"}


def error(code: int, request_id: object = None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": TEXTS[code]}}


def fault(path: str, reason: str) -> dict[str, Any]:
    data = {"errors": [{"path": path, "message": reason}]}
    return {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "Invalid params", "data": data}}


def changed(**members: str) -> str:
    """The call with some members as other JSON texts; without those that are empty."""
    texts = {"jsonrpc": '"2.0"', "id": "1", "method": '"add"', "params": '{"a":1,"b":2}', **members}
    return "{" + ",".join(f'"{name}":{text}' for name, text in texts.items() if text) + "}"


def failing(data: str) -> tuple[str, dict[str, Any]]:
    """A call that fails with this data, and its answer."""
    member = f',"data":{data}' if data else ""
    call = changed(method='"fail"', params=f'{{"code":42,"message":"no"{member}}}')
    given = {"data": json.loads(data)} if data else {}
    return call, {"jsonrpc": "2.0", "id": 1, "error": {"code": 42, "message": "no", **given}}


def batch(*members: str) -> str:
    return "[" + ",".join(members) + "]"


def numbered(count: int) -> list[str]:
    return [changed(id=str(number)) for number in range(count)]


IDS = [
    "0",
    "-1",
    "1",
    "1.5",
    "1e0",
    str(2**53),
    str(2**53 + 1),
    '"1"',
    '""',
    '"é"',
    '"\\u0000"',
    f'"{"x" * 1000}"',
    "1" * 30,
]
OVERFLOW = {"code": -32002, "message": "Sum out of range", "data": {"a": 1.5e308, "b": 1.5e308}}

BODIES: list[tuple[str, str | bytes, object]] = [
    # clause, body, answer
    ("JR-CONV-002", ADD.replace('"method"', '"Method"'), error(-32600, 1)),
    ("JR-CONV-002", ADD.replace('"jsonrpc"', '"JSONRPC"'), error(-32600, 1)),
    ("JR-CONV-002", ADD.replace('"id"', '"ID"'), SILENCE),
    ("JR-CONV-002", changed(METHOD='"nope"'), SUM),
    ("JR-COMPAT-002", changed(jsonrpc=""), error(-32600, 1)),
    *[("JR-REQ-002", changed(jsonrpc=it), error(-32600, 1)) for it in ("2.0", '"2"', '"1.0"', '" 2.0"', "null", "[]")],
    ("JR-REQ-002", changed(jsonrpc='"2\\u002e0"'), SUM),
    *[("JR-REQ-004", changed(method=it), error(-32600, 1)) for it in ("", "1", "null", "[]", "{}")],
    ("JR-REQ-005", changed(method='"rpc.nope"'), error(-32601, 1)),
    ("JR-EXT-001", changed(method='"rpc.discover"'), error(-32601, 1)),
    *[("JR-REQ-008", changed(id=it), error(-32600)) for it in ("true", "false", "[]", "{}", "0.1234567890123456789")],
    ("JR-REQ-011", changed(id=""), SILENCE),
    ("JR-REQ-011", changed(id="null"), {**SUM, "id": None}),
    *[("JR-REQ-012", changed(id=it), {**SUM, "id": json.loads(it)}) for it in IDS],
    ("JR-NOTIF-001", NOTE, SILENCE),
    ("JR-NOTIF-002", batch(ADD, NOTE), [SUM]),
    ("JR-NOTIF-003", NOTE.replace("notify", "nope"), SILENCE),
    ("JR-NOTIF-003", NOTE.replace("topic", "tropic"), SILENCE),
    ("JR-NOTIF-003", changed(id="", method='"fail"', params='{"code":1,"message":"x"}'), SILENCE),
    *[("JR-PARAM-002", changed(params=it), error(-32600, 1)) for it in ('"bar"', "1", "true", "null")],
    ("JR-PARAM-005", changed(params='{"A":1,"b":2}'), fault("$", 'must have the member "a"')),
    ("JR-PARAM-006", changed(params='{"b":2}'), fault("$", 'must have the member "a"')),
    ("JR-PARAM-007", changed(params="[1,2]"), SUM),
    ("JR-RESP-004", changed(method='"echo"', params='{"value":null}'), {**SUM, "result": {"value": None}}),
    *[("JR-RESP-009", it, error(code)) for it, code in (("{", -32700), ("[]", -32600), ("1", -32600))],
    ("JR-RESP-009", '{"jsonrpc":"2.0"}', error(-32600)),
    ("JR-RESP-010", '{"id":7,"method":1}', error(-32600, 7)),
    ("JR-RESP-014", changed(extra="{}"), SUM),
    ("JR-ERR-004", *failing("")),
    *[("JR-ERR-005", *failing(it)) for it in ("null", "1", '"x"', "[]", "{}", '{"a":[1]}')],
    *[("JR-ERR-008", it, error(-32700)) for it in ("{", "", "nul", '{"a":1,}', "NaN", "[NaN]", "{'a':1}", "1 1", "//")],
    ("JR-ERR-008", b'"\xff"', error(-32700)),
    ("JR-ERR-008", b"\xef\xbb\xbf" + ADD.encode(), error(-32700)),
    ("JR-ERR-008", ADD.encode("utf-16"), error(-32700)),
    *[("JR-ERR-009", it, error(-32600)) for it in ("1", '"x"', "null", "{}", '{"foo":1}', "true")],
    *[("JR-ERR-010", changed(method=it), error(-32601, 1)) for it in ('"nope"', '"ADD"', '""', '"client/echo"')],
    ("JR-ERR-011", changed(params='{"a":"x","b":2}'), fault("$.a", "must be a number")),
    ("JR-ERR-013", changed(params='{"a":1.5e308,"b":1.5e308}'), {"jsonrpc": "2.0", "id": 1, "error": OVERFLOW}),
    ("JR-ERR-014", *failing("")),
    ("JR-BATCH-001", batch(ADD, ADD), [SUM, SUM]),
    ("JR-BATCH-003", batch(*numbered(10)), [{**SUM, "id": number} for number in range(10)]),
    ("JR-BATCH-004", batch(ADD, NOTE, ADD, NOTE, ADD), [SUM] * 3),
    ("JR-BATCH-008", '[{"jsonrpc": "2.0",', error(-32700)),
    ("JR-BATCH-009", "[]", error(-32600)),
    ("JR-BATCH-010", "[1]", [error(-32600)]),
    ("JR-BATCH-010", "[1,2,3]", [error(-32600)] * 3),
    ("JR-BATCH-011", batch("1", ADD, '{"foo":"boo"}'), [error(-32600), SUM, error(-32600)]),
    ("JR-BATCH-012", batch(NOTE, NOTE), SILENCE),
    *[
        ("JR-BATCH-013", batch(alone), [answer])
        for alone, answer in (
            (ADD, SUM),
            (changed(method='"nope"'), error(-32601, 1)),
            (changed(params="1"), error(-32600, 1)),
            (changed(params='{"b":2}'), fault("$", 'must have the member "a"')),
            failing("[1]"),
        )
    ],
]


async def ask(server: Server, body: str | bytes) -> Any:
    """The answer to a body, read strictly; None for silence."""
    status, headers, answer = split(await server.exchange(post(body, close=True)))
    if status == 202:
        assert answer == b""
        return None
    assert (status, headers["content-type"]) == (200, "application/json")
    return json.loads(answer.decode(), parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def test_bodies_get_their_answers() -> None:
    """Each clause of the table BODIES."""

    async def main() -> None:
        wrong = []
        async with running() as server:
            for clause, body, expected in BODIES:
                answer = await ask(server, body)
                if answer != expected or type(answer) is not type(expected):
                    wrong.append((clause, body, answer, expected))
        assert wrong == []

    run(main)


def test_every_answer_has_its_form() -> None:
    """JR-CONV-001 JR-RESP-001 JR-RESP-002 JR-RESP-003 JR-RESP-005 JR-RESP-006 JR-RESP-007 JR-RESP-008 JR-ERR-001
    JR-ERR-002 JR-ERR-003 JR-ERR-007."""

    async def main() -> None:
        async with running() as server:
            for _, body, expected in BODIES:
                answer = await ask(server, body)
                members = answer if isinstance(answer, list) else [] if answer is None else [answer]
                assert len(members) == (len(expected) if isinstance(expected, list) else expected is not None)
                for member in members:
                    assert member["jsonrpc"] == "2.0"
                    assert set(member) in ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"})
                    if "error" in member:
                        check_error(member["error"])

    run(main)


def check_error(found: dict[str, Any]) -> None:
    assert set(found) - {"data"} == {"code", "message"}
    assert type(found["code"]) is int
    assert isinstance(found["message"], str)
    assert 0 < len(found["message"]) <= 200
    assert "\n" not in found["message"]
    standard = {-32700, -32600, -32601, -32602, -32603}
    assert found["code"] in standard or not -32768 <= found["code"] < -32099


def test_notification_is_carried_out() -> None:
    """JR-NOTIF-004, and over a batch, too."""

    async def main() -> None:
        handler = EchoHandler()
        async with running(service=Service(PROTOCOL, "server", handler, clients=CLIENTS)) as server:
            await ask(server, NOTE)
            await ask(server, batch(NOTE, ADD, NOTE))
        assert handler.notified == 3

    run(main)


def test_failure_inside_is_an_internal_error() -> None:
    """JR-ERR-012; what went wrong stays inside."""

    class Broken(EchoHandler):
        def add(self, params: AddParams, _: CallContext) -> Any:
            raise ValueError("a secret")

        async def sleep(self, params: object, _: CallContext) -> Any:
            await trio.lowlevel.checkpoint()
            raise KeyError("a secret")

    async def main() -> None:
        async with running(service=Service(PROTOCOL, "server", Broken(), clients=CLIENTS)) as server:
            assert await ask(server, ADD) == error(-32603, 1)
            assert await ask(server, changed(method='"sleep"', params='{"seconds":0}')) == error(-32603, 1)

    run(main)


def test_batch_is_answered_when_all_is_done_and_its_members_run_side_by_side() -> None:
    """JR-BATCH-002 JR-BATCH-005 JR-BATCH-006."""

    async def main() -> None:
        waits = [changed(id=str(n), method='"sleep"', params='{"seconds":0.2}') for n in range(10)]
        async with running() as server:
            began = trio.current_time()
            answers = await ask(server, batch(*waits, changed(id="10")))
            assert trio.current_time() - began < 1.5
        assert sorted(answer["id"] for answer in answers) == list(range(11))

    run(main)


def test_client_and_server_at_once() -> None:
    """JR-CONV-003: calls in both directions within one call."""

    class Client:
        async def client_echo(self, params: EchoParams, context: object) -> EchoResult:
            return EchoResult(value=[params.value])

    async def main() -> None:
        async with (
            running() as server,
            ServerClient.http(f"http://127.0.0.1:{server.port}/", callbacks=client_dispatcher(Client())) as client,
        ):
            from echo_protocol import CallbackParams

            answer = await client.callback(CallbackParams(method="client/echo", params={"value": 7}))
            assert answer.result == {"value": [7]}

    run(main)


# --- the calling side -------------------------------------------------------------------------------------------


class OtherSide:
    """A server made by hand at the other end of a peer's connection."""

    def __init__(self, peer: Peer, stream: Any) -> None:
        self.peer = peer
        self._stream = stream
        self._frames: list[Any] = []
        self.answers: dict[int, Any] = {}

    async def received(self) -> dict[str, Any]:
        while not self._frames:
            self._frames += await self._stream.receive_frames()
        frame = self._frames.pop(0)
        assert not isinstance(frame, FrameTooLong)
        message: dict[str, Any] = json.loads(frame, parse_constant=_refuse)
        return message

    async def send(self, message: object) -> None:
        await self._stream.send_frames([msgspec.json.encode(message)])

    async def call(self, number: int, params: str = "{}") -> None:
        """Call, and keep the answer or why there is none."""
        try:
            self.answers[number] = await self.peer.call("add", Raw(params.encode()), None)
        except TransportError as reason:
            self.answers[number] = reason

    async def until_answered(self, count: int) -> None:
        while len(self.answers) < count:
            await trio.lowlevel.checkpoint()


@asynccontextmanager
async def other_side() -> AsyncGenerator[tuple[OtherSide, trio.Nursery]]:
    ours, theirs = memory_streams()
    peer = Peer(ours)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer.run)
        yield OtherSide(peer, theirs), nursery
        nursery.cancel_scope.cancel()


def test_requests_of_ours_have_their_form() -> None:
    """JR-COMPAT-001 JR-REQ-001 JR-REQ-003 JR-REQ-006 JR-REQ-007 JR-REQ-009 JR-REQ-010 JR-PARAM-001 JR-PARAM-003
    JR-EXT-002."""

    async def main() -> None:
        async with other_side() as (other, nursery):
            ids = []
            for params in ("[1,2]", '{"a":1}', "{}"):
                nursery.start_soon(other.call, len(ids), params)
                sent = await other.received()
                assert set(sent) - {"params"} == {"jsonrpc", "id", "method"}
                assert (sent["jsonrpc"], sent["method"]) == ("2.0", "add")
                assert sent.get("params", {}) == json.loads(params)
                assert type(sent["id"]) in (int, str)
                ids.append(sent["id"])
            assert len(set(ids)) == 3
            await other.peer.notify("notify", Raw(b'{"topic":"x"}'))
            sent = await other.received()
            assert sent == {"jsonrpc": "2.0", "method": "notify", "params": {"topic": "x"}}
        assert [name for name in PROTOCOL.methods if name.startswith("rpc.")] == []

    run(main)


def test_params_of_ours_have_the_names_of_the_schema() -> None:
    """JR-PARAM-004: what the generated client sends is what the schema calls it."""

    async def main() -> None:
        async with other_side() as (other, nursery):
            client = ServerClient(other.peer)
            nursery.start_soon(client.add, AddParams(a=1, b=2))
            assert (await other.received())["params"] == {"a": 1, "b": 2}

    run(main)


def test_answers_find_their_calls_in_any_order() -> None:
    """JR-REQ-013 JR-BATCH-007 JR-RESP-012: also as a batch, and after an answer to nobody."""

    async def main() -> None:
        for as_batch in (False, True):
            async with other_side() as (other, nursery):
                for number in range(3):
                    nursery.start_soon(other.call, number, f"[{number}]")
                calls = [await other.received() for _ in range(3)]
                answers = [{"jsonrpc": "2.0", "id": it["id"], "result": it["params"]} for it in reversed(calls)]
                await other.send({"jsonrpc": "2.0", "id": "nobody's", "result": 1})
                for message in [answers] if as_batch else answers:
                    await other.send(message)
                await other.until_answered(3)
                found = {number: bytes(answer.result) for number, answer in other.answers.items()}
                assert found == {0: b"[0]", 1: b"[1]", 2: b"[2]"}

    run(main)


ANSWERS: list[tuple[str, dict[str, Any], object]] = [
    # clause, members of the answer beside jsonrpc and id, what the call gives
    ("JR-RESP-011", {"result": 1, "error": {"code": 1, "message": "x"}}, TransportError),
    # It might as well be a request without its method: no call is answered by it.
    ("JR-RESP-011", {}, "still waiting"),
    ("JR-RESP-013", {"result": None}, b"null"),
    ("JR-RESP-014", {"result": 1, "extra": {}}, b"1"),
    ("JR-ERR-006", {"error": {"code": 7, "message": "x"}}, (7, None)),
    *[
        ("JR-ERR-006", {"error": {"code": 7, "message": "x", "data": data}}, (7, data))
        for data in (None, 1, "x", [], {}, {"a": [1]})
    ],
]


@pytest.mark.parametrize(("clause", "members", "expected"), ANSWERS)
def test_answers_are_taken_or_refused(clause: str, members: dict[str, Any], expected: object) -> None:
    """Each clause of the table ANSWERS."""

    async def main() -> None:
        async with other_side() as (other, nursery):
            nursery.start_soon(other.call, 0)
            sent = await other.received()
            await other.send({"jsonrpc": "2.0", "id": sent["id"], **members})
            if expected == "still waiting":
                assert (await other.received())["error"]["code"] == -32600
                assert other.answers == {}
                return
            await other.until_answered(1)
            match other.answers[0]:
                case Success(result=result):
                    assert bytes(result) == expected
                case Failure(error=found):
                    data = None if found.data is msgspec.UNSET else msgspec.json.decode(found.data)
                    assert (found.code, data) == expected
                case reason:
                    assert isinstance(reason, TransportError)
                    assert expected is TransportError

    run(main)


def test_error_reaches_who_called_with_the_generated_client() -> None:
    """JR-ERR-006: its code, message and data."""

    async def main() -> None:
        async with (
            running() as server,
            ServerClient.http(f"http://127.0.0.1:{server.port}/") as client,
        ):
            with pytest.raises(RpcError) as caught:
                await client.call("fail", {"code": 42, "message": "no", "data": [1]})
            assert (caught.value.code, str(caught.value.message), caught.value.data) == (42, "no", [1])

    run(main)


# --- the list -----------------------------------------------------------------------------------------------------


def test_every_clause_is_named_and_none_is_made_up() -> None:
    known = {clause["id"] for clause in json.loads((ROOT / "schemas/jsonrpc/clauses.json").read_text())["clauses"]}
    spec = importlib.util.spec_from_file_location("protogen_tools_clause_tests", ROOT / "tools/clause_tests.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    named = tool.tests_by_clause(ROOT)
    assert sorted(known - set(named)) == []
    assert sorted(set(named) - known) == []
    functions = {node.name for node in ast.parse(Path(__file__).read_text()).body if isinstance(node, ast.FunctionDef)}
    here = {test for tests in named.values() for file, test in tests if file == "tests/runtime_http/test_clauses.py"}
    assert here <= functions
    assert len(here) >= 10
    assert re.fullmatch(r"JR-[A-Z]+-\d{3}", min(named))
