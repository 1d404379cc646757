"""What a handler knows of the call it serves, and what a transport must provide for that.

Knows no transport and no clock; cancellation is the business of whoever runs the handler.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol, TypeAlias

import msgspec
from msgspec import Raw

from protogen_runtime.jsonrpc import RequestId

from .channels import adopt
from .sdk import Channel

Emit: TypeAlias = Callable[[bytes], Awaitable[None]]
"""Sends one event, given as JSON."""

AnswerEarly: TypeAlias = Callable[[Raw, bool], Awaitable[None]]
"""Sends (result, is last): an answer with this result, while the handler goes on."""

_read_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_read_batch: Final = msgspec.json.Decoder(list[Raw]).decode


class Link(Protocol):
    """What a transport gives to the handling of one frame."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the HTTP request in lower case, empty on other transports."""
        ...

    @property
    def identity(self) -> str | None:
        """The user that the transport has authenticated, None where it asks nobody."""
        ...

    @property
    def deadline(self) -> float | None:
        """When the call will be cancelled, on the transport's clock; None for never."""
        ...

    @property
    def channel(self) -> Channel:
        """The way back to the caller."""
        ...

    @property
    def emit(self) -> Emit | None:
        """Sends an event to the caller, None where the caller takes none."""
        ...

    @property
    def answer(self) -> AnswerEarly | None:
        """Sends an answer before the handler has ended, None where the answer is one piece."""
        ...

    @property
    def has_answered(self) -> bool:
        """Whether `answer` has given the last answer: what still runs is a stream."""
        ...

    @property
    def frame(self) -> bytes:
        """The JSON text that the call came in, alone or in a batch; empty where it is not kept."""
        ...


class CallContext(msgspec.Struct, eq=False):
    """One call: who asks, how to reach them while it is under way, and until when.

    `request_id` is None for a notification. A caller that gives up, or a deadline that passes, cancels the handler:
    `trio.Cancelled` is raised in it.
    """

    method: str
    request_id: RequestId
    _link: Link
    _make_client: Callable[[Channel], Any] | None
    _write_event: Callable[[Any], bytes] | None
    _write_result: Callable[[Any], bytes] | None = None
    _has_members: bool = True
    """Whether the request may have members of its own; one that was read in one pass has none."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the HTTP request, names in lower case; empty on other transports."""
        return self._link.headers

    @property
    def identity(self) -> str | None:
        """The authenticated user, None where the server asks nobody."""
        return self._link.identity

    @property
    def deadline(self) -> float | None:
        """When this call will be cancelled, on trio's clock; None for never."""
        return self._link.deadline

    @property
    def channel(self) -> Channel:
        """The untyped way back to the caller."""
        return self._link.channel

    @property
    def is_of_connection(self) -> bool:
        """Whether other calls have the same way back, as on WebSockets, pipes and in sessions; over HTTP none has."""
        # By identity, which type checkers rule out: a transport may be both in one object.
        return id(self._link.channel) != id(self._link)

    @property
    def client(self) -> Any:
        """A typed client that calls the other side back while this call is under way.

        Errors: LookupError where the service was made without clients.
        """
        if self._make_client is None:
            raise LookupError(f"the service has no client that calls back the sender of {self.method}")
        channel = self._link.channel
        return self._make_client(adopt(channel, self._make_client) if isinstance(self._make_client, type) else channel)

    @property
    def is_streaming(self) -> bool:
        """Whether events reach the caller; where not, `emit` checks them and sends nothing."""
        return self._write_event is not None and self._link.emit is not None

    async def emit(self, event: Any) -> None:
        """Send one event before the result.

        Errors: the SDK's ValidationError for one that breaks its schema, LookupError for a method without events,
        and what the transport raises when the caller has gone.
        """
        if self._write_event is None:
            raise LookupError(f"{self.method} has no events in its protocol")
        data = self._write_event(event)
        send = self._link.emit
        if send is not None:
            await send(data)

    @property
    def can_answer_early(self) -> bool:
        """Whether `answer` can be used: the caller takes a stream, and the call is no member of a batch."""
        return self._write_result is not None and self._link.answer is not None

    async def answer(self, result: Any, *, is_last: bool = True) -> None:
        """Answer the call now, and go on: events may follow, and what the handler returns is not sent.

        With `is_last=False` it is one of several results, for protocols whose streams are answers to one request; more
        may follow, and the last of them may be what the handler returns.
        Errors: the SDK's ValidationError for a result that breaks its schema, LookupError where `can_answer_early` is
        false, and what the transport raises when the caller has gone.
        """
        send = self._link.answer
        if self._write_result is None or send is None:
            raise LookupError(f"the caller of {self.method} takes its answer in one piece")
        await send(Raw(self._write_result(result)), is_last)

    def member(self, name: str) -> Raw | None:
        """A member of the request beside `method`, `params` and `id`, as JSON; None where there is no such one.

        Of a batch whose members share an id, the first one counts.
        """
        if not self._has_members:
            return None
        frame = self._link.frame
        if frame.lstrip()[:1] != b"[":
            return _read_members(frame).get(name) if frame else None
        for text in _read_batch(frame):
            members = _members_of(text)
            if members.get("method") is not None and self._is_this(members):
                return members.get(name)
        return None

    def _is_this(self, members: Mapping[str, Raw]) -> bool:
        known = members.get("id")
        if known is None:
            return self.request_id is None
        return _same_id(known, self.request_id) and _same_id(members["method"], self.method)


def _members_of(text: Raw) -> Mapping[str, Raw]:
    try:
        return _read_members(text)
    except msgspec.ValidationError:
        return {}


def _same_id(text: Raw, value: RequestId) -> bool:
    found: object = msgspec.json.decode(text)
    return type(found) is type(value) and found == value
