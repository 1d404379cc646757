"""Messages of old workers, which may lack the member `jsonrpc` (spec section 15, Runtime).

Knows no transport. Taken only where the configuration says `lenient: true`.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from protogen_runtime.jsonrpc import Message, decode


def with_version(text: bytes) -> bytes:
    """An object that lacks `jsonrpc` with it; any other text as it is."""
    try:
        members = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return text
    return text if "jsonrpc" in members else msgspec.json.encode({"jsonrpc": "2.0", **members})


def reader(*, lenient: bool) -> Callable[[bytes], Message]:
    """How messages are read: with their version, or where it is lenient without it, too."""
    return _read if lenient else decode


def _read(text: bytes) -> Message:
    return decode(with_version(text))
