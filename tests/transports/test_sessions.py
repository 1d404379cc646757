"""Sessions: whose answers they take, what a client that reads slowly or goes away may cost, and what it gets back."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from math import inf
from typing import Any, cast

import httpx
import msgspec
import pytest
import servers
import trio
import trio.testing
from msgspec import Raw

from protogen_runtime.io.channel import TransportError
from protogen_runtime.io.contract import Server, service_of
from protogen_runtime.io.http.access import Access
from protogen_runtime.io.http.foreign import AsgiApp
from protogen_runtime.io.http.shell import Shell
from protogen_runtime.io.session import SESSION_REASONS, Session, SessionApp, SessionBounds
from protogen_runtime.io.sse import events_of
from protogen_runtime.jsonrpc import FrameTooLong, ServerSentEvent, SseParser

KIB = 1024


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        with trio.fail_after(2000):
            await scenario()

    trio.run(limited, clock=trio.testing.MockClock(autojump_threshold=0))


def scope_of(method: str, target: str, *, identity: str | None = None, **headers: str) -> dict[str, Any]:
    path, _, query = target.partition("?")
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        "state": {"identity": identity},
    }


class Stream:
    """A client's GET: reads only as many writes as it is told to."""

    def __init__(self, app: SessionApp, **headers: str) -> None:
        self._app = app
        self._scope = scope_of("GET", "/events", **headers)
        self._parser = SseParser()
        self._events: list[ServerSentEvent | FrameTooLong] = []
        self._moved = trio.lowlevel.ParkingLot()
        self.reads = True
        self.status = 0
        self.unread_bytes = 0
        self.raw = b""
        self.has_ended = False
        self.leave = trio.Event()

    async def run(self) -> None:
        await self._app(self._scope, self._receive, self._send)
        self.has_ended = True
        self._moved.unpark_all()

    async def _receive(self) -> dict[str, Any]:
        await self.leave.wait()
        return {"type": "http.disconnect"}

    async def _send(self, event: Any) -> None:
        await trio.lowlevel.checkpoint()
        self.status = event.get("status", self.status)
        data: bytes = event.get("body", b"")
        while not self.reads:
            self.unread_bytes = len(data)
            await self._moved.park()
        self.raw += data
        self._events += self._parser.feed(data)
        self._moved.unpark_all()

    def read_again(self) -> None:
        self.reads = True
        self._moved.unpark_all()

    async def event(self) -> ServerSentEvent:
        while not self._events:
            assert not self.has_ended, "the stream has ended"
            await self._moved.park()
        event = self._events.pop(0)
        assert isinstance(event, ServerSentEvent)
        return event

    async def message(self) -> Any:
        event = await self.event()
        assert event.name == "message"
        return msgspec.json.decode(event.data)

    async def endpoint(self) -> str:
        event = await self.event()
        assert event.name == "endpoint"
        endpoint: str = msgspec.json.decode(event.data)["endpoint"]
        return endpoint

    @property
    def last_event_id(self) -> str:
        return self._parser.last_event_id


async def post(app: SessionApp, target: str, message: Any, **options: Any) -> tuple[int, Any]:
    """Status and JSON of the answer to a POST."""
    body = message if isinstance(message, bytes) else msgspec.json.encode({"jsonrpc": "2.0", **message})
    given = False
    status, answer = 0, b""

    async def receive() -> dict[str, Any]:
        nonlocal given
        await trio.lowlevel.checkpoint()
        if given:
            await trio.sleep_forever()
        given = True
        return {"type": "http.request", "body": body}

    async def send(event: Any) -> None:
        nonlocal status, answer
        await trio.lowlevel.checkpoint()
        status = event.get("status", status)
        answer += event.get("body", b"")

    options.setdefault("content_type", "application/json")
    await app(scope_of("POST", target, **options), receive, send)
    return status, msgspec.json.decode(answer) if answer else None


