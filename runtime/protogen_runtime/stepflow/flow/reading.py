"""Flow documents from YAML and JSON text, with the line and column of what is wrong.

Knows how the two are written; what a flow may say is known in `documents`.
"""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_right
from collections.abc import Iterable
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec.structs import replace

from . import canonical, documents
from .expressions import MAX_DEPTH
from .faults import Fault, Pointer
from .model import Flow
from .values import Json, is_object

Form: TypeAlias = Literal["yaml", "json"]

MAX_VALUES: Final = 2_000_000
"""Values in one document, those behind aliases counted each time: 10,000 steps have a tenth, a bomb of aliases more."""


class Place(NamedTuple):
    """Where a value stands, counted from 1, and the text of a plain scalar (None for all else)."""

    line: int
    column: int
    text: str | None = None


Places: TypeAlias = dict[Pointer, Place]


class _Unreadable(Exception):
    """The text is no document at all."""

    def __init__(self, what: str, fix: str, line: int, column: int) -> None:
        super().__init__(what)
        self.fault = Fault((), what, fix, line, column)


def read(text: str | bytes, form: Form | None = None) -> tuple[Flow | None, list[Fault]]:
    """The flow that a document holds, or None and all that is wrong with it, in the order of its lines.

    `form`: None decides by the text, whose JSON begins with a brace. In YAML a plain scalar may stand for a string
    (`version: 1.0`), only true and false are booleans, and there are no merge keys, as the original reads it.
    """
    value, faults, places = read_value(text, form)
    if faults:
        return None, faults
    flow, faults = documents.read_flow(value)
    meant = [fault for fault in faults if fault.wants_text]
    if meant and (found := places()) and any(found[fault.at].text is not None for fault in meant):
        for fault in meant:
            _put(value, fault.at, found[fault.at].text)
        flow, faults = documents.read_flow(value)
    if faults:
        return None, in_order(locate(faults, places()))
    return flow, []


class Source:
    """A document's places, found when they are first asked for."""

    def __init__(self, text: str, form: Form) -> None:
        self._text = text
        self._form = form
        self._found: Places | None = None

    def __call__(self) -> Places:
        """The places of all its values."""
        if self._found is None:
            places: Places = {}
            if self._form == "json":
                _scan_json(self._text, places)
            else:
                _from_yaml(self._text, places)
            self._found = places
        return self._found


def read_value(text: str | bytes, form: Form | None = None) -> tuple[Json, list[Fault], Source]:
    """The JSON value of a YAML or JSON text, or faults, which say where it cannot be read."""
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError as reason:
            before = reason.object[: reason.start].decode("utf-8", "replace")
            place = _Lines(before).at(len(before))
            fault = Fault((), f"byte {reason.start} is not UTF-8", "save the file as UTF-8", *place)
            return None, [fault], Source("", "json")
    text = text.removeprefix("\ufeff")
    if form is None:
        form = "json" if text.lstrip()[:1] == "{" and _is_json(text) else "yaml"
    try:
        value = _from_json(text) if form == "json" else _from_yaml(text, None)
    except _Unreadable as reason:
        return None, [reason.fault], Source("", "json")
    return value, [], Source(text, form)


def locate(faults: Iterable[Fault], places: Places) -> list[Fault]:
    """Faults with line and column: those of the value, or of the nearest one around it."""
    return [
        replace(fault, line=place.line, column=place.column) for fault in faults for place in [near(fault.at, places)]
    ]


def near(at: Pointer, places: Places) -> Place:
    """The place of a value, or of the nearest one around it."""
    while at and at not in places:
        at = at[:-1]
    return places.get(at, Place(1, 1))


def in_order(faults: list[Fault]) -> list[Fault]:
    """Faults from the first line to the last."""
    return sorted(faults, key=lambda fault: (fault.line, fault.column))


def _put(value: Json, at: Pointer, text: str | None) -> None:
    if text is not None:
        for key in at[:-1]:
            value = value[key]
        value[at[-1]] = text


# --- JSON -------------------------------------------------------------------------------------------

_JSON_TOKEN = re.compile(
    r'[\s,:]*(?:(?P<open>[{\[])|(?P<close>[}\]])|(?P<text>"(?:[^"\\]|\\.)*")|(?P<other>[^\s,:\]}]+))'
)
_BYTE = re.compile(r"\s*\(byte (\d+)\)$")


def _is_json(text: str) -> bool:
    """Whether a text that begins with a brace is JSON; else it is a flow mapping of YAML."""
    try:
        msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return re.match(r'\s*\{\s*["}]', text) is not None  # JSON with a slip rather than YAML
    return True


