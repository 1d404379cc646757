"""Shapes: what a JSON value is, told in a way that type checkers follow.

After `isinstance(value, dict)` they know a dict of unknown things, after these they know JSON.
"""

from __future__ import annotations

from typing import TypeGuard

from .contract import Json, JsonObject


def is_object(value: Json) -> TypeGuard[JsonObject]:
    """Whether a value is a JSON object."""
    return isinstance(value, dict)


def is_array(value: Json) -> TypeGuard[list[Json]]:
    """Whether a value is a JSON array."""
    return isinstance(value, list)
