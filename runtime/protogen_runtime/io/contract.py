"""The contract: what every transport must do, as tests that anybody runs against a transport of their own.

    class TestMyTransport(TransportContract):
        @pytest.fixture
        def serving(self, tmp_path):
            return lambda service: serve_mine(service, tmp_path / "socket")

`serving(service)` is an asynchronous context manager that serves the service as long as it lasts, and yields a function
that makes a channel to it: `connect(callbacks)`, not open yet. Put
`pytest.register_assert_rewrite("protogen_runtime.io.contract")` into conftest.py to see the values of what fails.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar, Final, Literal, TypeAlias, cast

import msgspec
import pytest
import trio
from msgspec import UNSET, Raw

from protogen_runtime.dispatch import CallContext, Sdk, Service
from protogen_runtime.jsonrpc import Failure, Success

from .channel import Channel, TransportError

Connect: TypeAlias = Callable[[Service | None], Channel]
Serving: TypeAlias = Callable[[Service], AbstractAsyncContextManager[Connect]]

PATIENCE: Final = 20
"""Seconds after which a test that waits has failed."""

CANCEL_SECONDS: Final = 1.0
"""How soon a handler must see that its caller has gone: 0.1 s on a machine that is not busy with other tests, too."""

UNTOLD: Final = "the text of a crash"


# --- a protocol of its own, without a generated SDK -----------------------------------------------------


class Refusal(Exception):
    """The answer of a handler that refuses."""

    def __init__(self, code: int, message: str, data: Any = UNSET) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class BadValue(Exception):
    """Params that no handler takes."""

    def as_data(self) -> Any:
        """The faults, as dispatch sends them."""
        return {"errors": [{"path": "$", "message": "expected an object"}]}


class _JsonCodec:
    """Any JSON value is valid, but params must be objects."""

    def decode(self, name: str, data: bytes | Raw) -> Any:
        """The value of a JSON text."""
        value: Any = msgspec.json.decode(data)
        if name == "Params" and not isinstance(value, dict):
            raise BadValue
        return cast("Any", value)

    def encode(self, value: Any) -> bytes:
        """The value as JSON."""
        return msgspec.json.encode(value)

    def encode_as(self, name: str, value: Any) -> bytes:
        """The value as JSON."""
        del name
        return msgspec.json.encode(value)


class _Method(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    function: str
    kind: Literal["request", "notification"]
    sender: str
    receiver: str
    params: str | None = "Params"
    result: str | None = "Result"
    events: str | None = None
    events_are_results: bool = False
    positional: tuple[str, ...] = ()


class _Protocol(msgspec.Struct, frozen=True, kw_only=True):
    methods: Mapping[str, _Method]
    codec: _JsonCodec = _JsonCodec()
    name: str = "contract"
    path: str = "/"
    health_path: str | None = None
    instance_header: str = "Contract-Instance-Id"


def _rows() -> dict[str, _Method]:
    rows: dict[str, _Method] = {}
    for name in ("echo", "fail", "crash", "hold", "ask", "relay", "count", "stream", "tell"):
        kind: Literal["request", "notification"] = "notification" if name == "tell" else "request"
        events = "Event" if name in ("count", "stream") else None
        rows[name] = _Method(name=name, function=name, kind=kind, sender="client", receiver="server", events=events)
    for name in ("answer", "refuse"):
        rows[name] = _Method(name=name, function=name, kind="request", sender="server", receiver="client")
    return rows


PROTOCOL: Final = _Protocol(methods=_rows())
SDK: Final = Sdk(Refusal, BadValue)


class Server:
    """Serves the contract; tests watch it."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.held: dict[str, trio.Event] = {}
        self.changed = trio.lowlevel.ParkingLot()
        self.cancelled: list[str] = []

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that a call changes."""
        while not condition():
            await self.changed.park()

    def echo(self, params: Any, _: CallContext) -> Any:
        """The params."""
        return params

    def fail(self, params: Any, _: CallContext) -> Any:
        """An error as asked for."""
        raise Refusal(params["code"], params["message"], params.get("data", UNSET))

    async def crash(self, params: Any, _: CallContext) -> Any:
        """What no handler should do."""
        del params
        await trio.lowlevel.checkpoint()
        raise RuntimeError(UNTOLD)

    async def hold(self, params: Any, _: CallContext) -> Any:
        """Answer when the test releases it."""
        key: str = params["key"]
        self.held[key] = trio.Event()
        self.changed.unpark_all()
        try:
            await self.held[key].wait()
        except trio.Cancelled:
            self.cancelled.append(key)
            self.changed.unpark_all()
            raise
        return {"key": key}

    async def ask(self, params: Any, context: CallContext) -> Any:
        """Call the client back so often as asked, all at once, and answer with its answers."""
        answers: dict[int, Any] = {}

        async def one(number: int) -> None:
            mark = msgspec.json.encode({"mark": params["mark"], "number": number})
            answers[number] = _told(await context.channel.call(params["method"], Raw(mark), None))

        async with trio.open_nursery() as nursery:
            for number in range(params["times"]):
                nursery.start_soon(one, number)
        return [answers[number] for number in sorted(answers)]

    async def relay(self, params: Any, context: CallContext) -> Any:
        """Call the client back with a method of its own choice, and tell what became of it."""
        try:
            return _told(await context.channel.call(params["method"], Raw(b"{}"), None))
        except TransportError:
            return "no answer"

    async def count(self, params: Any, context: CallContext) -> Any:
        """One event per number, then how many."""
        for number in range(params["to"]):
            await context.emit({"number": number})
        return params["to"]

    async def stream(self, params: Any, context: CallContext) -> Any:
        """How many events will follow, where the caller takes them; then these; then wait where `hold` is asked for, or
        fail where `crash` is.
        """
        if not context.can_answer_early:
            return 0
        await context.answer(params["to"])
        try:
            for number in range(params["to"]):
                await context.emit({"number": number})
            if "crash" in params:
                raise RuntimeError(UNTOLD)
            if "hold" in params:
                await trio.sleep_forever()
        except trio.Cancelled:
            self.cancelled.append("stream")
            self.changed.unpark_all()
            raise
        return "not sent"

    def tell(self, params: Any, _: CallContext) -> None:
        """Remember what was told."""
        self.told.append(params)
        self.changed.unpark_all()


class Client:
    """What a client serves."""

    def __init__(self, mark: str = "") -> None:
        self.mark = mark

    async def answer(self, params: Any, _: CallContext) -> Any:
        """Whose it is, and what was asked."""
        await trio.lowlevel.checkpoint()
        return [self.mark, params["mark"], params["number"]]

    def refuse(self, params: Any, _: CallContext) -> Any:
        """An error."""
        del params
        raise Refusal(77, "not today", [1])


def _told(answer: Success | Failure) -> Any:
    if isinstance(answer, Failure):
        return [answer.error.code, answer.error.message]
    return msgspec.json.decode(answer.result)


def service_of(server: Server) -> Service:
    """The service of a server of the contract."""
    return Service(PROTOCOL, "server", server, sdk=SDK)


def callbacks_of(client: Client) -> Service:
    """The service of a client of the contract."""
    return Service(PROTOCOL, "client", client, sdk=SDK)


class Session:
    """One test: the server, and how to connect to it."""

    def __init__(self, server: Server, connect: Connect) -> None:
        self.server = server
        self._connect = connect

    @asynccontextmanager
    async def client(self, callbacks: Client | None = None) -> AsyncGenerator[Channel]:
        """A channel that is open."""
        channel = self._connect(None if callbacks is None else callbacks_of(callbacks))
        await channel.open()
        try:
            yield channel
        finally:
            await channel.aclose()


async def ask(channel: Channel, method: str, params: Any = UNSET) -> Any:
    """The result of a call; [code, message] where it failed."""
    text = Raw() if params is UNSET else Raw(msgspec.json.encode(params))
    return _told(await channel.call(method, text, None))


Scenario: TypeAlias = Callable[[Any, Session], Awaitable[None]]


def with_session(scenario: Scenario) -> Callable[[Any, Serving], None]:
    """Turn a coroutine that takes a session into a test that serves one."""

    def test(self: Any, serving: Serving) -> None:
        async def run() -> None:
            server = Server()
            with trio.fail_after(PATIENCE):
                async with serving(service_of(server)) as connect:
                    await scenario(self, Session(server, connect))

        trio.run(run)

    test.__name__ = test.__qualname__ = getattr(scenario, "__name__", "test")
    return test


VALUES: Final[tuple[tuple[str, str], ...]] = (
    ("numbers", "[0,-1,9007199254740993,123456789012345678901234567890,1.5,1e300]"),
    ("text", '["\\u0000\\n\\r\\t\\"\\\\","é\u2028\u2029😀",""]'),
    ("names", '{"":1,"data:":2,"jsonrpc":"1.0","id":3,"method":4,"event":"x"}'),
    ("nothing", "[null,[],{},true,false]"),
)


class TransportContract:
    """What every transport must do. `carries_events`: events of a method reach its caller."""

    carries_events: ClassVar[bool] = True

    @pytest.fixture
    def serving(self) -> Serving:
        """The transport under test."""
        raise NotImplementedError("override the fixture `serving`")

    @pytest.mark.parametrize(("what", "text"), VALUES, ids=[what for what, _ in VALUES])
    def test_values_arrive_as_they_were_sent(self, serving: Serving, what: str, text: str) -> None:
        """Exactly, whatever is in them."""

        @with_session
        async def scenario(_: Any, session: Session) -> None:
            params = Raw(b'{"%b":%b}' % (what.encode(), text.encode()))
            async with session.client() as channel:
                answer = await channel.call("echo", params, None)
            assert isinstance(answer, Success)
            assert msgspec.json.decode(answer.result) == msgspec.json.decode(params)

        scenario(self, serving)

    @with_session
    async def test_a_large_message_arrives_whole(self, session: Session) -> None:
        """A megabyte there and back."""
        text = "0123456789é" * 95_000
        async with session.client() as channel:
            assert await ask(channel, "echo", {"text": text}) == {"text": text}

    @with_session
    async def test_a_call_without_params_is_answered(self, session: Session) -> None:
        """As if they were an empty object."""
        async with session.client() as channel:
            assert await ask(channel, "echo") == {}

    @with_session
    async def test_an_error_keeps_code_message_and_data(self, session: Session) -> None:
        """Of the handler's choice."""
        params = Raw(b'{"code":-7,"message":"n\\u00f6","data":{"a":[null,12345678901234567890]}}')
        async with session.client() as channel:
            answer = await channel.call("fail", params, None)
        assert isinstance(answer, Failure)
        assert (answer.error.code, answer.error.message) == (-7, "nö")
        assert isinstance(answer.error.data, Raw)
        assert msgspec.json.decode(answer.error.data) == {"a": [None, 12345678901234567890]}

    @with_session
    async def test_what_goes_wrong_has_its_code(self, session: Session) -> None:
        """And nothing of a crash is told."""
        async with session.client() as channel:
            assert await ask(channel, "nothing", {}) == [-32601, "Method not found"]
            assert await ask(channel, "echo", [1]) == [-32602, "Invalid params"]
            answer = await channel.call("crash", Raw(b"{}"), None)
            assert isinstance(answer, Failure)
            assert answer.error.code == -32603
            assert UNTOLD not in str(answer)

    @with_session
    async def test_a_notification_arrives_and_is_not_answered(self, session: Session) -> None:
        """Whether its method exists or not, and the call after it gets its own answer."""
        async with session.client() as channel:
            await channel.notify("tell", Raw(b'{"a":1}'))
            await channel.notify("nothing", Raw(b"{}"))
            await channel.notify("tell", Raw(b"[]"))
            await session.server.until(lambda: session.server.told == [{"a": 1}])
            assert await ask(channel, "echo", {"b": 2}) == {"b": 2}

    @with_session
    async def test_calls_are_answered_in_any_order(self, session: Session) -> None:
        """Fifty side by side, released from the last to the first."""
        keys = [f"k{number}" for number in range(50)]
        answered: list[str] = []

        async def call(key: str) -> None:
            assert await ask(channel, "hold", {"key": key}) == {"key": key}
            answered.append(key)

        async with session.client() as channel, trio.open_nursery() as nursery:
            for key in keys:
                nursery.start_soon(call, key)
            await session.server.until(lambda: len(session.server.held) == len(keys))
            assert await ask(channel, "echo", {"meanwhile": True}) == {"meanwhile": True}
            for count, key in enumerate(reversed(keys), 1):
                session.server.held[key].set()
                while len(answered) < count:
                    await trio.lowlevel.checkpoint()
        assert answered == keys[::-1]

    @with_session
    async def test_a_server_calls_its_client_back(self, session: Session) -> None:
        """Twenty times at once, while the call is under way."""
        async with session.client(Client("me")) as channel:
            answers = await ask(channel, "ask", {"method": "answer", "mark": "x", "times": 20})
        assert answers == [["me", "x", number] for number in range(20)]

    @with_session
    async def test_errors_of_callbacks_reach_the_server(self, session: Session) -> None:
        """Those of the client's handlers, and those for what it does not serve."""
        async with session.client(Client()) as channel:
            assert await ask(channel, "relay", {"method": "refuse"}) == [77, "not today"]
            assert await ask(channel, "relay", {"method": "nothing"}) == [-32601, "Method not found"]
        async with session.client() as channel:
            assert await ask(channel, "relay", {"method": "answer"}) == [-32601, "Method not found"]

    @with_session
    async def test_two_clients_never_see_what_is_not_theirs(self, session: Session) -> None:
        """Neither answers nor callbacks, though their ids are the same."""

        async def use(mark: str) -> None:
            async with session.client(Client(mark)) as channel:
                for turn in range(5):
                    answers = await ask(channel, "ask", {"method": "answer", "mark": f"{mark}{turn}", "times": 5})
                    assert answers == [[mark, f"{mark}{turn}", number] for number in range(5)]
                    assert await ask(channel, "echo", {"mark": mark}) == {"mark": mark}

        async with trio.open_nursery() as nursery:
            for mark in ("a", "b", "c"):
                nursery.start_soon(use, mark)

    @with_session
    async def test_an_abandoned_call_is_cancelled_on_the_server(self, session: Session) -> None:
        """Soon, alone, and the channel goes on."""
        server = session.server
        async with session.client() as channel, trio.open_nursery() as nursery:
            nursery.start_soon(ask, channel, "hold", {"key": "stays"})
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as abandoned:
                    abandoned.start_soon(ask, channel, "hold", {"key": "goes"})
                    await server.until(lambda: len(server.held) == 2)
                    scope.cancel()
            with trio.fail_after(CANCEL_SECONDS):
                await server.until(lambda: server.cancelled == ["goes"])
            assert await ask(channel, "echo", {}) == {}
            server.held["stays"].set()

    @with_session
    async def test_closing_ends_what_is_under_way(self, session: Session) -> None:
        """Callers get TransportError, handlers are cancelled, and later calls fail, too."""
        server = session.server
        failed = trio.Event()

        async def call() -> None:
            with pytest.raises(TransportError):
                await ask(channel, "hold", {"key": "open"})
            failed.set()

        async with trio.open_nursery() as nursery:
            async with session.client() as channel:
                nursery.start_soon(call)
                await server.until(lambda: "open" in server.held)
            await failed.wait()
            await server.until(lambda: server.cancelled == ["open"])
            with pytest.raises(TransportError):
                await ask(channel, "echo", {})

    def test_calls_fail_when_the_server_goes(self, serving: Serving) -> None:
        """With TransportError, and not never."""

        async def serve(stop: trio.Event, task_status: trio.TaskStatus[Session]) -> None:
            server = Server()
            async with serving(service_of(server)) as connect:
                task_status.started(Session(server, connect))
                await stop.wait()

        async def run() -> None:
            stop, failed = trio.Event(), trio.Event()

            async def call() -> None:
                with pytest.raises(TransportError):
                    await ask(channel, "hold", {"key": "open"})
                failed.set()

            with trio.fail_after(PATIENCE):
                async with trio.open_nursery() as nursery:
                    session: Session = await nursery.start(serve, stop)
                    async with session.client() as channel:
                        nursery.start_soon(call)
                        await session.server.until(lambda: "open" in session.server.held)
                        stop.set()
                        await failed.wait()

        trio.run(run)

    @with_session
    async def test_events_come_in_order_before_the_result(self, session: Session) -> None:
        """Where the transport carries events; where not, the result comes alone."""
        events: list[Any] = []

        async def on_event(event: Any) -> None:
            await trio.lowlevel.checkpoint()
            events.append(event)

        async with session.client() as channel:
            answer = await channel.call("count", Raw(b'{"to":30}'), on_event)
            assert await ask(channel, "count", {"to": 3}) == 3
        assert _told(answer) == 30
        assert events == ([{"number": number} for number in range(30)] if self.carries_events else [])

    @with_session
    async def test_events_follow_an_answer_that_was_given_early(self, session: Session) -> None:
        """The call returns at their end; where the transport carries no events, nothing is answered early."""
        events: list[Any] = []

        async def on_event(event: Any) -> None:
            await trio.lowlevel.checkpoint()
            events.append(event["number"])

        async with session.client() as channel:
            answer = await channel.call("stream", Raw(b'{"to":30}'), on_event)
            assert await ask(channel, "count", {"to": 3}) == 3
        assert _told(answer) == (30 if self.carries_events else 0)
        assert events == (list(range(30)) if self.carries_events else [])

    @with_session
    async def test_a_stream_that_breaks_off_after_the_answer_is_an_error(self, session: Session) -> None:
        """Whoever reads events learns that some are missing; who reads none has the answer."""
        if not self.carries_events:
            return
        events: list[Any] = []

        async def on_event(event: Any) -> None:
            await trio.lowlevel.checkpoint()
            events.append(event["number"])

        async with session.client() as channel:
            with pytest.raises(TransportError):
                await channel.call("stream", Raw(b'{"to":3,"crash":true}'), on_event)
            assert events == [0, 1, 2]
            assert await ask(channel, "stream", {"to": 3, "crash": True}) in (0, 3)
            assert await ask(channel, "count", {"to": 3}) == 3

    @with_session
    async def test_whoever_stops_reading_a_stream_ends_its_handler(self, session: Session) -> None:
        """The connection stays."""
        if not self.carries_events:
            return
        async with session.client() as channel:
            with trio.CancelScope() as scope:

                async def on_event(event: Any) -> None:
                    await trio.lowlevel.checkpoint()
                    if event["number"] == 1:
                        scope.cancel()

                await channel.call("stream", Raw(b'{"to":2,"hold":true}'), on_event)
            with trio.fail_after(CANCEL_SECONDS):
                await session.server.until(lambda: session.server.cancelled == ["stream"])
            assert await ask(channel, "count", {"to": 3}) == 3
