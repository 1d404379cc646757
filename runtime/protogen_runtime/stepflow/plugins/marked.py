"""Configuration files as values with places: YAML or JSON in, plain values and the line and column of each out.

Knows no configuration. YAML is read by the rules of its version 1.2 core schema, as the original does: `yes`, `on`
and `012` are what they look like. Keys of a mapping may be any value (a mock's behaviours have such).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import yaml

from protogen_runtime.stepflow.flow.faults import Fault, Pointer

from .contract import is_array, is_object

MAX_DEPTH: Final = 100
"""How deep values may be nested: the reader recurses, and no configuration is half as deep."""

MAX_DIGITS: Final = 4000
"""Longer numbers are texts: to read an integer takes time that grows with the square of its length."""

MAX_VALUES: Final = 100_000
"""How many values a file may hold; aliases count as often as they are used, or ten lines could hold a billion."""

_NULL: Final = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE: Final = frozenset(("true", "True", "TRUE"))
_FALSE: Final = frozenset(("false", "False", "FALSE"))
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_BASED: Final = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


class Entry(msgspec.Struct, frozen=True):
    """One member of a mapping whose keys are not all strings."""

    key: Any
    value: Any


class Marked(msgspec.Struct, frozen=True):
    """A value, and where each part of it stands (line and column, from 1); parts are named by pointers."""

    value: Any
    places: dict[Pointer, tuple[int, int]]

    def fault(self, at: Pointer, what: str, fix: str) -> Fault:
        """A fault at a part, or at what encloses it where the part itself is missing."""
        known = at
        while known and known not in self.places:
            known = known[:-1]
        line, column = self.places.get(known, (0, 0))
        return Fault(at, what, fix, line, column)


class Unreadable(Exception):
    """The text is neither YAML nor JSON."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.what)
        self.fault = fault


def read(text: str, *, max_values: int = MAX_VALUES) -> Marked:
    """A document as a value: dicts with strings as keys, or lists of Entry where other keys are among them.

    Errors: Unreadable.
    """
    try:
        return _Reading(text, max_values).document()
    except yaml.YAMLError as error:
        known = _as_json(text)
        if known is not None:
            return known
        mark: Any = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line, column = (0, 0) if mark is None else (mark.line + 1, mark.column + 1)
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
        what = f"the text is neither YAML nor JSON: {reason}"
        raise Unreadable(Fault((), what, "correct the text there", line, column)) from None


def plain(value: Any) -> Any:
    """A value of a file as JSON: keys that are no strings become their JSON text."""
    if is_object(value):
        return {name: plain(member) for name, member in value.items()}
    if is_array(value):
        if is_entries(value):
            return {key_text(entry.key): plain(entry.value) for entry in value}
        return [plain(item) for item in value]
    return value


def is_entries(value: Any) -> bool:
    """Whether a value is a mapping whose keys are not all strings."""
    return is_array(value) and bool(value) and isinstance(value[0], Entry)


def key_text(key: Any) -> str:
    """A key as a string."""
    return key if isinstance(key, str) else msgspec.json.encode(plain(key)).decode()


def _as_json(text: str) -> Marked | None:
    """JSON that is no YAML, such as pairs of surrogate escapes; its places are not known."""
    try:
        return Marked(json.loads(text), {})
    except (ValueError, RecursionError):
        return None


class _Reading:
    """One document. Events are composed here: the library's own composer overflows the stack on deep nesting."""

    def __init__(self, text: str, max_values: int) -> None:
        self._max_values = max_values
        self._events: Iterator[Any] = yaml.parse(text, Loader=yaml.CBaseLoader)
        self._places: dict[Pointer, tuple[int, int]] = {}
        self._anchors: dict[str, tuple[Any, int] | None] = {}
        self._count = 0

    def document(self) -> Marked:
        value = None
        is_first = True
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if not is_first:
                    raise self._unreadable((), "the file holds two documents", "leave one of them", event)
                is_first = False
                value = self._value(next(self._events), ())
        return Marked(value, self._places)

    def _value(self, event: Any, at: Pointer) -> Any:
        self._places.setdefault(at, _place(event))
        self._count += 1
        if self._count > self._max_values or len(at) > MAX_DEPTH:
            what = f"expected at most {self._max_values} values, nested {MAX_DEPTH} deep"
            raise self._unreadable(at[:8], what, "take out what repeats itself", event)
        if isinstance(event, yaml.AliasEvent):
            return self._repeated(event, at)
        anchor = event.anchor
        before = self._count
        if anchor is not None:
            self._anchors[anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._array(at)
        else:
            value = self._mapping(at)
        if anchor is not None:
            self._anchors[anchor] = value, self._count - before + 1
        return value

    def _repeated(self, event: Any, at: Pointer) -> Any:
        if event.anchor not in self._anchors:
            raise self._unreadable(at, f"there is no anchor &{event.anchor} above", "correct the name", event)
        known = self._anchors[event.anchor]
        if known is None:
            raise self._unreadable(at, f"*{event.anchor} holds itself", "write the value out", event)
        value, size = known
        self._count += size
        return value

    def _array(self, at: Pointer) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._value(event, (*at, len(items))))
        return items

    def _mapping(self, at: Pointer) -> Any:
        members: dict[str, Any] = {}
        entries: list[Entry] = []
        is_object = True
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            position = len(entries)
            key = self._value(event, (*at, position, "key"))
            name = key if isinstance(key, str) else position
            is_object = is_object and isinstance(key, str)
            if name in members:
                raise self._unreadable((*at, name), f"the key {name!r} is there twice", "leave one of them", event)
            # Whoever is told of a member looks for its name.
            self._places[(*at, name)] = self._places[(*at, position)] = _place(event)
            value = self._value(next(self._events), (*at, name))
            if isinstance(key, str):
                members[key] = value
            entries.append(Entry(key, value))
        return members if is_object else entries

    def _unreadable(self, at: Pointer, what: str, fix: str, event: Any) -> Unreadable:
        return Unreadable(Fault(at, what, fix, *_place(event)))


def _place(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _scalar(event: Any) -> Any:
    text: str = event.value
    if event.style in ("'", '"', "|", ">") or event.tag is not None:
        return text
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INTEGER.fullmatch(text) and len(text) <= MAX_DIGITS:
        return int(text)
    if _BASED.fullmatch(text) and len(text) <= MAX_DIGITS:
        return int(text, 0)
    return float(text) if _FLOAT.fullmatch(text) else text
