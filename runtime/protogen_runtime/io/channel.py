"""What transports are made of: whole frames both ways, the bounds of a connection, and the errors of a calling side.

Knows no transport. Times are in seconds, sizes in bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from protogen_runtime.dispatch import Channel, OnEvent
from protogen_runtime.dispatch.channels import MalformedAnswer, TransportError, adopt
from protogen_runtime.jsonrpc import MAX_BATCH, MAX_FRAME_BYTES, Frame

__all__ = [
    "REASONS",
    "Bounds",
    "Channel",
    "Frame",
    "FrameStream",
    "MalformedAnswer",
    "OnEvent",
    "TransportError",
    "adopt",
]

MIB: Final = 1024 * 1024


class FrameStream(Protocol):
    """Whole frames (one JSON text each, without framing) in both directions; what a duplex transport implements."""

    async def send_frames(self, frames: Sequence[bytes]) -> None:
        """Send frames in order, best in one write; never called by two tasks at once. Errors: TransportError."""
        ...

    async def receive_frames(self) -> list[Frame] | None:
        """The next frames (at least one checkpoint), None at the end of the stream; only one task reads.

        A frame that is too long comes as FrameTooLong, with its bytes dropped. Errors: TransportError.
        """
        ...

    async def aclose(self) -> None:
        """End both directions, in bounded time even where the other side does nothing; may be called twice."""
        ...


class Bounds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one connection takes from the other side. REASONS says why each default is what it is."""

    max_frame_bytes: int = MAX_FRAME_BYTES
    max_batch: int = MAX_BATCH
    max_in_flight: int = 1024
    max_calls: int = 4096
    max_unread_bytes: int = 16 * MIB
    send_seconds: float = 15.0
    min_bytes_per_second: int = 16 * 1024
    call_seconds: float | None = 300.0
    idle_seconds: float | None = None
    finish_seconds: float = 10.0
    close_seconds: float = 2.0


REASONS: Final[dict[str, str]] = {
    "max_frame_bytes": "A peer that never ends its frame must not fill the memory; 16 MiB is what HTTP bodies may "
    "have, too. The frame is dropped and answered with an error, the connection goes on.",
    "max_batch": "Bounds the work that one frame can start.",
    "max_in_flight": "Calls of the other side whose handlers wait at the same time. One more is answered with an "
    "error, and not kept waiting: the reading must go on, since what they wait for may be answers that come this way.",
    "max_calls": "Calls of ours that wait for answers. One more waits until another one is answered.",
    "max_unread_bytes": "Sent, but not read by the other side: one frame of the largest size. Then callers wait, and "
    "nothing more is read; where we wait for answers ourselves, reading goes on and calls are refused instead, since "
    "two sides that both stopped reading would wait for each other. Twice as much ends the connection.",
    "send_seconds": "A peer that does not read blocks its handlers and keeps their answers in memory; then the "
    "connection ends. Large frames get what min_bytes_per_second allows on top.",
    "min_bytes_per_second": "A frame of the largest size has 17 minutes; what is slower is a dead link or an attack.",
    "call_seconds": "A handler that waits for ever holds its place for ever; ten times what our clients wait. It is "
    "cancelled, and its call answered with an internal error. None switches it off.",
    "idle_seconds": "How long a connection may be quiet with nothing under way before it is closed. Off where a quiet "
    "peer costs nothing and cannot be a stranger (pipes, memory); WebSocket servers have 600 s.",
    "finish_seconds": "How long handlers may go on when the other side has closed its half but may still read, as "
    "after the end of a piped input.",
    "close_seconds": "How long what was sent before a close may take to leave.",
}
"""Why each bound has its default."""

assert set(REASONS) == set(Bounds.__struct_fields__), "each bound has a reason"