class House:
    """A server and its clients."""

    def __init__(self, nursery: trio.Nursery, bounds: SessionBounds | None) -> None:
        self.nursery = nursery
        self.server = Server()
        self.app = SessionApp(service_of(self.server), bounds=bounds)

    def stream(self, **headers: str) -> Stream:
        stream = Stream(self.app, **headers)
        self.nursery.start_soon(stream.run)
        return stream

    def begin(self, target: str, message: Any, **options: Any) -> list[tuple[int, Any]]:
        """POST in the background; the answer is in the list when it has come."""
        answers: list[tuple[int, Any]] = []

        async def go() -> None:
            answers.append(await post(self.app, target, message, **options))

        self.nursery.start_soon(go)
        return answers


@asynccontextmanager
async def house(bounds: SessionBounds | None = None) -> AsyncGenerator[House]:
    async with trio.open_nursery() as nursery:
        yield House(nursery, bounds)
        nursery.cancel_scope.cancel()


RELAY = {"id": "r", "method": "relay", "params": {"method": "m"}}
ECHO = {"id": 7, "method": "echo", "params": {"a": 1}}
ECHOED = (200, {"jsonrpc": "2.0", "id": 7, "result": {"a": 1}})
REFUSED = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "Invalid Request"}}


def test_calls_and_callbacks_in_both_forms_of_the_endpoint() -> None:
    async def scenario() -> None:
        async with house() as it:
            stream = it.stream()
            endpoint = await stream.endpoint()
            session_id = endpoint.removeprefix("/session/")
            assert len(bytes.fromhex(session_id)) * 8 == 128
            for target in (endpoint, f"/?sessionId={session_id}", f"/rpc?x=1&sessionId={session_id}"):
                assert await post(it.app, target, ECHO) == ECHOED
                answers = it.begin(target, RELAY)
                asked = await stream.message()
                assert (asked["method"], asked["params"]) == ("m", {})
                assert await post(it.app, target, {"id": asked["id"], "result": [target]}) == (202, None)
                await trio.sleep(1)
                assert answers == [(200, {"jsonrpc": "2.0", "id": "r", "result": [target]})]
            assert await post(it.app, endpoint, {"method": "tell", "params": {}}) == (202, None)

    run(scenario)


@pytest.mark.parametrize("target", ["/session/", "/session/" + "0" * 32, "/", "/?sessionId=", "/?sessionId=x"])
def test_an_id_that_nobody_was_given_is_refused(target: str) -> None:
    async def scenario() -> None:
        async with house() as it:
            await it.stream().endpoint()
            assert await post(it.app, target, ECHO) == (400, {**REFUSED, "id": 7})
            assert await post(it.app, target, b"{") == (400, REFUSED)
            assert it.server.told == []

    run(scenario)


@pytest.mark.parametrize("target", ["/x", "/sessions/1", "/x?y=1"])
def test_what_names_no_session_is_not_found(target: str) -> None:
    async def scenario() -> None:
        async with house() as it:
            assert await post(it.app, target, ECHO) == (404, None)
            assert it.server.told == []

    run(scenario)


def test_a_session_is_its_users_alone() -> None:
    async def scenario() -> None:
        async with house() as it:
            stream = it.stream(identity="ann")
            endpoint = await stream.endpoint()
            assert await post(it.app, endpoint, ECHO, identity="ann") == ECHOED
            for identity in ("bob", None):
                assert await post(it.app, endpoint, ECHO, identity=identity) == (400, {**REFUSED, "id": 7})
            it.begin(endpoint, RELAY, identity="ann")
            await stream.message()
            thief = it.stream(identity="bob", last_event_id=stream.last_event_id)
            assert await thief.endpoint() != endpoint

    run(scenario)


