"""The messages of schema."""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET, UnsetType

from .rpc.boundary import OpenRecord


class Doc(OpenRecord, kw_only=True):
    """A text.

    With */ and \x22\x22\x22 and // and `ticks`,
    - a list

    Deprecated.
    """

    id: str
    """Ends */ here, and \x22\x22\x22 there, `${x}` and \\ too."""

    old: str | UnsetType = UNSET
    """Use id.

    Deprecated.
    """

    secret: str | UnsetType = UNSET


TYPES: Final[dict[str, Any]] = {
    "Doc": Doc,
}
"""Every definition by its name in the protocol."""

EXACT: Final[frozenset[str]] = frozenset({"Doc"})
"""Definitions whose types alone refuse everything that the schema refuses."""

BOUNDED: Final[frozenset[str]] = frozenset()
"""Definitions whose types alone refuse everything that the schema refuses, apart from what breaks constraints."""