def _from_json(text: str) -> Json:
    try:
        value = canonical.read_value(text)
    except ValueError as reason:
        message = str(reason)
        byte = _BYTE.search(message)
        offset = len(text.encode()[: int(byte[1])].decode("utf-8", "ignore") if byte else text)
        what = f"no JSON: {_BYTE.sub('', message)}"
        raise _Unreadable(what, "correct it there", *_Lines(text).at(offset)) from None
    try:
        json.loads(text, object_pairs_hook=_without_duplicates)
    except _Duplicate:
        _scan_json(text, None)
    return value


class _Duplicate(Exception):
    """An object has a key twice; the scan says where."""


def _without_duplicates(members: list[tuple[str, Json]]) -> None:
    if len({name for name, _ in members}) < len(members):
        raise _Duplicate


class _Frame:
    """An object or array that is being gone through: the keys it had, or the number of its next element."""

    __slots__ = ("index", "is_object", "keys", "wants_key")

    def __init__(self, *, is_object: bool) -> None:
        self.is_object = self.wants_key = is_object
        self.keys: set[str] = set()
        self.index = 0


def _scan_json(text: str, places: Places | None) -> None:
    """Go through valid JSON: note the places of its values, and refuse an object that has a key twice."""
    lines = _Lines(text)
    at: list[str | int] = []
    frames: list[_Frame] = []
    for token in _JSON_TOKEN.finditer(text):
        kind = token.lastgroup or ""
        start = token.start(kind)
        if kind == "close":
            frames.pop()
            _leave(frames, at)
            continue
        frame = frames[-1] if frames else None
        if frame is not None and frame.wants_key:
            key = msgspec.json.decode(token["text"], type=str)
            if key in frame.keys:
                raise _Unreadable(f"the key {key!r} stands twice in one object", "remove one of them", *lines.at(start))
            frame.keys.add(key)
            frame.wants_key = False
            at.append(key)
            continue
        if frame is not None and not frame.is_object:
            at.append(frame.index)
            frame.index += 1
        if places is not None:
            places[tuple(at)] = Place(*lines.at(start))
        if kind == "open":
            frames.append(_Frame(is_object=token["open"] == "{"))
        else:
            _leave(frames, at)


def _leave(frames: list[_Frame], at: list[str | int]) -> None:
    """A value has ended: its object goes on with a key, its array with the next element."""
    if frames:
        at.pop()
        frames[-1].wants_key = frames[-1].is_object


class _Lines:
    """Offsets of a text as lines and columns, counted from 1."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def at(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


# --- YAML -------------------------------------------------------------------------------------------

_CORE = "tag:yaml.org,2002:"
_NULLS: Final = frozenset(("", "~", "null", "Null", "NULL"))
_BOOLEANS: Final = {text: text[0] in "tT" for text in ("true", "True", "TRUE", "false", "False", "FALSE")}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_BASED = re.compile(r"(?P<sign>[-+]?)(?:0x(?P<hex>[0-9a-fA-F]+)|0o(?P<oct>[0-7]+)|0b(?P<bin>[01]+))")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_ALL_DIGITS = re.compile(r"[-+]?[0-9]+")
_NO_NUMBER: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def _from_yaml(text: str, places: Places | None) -> Json:
    """The value of a YAML document (1.2 core schema); `places` is filled with where everything stands."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C needs libyaml
    try:
        return _YamlValue(places).of(yaml.parse(text, Loader=loader))
    except yaml.MarkedYAMLError as reason:
        mark = reason.problem_mark or reason.context_mark
        what = f"no YAML: {reason.problem or reason.context or 'it cannot be read'}"
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise _Unreadable(what, "correct it there", line, column) from None
    except yaml.reader.ReaderError as reason:
        line, column = _Lines(text).at(reason.position)
        raise _Unreadable(f"no YAML: {reason.reason}", "remove the character", line, column) from None