def test_nobody_answers_a_callback_for_another() -> None:
    async def scenario() -> None:
        async with house() as it:
            stream, other = it.stream(), it.stream()
            endpoint, others = await stream.endpoint(), await other.endpoint()
            answers = it.begin(endpoint, RELAY)
            asked = await stream.message()
            assert await post(it.app, others, {"id": asked["id"], "result": "forged"}) == (400, REFUSED)
            assert await post(it.app, endpoint, {"id": "guessed", "result": "forged"}) == (400, REFUSED)
            await trio.sleep(1)
            assert answers == []
            assert await post(it.app, endpoint, {"id": asked["id"], "result": "mine"}) == (202, None)
            await trio.sleep(1)
            assert answers == [(200, {"jsonrpc": "2.0", "id": "r", "result": "mine"})]
            # Answered once, it is nobody's any more.
            assert await post(it.app, endpoint, {"id": asked["id"], "result": "again"}) == (400, REFUSED)

    run(scenario)


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        (scope_of("PUT", "/session/x"), 405),
        (scope_of("POST", "/events"), 405),
        (scope_of("GET", "/session/x"), 405),
        (scope_of("GET", "/events", accept="application/json"), 406),
        (scope_of("POST", "/session/x", content_type="text/plain"), 415),
        (scope_of("POST", "/session/x", content_type="application/json", content_length="99999999999"), 413),
    ],
)
def test_what_is_no_message_is_refused(scope: dict[str, Any], status: int) -> None:
    async def scenario() -> None:
        got: list[int] = []

        async def send(event: Any) -> None:
            await trio.lowlevel.checkpoint()
            got.append(event.get("status", 0))

        await SessionApp(service_of(Server()))(scope, trio.sleep_forever, send)
        assert got[0] == status

    run(scenario)


# --- bounds ---------------------------------------------------------------------------------------------


def test_every_bound_has_a_reason() -> None:
    assert set(SESSION_REASONS) == set(SessionBounds.__struct_fields__)


def test_a_quiet_stream_is_kept_open_by_comments() -> None:
    async def scenario() -> None:
        async with house() as it:
            stream = it.stream()
            await stream.endpoint()
            before = stream.raw
            await trio.sleep(46)
            assert stream.raw == before + b": keepalive\n\n" * 3

    run(scenario)


def test_a_client_that_stops_reading_is_evicted_at_a_bounded_cost() -> None:
    async def scenario() -> None:
        async with house() as it:
            stream = it.stream()
            endpoint = await stream.endpoint()
            session = it.app._sessions[endpoint.removeprefix("/session/")]
            stream.reads = False
            stopped = trio.current_time()

            async def tell() -> None:
                while True:
                    await session.notify("n", Raw(b'"' + b"x" * 1000 + b'"'))

            async def watch() -> None:
                while len(it.app):
                    held = sum(len(event.data) for event in session._events) + stream.unread_bytes
                    assert held <= 1024 * KIB
                    await trio.sleep(0.1)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(watch)
                with pytest.raises(TransportError, match="does not read its events"):
                    await tell()
            assert trio.current_time() - stopped <= 30
            assert not session._events
            assert len(it.app) == 0
            assert await post(it.app, endpoint, ECHO) == (400, {**REFUSED, "id": 7})

    run(scenario)


def test_a_client_that_reads_slowly_gets_everything() -> None:
    async def scenario() -> None:
        async with house(SessionBounds(max_unread_bytes=5000)) as it:
            stream = it.stream()
            session = it.app._sessions[(await stream.endpoint()).removeprefix("/session/")]

            async def tell() -> None:
                for number in range(200):
                    await session.notify("n", Raw(b'{"n":%d,"x":"%b"}' % (number, b"x" * 300)))

            it.nursery.start_soon(tell)
            for number in range(200):
                stream.reads = False
                await trio.sleep(0.5)
                assert sum(len(event.data) for event in session._events) < 300 * KIB
                stream.read_again()
                assert (await stream.message())["params"]["n"] == number

    run(scenario)


def test_one_event_may_be_larger_than_what_waits_to_be_read() -> None:
    async def scenario() -> None:
        async with house(SessionBounds(max_unread_bytes=5000)) as it:
            stream = it.stream()
            session = it.app._sessions[(await stream.endpoint()).removeprefix("/session/")]
            await session.notify("n", Raw(b'"' + b"x" * 100_000 + b'"'))
            assert len((await stream.message())["params"]) == 100_000

    run(scenario)


def test_sessions_beyond_the_bound_are_told_to_come_back_later() -> None:
    async def scenario() -> None:
        async with house(SessionBounds(max_sessions=2, resume_seconds=5)) as it:
            first, second = it.stream(), it.stream()
            await first.endpoint()
            await second.endpoint()
            third = it.stream()
            await trio.sleep(0.1)
            assert third.status == 503
            first.leave.set()
            await trio.sleep(4)
            fourth = it.stream()
            await trio.sleep(0.5)
            assert fourth.status == 503
            await trio.sleep(1)
            assert await it.stream().endpoint()

    run(scenario)


