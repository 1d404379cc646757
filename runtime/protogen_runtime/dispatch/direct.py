"""One well-formed call whose params are read together with its envelope, in one pass over its bytes.

Knows no transport. Whatever is not plainly such a call (a batch, an unknown member, params by position, a fault of any
kind) is not read here at all: the long way, which says what is wrong with it, reads it from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Final, Literal, Union

import msgspec

from protogen_runtime.jsonrpc import RequestId
from protogen_runtime.jsonrpc.codec import is_text


class DirectCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call with typed params; each method has a class of its own, known by the method's name as its tag."""

    method: ClassVar[str]
    bound: ClassVar[Any]
    """What serves the method."""

    id: str | int | None
    jsonrpc: Literal["2.0"]
    params: Any


class Answer(msgspec.Struct, frozen=True):
    """An answer with a typed result, its members in the order of every other answer."""

    id: RequestId
    result: Any
    jsonrpc: str = "2.0"


Read = Callable[[bytes], DirectCall | None]
"""The call that a frame is; None where only the long way can tell, and nothing has happened then."""


def call_class(method: str, params: Any, bound: object) -> type[DirectCall]:
    """The class of the calls of one method."""
    made: type[Any] = msgspec.defstruct(
        f"{method}.call",
        [("params", params)],
        bases=(DirectCall,),
        namespace={"method": method, "bound": bound},
        tag_field="method",
        tag=method,
        frozen=True,
        forbid_unknown_fields=True,
    )
    return made


def make_reader(classes: Iterable[type[DirectCall]]) -> Read:
    """What reads the calls of these classes."""
    known = tuple(classes)
    if not known:
        return _reads_nothing
    decode: Read = msgspec.json.Decoder(Union[known]).decode  # noqa: UP007 - the members are known at run time only

    def read(frame: bytes) -> DirectCall | None:
        # Two looks at the bytes, which most messages pass, spare those that follow.
        if (_BACKSLASH in frame or not frame.isascii()) and _is_unclear(frame):
            return None
        try:
            return decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    return read


def _is_unclear(frame: bytes) -> bool:
    return _MARK in frame or _ESCAPED_MARK in frame.lower() or not is_text(frame)


def _reads_nothing(_: bytes) -> None:
    return None


def exact_params(types: Mapping[str, Any], exact: frozenset[str], name: str | None) -> Any:
    """The type of a definition that msgspec alone can check; None for any other."""
    return types.get(name) if name is not None and name in exact else None


_MARK: Final = "\ufdd0".encode()
"""Begins the names under which SDKs keep what has no name of its own; nobody may send one."""

_ESCAPED_MARK: Final = b"\\ufdd0"
_BACKSLASH: Final = ord("\\")
