"""How a protocol uses JSON-RPC where the standard leaves a choice, or where the protocol departs from it.

Knows no transport and no protocol: a service carries it, and every transport reads messages by it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Raw

from protogen_runtime.jsonrpc import Exchange, Message, Notification, RequestId, decode, receive

CANCEL_METHOD: Final = "$/cancelRequest"
"""Abandons the call whose id is its member `id`."""


class _Abandoned(msgspec.Struct):
    id: RequestId


def cancel_request(request_id: RequestId, _: str) -> Notification:
    """What language servers, and ours, are told of a call that was given up."""
    return Notification(method=CANCEL_METHOD, params=Raw(msgspec.json.encode(_Abandoned(request_id))))


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """`read` says what one message is, and raises nothing. Without `has_batches` an array is no message.

    `has_text_ids`: the ids of our own calls are strings, for peers that take no others. `withdraw` makes what the other
    side is told when a call of ours (id, method) was given up on a connection that goes on; None for nothing.
    """

    read: Callable[[bytes], Message] = decode
    has_batches: bool = True
    has_text_ids: bool = False
    withdraw: Callable[[RequestId, str], Notification | None] = cancel_request

    def receive(self, frame: bytes, *, max_batch: int) -> Exchange:
        """What a frame asks for; see `jsonrpc.receive`."""
        if self.has_batches:
            return receive(frame, max_batch=max_batch)
        return Exchange((self.read(frame),), batch=False)


STANDARD: Final = Usage()
"""JSON-RPC 2.0 as it is written."""
