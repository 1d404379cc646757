"""Python values and JSON: what a type means as a schema, how values of it are read, and how any output is written.

msgspec reads Structs, dataclasses, typed dicts and plain types; pydantic reads its models, where it is installed.
Knows no messages.
"""

from __future__ import annotations

import codecs
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any, Final, TypeAlias

import msgspec

Json: TypeAlias = Any
"""Any JSON value, as Python's json module has it."""

Fault: TypeAlias = dict[str, str]
"""`{"path": "$.a[0]", "message": …}`: what does not fit, and where."""


class DoesNotFit(ValueError):
    """A value that is none of its type; `faults` says where."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{fault['path']}: {fault['message']}" for fault in faults))
        self.faults = list(faults)


class NoJson(ValueError):
    """A Python value that JSON cannot say; the message names what it is."""


class Reader(msgspec.Struct, frozen=True):
    """Reads JSON values as a type; `schema` is None where it says nothing."""

    schema: dict[str, Json] | None
    read: Callable[[Json], Any]
    """Errors: DoesNotFit."""


def reader_of(kind: Any) -> Reader:
    """How values of a type are read. Errors: TypeError for one that neither msgspec nor pydantic knows."""
    if kind is Any or kind is object:
        return Reader(None, lambda value: value)
    if not _is_model(kind):
        try:
            return Reader(_schema(kind), _msgspec_read(kind))
        except TypeError:
            if "pydantic" not in sys.modules:
                raise
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    try:
        adapter: Any = TypeAdapter(kind)
        return Reader(adapter.json_schema(), _pydantic_read(adapter))
    except PydanticUserError as reason:
        raise TypeError(str(reason).partition("\n")[0]) from None


def _is_model(kind: Any) -> bool:
    return hasattr(kind, "__pydantic_core_schema__") or hasattr(kind, "__get_pydantic_core_schema__")


def _schema(kind: Any) -> dict[str, Json] | None:
    (schema,), definitions = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    reference = schema.get("$ref")
    if reference is not None and reference.encode() not in msgspec.json.encode(definitions):
        # In one piece, for readers that follow no references.
        schema = definitions.pop(reference.removeprefix("#/$defs/"))
    if definitions:
        schema = {**schema, "$defs": definitions}
    return schema or None


def _msgspec_read(kind: Any) -> Callable[[Json], Any]:
    def read(value: Json) -> Any:
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as reason:
            message, mark, place = str(reason).rpartition(" - at `")
            fault = {"path": place[:-1], "message": message} if mark else {"path": "$", "message": str(reason)}
            raise DoesNotFit([fault]) from None

    return read


def _pydantic_read(adapter: Any) -> Callable[[Json], Any]:
    from pydantic import ValidationError

    def read(value: Json) -> Any:
        try:
            return adapter.validate_python(value)
        except ValidationError as reason:
            found = reason.errors(include_url=False, include_context=False, include_input=False)
            raise DoesNotFit([{"path": _place(error["loc"]), "message": error["msg"]} for error in found]) from None

    return read


def _place(parts: Sequence[int | str]) -> str:
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)


# --- writing --------------------------------------------------------------------------------------


def plain(value: Any) -> Json:
    """A value as Python's json module would have it. Errors: NoJson."""
    found = _builtins(value)
    try:
        text = msgspec.json.encode(found)
    except (TypeError, ValueError, RecursionError, OverflowError):
        text = None
    _check(found, text)
    return found


def write(value: Any) -> bytes:
    """A value as JSON in ASCII: a chunk that ends inside a character is lost on the original runtime (spec, section 5).

    Errors: NoJson.
    """
    if value is None or value is True or value is False or type(value) is int:
        return msgspec.json.encode(value)
    found = _builtins(value)
    try:
        text = msgspec.json.encode(found)
        _check(found, text)
        return in_ascii(text)
    except UnicodeEncodeError:
        raise NoJson("a lone surrogate is no text") from None


def _builtins(value: Any) -> Json:
    try:
        return msgspec.to_builtins(value, str_keys=True, enc_hook=_dump)
    except (TypeError, ValueError, RecursionError) as reason:
        raise NoJson(str(reason)) from None


def _check(found: Json, text: bytes | None) -> None:
    """Refuse numbers that JSON does not have, which are written as null: without one there is none to look for."""
    if (text is None or b"null" in text) and any(not isfinite(number) for number in _floats(found)):
        raise NoJson("NaN and Infinity are no JSON")


def in_ascii(text: bytes) -> bytes:
    """JSON text with an escape for each character beyond ASCII; these stand in strings only."""
    return text if text.isascii() else text.decode().encode("ascii", _ESCAPED)


_ESCAPED: Final = "protogen.json"


def _escape(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    units = error.object[error.start : error.end].encode("utf-16-be")
    escaped = "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
    return escaped, error.end


codecs.register_error(_ESCAPED, _escape)


def _dump(value: Any) -> Json:
    dump = getattr(value, "model_dump", None)
    if dump is None:
        raise TypeError(f"{type(value).__qualname__} is none; give a Struct, a dataclass, a model or a dict")
    return dump(mode="json", by_alias=True)


def _floats(value: Json) -> Iterator[float]:
    """The floats in a value."""
    waiting: list[Json] = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, float):
            yield found
        elif isinstance(found, Mapping):
            waiting += found.values()
        elif isinstance(found, list | tuple):
            waiting += found
