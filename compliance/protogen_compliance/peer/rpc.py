"""JSON-RPC over HTTP as a peer sees it: any bytes out, what came back taken apart without being trusted."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from protogen_compliance.peer.http import Connection, Exchange, Head, Incoming, Url, request_bytes
from protogen_compliance.peer.sse import Event, events
from protogen_compliance.peer.wire import Deadline, Garbled, PeerFault

Json: TypeAlias = Any
"""A JSON value of a peer, whose shape nobody has checked yet."""

MISSING: Json = type("Missing", (), {"__repr__": lambda self: "absent", "__bool__": lambda self: False})()
"""Stands for a member that is not there."""


def parse_json(data: bytes) -> Json:
    """The JSON value of a body; raises ValueError, for NaN and its kin too."""

    def refuse(name: str) -> Json:
        raise ValueError(f"{name} is no JSON value")

    return json.loads(data.decode("utf-8"), parse_constant=refuse, parse_int=_integer)


def _integer(text: str) -> Json:
    """An integer; one that is longer than Python reads (4,300 digits) is infinite, and JSON all the same."""
    try:
        return int(text)
    except ValueError:
        return float(text)


class Response:
    """What a response says; `value` is its JSON, MISSING where there is none."""

    value: Json = MISSING

    def member(self, name: str) -> Json:
        """A member of the response object; MISSING where there is none."""
        return self.value.get(name, MISSING) if isinstance(self.value, dict) else MISSING

    @property
    def result(self) -> Json:
        """The result, MISSING where there is none."""
        return self.member("result")

    @property
    def error(self) -> dict[str, Json] | None:
        """The error object; None where there is none or it is no object."""
        error = self.member("error")
        return error if isinstance(error, dict) else None

    @property
    def code(self) -> Json:
        """The error's code, MISSING where there is none."""
        return (self.error or {}).get("code", MISSING)

    @property
    def data(self) -> Json:
        """The error's data, MISSING where there is none."""
        return (self.error or {}).get("data", MISSING)


class Reply(Response):
    """What came back to one request: `value` is its JSON, MISSING where the body is empty or no JSON."""

    def __init__(self, exchange: Exchange, fault: PeerFault | None = None) -> None:
        self.exchange = exchange
        self.fault = fault
        # Where the body is no JSON, `value` stays MISSING, and whoever asks for a result is told what the body was.
        with contextlib.suppress(ValueError, RecursionError):
            self.value = parse_json(exchange.body) if exchange.body else MISSING

    @property
    def head(self) -> Head:
        """The head of the answer; raises the PeerFault where none came."""
        if self.exchange.head is None:
            raise self.fault or Garbled("no answer came")
        return self.exchange.head

    def summary(self) -> str:
        """What came, in a few words."""
        if self.fault is not None:
            return str(self.fault)
        if self.error is not None:
            return f"error {self.code!r} {str(self.error.get('message'))[:120]!r}"
        if self.value is MISSING:
            return f"HTTP {self.head.status} with body {self.exchange.body[:120]!r}"
        return f"{json.dumps(self.value)[:300]}"


