"""Links: an endpoint as its tests speak to it, over HTTP or stdio, in both directions of a protocol.

A link sends any bytes, answers what the other side asks meanwhile, and takes apart what came without trusting it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from protogen_compliance.peer.http import Connection, Exchange, Head, Url, request_bytes
from protogen_compliance.peer.rpc import MISSING, Json, Reply, Response, RpcPeer, parse_json
from protogen_compliance.peer.sse import events
from protogen_compliance.peer.stdio import Line, StdioPeer
from protogen_compliance.peer.wire import Deadline, Garbled, PeerFault, TimedOut

Responder = Callable[[Json], "Json | None"]
"""Makes the response to a callback; None leaves it unanswered."""

REFUSED_BY_HTTP = (401, 403, 404, 405, 406, 413, 415)
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
BAD_REQUEST_SECONDS = 2.0
"""How long an answer over stdio is waited for to what is no request."""


def unanswered(request: Json) -> None:
    """A responder that leaves every callback unanswered."""
    del request


class Answer(Response):
    """What came back to one message: `value` is the response, MISSING where there is none.

    `callbacks` are the other side's requests meanwhile, `events` every event with its time, `after` the data of those
    after the response, `posted` what was said to our answers, `pieces` the chunks of a streamed body.
    """

    def __init__(self) -> None:
        self.fault: PeerFault | None = None
        self.head: Head | None = None
        self.body = b""
        self.pieces: list[bytes] = []
        self.callbacks: list[Json] = []
        self.events: list[tuple[float, str, str]] = []
        self.after: list[str] = []
        self.posted: list[Reply] = []
        self.ended = False
        self.seconds = 0.0

    @property
    def output(self) -> Json:
        """The output of an execution, MISSING where there is none."""
        return self.result.get("output", MISSING) if isinstance(self.result, dict) else MISSING

    @property
    def status(self) -> int | None:
        """The HTTP status; None over stdio, or where no answer came."""
        return self.head.status if self.head else None

    @property
    def streamed(self) -> bool:
        """Whether the answer was a stream of events."""
        return self.head is not None and self.head.media_type == "text/event-stream"

    def summary(self) -> str:
        """What came, in a few words."""
        if self.error is not None:
            return f"error {self.code!r} {str(self.error.get('message'))[:120]!r}"
        if self.value is not MISSING:
            return json.dumps(self.value)[:300]
        if self.fault is not None:
            return str(self.fault)
        return f"HTTP {self.status} with body {self.body[:120]!r}" if self.head else "no answer"


def done(request: Json, result: Json) -> Json:
    """A success for a callback."""
    return {"jsonrpc": "2.0", "id": request.get("id"), "result": result}


def failed(request: Json, code: int, message: str, **more: Json) -> Json:
    """An error for a callback; `data` among `more` where it has any."""
    return {"jsonrpc": "2.0", "id": request.get("id"), "error": {"code": code, "message": message, **more}}


class Link(Protocol):
    """An endpoint, for one test: `log` has what passed."""

    log: list[Exchange | Line]

    def exchange(
        self,
        body: bytes,
        *,
        responder: Responder | None = None,
        headers: Mapping[str, str | None] | None = None,
        patience: float | None = None,
    ) -> Answer:
        """Sends one message of any bytes, and reads what comes back; never raises PeerFault."""
        ...


class Seen:
    """All messages that the other side sent in this run, in the order of arrival."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._messages: list[tuple[Json, bytes]] = []
        self._bodies: list[tuple[bytes, bytes]] = []
        self._silent = 0

    def take(self, value: Json, sent: bytes) -> None:
        """Keeps a message that came while `sent` was being answered."""
        with self._lock:
            self._messages.append((value, sent))

    def take_body(self, body: bytes, sent: bytes) -> None:
        """Keeps the bytes of a body, a line or an event."""
        with self._lock:
            self._bodies.append((body, sent))

    def silence(self, *, silent: bool) -> int:
        """How many exchanges in a row got no answer in time, this one included."""
        with self._lock:
            self._silent = self._silent + 1 if silent else 0
            return self._silent

    @property
    def messages(self) -> list[tuple[Json, bytes]]:
        """All messages, each with what was sent before it."""
        with self._lock:
            return list(self._messages)

    @property
    def bodies(self) -> list[tuple[bytes, bytes]]:
        """All texts, each with what was sent before it."""
        with self._lock:
            return list(self._bodies)

    @property
    def responses(self) -> list[tuple[dict[str, Json], bytes]]:
        """Messages that are no requests, and objects."""
        return [(it, sent) for it, sent in self.messages if isinstance(it, dict) and "method" not in it]

    @property
    def requests(self) -> list[tuple[dict[str, Json], bytes]]:
        """Messages with a method."""
        return [(it, sent) for it, sent in self.messages if isinstance(it, dict) and "method" in it]


