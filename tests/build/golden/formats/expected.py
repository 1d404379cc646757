"""The messages of schema."""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET, UnsetType

from .rpc.boundary import OpenRecord


class Formats(OpenRecord, kw_only=True):
    """The object `Formats`."""

    when: str | UnsetType = UNSET
    mail: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    link: str | UnsetType = UNSET
    data: str | UnsetType = UNSET
    own: str | UnsetType = UNSET


TYPES: Final[dict[str, Any]] = {
    "Formats": Formats,
}
"""Every definition by its name in the protocol."""

EXACT: Final[frozenset[str]] = frozenset({"Formats"})
"""Definitions whose types alone refuse everything that the schema refuses."""

BOUNDED: Final[frozenset[str]] = frozenset()
"""Definitions whose types alone refuse everything that the schema refuses, apart from what breaks constraints."""
