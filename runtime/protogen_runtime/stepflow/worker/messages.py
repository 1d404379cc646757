"""What a worker takes for a message: the subset of JSON-RPC that Stepflow speaks (spec, sections 2 and 13).

Knows no methods. Stricter than the standard in that there are no batches, and ids are strings or integers; milder in
that `jsonrpc` may be missing, and `params` may be null.
"""

from __future__ import annotations

from typing import Final

import msgspec

from protogen_runtime.dispatch import Usage
from protogen_runtime.jsonrpc import ABSENT, INVALID_REQUEST, BadRequest, Call, Message, RequestId, decode


class _Mild(msgspec.Struct, omit_defaults=True):
    """A request in which something may be left out."""

    method: str
    jsonrpc: str | None = None
    id: msgspec.Raw = ABSENT
    params: msgspec.Raw = ABSENT


_NULL: Final = b"null"
_read_mild = msgspec.json.Decoder(_Mild).decode


def read(frame: bytes) -> Message:
    """What one message is; see `jsonrpc.decode`."""
    message = decode(frame)
    if type(message) is BadRequest and message.error is INVALID_REQUEST:
        whole = _whole(frame)
        message = message if whole is None else decode(whole)
    if type(message) is Call and type(message.id) not in (str, int):
        # Its answer could not be told from that to a message that nobody could read.
        return BadRequest(id=None, error=INVALID_REQUEST)
    return message


def _whole(frame: bytes) -> bytes | None:
    """A request with what it may leave out; None where that is not what is wrong with it."""
    try:
        known = _read_mild(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if known.jsonrpc is not None and bytes(known.params) != _NULL:
        return None
    members: dict[str, str | msgspec.Raw] = {"jsonrpc": known.jsonrpc or "2.0", "method": known.method}
    members |= {"id": known.id} if known.id else {}
    members |= {"params": known.params} if known.params and bytes(known.params) != _NULL else {}
    return msgspec.json.encode(members)


def _nothing(_: RequestId, __: str) -> None:
    """There is no message for a call that was given up (spec, section 7)."""


USAGE: Final = Usage(read=read, has_batches=False, has_text_ids=True, withdraw=_nothing)