def test_posts_beyond_the_bound_are_told_to_come_back_later() -> None:
    async def scenario() -> None:
        async with house(SessionBounds(max_in_flight=2)) as it:
            stream, other = it.stream(), it.stream()
            endpoint, others = await stream.endpoint(), await other.endpoint()
            for key in "ab":
                it.begin(endpoint, {"id": 1, "method": "hold", "params": {"key": key}})
            await it.server.until(lambda: len(it.server.held) == 2)
            assert await post(it.app, endpoint, ECHO) == (503, None)
            assert await post(it.app, others, ECHO) == ECHOED
            it.server.held["a"].set()
            await trio.sleep(0.1)
            assert await post(it.app, endpoint, ECHO) == ECHOED

    run(scenario)


def test_a_handler_without_end_is_cancelled_at_its_deadline() -> None:
    async def scenario() -> None:
        async with house(SessionBounds(call_seconds=9)) as it:
            endpoint = await it.stream().endpoint()
            before = trio.current_time()
            status, answer = await post(it.app, endpoint, {"id": 1, "method": "hold", "params": {"key": "a"}})
            assert (status, answer["error"]["message"]) == (200, "Deadline exceeded")
            assert trio.current_time() == before + 9
            assert it.server.cancelled == ["a"]

    run(scenario)


def test_batches_are_answered_whole() -> None:
    async def scenario() -> None:
        async with house(SessionBounds(call_seconds=9)) as it:
            endpoint = await it.stream().endpoint()
            hold = {"jsonrpc": "2.0", "id": 1, "method": "hold", "params": {"key": "a"}}
            echo = {"jsonrpc": "2.0", **ECHO}
            status, answer = await post(it.app, endpoint, msgspec.json.encode([hold, echo, echo]))
            assert status == 200
            assert [member.get("result") for member in answer] == [None, {"a": 1}, {"a": 1}]

    run(scenario)


# --- going away and coming back -------------------------------------------------------------------------


def test_a_client_that_comes_back_gets_what_it_missed() -> None:
    async def scenario() -> None:
        async with house() as it:
            stream = it.stream()
            endpoint = await stream.endpoint()
            session = it.app._sessions[endpoint.removeprefix("/session/")]
            for number in range(3):
                await session.notify("n", Raw(b"[%d]" % number))
            assert [(await stream.message())["params"] for _ in range(3)] == [[0], [1], [2]]
            # The last of these was lost with the connection.
            seen = stream.last_event_id.replace("-3", "-2")
            answers = it.begin(endpoint, RELAY)
            await trio.sleep(1)
            stream.leave.set()
            await trio.sleep(20)
            await session.notify("n", Raw(b"[3]"))
            again = it.stream(last_event_id=seen)
            assert await again.endpoint() == endpoint
            missed = [await again.message() for _ in range(3)]
            assert [message.get("params") for message in missed] == [[2], {}, [3]]
            assert await post(it.app, endpoint, {"id": missed[1]["id"], "result": 1}) == (202, None)
            await trio.sleep(1)
            assert answers == [(200, {"jsonrpc": "2.0", "id": "r", "result": 1})]

    run(scenario)


def test_a_second_stream_takes_the_session_over() -> None:
    async def scenario() -> None:
        async with house() as it:
            stream = it.stream()
            endpoint = await stream.endpoint()
            session = it.app._sessions[endpoint.removeprefix("/session/")]
            await session.notify("n", Raw(b"[1]"))
            await stream.message()
            again = it.stream(last_event_id=stream.last_event_id)
            assert await again.endpoint() == endpoint
            await trio.sleep(1)
            assert stream.has_ended
            await session.notify("n", Raw(b"[2]"))
            assert (await again.message())["params"] == [2]

    run(scenario)


@pytest.mark.parametrize("last_event_id", ["{id}-99", "{id}-x", "{id}", "-1", "nonsense", "{id}--1", "{id}-1"])
def test_who_cannot_get_all_that_was_missed_begins_anew(last_event_id: str) -> None:
    async def scenario() -> None:
        async with house(SessionBounds(max_replay_events=2)) as it:
            stream = it.stream()
            endpoint = await stream.endpoint()
            session = it.app._sessions[endpoint.removeprefix("/session/")]
            for number in range(5):
                await session.notify("n", Raw(b"[%d]" % number))
                await stream.message()
            again = it.stream(last_event_id=last_event_id.replace("{id}", session.id))
            assert await again.endpoint() != endpoint

    run(scenario)


