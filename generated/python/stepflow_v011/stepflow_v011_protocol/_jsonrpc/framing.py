"""Frames in a byte stream: one JSON text per line.

Knows nothing of what a line holds. Any chunking of the input gives the same frames.
"""

from __future__ import annotations

from typing import Final

import msgspec

MAX_FRAME_BYTES: Final = 16 * 1024 * 1024
"""The largest line taken by default: a peer that never ends its line must not fill our memory."""


class FrameTooLong(msgspec.Struct, frozen=True):
    """Stands where a frame of more than `limit` bytes was; its bytes are dropped up to its end."""

    limit: int


Frame = bytes | FrameTooLong


class LineFramer:
    """Cuts a stream at line feeds. Time is linear in the bytes fed, memory bounded by `max_frame_bytes`."""

    __slots__ = ("_buffer", "_dropping", "_max_frame_bytes")

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._buffer = bytearray()
        self._dropping = False
        self._max_frame_bytes = max_frame_bytes

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes, in order, without line ends; blank lines are no frames."""
        frames: list[Frame] = []
        if self._buffer or self._dropping:
            line, end, data = data.partition(b"\n")
            self._take(line, frames)
            if not end:
                return frames
            self._end_line(frames)
        if len(data) > self._max_frame_bytes:
            self._feed_lines(data, frames)
            return frames
        # Nearly always: no line can be too long here. To cut all at once costs a tenth of taking line by line.
        *lines, rest = data.split(b"\n")
        frames += [frame for line in lines if (frame := line.strip(b" \t\r"))]
        self._buffer += rest
        return frames

    def _feed_lines(self, data: bytes, frames: list[Frame]) -> None:
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._take(data[start:end], frames)
            self._end_line(frames)
            start = end + 1
        self._take(data[start:], frames)

    def finish(self) -> list[Frame]:
        """What the stream held after its last line feed when it ended: nothing or one last frame."""
        frames: list[Frame] = []
        self._end_line(frames)
        return frames

    def _take(self, piece: bytes, frames: list[Frame]) -> None:
        if self._dropping:
            return
        self._buffer += piece
        if len(self._buffer) > self._max_frame_bytes:
            self._buffer.clear()
            self._dropping = True
            frames.append(FrameTooLong(self._max_frame_bytes))

    def _end_line(self, frames: list[Frame]) -> None:
        line = bytes(self._buffer).strip(b" \t\r")
        self._buffer.clear()
        self._dropping = False
        if line:
            frames.append(line)


def encode_line(message: bytes) -> bytes:
    """A compact JSON text as a line; compact JSON never holds a raw line feed."""
    return message + b"\n"
