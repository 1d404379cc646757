"""Server-sent events, read from the pieces of a body (WHATWG HTML, section 9.2.6).

Lines end in CR, LF or both; several data lines are joined; comments are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Event(NamedTuple):
    """One event; `name` is "message" where the stream says none."""

    name: str
    data: str


def events(pieces: Iterable[bytes]) -> Iterator[Event]:
    """Yields the events of a stream as soon as each is whole; one that never gets its empty line is dropped."""
    name, data = "", list[str]()
    for line in lines(pieces):
        if line:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            elif field == "data":
                data.append(value)
            continue
        if data:
            yield Event(name or "message", "\n".join(data))
        name, data = "", []


def lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """Yields the lines of a UTF-8 stream without their ends, the last unfinished one left out."""
    rest = b""
    skip_feed = False
    for piece in pieces:
        rest += piece
        while rest:
            if skip_feed:
                rest = rest.removeprefix(b"\n")
                skip_feed = False
                continue
            ends = [at for at in (rest.find(b"\n"), rest.find(b"\r")) if at >= 0]
            if not ends:
                break
            at = min(ends)
            skip_feed = rest[at : at + 1] == b"\r"
            line, rest = rest[:at], rest[at + 1 :]
            yield line.decode("utf-8", "replace")