def test_a_session_whose_client_stays_away_ends_and_its_callbacks_with_it() -> None:
    async def scenario() -> None:
        async with house() as it:
            stream = it.stream()
            endpoint = await stream.endpoint()
            answers = it.begin(endpoint, RELAY)
            await stream.message()
            stream.leave.set()
            await trio.sleep(29)
            assert answers == []
            assert await post(it.app, endpoint, ECHO) == ECHOED
            await trio.sleep(2)
            assert answers == [(200, {"jsonrpc": "2.0", "id": "r", "result": "no answer"})]
            assert await post(it.app, endpoint, ECHO) == (400, {**REFUSED, "id": 7})
            assert len(it.app) == 0

    run(scenario)


def test_what_is_kept_for_those_who_come_back_is_bounded() -> None:
    async def scenario() -> None:
        async with house() as it:
            stream = it.stream()
            session = it.app._sessions[(await stream.endpoint()).removeprefix("/session/")]
            for _ in range(2000):
                await session.notify("n", Raw(b'"' + b"x" * 1000 + b'"'))
                await stream.message()
            assert len(session._events) <= 257
            assert sum(len(event.data) for event in session._events) <= 260 * KIB

    run(scenario)


def test_ending_the_server_ends_its_sessions() -> None:
    async def scenario() -> None:
        async with house() as it:
            stream = it.stream()
            endpoint = await stream.endpoint()
            answers = it.begin(endpoint, RELAY)
            await stream.message()
            await it.app.aclose()
            await trio.sleep(1)
            assert stream.has_ended
            assert answers == [(200, {"jsonrpc": "2.0", "id": "r", "result": "no answer"})]

    run(scenario)


def test_an_abandoned_callback_is_told_to_the_client() -> None:
    async def scenario() -> None:
        async with house(SessionBounds(call_seconds=3)) as it:
            stream = it.stream()
            endpoint = await stream.endpoint()
            it.begin(endpoint, RELAY)
            asked = await stream.message()
            note = await stream.message()
            assert (note["method"], note["params"]) == ("$/cancelRequest", {"id": asked["id"]})

    run(scenario)


# --- behind the server shell ----------------------------------------------------------------------------


def test_the_sweeper_frees_sessions_whose_clients_stay_away() -> None:
    async def scenario() -> None:
        async with house() as it:
            shell = Shell(service_of(it.server), app=cast("AsgiApp", it.app))
            it.nursery.start_soon(shell.deadlines.sweep, shell._at_tick, time.time)
            gone: list[weakref.ref[Session]] = []
            for number in range(50):
                stream = it.stream()
                session = it.app._sessions[(await stream.endpoint()).removeprefix("/session/")]
                for _ in range(20):
                    await session.notify("n", Raw(b'"' + b"x" * KIB + b'"'))
                    await stream.message()
                gone.append(weakref.ref(session))
                del session
                if number:
                    stream.leave.set()
            del stream
            await trio.sleep(29)
            assert len(it.app._sessions) == 50
            await trio.sleep(2)
            gc.collect()
            # No request has come meanwhile; the one whose stream is open stays.
            assert [ref for ref in gone if ref() is not None] == gone[:1]
            assert it.app.deadline == inf

    run(scenario)


@asynccontextmanager
async def shelled(bounds: SessionBounds | None = None) -> AsyncGenerator[tuple[Server, SessionApp, httpx.AsyncClient]]:
    """The shell at the path `/` with sessions beside it, and a client."""
    server = Server()
    app = SessionApp(service_of(server), bounds=bounds)
    async with (
        servers.http_shell(service_of(server), cast("AsgiApp", app)) as authority,
        httpx.AsyncClient(base_url=f"http://{authority}", trust_env=False, timeout=20) as http,
    ):
        yield server, app, http