class _YamlValue:
    """Makes a value of the events of one document; a loop and a stack, so that no depth of nesting hurts."""

    def __init__(self, places: Places | None) -> None:
        self._places = places
        self._anchors: dict[str, tuple[Json, int]] = {}
        self._count = 0

    def of(self, events: Iterable[Any]) -> Json:
        import yaml

        root: list[Json] = []
        stack: list[_Open] = []
        documents_seen = 0
        for event in events:
            match event:
                case yaml.DocumentStartEvent():
                    documents_seen += 1
                    if documents_seen > 1:
                        raise self._bad("a second document begins", "keep one flow in a file", event)
                case yaml.ScalarEvent():
                    self._add(stack, root, self._scalar(event, stack), event, 1)
                case yaml.AliasEvent():
                    if event.anchor not in self._anchors:
                        raise self._bad(f"the alias *{event.anchor} has no anchor before it", "name an anchor", event)
                    value, size = self._anchors[event.anchor]
                    self._add(stack, root, value, event, size)
                case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                    self._open(stack, event)
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    closed = stack.pop()
                    self._add(stack, root, closed.value, closed.event, self._count - closed.count_before)
                case _:
                    continue
        return root[0] if root else None

    def _open(self, stack: list[_Open], event: Any) -> None:
        import yaml

        if len(stack) >= MAX_DEPTH:
            raise self._bad(f"nested deeper than {MAX_DEPTH} levels", "flatten it", event)
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        if event.tag not in (None, "!", f"{_CORE}map" if is_mapping else f"{_CORE}seq"):
            raise self._bad(f"the tag {event.tag} means nothing in a flow", "remove it", event)
        if stack and stack[-1].wants_key:
            raise self._bad("a key is an object or an array", "use a string", event)
        self._count += 1
        self._note(stack, event, None)
        stack.append(_Open({} if is_mapping else [], event, self._count - 1))

    def _scalar(self, event: Any, stack: list[_Open]) -> Json:
        is_key = bool(stack) and stack[-1].wants_key
        plain = event.implicit[0]
        if event.tag not in (None, "!") and not event.tag.startswith(_CORE):
            raise self._bad(f"the tag {event.tag} means nothing in a flow", "remove it", event)
        if is_key or (event.tag is None and not plain) or event.tag in ("!", f"{_CORE}str"):
            value: Json = event.value
        else:
            value = self._plain(event.value, event)
        if not is_key:
            self._note(stack, event, event.value if plain and value is not None else None)
            self._count += 1
        return value

    def _plain(self, text: str, event: Any) -> Json:
        """What a scalar without quotes is: null, a boolean, a number, or else a string."""
        if text in _NULLS:
            return None
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        first = text[0]
        if not (first.isdigit() or first in "+-."):
            return text
        if _INTEGER.fullmatch(text):
            return canonical.read_value(text.removeprefix("+"))
        if based := _BASED.fullmatch(text):
            digits = based["hex"] or based["oct"] or based["bin"]
            number = int(based["sign"] + digits, 16 if based["hex"] else 8 if based["oct"] else 2)
            return number if canonical.SMALLEST_INTEGER <= number <= canonical.LARGEST_INTEGER else float(number)
        if _NO_NUMBER.fullmatch(text):
            raise self._bad(f"{text} is no number of JSON", "put it between quotes, or use null", event)
        if _FLOAT.fullmatch(text) and not _ALL_DIGITS.fullmatch(text):
            value = float(text)
            return text if math.isinf(value) else value
        return text

    def _add(self, stack: list[_Open], root: list[Json], value: Json, event: Any, size: int) -> None:
        """Put a value where it belongs."""
        import yaml

        if isinstance(event, yaml.AliasEvent):
            self._note(stack, event, None)
            self._count += size
        elif event.anchor is not None:
            self._anchors[event.anchor] = (value, size)
        if self._count > MAX_VALUES:
            raise self._bad(f"more than {MAX_VALUES:,} values, aliases counted", "make it smaller", event)
        if not stack:
            root.append(value)
            return
        into = stack[-1]
        if into.wants_key:
            if not isinstance(value, str):
                raise self._bad("a key is no string", "put it between quotes", event)
            if value in into.value:
                raise self._bad(f"the key {value!r} stands twice in one object", "remove one of them", event)
            into.key = value
            into.wants_key = False
        elif is_object(into.value):
            into.value[into.key] = value
            into.wants_key = True
        else:
            into.value.append(value)

    def _note(self, stack: list[_Open], event: Any, text: str | None) -> None:
        if self._places is not None:
            at = tuple(frame.key if isinstance(frame.value, dict) else len(frame.value) for frame in stack)
            self._places[at] = Place(event.start_mark.line + 1, event.start_mark.column + 1, text)

    @staticmethod
    def _bad(what: str, fix: str, event: Any) -> _Unreadable:
        return _Unreadable(what, fix, event.start_mark.line + 1, event.start_mark.column + 1)


class _Open:
    """A mapping or sequence whose end has not come."""

    __slots__ = ("count_before", "event", "key", "value", "wants_key")

    def __init__(self, value: Json, event: Any, count_before: int) -> None:
        self.value: Json = value
        self.event = event
        self.count_before = count_before
        self.key = ""
        self.wants_key = isinstance(value, dict)
