"""Patches of JSON values: merge patches (RFC 7396) and JSON patches (RFC 6902).

Values that are given stay as they are; results share what did not change.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from .values import Json, is_array, is_object, kind_of


class BadPatch(ValueError):
    """A patch that is none, or that does not fit the value; the message names the operation by its position."""


def merge_patch(target: Json, patch: Json) -> Json:
    """The target with a merge patch applied (RFC 7396 section 2): null removes, objects merge, all else replaces."""
    if not is_object(patch):
        return patch
    merged = dict(target) if is_object(target) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def json_patch(target: Json, operations: Json) -> Json:
    """The target with the operations of a JSON patch applied in order, or none of them (RFC 6902). Errors: BadPatch."""
    if not is_array(operations):
        raise BadPatch(f"expected an array of operations, got {kind_of(operations)}")
    document = deepcopy(target)
    for position, operation in enumerate(operations):
        try:
            document = _operate(document, operation)
        except BadPatch as reason:
            raise BadPatch(f"operation {position}: {reason}") from None
    return document


def same(left: Json, right: Json) -> bool:
    """Whether two JSON values are equal: numbers by value, members in any order; true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if is_object(left) and is_object(right):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    if is_array(left) and is_array(right):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def _operate(document: Json, operation: Json) -> Json:
    if not is_object(operation):
        raise BadPatch(f"expected an object, got {kind_of(operation)}")
    name = operation.get("op")
    operate = _OPERATIONS.get(name) if isinstance(name, str) else None
    if operate is None:
        raise BadPatch(f'"op" is one of {", ".join(_OPERATIONS)}, got {kind_of(name)}')
    return operate(document, operation)


def _add(document: Json, operation: dict[str, Json]) -> Json:
    return _insert(document, _pointer(operation, "path"), deepcopy(_value(operation)))


def _remove(document: Json, operation: dict[str, Json]) -> Json:
    return _take(document, _pointer(operation, "path"))[0]


def _replace(document: Json, operation: dict[str, Json]) -> Json:
    path = _pointer(operation, "path")
    value = deepcopy(_value(operation))
    if not path:
        return value
    parent, key = _parent(document, path)
    _existing(parent, key)
    parent[key] = value
    return document


def _move(document: Json, operation: dict[str, Json]) -> Json:
    source, path = _pointer(operation, "from"), _pointer(operation, "path")
    if len(source) < len(path) and path[: len(source)] == source:
        raise BadPatch("a value cannot be moved into itself")
    document, value = _take(document, source)
    return _insert(document, path, value)


def _copy(document: Json, operation: dict[str, Json]) -> Json:
    path = _pointer(operation, "path")
    return _insert(document, path, deepcopy(_get(document, _pointer(operation, "from"))))


def _test(document: Json, operation: dict[str, Json]) -> Json:
    path = _pointer(operation, "path")
    if not same(_get(document, path), _value(operation)):
        raise BadPatch(f"the test of {operation['path']!r} fails: the value is another one")
    return document


_OPERATIONS: dict[str, Callable[[Json, dict[str, Json]], Json]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}


def _pointer(operation: dict[str, Json], name: str) -> list[str]:
    """The parts of a JSON pointer (RFC 6901)."""
    text = operation.get(name)
    if not isinstance(text, str):
        raise BadPatch(f'expected a JSON pointer as "{name}", got {kind_of(text)}')
    if not text:
        return []
    if not text.startswith("/"):
        raise BadPatch(f'a JSON pointer begins with "/", got {text!r}')
    return [part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/")]


def _value(operation: dict[str, Json]) -> Json:
    if "value" not in operation:
        raise BadPatch('"value" is missing')
    return operation["value"]


def _get(document: Json, path: list[str]) -> Json:
    for part in path:
        document = document[_existing(document, _key(document, part))]
    return document


def _parent(document: Json, path: list[str]) -> tuple[Any, str | int]:
    container = _get(document, path[:-1])
    return container, _key(container, path[-1])


def _key(container: Json, part: str) -> str | int:
    """The part as an index where the container is an array; the place after the last is `-`."""
    if not is_array(container):
        return part
    if part == "-":
        return len(container)
    if not (part.isascii() and part.isdigit()) or (len(part) > 1 and part.startswith("0")):
        raise BadPatch(f"{part!r} is no index of an array")
    return int(part)


def _existing(container: Json, key: str | int) -> Any:
    found = key in container if is_object(container) else is_array(container) and key < len(container)  # type: ignore[operator]  # the key of an array is an index
    if not found:
        raise BadPatch(f"there is nothing at {key!r}")
    return key


def _insert(document: Json, path: list[str], value: Json) -> Json:
    if not path:
        return value
    container, key = _parent(document, path)
    if is_object(container):
        container[str(key)] = value
    elif not is_array(container):
        raise BadPatch(f"{kind_of(container)} has no members")
    elif isinstance(key, int) and key <= len(container):
        container.insert(key, value)
    else:
        raise BadPatch(f"the array has {len(container)} elements, so none can be added at {key}")
    return document


def _take(document: Json, path: list[str]) -> tuple[Json, Json]:
    """The document without a value, and the value."""
    if not path:
        return None, document
    container, key = _parent(document, path)
    return document, container.pop(_existing(container, key))
