"""Heads seen before: a client that keeps its connection sends the same head over and over.

Knows neither sockets nor JSON-RPC. The strict parser has read exactly these bytes and the guard has admitted them;
both are functions of the bytes alone, so their answer holds for the same bytes again. A head is taken from here
only where a request starts at the first byte that was read and its whole body came with it.
"""

from __future__ import annotations

from typing import Final

from .messages import Request

MAX_HEADS: Final = 512
"""Heads kept, of MAX_HEAD_BYTES at most: 0.5 MiB. A client has one per length of its bodies. Full, it starts anew."""

MAX_HEAD_BYTES: Final = 1024
"""Longer heads carry cookies and tokens that rarely come twice."""


class Heads:
    """The heads of requests that carried a body by Content-Length, asked for nothing special and were admitted.

    `also` is one more header that changes nothing: the name of the process that a client answers.
    """

    __slots__ = ("_is_used", "_known", "_ordinary")

    def __init__(self, *, is_used: bool = True, also: bytes = b"") -> None:
        self._is_used = is_used
        self._ordinary = _ORDINARY | {also}
        self._known: dict[bytes, tuple[Request, int]] = {}

    def find(self, data: bytes) -> Request | None:
        """The request that `data` is, from its first byte to its last; None where only the parser can tell."""
        end = data.find(b"\r\n\r\n") + 4
        known = self._known.get(data[:end])
        if known is None or known[1] != len(data) - end:
            return None
        return known[0].again(data[end:])

    def note(self, data: bytes, request: Request) -> None:
        """Remember the head of `request`, which the parser found to be all of `data`."""
        if not self._is_used:
            return
        end = data.find(b"\r\n\r\n") + 4
        body_bytes = len(data) - end
        headers = request.headers
        if (
            end > MAX_HEAD_BYTES
            or not data.startswith(b"POST ")
            or not request.keep_alive
            or request.refused is not None
            or request.sink is not None
            or headers.get(b"content-length") != b"%d" % body_bytes
            or not self._ordinary.issuperset(headers)
        ):
            return
        if len(self._known) >= MAX_HEADS:
            self._known.clear()
        self._known[data[:end]] = (request.again(b""), body_bytes)


_ORDINARY: Final = frozenset(
    {
        *(b"host", b"user-agent", b"accept", b"accept-encoding", b"accept-language", b"connection"),
        *(b"content-type", b"content-length", b"cache-control", b"pragma", b"te"),
    }
)
"""Headers that change nothing between two requests. What names a user, a trace or an origin is looked at each time."""
