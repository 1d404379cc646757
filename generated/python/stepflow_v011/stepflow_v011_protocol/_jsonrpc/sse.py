"""Server-sent events: their bytes and an incremental parser (WHATWG HTML, section 9.2).

Knows nothing of what an event's data means, nor of reconnecting: it only keeps the last event id and the retry time.
"""

from __future__ import annotations

from typing import Final

import msgspec

from .framing import FrameTooLong

MAX_EVENT_BYTES: Final = 16 * 1024 * 1024
"""The largest event taken by default, for the reason that lines are bounded."""

_BOM: Final = b"\xef\xbb\xbf"


class ServerSentEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it was dispatched: `name` is `message` where the stream gave none, `data` UTF-8 bytes unchecked."""

    data: bytes
    name: str = "message"
    last_id: str = ""


def encode_event(data: bytes, *, name: str | None = None, event_id: str | None = None) -> bytes:
    """One event; every line of `data` gets a data field of its own.

    Errors: ValueError for a name or an id that is not a single line.
    """
    head = b""
    for field, value in (("event", name), ("id", event_id)):
        if value is not None:
            if "\n" in value or "\r" in value or "\0" in value:
                raise ValueError(f"{field} {value!r} must be a single line")
            head += f"{field}: {value}\n".encode()
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return head + b"".join(b"data: " + line + b"\n" for line in lines) + b"\n"


def encode_comment(text: str = "") -> bytes:
    """A comment, which readers skip: keeps idle connections open."""
    return b"".join(b": " + line.encode() + b"\n" for line in text.splitlines() or [""]) + b"\n"


class SseParser:
    """Takes a stream in pieces of any size; an event that the end of the stream cuts off is never dispatched."""

    __slots__ = (
        "_after_cr",
        "_at_start",
        "_data",
        "_data_bytes",
        "_dropping",
        "_line",
        "_max_event_bytes",
        "_name",
        "last_event_id",
        "retry_ms",
    )

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.last_event_id = ""
        self.retry_ms: int | None = None
        self._max_event_bytes = max_event_bytes
        self._line = bytearray()
        self._after_cr = False
        self._at_start = True
        self._name = ""
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._dropping = False

    def feed(self, chunk: bytes) -> list[ServerSentEvent | FrameTooLong]:
        """The events that `chunk` completes, in order."""
        events: list[ServerSentEvent | FrameTooLong] = []
        if not chunk:
            return events
        # A CR ends its line at once; the LF of a CRLF that comes in a later chunk belongs to it.
        if self._after_cr and chunk[:1] == b"\n":
            chunk = chunk[1:]
        self._after_cr = False
        pieces = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for piece in pieces[:-1]:
            self._extend(piece, events)
            self._end_line(events)
        self._extend(pieces[-1], events)
        self._after_cr = chunk[-1:] == b"\r"
        return events

    def _extend(self, piece: bytes, events: list[ServerSentEvent | FrameTooLong]) -> None:
        if self._dropping:
            # Only whether the line is blank still matters.
            self._line = self._line or bytearray(piece[:1])
            return
        self._line += piece
        if self._data_bytes + len(self._line) > self._max_event_bytes:
            events.append(FrameTooLong(self._max_event_bytes))
            self._dropping = True
            self._data.clear()
            del self._line[1:]

    def _end_line(self, events: list[ServerSentEvent | FrameTooLong]) -> None:
        line = bytes(self._line)
        self._line.clear()
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if not line:
            self._dispatch(events)
        elif not self._dropping:
            self._read_field(line)

    def _read_field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match name:
            case b"data":
                self._data.append(value)
                # With its line feed: lines without text take memory, too.
                self._data_bytes += len(value) + 1
            case b"event":
                self._name = value.decode(errors="replace")
            case b"id":
                if b"\0" not in value:
                    self.last_event_id = value.decode(errors="replace")
            case b"retry":
                if value.isdigit():
                    self.retry_ms = int(value[:18])
            case _:
                pass

    def _dispatch(self, events: list[ServerSentEvent | FrameTooLong]) -> None:
        if self._data and not self._dropping:
            events.append(
                ServerSentEvent(
                    data=b"\n".join(self._data),
                    name=self._name or "message",
                    last_id=self.last_event_id,
                )
            )
        self._data.clear()
        self._name = ""
        self._data_bytes = 0
        self._dropping = False
