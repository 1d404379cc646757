"""What a service gives its handlers beside params: request members, early answers, worded refusals; and joining."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from echo_protocol.methods import PROTOCOL as ECHO
from echo_protocol.rpc.errors import RpcError
from echo_protocol.types import EchoResult
from msgspec import Raw
from stepflow_protocol.methods import PROTOCOL as STEPFLOW

from protogen_runtime.dispatch import CallContext, Joined, Service
from protogen_runtime.jsonrpc import METHOD_NOT_FOUND, Call, Notification


class Link:
    """A transport that keeps what it is given."""

    headers: dict[str, str] = {}  # noqa: RUF012 - never changed
    identity = None
    deadline = None
    channel: Any = None
    emit = None

    def __init__(self, frame: bytes = b"", *, streams: bool = False) -> None:
        self.frame = frame
        self.sent: list[tuple[bytes, bool]] = []
        self.answer: Callable[[Raw, bool], Awaitable[None]] | None = self._answer if streams else None

    async def _answer(self, result: Raw, is_last: bool) -> None:
        self.sent.append((bytes(result), is_last))


class Asking:
    """Answers with what the context says of the request."""

    def __init__(self, ask: Callable[[CallContext], Any]) -> None:
        self._ask = ask

    def echo(self, _: object, context: CallContext) -> EchoResult:
        return EchoResult(value=self._ask(context))


def start(service: Service, link: Link, method: str = "echo", params: bytes = b'{"value":1}') -> Any:
    return service.start(Call(id=1, method=method, params=Raw(params)), link)


def run_at_once(coroutine: Any) -> Any:
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)
    return stopped.value.value


@pytest.mark.parametrize(
    ("frame", "found"),
    [
        (b'{"id":1,"method":"echo","metadata":{"a":1}}', {"a": 1}),
        (b' [{"id":"1","method":"echo","metadata":2}, {"id":1,"method":"echo","metadata":3}]', 3),
        (b'[7, {"id":true,"method":"echo","metadata":1}, {"id":1,"method":"add","metadata":4}]', None),
        (b'{"id":1,"method":"echo"}', None),
        (b"", None),
    ],
)
def test_members_beside_the_params_can_be_read(frame: bytes, found: object) -> None:
    def ask(context: CallContext) -> Any:
        member = context.member("metadata")
        return None if member is None else msgspec.json.decode(member)

    outcome = start(Service(ECHO, "server", Asking(ask)), Link(frame))
    assert msgspec.json.decode(outcome) == {"value": found}


def test_a_raw_result_is_sent_as_it_is() -> None:
    class Stored:
        def echo(self, _: object, __: CallContext) -> Any:
            return Raw(b'{"value": 1e2}')

    assert bytes(start(Service(ECHO, "server", Stored()), Link())) == b'{"value": 1e2}'


def test_refused_params_are_worded_by_the_protocol() -> None:
    told: list[tuple[str, bytes]] = []

    def explain(method: str, params: bytes, error: Exception) -> Exception | None:
        assert error is not None
        told.append((method, params))
        return RpcError(-32000, "No such sum", {"field": "a"}) if method == "add" else None

    service = Service(ECHO, "server", Asking(lambda _: None), explain=explain)
    usual = start(service, Link(), params=b"{}")
    assert (usual.code, told) == (-32602, [("echo", b"{}")])

    class Adding:
        def add(self, _: object, __: CallContext) -> None:
            raise AssertionError("its params were refused")

    worded = start(Service(ECHO, "server", Adding(), explain=explain), Link(), method="add", params=b"[1]")
    assert (worded.code, worded.message, bytes(worded.data)) == (-32000, "No such sum", b'{"field":"a"}')
    assert told[-1] == ("add", b'{"a":1}')


def test_words_that_fail_are_the_usual_ones() -> None:
    told: list[str] = []

    def explain(method: str, params: bytes, error: Exception) -> Exception | None:
        raise ValueError(f"{method}: {params!r} cannot be read again")

    service = Service(ECHO, "server", Asking(lambda _: None), explain=explain, report=lambda *it: told.append(it[1]))
    assert start(service, Link(), params=b"{}").code == -32602
    assert told == ["the refusal of its params could not be worded"]


def test_an_early_answer_goes_out_before_the_handler_ends() -> None:
    class Early:
        async def echo(self, _: object, context: CallContext) -> EchoResult:
            assert context.can_answer_early
            await context.answer(EchoResult(value=1), is_last=False)
            await context.answer(EchoResult(value=2))
            return EchoResult(value=3)

    link = Link(streams=True)
    outcome = run_at_once(start(Service(ECHO, "server", Early()), link))
    assert link.sent == [(b'{"value":1}', False), (b'{"value":2}', True)]
    assert bytes(outcome) == b'{"value":3}'


def test_no_early_answer_where_the_caller_takes_one_piece() -> None:
    class Early:
        async def echo(self, _: object, context: CallContext) -> EchoResult:
            assert not context.can_answer_early
            with pytest.raises(LookupError, match="one piece"):
                await context.answer(EchoResult(value=1))
            return EchoResult(value=2)

    assert bytes(run_at_once(start(Service(ECHO, "server", Early()), Link()))) == b'{"value":2}'


def test_joined_services_each_answer_their_own_methods() -> None:
    class Broken:
        def echo(self, _: object, __: CallContext) -> EchoResult:
            raise ValueError("planted")

    name = next(name for name, method in STEPFLOW.methods.items() if method.receiver == "runtime")
    handler = type("Handler", (), {STEPFLOW.methods[name].function: lambda self, _, __: Raw(b"7")})()
    joined = Joined(Service(ECHO, "server", Broken()), Service(STEPFLOW, "runtime", handler))
    told: list[str] = []
    joined.report = lambda method, what, error: told.append(f"{method}: {error}")
    assert joined.method_names == {"echo", name}
    assert joined.info.path == ECHO.path
    assert set(joined.info.methods) == {*ECHO.methods, *STEPFLOW.methods}
    assert joined.start(Notification(method="nope"), Link()) is METHOD_NOT_FOUND
    assert start(joined, Link()).code == -32603
    assert told == ["echo: planted"]


def test_two_services_cannot_serve_one_method() -> None:
    one = Service(ECHO, "server", Asking(lambda _: None))
    with pytest.raises(ValueError, match="'echo'"):
        Joined(one, one)
