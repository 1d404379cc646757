"""Catalogue: the collections of a schema by name, and what questions and changes may say about them.

Stores call `check` before anything else, so that a mistake of the calling program is the same `Misuse` everywhere and
never a half-done write. Knows nothing of how things are kept.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from .errors import Misuse
from .model import (
    Append,
    Blobs,
    Change,
    Check,
    Claim,
    Collection,
    Compare,
    Condition,
    Delete,
    DropBlobs,
    DropJournals,
    Entries,
    Equal,
    Get,
    Insert,
    Kind,
    OneOf,
    Query,
    Select,
    Update,
    Value,
)

DIGEST: Final = re.compile(r"[0-9a-f]{64}")
MIN_INTEGER: Final = -(2**63)
MAX_INTEGER: Final = 2**63 - 1
MAX_TEXT_BYTES: Final = 4096
"""Of keys, journal names and fields: they are copied into indexes, where no database likes long ones."""
BUILT_IN: Final[Mapping[str, Kind]] = {"key": "text", "arrival": "integer"}


class Catalogue:
    """Collections by name. Errors of all methods: Misuse."""

    def __init__(self, collections: Iterable[Collection]) -> None:
        self._collections: dict[str, Collection] = {it.name: it for it in collections}

    def fields(self, collection: str) -> Mapping[str, Kind]:
        """The declared fields of a collection, in their order."""
        return self.collection(collection).fields

    def collection(self, name: str) -> Collection:
        """A collection as it was declared."""
        try:
            return self._collections[name]
        except KeyError:
            known = ", ".join(self._collections) or "none"
            raise Misuse(f"unknown collection {name!r}; the schema has {known}") from None

    def check(self, asked: Query[Any] | Change[Any]) -> None:
        """Raise unless every collection, field, value and bound is one that a store can do something with."""
        match asked:
            case Get(collection, key):
                self.fields(collection)
                _check_value(collection, "key", "text", key)
            case Select(collection):
                self._check_search(collection, asked.where, asked.order, asked.limit)
                if asked.offset < 0:
                    raise Misuse(f"{collection}: offset {asked.offset} is below 0")
            case Insert(collection, records):
                kinds = self.fields(collection)
                for record in records:
                    _check_value(collection, "key", "text", record.key)
                    _check_bytes(collection, record.document)
                    _check_values(collection, kinds, record.fields)
            case Update(collection, patches):
                kinds = self.fields(collection)
                for patch in patches:
                    _check_value(collection, "key", "text", patch.key)
                    _check_values(collection, kinds, patch.when)
                    _check_values(collection, kinds, patch.fields)
                    if patch.document is not None:
                        _check_bytes(collection, patch.document)
            case Claim(collection):
                self._check_search(collection, asked.where, asked.order, asked.limit)
                _check_values(collection, self.fields(collection), asked.fields)
            case Delete(collection, where):
                self._check_search(collection, where, (), asked.limit)
            case Check(collection, where):
                self._check_search(collection, where, (), None)
            case Append(journal, entries):
                _check_value("journal", "name", "text", journal)
                for entry in entries:
                    _check_bytes(f"journal {journal}", entry)
            case Entries(journal):
                _check_value("journal", "name", "text", journal)
                _check_limit("journal", asked.limit)
            case DropJournals(journals):
                for journal in journals:
                    _check_value("journal", "name", "text", journal)
            case DropBlobs(digests):
                check_digests(digests)
            case Blobs(digests):
                check_digests(digests or ())
                _check_limit("blobs", asked.limit)
            case _:
                raise Misuse(f"no store knows {type(asked).__name__}")

    def _check_search(
        self, collection: str, where: Sequence[Condition], order: Sequence[str], limit: int | None
    ) -> None:
        kinds = self.fields(collection)
        _check_limit(collection, limit)
        for condition in where:
            kind = _kind(collection, kinds, condition.field)
            match condition:
                case Equal(field, value):
                    if value is not None:
                        _check_value(collection, field, kind, value)
                case OneOf(field, values):
                    if isinstance(values, str):
                        raise Misuse(f"{collection}.{field}: OneOf takes several values, not {values!r}")
                    if kind == "number":
                        raise Misuse(f"{collection}.{field}: OneOf is for text and integers; compare numbers by bounds")
                    for value in values:
                        _check_value(collection, field, kind, value)
                case Compare(field, relation, value):
                    if relation not in ("<", "<=", ">", ">="):
                        raise Misuse(f"{collection}.{field}: {relation!r} is no relation")
                    _check_value(collection, field, kind, value)
        for name in order:
            _kind(collection, kinds, name.removeprefix("-"))


def check_digests(digests: Iterable[str]) -> None:
    """Raise unless all are SHA-256 digests in lower-case hexadecimal digits."""
    for digest in digests:
        if not DIGEST.fullmatch(digest):
            raise Misuse(f"{digest!r} is no SHA-256 digest of 64 lower-case hexadecimal digits")


def _kind(collection: str, kinds: Mapping[str, Kind], field: str) -> Kind:
    kind = kinds.get(field) or BUILT_IN.get(field)
    if kind is None:
        raise Misuse(f"{collection} has no field {field!r}; it has {', '.join((*BUILT_IN, *kinds))}")
    return kind


def _check_values(collection: str, kinds: Mapping[str, Kind], values: Mapping[str, Value]) -> None:
    for field, value in values.items():
        kind = kinds.get(field)
        if kind is None:
            raise Misuse(f"{collection} has no field {field!r}; it has {', '.join(kinds) or 'none'}")
        if value is not None:
            _check_value(collection, field, kind, value)


def _check_value(collection: str, field: str, kind: Kind, value: object) -> None:
    if kind == "text" and type(value) is str and value.isascii() and len(value) <= MAX_TEXT_BYTES and "\0" not in value:
        return  # what nearly all are
    match kind, value:
        case "text", str():
            if "\0" in value:
                raise Misuse(f"{collection}.{field}: text must not hold NUL: {value!r}")
            try:
                size = len(value.encode()) if not value.isascii() else len(value)
            except UnicodeEncodeError:
                raise Misuse(f"{collection}.{field}: text must not hold lone surrogates: {value!r}") from None
            if size > MAX_TEXT_BYTES:
                raise Misuse(f"{collection}.{field}: text of {size} bytes; at most {MAX_TEXT_BYTES} can be searched")
        case "integer", int() if not isinstance(value, bool):
            if not MIN_INTEGER <= value <= MAX_INTEGER:
                raise Misuse(f"{collection}.{field}: {value} does not fit 64 bits")
        case "number", int() | float() if not isinstance(value, bool):
            if not math.isfinite(value) or (abs(value) > 2**53 and isinstance(value, int)):
                raise Misuse(f"{collection}.{field}: {value} is not a finite double")
        case _:
            raise Misuse(f"{collection}.{field}: expected {kind}, got {value!r}")


def _check_bytes(place: str, data: object) -> None:
    if not isinstance(data, bytes):
        raise Misuse(f"{place}: documents and entries are bytes, not {type(data).__name__}")


def _check_limit(place: str, limit: int | None) -> None:
    if limit is not None and limit < 0:
        raise Misuse(f"{place}: limit {limit} is below 0")
