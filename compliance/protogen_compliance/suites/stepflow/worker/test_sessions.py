"""Sessions of the first dialect: a stream of events that is opened once, and an address to post to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from urllib.parse import urljoin

import pytest

from protogen_compliance.peer.http import Connection, parse_url, request_bytes
from protogen_compliance.peer.link import HttpLink
from protogen_compliance.peer.rpc import MISSING, Json, RpcPeer, parse_json
from protogen_compliance.peer.sse import events
from protogen_compliance.peer.wire import Deadline, PeerFault
from protogen_compliance.plugin import Settings, Unmet
from protogen_compliance.registry import clause, needs, profile
from protogen_compliance.suites.stepflow.worker.conftest import Watched
from protogen_compliance.suites.stepflow.worker.link import Runtime

SESSIONS = profile("session-sse")
INVALID_REQUEST = -32600
SECONDS = 10.0


class Session:
    """An open stream of events; messages go to `endpoint`."""

    def __init__(self, settings: Settings, runtime: Runtime) -> None:
        self._url = parse_url(settings.url)
        self._runtime = runtime
        self._deadline = Deadline(SECONDS * 3)
        self._arrived = threading.Condition()
        self.events: list[tuple[str, str]] = []
        self.callbacks: list[Json] = []
        self.connection = Connection(self._url.address, self._deadline)
        self.peer = RpcPeer(self._url, headers=settings.headers, patience=SECONDS)
        head = {"host": self._url.authority, "accept": "text/event-stream"}
        self.incoming = self.connection.ask(
            request_bytes("GET", "/runtime/events", head, b""), self._deadline, method="GET"
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            for event in events(self.incoming.pieces(self._deadline)):
                with self._arrived:
                    self.events.append((event.name, event.data))
                    self._arrived.notify_all()
                if event.name != "endpoint":
                    value = parse_json(event.data.encode())
                    if isinstance(value, dict) and "method" in value:
                        self.callbacks.append(value)
                        self.post(self._runtime(value))
        except (PeerFault, ValueError, OSError):
            return  # closed, or broken: the tests look at what came before

    def endpoint(self) -> str:
        """Where messages go, as the first event says; raises Unmet."""
        with self._arrived:
            self._arrived.wait_for(lambda: self.events, SECONDS)
        try:
            path: str = parse_json(self.events[0][1].encode())["endpoint"]
        except (LookupError, ValueError, TypeError):
            raise Unmet(("SF-SESS-002",), f"the first events of a session are {self.events[:1]}") from None
        return urljoin(self._url.at(self._url.path), path)

    def post(self, message: Json) -> Json:
        """Posts a message; the reply."""
        url = parse_url(self.endpoint())
        return self.peer.send(json.dumps(message).encode(), path=url.path)

    def close(self) -> None:
        """Ends the stream."""
        self.connection.wire.close()
        self.peer.close()


@pytest.fixture
def session(settings: Settings, runtime: Runtime, over_http: HttpLink) -> Iterator[Session]:
    opened = Session(settings, runtime)
    yield opened
    opened.close()


@SESSIONS
@clause("SF-SESS-002")
def test_first_event_is_the_endpoint(session: Session) -> None:
    assert session.incoming.head.status == 200, f"GET /runtime/events gave {session.incoming.head.status}"
    endpoint = session.endpoint()
    assert session.events[0][0] == "endpoint", f"the first event is {session.events[0][0]!r}; expected endpoint"
    assert endpoint, "the endpoint is empty"


@SESSIONS
@clause("SF-SESS-005")
@needs("SF-SESS-002")
def test_response_is_in_the_body(session: Session, worker: Watched) -> None:
    reply = session.post(worker.message("initialize", {"runtime_protocol_version": 1}))
    assert reply.result is not MISSING, f"initialize, posted to the endpoint, gave {reply.summary()}"


@SESSIONS
@clause("SF-SESS-006")
@needs("SF-SESS-002")
def test_callbacks_come_on_the_session(session: Session, worker: Watched) -> None:
    reply = session.post(worker.message("components/execute", worker.params("put", 1)))
    assert reply.result is not MISSING, f"an execution that stores a blob gave {reply.summary()}"
    assert session.callbacks, "the callback did not come on the session's stream"


@SESSIONS
@clause("SF-SESS-009")
@needs("SF-SESS-002")
@pytest.mark.parametrize("query", ["", "?sessionId=made-up"])
def test_unknown_session(session: Session, worker: Watched, query: str) -> None:
    if not query:
        pytest.skip("a worker that serves Streamable HTTP, too, takes messages without a session")
    url = parse_url(session.endpoint())
    path = url.path.partition("?")[0] + query if "?" in url.path else "/session/made-up"
    message = worker.message("initialize", {"runtime_protocol_version": 1})
    reply = session.peer.send(json.dumps(message).encode(), path=path)
    assert reply.head.status == 400, f"a made-up session gave HTTP {reply.head.status}; expected 400"
    assert reply.code == INVALID_REQUEST, f"expected -32600, got {reply.summary()}"
    assert reply.member("id") == message["id"], f"the id is {reply.member('id')!r}; expected {message['id']!r}"


@SESSIONS
@clause("SF-SESS-010")
@needs("SF-SESS-006")
def test_sessions_are_apart(session: Session, settings: Settings, runtime: Runtime, worker: Watched) -> None:
    other = Session(settings, runtime)
    try:
        for number, it in enumerate((session, other)):
            it.post(worker.message("components/execute", worker.params("put", {"n": number})))
        for number, it in enumerate((session, other)):
            data = [(call.get("params") or {}).get("data") for call in it.callbacks]
            assert data == [{"n": number}], f"session {number} got callbacks with {data}"
    finally:
        other.close()


@SESSIONS
@clause("SF-SESS-011")
@needs("SF-SESS-009")
def test_session_ends_with_its_stream(settings: Settings, runtime: Runtime, worker: Watched) -> None:
    ended = Session(settings, runtime)
    endpoint = parse_url(ended.endpoint())
    ended.connection.wire.close()
    message = json.dumps(worker.message("initialize", {"runtime_protocol_version": 1})).encode()
    deadline = Deadline(5.0)
    status = 0
    while status != 400 and deadline.end > time.monotonic():
        status = ended.peer.send(message, path=endpoint.path).head.status
    ended.peer.close()
    assert status == 400, f"after its stream was closed a session answers with HTTP {status}; expected 400"