def _is_notification(sent: bytes) -> bool:
    try:
        value = parse_json(sent)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and isinstance(value.get("method"), str) and "id" not in value


class HttpLink:
    """An endpoint over HTTP; each message has a connection of its own, and callbacks come on a streamed answer.

    `instance` is the header of a streamed answer that answers to its callbacks repeat. With `plain_events` an event
    that is no JSON-RPC message is one of the method's own events.
    """

    def __init__(
        self,
        url: Url,
        seen: Seen,
        *,
        headers: Mapping[str, str],
        patience: float,
        responder: Responder = unanswered,
        instance: str = "",
        plain_events: bool = False,
    ) -> None:
        self.url = url
        self.seen = seen
        self.log: list[Exchange | Line] = []
        self.peer = RpcPeer(url, headers=headers, patience=patience)
        self._responder = responder
        self._patience = patience
        self._instance = instance
        self._plain_events = plain_events

    def exchange(
        self,
        body: bytes,
        *,
        responder: Responder | None = None,
        headers: Mapping[str, str | None] | None = None,
        patience: float | None = None,
        hold: threading.Event | None = None,
    ) -> Answer:
        """As Link says; `hold`, once set, ends the reading and closes the connection."""
        answer = Answer()
        given = {name.lower(): value for name, value in (headers or {}).items()}
        chosen = {name: value for name, value in {**self.peer.headers, **given}.items() if value is not None}
        data = request_bytes("POST", self.url.path, chosen, body)
        deadline = Deadline(patience or self._patience)
        shown = tuple((name, value) for name, value in chosen.items() if name != "host")
        start = time.monotonic()
        connection: Connection | None = None
        posts: list[threading.Thread] = []
        try:
            connection = Connection(self.url.address, deadline)
            incoming = connection.ask(data, deadline)
            answer.head = incoming.head
            if answer.streamed:
                self._read(answer, incoming.pieces(deadline), body, responder or self._responder, posts, hold)
            else:
                answer.body = incoming.body(deadline)
                self._whole(answer, body)
        except PeerFault as reason:
            answer.fault = reason
        finally:
            if connection is not None:
                connection.wire.close()
        for post in posts:
            post.join(deadline.seconds)
        answer.seconds = time.monotonic() - start
        if answer.pieces:
            answer.body = b"".join(answer.pieces)
        moments = tuple(connection.wire.log) if connection is not None else ()
        self.log.append(Exchange(self.url.at(self.url.path), "POST", shown, body, answer.head, answer.body, moments))
        return answer

    def _whole(self, answer: Answer, sent: bytes) -> None:
        if not answer.body:
            return
        self.seen.take_body(answer.body, sent)
        try:
            # A byte order mark is a fault of its own, not one of everything that follows it.
            answer.value = parse_json(answer.body.removeprefix(BYTE_ORDER_MARK))
        except (ValueError, RecursionError):
            return
        # What a notification or a posted response gets back means nothing, and what HTTP refuses is no message.
        if answer.status not in (202, *REFUSED_BY_HTTP) and not _is_notification(sent):
            self.seen.take(answer.value, sent)

    def _read(
        self,
        answer: Answer,
        pieces: Iterable[bytes],
        sent: bytes,
        responder: Responder,
        posts: list[threading.Thread],
        hold: threading.Event | None,
    ) -> None:
        instance = answer.head.get(self._instance) if answer.head else None

        def kept() -> Iterator[bytes]:
            for piece in pieces:
                answer.pieces.append(piece)
                yield piece

        for event in events(kept()):
            answer.events.append((time.monotonic(), event.name, event.data))
            self.seen.take_body(event.data.encode(), sent)
            if answer.value is not MISSING:
                answer.after.append(event.data)
                continue
            try:
                value = parse_json(event.data.encode())
            except (ValueError, RecursionError):
                continue
            if self._plain_events and not (isinstance(value, dict) and "jsonrpc" in value):
                continue
            self.seen.take(value, sent)
            if isinstance(value, dict) and "method" in value:
                if "id" not in value:
                    continue  # a notification wants no answer
                answer.callbacks.append(value)
                response = responder(value)
                if response is not None:
                    thread = threading.Thread(target=self._post, args=(answer, response, instance), daemon=True)
                    posts.append(thread)
                    thread.start()
            else:
                answer.value = value
            if hold is not None and hold.is_set():
                return
        answer.ended = True

    def _post(self, answer: Answer, response: Json, instance: str | None) -> None:
        reply = self.peer.send(json.dumps(response).encode(), headers={self._instance: instance} if instance else {})
        answer.posted.append(reply)
        self.log.append(reply.exchange)

    def close(self) -> None:
        """Closes kept connections."""
        self.peer.close()