async def _tell(http: httpx.AsyncClient, target: str, message: dict[str, Any]) -> tuple[int, Any]:
    response = await http.post(target, json={"jsonrpc": "2.0", **message})
    return response.status_code, response.json() if response.content else None


async def _endpoint(response: httpx.Response) -> tuple[str, AsyncGenerator[ServerSentEvent]]:
    events = events_of(response, SseParser())
    named = await anext(events)
    assert named.name == "endpoint"
    return msgspec.json.decode(named.data)["endpoint"].removeprefix("/session/"), events


def test_sessions_are_reached_at_the_protocols_own_path() -> None:
    async def scenario() -> None:
        async with shelled() as (_, _, http), http.stream("GET", "/events") as response:
            session_id, events = await _endpoint(response)
            async with trio.open_nursery() as nursery, aclosing(events):
                answers: list[tuple[int, Any]] = []

                async def relay() -> None:
                    answers.append(await _tell(http, f"/?sessionId={session_id}", RELAY))

                nursery.start_soon(relay)
                asked = msgspec.json.decode((await anext(events)).data)
                assert asked["method"] == "m"
                reply = {"id": asked["id"], "result": "mine"}
                assert await _tell(http, f"/?a=b&sessionId={session_id}", reply) == (202, None)
            assert answers == [(200, {"jsonrpc": "2.0", "id": "r", "result": "mine"})]
            # What names no session is a call of plain HTTP.
            for target in ("/", "/?", "/?a=sessionId", "/?sessionId="):
                assert await _tell(http, target, ECHO) == ECHOED

    trio.run(scenario)


def test_ids_that_were_guessed_or_have_expired_are_refused() -> None:
    async def scenario() -> None:
        async with shelled(SessionBounds(resume_seconds=0.05)) as (_, app, http):
            async with http.stream("GET", "/events") as response:
                session_id, events = await _endpoint(response)
                assert await _tell(http, f"/session/{session_id}", ECHO) == ECHOED
                last = f"{session_id[:-1]}{'1' if session_id[-1] == '0' else '0'}"
                for guess in (last, "0" * 32, session_id.upper() + "x", "../events", "%00"):
                    refused = (400, {**REFUSED, "id": 7})
                    assert await _tell(http, f"/?sessionId={guess}", ECHO) == refused
                    assert await _tell(http, f"/session/{guess.replace('/', '%2f')}", ECHO) == refused
                await events.aclose()
            with trio.fail_after(10):
                # The sweeper's work: nothing is asked meanwhile.
                while app._sessions:
                    await trio.lowlevel.checkpoint()
            for target in (f"/?sessionId={session_id}", f"/session/{session_id}"):
                assert await _tell(http, target, ECHO) == (400, {**REFUSED, "id": 7})

    trio.run(scenario)


def test_a_query_with_too_many_members_names_no_session() -> None:
    async def scenario() -> None:
        async with shelled() as (_, _, http):
            query = "&".join(f"a{number}=1" for number in range(100))
            assert await _tell(http, f"/?{query}&sessionId=x", ECHO) == ECHOED
            assert await _tell(http, f"/session?{query}&sessionId=x", ECHO) == (400, {**REFUSED, "id": 7})

    trio.run(scenario)


def test_a_key_is_asked_for_and_the_session_is_its_holders_alone() -> None:
    async def scenario() -> None:
        server = Server()
        app = SessionApp(service_of(server))
        access = Access(keys={"alice": "a" * 32, "bob": "b" * 32})
        async with servers.http_shell(service_of(server), cast("AsgiApp", app), access=access) as authority:
            alice, bob = ({"authorization": f"Bearer {name * 32}"} for name in "ab")
            async with httpx.AsyncClient(base_url=f"http://{authority}", trust_env=False) as http:
                assert (await http.get("/events")).status_code == 401
                async with http.stream("GET", "/events", headers=alice) as response:
                    session_id, events = await _endpoint(response)
                    body = {"jsonrpc": "2.0", **ECHO}
                    target = f"/session/{session_id}"
                    assert (await http.post(target, json=body, headers=alice)).status_code == 200
                    assert (await http.post(target, json=body, headers=bob)).status_code == 400
                    assert (await http.post(target, json=body)).status_code == 401
                    await events.aclose()

    trio.run(scenario)
