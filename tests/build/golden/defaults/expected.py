"""The messages of schema."""

from __future__ import annotations

from typing import Any, Final, cast

from msgspec import UNSET, UnsetType

from .rpc.boundary import OpenRecord, default_of
from .rpc.jsonvalue import Json


class Options(OpenRecord, kw_only=True):
    """The object `Options`."""

    size: int | UnsetType = UNSET
    point: Point | UnsetType = UNSET
    tags: list[str] | UnsetType = UNSET
    any: Json | UnsetType = UNSET
    text: str | UnsetType = UNSET

    @property
    def size_or_default(self) -> int:
        """`size`, or its default 10 where it is absent."""
        if self.size is UNSET:
            return 10
        return self.size

    @property
    def point_or_default(self) -> Point:
        """`point`, or its default {"x": 1, "y": [2]} where it is absent."""
        if self.point is UNSET:
            return cast("Point", default_of(Point, '{"x":1,"y":[2]}'))
        return self.point

    @property
    def tags_or_default(self) -> list[str]:
        """`tags`, or its default ["a"] where it is absent."""
        if self.tags is UNSET:
            return cast("list[str]", default_of(list[str], '["a"]'))
        return self.tags

    @property
    def any_or_default(self) -> Json:
        """`any`, or its default {"k": null} where it is absent."""
        if self.any is UNSET:
            return cast("Json", default_of(Json, '{"k":null}'))
        return self.any

    @property
    def text_or_default(self) -> str:
        """`text`, or its default "\\"*/\\\\" where it is absent."""
        if self.text is UNSET:
            return '"*/\\'
        return self.text


class Point(OpenRecord, kw_only=True):
    """The object `Point`."""

    x: int
    y: list[int] | UnsetType = UNSET


TYPES: Final[dict[str, Any]] = {
    "Options": Options,
    "Point": Point,
}
"""Every definition by its name in the protocol."""

EXACT: Final[frozenset[str]] = frozenset({"Options", "Point"})
"""Definitions whose types alone refuse everything that the schema refuses."""

BOUNDED: Final[frozenset[str]] = frozenset()
"""Definitions whose types alone refuse everything that the schema refuses, apart from what breaks constraints."""