class StdioLink:
    """An endpoint over stdio; answers are matched by their ids, callbacks answered by one responder for all."""

    def __init__(
        self, command: Sequence[str], seen: Seen, *, patience: float, responder: Responder = unanswered
    ) -> None:
        self.seen = seen
        self.log: list[Exchange | Line] = []
        self.peer = StdioPeer(command)
        self._patience = patience
        self.responder = responder
        self.callbacks: list[Json] = []
        self._arrived = threading.Condition()
        self._responses: list[tuple[Json, bytes]] = []
        self._ended: PeerFault | None = None
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            try:
                line = self.peer.next_line(Deadline(3600.0))
            except PeerFault as reason:
                with self._arrived:
                    self._ended = reason
                    self._arrived.notify_all()
                return
            self.seen.take_body(line, b"")
            try:
                value = parse_json(line)
            except (ValueError, RecursionError):
                continue  # no message, so that it answers nothing
            self.seen.take(value, b"")
            if isinstance(value, dict) and "method" in value:
                self.callbacks.append(value)
                # A responder may wait for others, so that it must not keep the lines from being read.
                threading.Thread(target=self._respond, args=(value,), daemon=True).start()
                continue
            with self._arrived:
                self._responses.append((value, line))
                self._arrived.notify_all()

    def _respond(self, request: Json) -> None:
        response = self.responder(request)
        if response is not None:
            try:
                self.peer.send(json.dumps(response).encode(), Deadline(self._patience))
            except PeerFault:
                return  # whoever waits for the execution sees that the program is gone

    def exchange(
        self,
        body: bytes,
        *,
        responder: Responder | None = None,
        headers: Mapping[str, str | None] | None = None,
        patience: float | None = None,
    ) -> Answer:
        """As Link says; to what has no id any response that belongs to no call counts."""
        del headers
        answer = Answer()
        began = time.monotonic()
        try:
            sent = parse_json(body)
        except (ValueError, RecursionError):
            sent = MISSING
        request = isinstance(sent, dict) and "id" in sent
        notification = isinstance(sent, dict) and "method" in sent and "id" not in sent
        key = json.dumps(sent["id"]) if request else "null"
        if responder is not None:
            self.responder = responder
        before = len(self.callbacks)
        seconds = patience or (self._patience if request else BAD_REQUEST_SECONDS)
        try:
            # Line ends within a message would make it several.
            self.peer.send(body.replace(b"\n", b" "), Deadline(self._patience))
            if not notification:
                self._await(answer, key, Deadline(seconds))
        except PeerFault as reason:
            answer.fault = reason
        answer.callbacks = self.callbacks[before:]
        answer.seconds = time.monotonic() - began
        self.log.append(Line(body, answer.body if answer.value is not MISSING else None, answer.seconds))
        return answer

    def _await(self, answer: Answer, key: str, deadline: Deadline) -> None:
        def mine() -> int | None:
            for at, (value, _) in enumerate(self._responses):
                name = json.dumps(value.get("id")) if isinstance(value, dict) else "null"
                if name in (key, "null"):
                    return at
            return None

        with self._arrived:
            self._arrived.wait_for(
                lambda: mine() is not None or self._ended is not None, max(0.0, deadline.end - time.monotonic())
            )
            at = mine()
            if at is not None:
                answer.value, answer.body = self._responses.pop(at)
                return
            if self._ended is not None:
                raise Garbled(str(self._ended))
        raise TimedOut(f"no answer within {deadline.seconds:g} s")

    def close(self) -> None:
        """Ends the program."""
        self.peer.close()
