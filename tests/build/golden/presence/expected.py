"""The messages of schema."""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET, UnsetType

from .rpc.boundary import OpenRecord


class Form(OpenRecord, kw_only=True):
    """The object `Form`."""

    a: str
    b: str | None
    c: str | UnsetType = UNSET
    d: str | UnsetType | None = UNSET
    e: str | UnsetType = UNSET
    f: int | UnsetType | None = UNSET

    @property
    def e_or_default(self) -> str:
        """`e`, or its default "x" where it is absent."""
        if self.e is UNSET:
            return "x"
        return self.e

    @property
    def f_or_default(self) -> int | None:
        """`f`, or its default 3 where it is absent."""
        if self.f is UNSET:
            return 3
        return self.f


TYPES: Final[dict[str, Any]] = {
    "Form": Form,
}
"""Every definition by its name in the protocol."""

EXACT: Final[frozenset[str]] = frozenset({"Form"})
"""Definitions whose types alone refuse everything that the schema refuses."""

BOUNDED: Final[frozenset[str]] = frozenset()
"""Definitions whose types alone refuse everything that the schema refuses, apart from what breaks constraints."""
