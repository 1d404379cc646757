"""The messages of schema."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

from msgspec import UNSET, Meta, UnsetType

from .rpc.boundary import OpenRecord
from .rpc.jsonvalue import Json


class Holder(OpenRecord, kw_only=True):
    """The object `Holder`."""

    name: Name
    """Told here."""

    both: HolderBoth | UnsetType = UNSET


Name: TypeAlias = Annotated[str, Meta(min_length=1)]

Short: TypeAlias = Json
"""A short one."""

HolderBoth: TypeAlias = Json

TYPES: Final[dict[str, Any]] = {
    "Name": Name,
    "Short": Short,
    "Holder": Holder,
    "HolderBoth": HolderBoth,
}
"""Every definition by its name in the protocol."""

EXACT: Final[frozenset[str]] = frozenset({"Name"})
"""Definitions whose types alone refuse everything that the schema refuses."""

BOUNDED: Final[frozenset[str]] = frozenset()
"""Definitions whose types alone refuse everything that the schema refuses, apart from what breaks constraints."""
