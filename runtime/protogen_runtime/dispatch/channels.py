"""Channels of the runtime as generated clients take them: the same calls, with answers and errors in the SDK's classes.

Knows no transport. Each SDK has its own copy of the core, so an answer of ours is no answer to its clients until it is
one of their class.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

import msgspec
from msgspec import Raw

from protogen_runtime.jsonrpc import Success

from .sdk import Channel, OnEvent


class TransportError(Exception):
    """No answer came, or what came was no JSON-RPC; `status` is the HTTP status where there was one.

    Not raised for an answer with an error (that is a Failure), nor for a time-out (whoever waits decides on that).
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class MalformedAnswer(TransportError):
    """What came as an answer, or in the place of one, is none: the way is good, and the other side's manners are not.

    To ask again would run what was asked for once more, and most likely give the same.
    """


class Attempts(Protocol):
    """What the attempts of one call have in common; the SDK that tries again has a class of its own."""

    request_id: str | None
    """The id of the call's request, set by the first transport that sends one."""


attempts: Final[ContextVar[Attempts | None]] = ContextVar("protogen_attempts", default=None)
"""Those of the call that runs now; None where it will not be tried again."""


class _Copies(msgspec.Struct, frozen=True):
    """The classes of one SDK."""

    success: type[Any]
    failure: type[Any]
    error_object: type[Any]
    transport_error: type[Exception]
    attempts: ContextVar[Attempts | None] | None


class Adopted:
    """A channel whose answers and errors are those of an SDK; made by `adopt`."""

    __slots__ = ("__weakref__", "_channel", "_copies")

    def __init__(self, channel: Channel, copies: _Copies) -> None:
        self._channel = channel
        self._copies = copies

    async def call(self, method: str, params: Raw, on_event: OnEvent | None) -> Any:
        """See Channel; Success and Failure are the SDK's, and so is TransportError."""
        shared = None if self._copies.attempts is None else self._copies.attempts.get()
        token = None if shared is None else attempts.set(shared)
        try:
            answer = await self._channel.call(method, params, on_event)
        except TransportError as error:
            raise self._translated(error) from error
        finally:
            if token is not None:
                attempts.reset(token)
        if isinstance(answer, Success):
            return self._copies.success(id=answer.id, result=answer.result)
        failed = answer.error
        copied = self._copies.error_object(failed.code, failed.message, failed.data)
        return self._copies.failure(id=answer.id, error=copied)

    async def notify(self, method: str, params: Raw) -> None:
        """See Channel."""
        try:
            await self._channel.notify(method, params)
        except TransportError as error:
            raise self._translated(error) from error

    async def open(self) -> None:
        """See Channel."""
        try:
            await self._channel.open()
        except TransportError as error:
            raise self._translated(error) from error

    async def aclose(self) -> None:
        """See Channel."""
        await self._channel.aclose()

    def _translated(self, error: TransportError) -> Exception:
        make: Any = self._copies.transport_error
        translated: Exception = make(str(error), status=error.status)
        return translated


def adopt(channel: Channel, owner: type) -> Channel:
    """The channel as the SDK of `owner` takes it: a generated client, or the class of a PROTOCOL.

    Unchanged where no SDK generated `owner`: its classes are taken to be the runtime's.
    """
    copies = _known.get(owner)
    if copies is None:
        copies = _copies_of(owner)
        if copies is None:
            return channel
        _known[owner] = copies
    return channel if isinstance(channel, Adopted) else Adopted(channel, copies)


_known: Final[WeakKeyDictionary[type, _Copies]] = WeakKeyDictionary()
"""What was found before."""


def _copies_of(owner: type) -> _Copies | None:
    for base in owner.__mro__:
        root, mark, _ = base.__module__.rpartition(".rpc.")
        core, errors = sys.modules.get(f"{root}._jsonrpc"), sys.modules.get(f"{root}.rpc.errors")
        if mark and core is not None and errors is not None:
            # SDKs that were generated before there were attempts have none.
            shared = getattr(sys.modules.get(f"{root}.rpc.channel"), "attempts", None)
            return _Copies(core.Success, core.Failure, core.ErrorObject, errors.TransportError, shared)
    return None
