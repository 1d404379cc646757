"""Every bound of the HTTP server, its default and its reason: one table.

Knows nothing of how a bound is enforced. Times are in seconds, sizes in bytes.
"""

from __future__ import annotations

from typing import Final

import msgspec

KIB: Final = 1024
MIB: Final = 1024 * KIB
SECONDS: Final = 1.0

SEND_PIECE_BYTES: Final = 8 * KIB
"""What is written at once where the peer does not take an answer whole: at the slowest rate allowed it takes 8 s."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one server takes from its clients. REASONS says why each default is what it is."""

    max_body_bytes: int = 16 * MIB
    max_header_bytes: int = 16 * KIB
    max_headers: int = 64
    max_batch: int = 100
    max_pipelined_bytes: int = 64 * KIB
    max_connections: int = 4096
    max_in_flight: int = 1024
    max_in_flight_per_connection: int = 128
    max_streams: int = 100
    max_resets: int = 200
    handshake_seconds: float = 10 * SECONDS
    header_seconds: float = 10 * SECONDS
    body_seconds: float = 120 * SECONDS
    body_grace_seconds: float = 5 * SECONDS
    min_bytes_per_second: int = 1 * KIB
    idle_seconds: float = 15 * SECONDS
    send_seconds: float = 15 * SECONDS
    call_seconds: float | None = 300 * SECONDS
    linger_seconds: float = 1 * SECONDS
    graceful_seconds: float = 10 * SECONDS
    retry_after_seconds: int = 1
    requests_per_second: float | None = None
    burst: int = 100

    @property
    def send_piece_seconds(self) -> float:
        """How long a peer may take for SEND_PIECE_BYTES."""
        return self.send_seconds + SEND_PIECE_BYTES / self.min_bytes_per_second


REASONS: Final[dict[str, str]] = {
    "max_body_bytes": "One request must not fill the memory; 16 MiB is what clients and line framing take, too. "
    "Refused with 413 as soon as Content-Length says so, otherwise at the first byte too many.",
    "max_header_bytes": "Heads are kept in memory before anything can be checked; browsers and proxies stay below "
    "8 KiB. Refused with 431.",
    "max_headers": "Each header costs a callback; real requests have about 20. Refused with 431.",
    "max_batch": "Bounds the work that one frame can start. Refused with one error, none of its members runs.",
    "max_pipelined_bytes": "What a client may send ahead while its call runs; then the server stops reading, and TCP "
    "stops the client.",
    "max_connections": "Each connection costs a task and a descriptor (about 12 KiB). Lowered to what the process may "
    "open. One more is answered 503 and closed.",
    "max_in_flight": "Calls whose handlers wait at the same time. One more is answered 503 with Retry-After.",
    "max_in_flight_per_connection": "One WebSocket or HTTP/2 connection must not use up max_in_flight.",
    "max_streams": "Streams open at once on one HTTP/2 connection; told to the client in SETTINGS.",
    "max_resets": "Streams that one HTTP/2 connection may reset, and control frames it may send, in ten seconds: "
    "opening and resetting is free for a client and work for a server. Then the connection is closed.",
    "handshake_seconds": "A TLS handshake is two round trips; one that takes longer holds a descriptor for nothing.",
    "header_seconds": "A head is sent at once by every real client; closes those that send it byte by byte, "
    "after an answer of 408.",
    "body_seconds": "The whole body, however steadily it comes: 16 MiB in 120 s is 140 KiB/s.",
    "body_grace_seconds": "How long a body may lag behind min_bytes_per_second: a lost packet costs a second or two.",
    "min_bytes_per_second": "A body or an answer that moves slower is an attack or a dead link; 1 KiB/s is less than "
    "any modem. Closed after an answer of 408 where one can still be sent.",
    "idle_seconds": "A connection without a request costs memory; clients reconnect in a millisecond. A WebSocket is "
    "idle when it does not even answer pings.",
    "send_seconds": "A peer that does not read blocks its handler and fills buffers; then the connection is reset. "
    "Each 8 KiB of an answer get what min_bytes_per_second allows on top: whoever stops reading is gone within 23 s.",
    "call_seconds": "A handler that waits for ever holds its slot for ever; ten times what our clients wait. "
    "Cancelled, and answered with an internal error. null switches it off.",
    "linger_seconds": "After a refusal the rest of the request is read and dropped for so long, since closing at "
    "once would destroy the answer on its way.",
    "graceful_seconds": "What runs at shutdown may finish within this time; orchestrators kill after 30 s.",
    "retry_after_seconds": "What Retry-After says with 503 and 429.",
    "requests_per_second": "Per client (its user, else its address): how fast its allowance refills. Off by "
    "default, because only the operator knows what is normal. Refused with 429.",
    "burst": "Per client: requests at once before requests_per_second counts.",
}
"""Why each limit has its default; docs/how-to/serve.md is checked against this table."""

assert set(REASONS) == set(Limits.__struct_fields__), "each limit has a reason"


def faults(limits: Limits) -> list[str]:
    """What makes these limits unusable, one line each."""
    found: list[str] = []
    for name in Limits.__struct_fields__:
        value = getattr(limits, name)
        if value is not None and not value > 0:
            found.append(f"{name}: expected a number above 0, got {value!r}")
    return found
