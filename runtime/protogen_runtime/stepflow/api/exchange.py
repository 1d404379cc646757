"""A request and its answer as this API sees them, and what is refused.

Knows no sockets; headers have lower-case names.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from http import HTTPStatus
from typing import IO, Final, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from protogen_runtime.stepflow.plugins.contract import Json

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]

JSON_TYPE: Final = b"application/json"
BYTES_TYPE: Final = b"application/octet-stream"
EVENTS_TYPE: Final = b"text/event-stream"

_AS_JSON: Final = ((b"content-type", JSON_TYPE),)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request: what the path and the query say, and its body, or the open file that the body went to."""

    values: Mapping[str, str] = {}
    query: bytes = b""
    headers: Mapping[bytes, bytes] = {}
    body: bytes = b""
    file: IO[bytes] | None = None


class Answer(msgspec.Struct, frozen=True):
    """A whole answer."""

    status: int
    body: bytes = b""
    headers: Headers = ()


class Pieces(msgspec.Struct, frozen=True):
    """An answer that is sent as it comes; the generator is closed when nobody reads it any longer."""

    status: int
    source: AsyncGenerator[bytes, None]
    headers: Headers = ()


class StackEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A reason of an error, the nearest first."""

    error: str
    attachments: tuple[str, ...] = ()


class ErrorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request was not done: the status once more, one line for people, and the reasons behind it."""

    code: int
    message: str
    stack: tuple[StackEntry, ...] | UnsetType = UNSET


class BadRequest(Exception):
    """A request that cannot be taken as it is; `reasons` are all that is wrong where it is more than one thing."""

    def __init__(self, status: int, message: str, reasons: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.status: Final = status
        self.message: Final = message
        self.reasons: Final = reasons


_encode: Final = msgspec.json.Encoder().encode


def answer_json(status: int, value: Json) -> Answer:
    """An answer with JSON."""
    return Answer(status, _encode(value), _AS_JSON)


def error(status: int, message: str, reasons: tuple[str, ...] = (), headers: Headers = ()) -> Answer:
    """The answer that tells an error."""
    stack = tuple(StackEntry(reason) for reason in reasons) or UNSET
    body = _encode(ErrorAnswer(code=status, message=message or HTTPStatus(status).phrase, stack=stack))
    return Answer(status, body, (*_AS_JSON, *headers))
