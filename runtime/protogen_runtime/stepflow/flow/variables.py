"""Variables of a run: what is given, and what the flow's schema says where nothing is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .values import Json, is_array, is_object

_ZEROS: Final[dict[str, Json]] = {"string": "", "number": 0, "integer": 0, "boolean": False}
"""What a variable of a simple type is that is neither given, required nor has a default."""


def declared(schema: Json) -> dict[str, Json]:
    """The variables that a schema declares, each with its own schema; none where the schema is no object."""
    properties = schema.get("properties") if is_object(schema) else None
    return properties if is_object(properties) else {}


def required(schema: Json) -> list[str]:
    """The names that a schema requires."""
    names = schema.get("required") if is_object(schema) else None
    return [name for name in names if isinstance(name, str)] if is_array(names) else []


def default_values(schema: Json) -> dict[str, Json]:
    """The variables that have a value without being given (spec section 9, Variables).

    The default of the schema, or else, for a variable that is not required, the zero of its type, or null where its
    type is a union with null. Arrays and objects have none.
    """
    found: dict[str, Json] = {}
    needed = set(required(schema))
    for name, of_variable in declared(schema).items():
        if not is_object(of_variable):
            continue
        if "default" in of_variable:
            found[name] = of_variable["default"]
        elif name not in needed:
            kind = of_variable.get("type")
            if isinstance(kind, str) and kind in _ZEROS:
                found[name] = _ZEROS[kind]
            elif is_array(kind) and "null" in kind:
                found[name] = None
    return found


def missing(schema: Json, given: Mapping[str, Json]) -> list[str]:
    """The required variables that have no value."""
    has = default_values(schema)
    return [name for name in required(schema) if name not in given and name not in has]


def effective(schema: Json, given: Mapping[str, Json]) -> dict[str, Json]:
    """The variables of a run: what is given counts, null too."""
    return default_values(schema) | dict(given)