class RpcPeer:
    """A peer of one endpoint, for any number of threads; connections are kept and used again."""

    def __init__(self, url: Url, *, headers: Mapping[str, str] | None = None, patience: float = 10.0) -> None:
        self.url = url
        self.patience = patience
        self.headers = {
            "host": url.authority,
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            **{name.lower(): value for name, value in (headers or {}).items()},
        }
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._ids = itertools.count(1)

    def next_id(self) -> int:
        """A request id that this peer has not used."""
        return next(self._ids)

    def send(
        self,
        body: bytes,
        *,
        path: str | None = None,
        method: str = "POST",
        headers: Mapping[str, str | None] | None = None,
        patience: float | None = None,
        watch: Callable[[Head, Event], None] | None = None,
    ) -> Reply:
        """Sends any bytes as one HTTP request. A header of None is left out. Never raises PeerFault: see `fault`.

        `watch` is told each event of an answer that is a stream as soon as it came.
        """
        path = path or self.url.path
        given = {name.lower(): value for name, value in (headers or {}).items()}
        chosen = {name: value for name, value in {**self.headers, **given}.items() if value is not None}
        data = request_bytes(method, path, chosen, body)
        deadline = Deadline(patience or self.patience)
        shown = tuple((k, v) for k, v in chosen.items() if k != "host")

        def exchange(connection: Connection | None, start: int, head: Head | None, got: bytes) -> Exchange:
            moments = tuple(connection.wire.log[start:]) if connection else ()
            return Exchange(self.url.at(path), method, shown, body, head, got, moments)

        connection: Connection | None = None
        start = 0
        try:
            connection, incoming = self._ask(data, deadline, method)
            start = _last_sent(connection)
            got = _watched(incoming, deadline, watch) if watch is not None else incoming.body(deadline)
        except PeerFault as fault:
            if connection is not None:
                connection.wire.close()
            return Reply(exchange(connection, start, None, b""), fault)
        reply = Reply(exchange(connection, start, incoming.head, got))
        if incoming.reusable:
            with self._lock:
                self._idle.append(connection)
        else:
            connection.wire.close()
        return reply

    def stream(
        self, body: bytes, *, until: Callable[[list[Event]], bool] | None = None, patience: float | None = None
    ) -> tuple[Reply, list[tuple[float, Event]], bool]:
        """Sends a request and reads its answer as events where it is a stream.

        Returns the reply (its body is everything read), the events with their times on the monotonic clock, and whether
        the stream came to its end; `until` ends the reading early.
        """
        deadline = Deadline(patience or self.patience)
        data = request_bytes("POST", self.url.path, self.headers, body)
        shown = tuple((k, v) for k, v in self.headers.items() if k != "host")
        seen: list[tuple[float, Event]] = []
        kept: list[bytes] = []
        ended = False
        head: Head | None = None
        fault: PeerFault | None = None
        try:
            connection = Connection(self.url.address, deadline)
        except PeerFault as reason:
            return Reply(Exchange(self.url.at(self.url.path), "POST", shown, body, None, b"", ()), reason), [], False
        try:
            incoming = connection.ask(data, deadline)
            head = incoming.head

            def pieces() -> Iterator[bytes]:
                for piece in incoming.pieces(deadline):
                    kept.append(piece)
                    yield piece

            if head.media_type == "text/event-stream":
                for event in events(pieces()):
                    seen.append((connection.wire.log[-1].at, event))
                    if until is not None and until([it for _, it in seen]):
                        break
                else:
                    ended = True
            else:
                for _ in pieces():
                    pass
                ended = True
        except PeerFault as reason:
            fault = reason
        finally:
            connection.wire.close()
        exchange = Exchange(
            self.url.at(self.url.path), "POST", shown, body, head, b"".join(kept), tuple(connection.wire.log)
        )
        return Reply(exchange, fault), seen, ended

    def _ask(self, data: bytes, deadline: Deadline, method: str) -> tuple[Connection, Incoming]:
        """Asks on a kept connection; on a new one where there is none, or it was closed meanwhile."""
        with self._lock:
            kept = self._idle.pop() if self._idle else None
        if kept is not None:
            before = len(kept.wire.log)
            try:
                return kept, kept.ask(data, deadline, method=method)
            except Garbled:
                kept.wire.close()
                if any(moment.data for moment in kept.wire.log[before:] if not moment.sent):
                    raise  # it had begun to answer: this is no connection that idled out
            except PeerFault:
                kept.wire.close()
                raise
        connection = Connection(self.url.address, deadline)
        try:
            return connection, connection.ask(data, deadline, method=method)
        except PeerFault:
            connection.wire.close()
            raise

    def close(self) -> None:
        """Closes the connections that are kept."""
        with self._lock:
            kept, self._idle = self._idle, []
        for connection in kept:
            connection.wire.close()


def _watched(incoming: Incoming, deadline: Deadline, watch: Callable[[Head, Event], None]) -> bytes:
    """The whole body; events of a stream are told on the way."""
    if incoming.head.media_type != "text/event-stream":
        return incoming.body(deadline)
    kept: list[bytes] = []

    def pieces() -> Iterator[bytes]:
        for piece in incoming.pieces(deadline):
            kept.append(piece)
            yield piece

    for event in events(pieces()):
        watch(incoming.head, event)
    return b"".join(kept)


def _last_sent(connection: Connection) -> int:
    """Where the last request begins in the log of a connection."""
    log = connection.wire.log
    return next((at for at in range(len(log) - 1, -1, -1) if log[at].sent), 0)
