"""The endpoint under test: calls and raw bodies out, answers taken apart, every exchange kept.

Errors are given the HTTP status that stands for them in the protocol's document, so that answers can be counted and
judged by status as tools of HTTP do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

from protogen_compliance.fuzz.description import Description, Json
from protogen_compliance.peer.http import Exchange, Head, Url
from protogen_compliance.peer.rpc import MISSING, Reply, RpcPeer, parse_json
from protogen_compliance.peer.sse import Event, events
from protogen_compliance.peer.wire import PeerFault


class Sent(NamedTuple):
    """What was asked: `id` is MISSING for a notification, `params` for a request without any."""

    method: str
    params: Json
    id: Json
    other: bool = False
    """Whether the second identity asked."""


class Answer(NamedTuple):
    """What came back to one request: `value` is the response object, MISSING where there is none."""

    sent: Sent
    exchange: Exchange
    fault: PeerFault | None
    value: Json
    events: tuple[tuple[str, Json], ...]
    status: int
    """What the answer stands for in terms of HTTP; 0 where none came."""

    @property
    def result(self) -> Json:
        """The result, MISSING where there is none."""
        return self.value.get("result", MISSING) if isinstance(self.value, dict) else MISSING

    @property
    def error(self) -> dict[str, Json] | None:
        """The error object, None where there is none or it is no object."""
        error = self.value.get("error") if isinstance(self.value, dict) else None
        return error if isinstance(error, dict) else None

    @property
    def code(self) -> Json:
        """The error's code, MISSING where there is none."""
        return (self.error or {}).get("code", MISSING)

    @property
    def seconds(self) -> float:
        """How long the answer took, up to its last byte."""
        return self.exchange.ended - self.exchange.started

    def summary(self) -> str:
        """What came, in a few words."""
        if self.fault is not None:
            return str(self.fault)
        if self.error is not None:
            return f"error {self.code!r} {str(self.error.get('message'))[:120]!r}"
        if self.value is MISSING:
            status = self.exchange.head.status if self.exchange.head else "no"
            return f"HTTP {status} with body {self.exchange.body[:120]!r}"
        return json.dumps(self.value)[:300]


class Endpoint:
    """One identity's way to the target; keeps the exchanges since `forget()`. Not for two threads at once."""

    def __init__(self, url: Url, description: Description, *, headers: Mapping[str, str], patience: float) -> None:
        self.description = description
        self.log: list[Exchange] = []
        self._peer = RpcPeer(url, headers=headers, patience=patience)

    def forget(self) -> None:
        """Begins a new log; ids of requests begin at 1 again, so that the same steps send the same bytes."""
        self.log.clear()
        self._ids = 0

    _ids = 0

    def call(self, method: str, params: Json = MISSING, *, other: bool = False, **members: Json) -> Answer:
        """Sends a well-formed request and waits for its answer; never raises for what the target did."""
        self._ids += 1
        request = {"jsonrpc": "2.0", "id": self._ids, "method": method, **members}
        if params is not MISSING:
            request["params"] = params
        return self._answer(Sent(method, params, self._ids, other), encode(request))

    def call_with(self, method: str, params: bytes) -> Answer:
        """Sends a request whose params are any bytes."""
        self._ids += 1
        head = f'{{"jsonrpc": "2.0", "id": {self._ids}, "method": {json.dumps(method)}, "params": '
        return self._answer(Sent(method, MISSING, self._ids), head.encode() + params + b"}")

    def notify(self, method: str, params: Json) -> Answer:
        """Sends a notification."""
        request = {"jsonrpc": "2.0", "method": method, "params": params}
        return self._answer(Sent(method, params, MISSING), encode(request))

    def raw(self, body: bytes, headers: Mapping[str, str | None] | None = None) -> Answer:
        """Sends any bytes."""
        return self._answer(Sent("", MISSING, MISSING), body, headers)

    def close(self) -> None:
        """Closes the connections."""
        self._peer.close()

    def _answer(self, sent: Sent, body: bytes, headers: Mapping[str, str | None] | None = None) -> Answer:
        reply = self._peer.send(body, headers=headers, watch=self._called_back)
        self.log.append(reply.exchange)
        value, found = _read(reply)
        return Answer(sent, reply.exchange, reply.fault, value, tuple(found), self._status(reply, value))

    def _called_back(self, head: Head, event: Event) -> None:
        """Answers a server that calls its caller back, so that it goes on: there is no method that it could call."""
        try:
            value = parse_json(event.data.encode())
        except (ValueError, RecursionError):
            return
        if isinstance(value, dict) and isinstance(value.get("method"), str) and "id" in value:
            error = {"code": -32601, "message": "Method not found"}
            instance: dict[str, str | None] = {name: it for name, it in head.headers if name.endswith("instance-id")}
            answer = {"jsonrpc": "2.0", "id": value["id"], "error": error}
            self.log.append(self._peer.send(encode(answer), headers=instance).exchange)

    def _status(self, reply: Reply, value: Json) -> int:
        """The status for tools of HTTP: that of the error where JSON-RPC answers with 200."""
        head = reply.exchange.head
        if head is None:
            return 0
        code = value["error"].get("code") if isinstance(value, dict) and isinstance(value.get("error"), dict) else None
        if head.status == 200 and isinstance(code, int):
            return self.description.status(code)
        return head.status


def encode(value: Json) -> bytes:
    """A JSON text; lone surrogates become escapes."""
    return json.dumps(value).encode()


def _read(reply: Reply) -> tuple[Json, list[tuple[str, Json]]]:
    """The response object, and the events that came before it where the answer is a stream."""
    head = reply.exchange.head
    if head is None or head.media_type != "text/event-stream":
        return reply.value, []
    response: Json = MISSING
    found: list[tuple[str, Json]] = []
    for event in events([reply.exchange.body]):
        try:
            value = parse_json(event.data.encode())
        except (ValueError, RecursionError):
            value = MISSING
        if isinstance(value, dict) and "jsonrpc" in value and "method" not in value:
            response = value
        else:
            found.append((event.name, value))
    return response, found
