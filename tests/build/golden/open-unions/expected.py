"""The messages of schema."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal, TypeAlias

from .rpc.boundary import UNKNOWN, OpenRecord, UnknownVariant


class Text(OpenRecord, kw_only=True, tag_field="kind", tag="text"):
    """The object `Text`."""

    kind: ClassVar[Literal["text"]] = "text"
    text: str


class Image(OpenRecord, kw_only=True, tag_field="kind", tag="image"):
    """The object `Image`."""

    kind: ClassVar[Literal["image"]] = "image"
    url: str


class Other(OpenRecord, kw_only=True):
    """The object `Other`."""

    kind: str


class UnknownPart(UnknownVariant, tag_field="kind", tag=UNKNOWN):
    """An alternative of `Part` that this version of the protocol does not list."""


Part: TypeAlias = Text | Image | UnknownPart

TYPES: Final[dict[str, Any]] = {
    "Text": Text,
    "Image": Image,
    "Other": Other,
    "Part": Part,
}
"""Every definition by its name in the protocol."""

EXACT: Final[frozenset[str]] = frozenset()
"""Definitions whose types alone refuse everything that the schema refuses."""

BOUNDED: Final[frozenset[str]] = frozenset()
"""Definitions whose types alone refuse everything that the schema refuses, apart from what breaks constraints."""
