"""Data: what a store keeps, what it is asked, and what it is told to change.

Knows nothing of how or where anything is kept. All values are frozen and may be shared between threads; whoever hands
in a mapping must not change it afterwards.

A store keeps three kinds of things:

- *records* in named *collections*: a key, a document (bytes that the store never reads, JSON by convention) and
  *fields*, the few values that are searched, ordered and compared;
- *journals*: named, append-only sequences of entries, numbered from 1;
- *blobs*: bytes under their SHA-256 digest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, Generic, Literal, TypeAlias, TypeVar

import msgspec

from .errors import Misuse

Value: TypeAlias = str | int | float | None
"""What a field holds. Text has no NUL and no lone surrogate, integers fit 64 bits, numbers are finite; no booleans."""

Kind: TypeAlias = Literal["text", "integer", "number"]

R_co = TypeVar("R_co", covariant=True)

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,47}")
"""Collections and fields are columns and tables in most stores; this is what all of them can name."""
RESERVED_FIELDS: Final = ("key", "arrival", "document", "rowid", "oid")
RESERVED_PREFIXES: Final = ("protogen_", "sqlite_", "pg_")


class Collection(msgspec.Struct, frozen=True):
    """One set of records: its fields with their kinds, and what is found, ordered and counted without looking at all.

    Every field may be None. `key` (text, unique) and `arrival` (integer, rising with each insertion) can be used in
    conditions and orders like fields; they are always indexed.
    """

    name: str
    fields: Mapping[str, Kind] = {}
    indexes: Sequence[Sequence[str]] = ()
    """Fields that are searched and ordered together, as in `Select.order` with `-` where the order descends.

    An index serves conditions that say `Equal` of its first fields, and then the order of those that follow, and then
    that of arrival: the first records of such a `Select` or `Claim` cost what they are, not what else there is.
    """
    counts: Sequence[Sequence[str]] = ()
    """Text and integer fields by which records are kept counted.

    How many records meet `Equal` and `OneOf` conditions on fields of one of these groups is known without looking at
    them. Each group makes insertions, removals and changes of its fields a little dearer; it pays where the total of
    many records is asked for often.
    """

    def __post_init__(self) -> None:
        for name in (self.name, *self.fields):
            if not NAME.fullmatch(name):
                raise Misuse(f"{self.name}: {name!r} is no name; use lower-case letters, digits and _, at most 48")
        if self.name.startswith(RESERVED_PREFIXES):
            raise Misuse(f"collection {self.name!r}: names that begin with {', '.join(RESERVED_PREFIXES)} are reserved")
        taken = [name for name in self.fields if name in RESERVED_FIELDS]
        if taken:
            raise Misuse(f"{self.name}: field {taken[0]!r} is reserved")
        for index in self.indexes:
            names = [name.removeprefix("-") for name in index]
            if not names or len({*names}) < len(names) or not self.fields.keys() >= {*names}:
                raise Misuse(f"{self.name}: index {tuple(index)!r} must name fields of the collection, each once")
        for group in self.counts:
            if not group or len({*group}) < len(group) or not self.fields.keys() >= {*group}:
                raise Misuse(f"{self.name}: count {tuple(group)!r} must name fields of the collection, each once")
            numbers = [name for name in group if self.fields[name] == "number"]
            if numbers:
                raise Misuse(f"{self.name}: {numbers[0]!r} is a number; records are counted by text and integers")


# gc=False: they hold nothing that could lead back to them, and there may be hundreds of thousands to look at otherwise.
class Record(msgspec.Struct, frozen=True, gc=False):
    """One record. `arrival` is given by the store; on insertion it is ignored."""

    key: str
    document: bytes
    fields: Mapping[str, Value] = {}
    """On insertion, what is left out is None; what was read holds every field."""
    arrival: int = 0


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One entry of a journal: its place, from 1, and its bytes."""

    sequence: int
    data: bytes


class Blob(msgspec.Struct, frozen=True, gc=False):
    """What is known of a blob besides its bytes."""

    digest: str
    """SHA-256 in 64 lower-case hexadecimal digits."""
    size: int
    put_at: float
    """Seconds since the epoch when it was last put, whether or not it was there already."""


class Page(msgspec.Struct, frozen=True):
    """Records in the order asked for, and how many there are in all pages together where that was asked."""

    records: tuple[Record, ...]
    total: int | None = None


# --- conditions -----------------------------------------------------------------------------------


class Equal(msgspec.Struct, frozen=True, tag=True):
    """The field has this value; None finds the records where it has none."""

    field: str
    value: Value


class OneOf(msgspec.Struct, frozen=True, tag=True):
    """The text or integer field has one of these values, of which none is None; there may be thousands, or none."""

    field: str
    values: Sequence[str | int]


class Compare(msgspec.Struct, frozen=True, tag=True):
    """The field stands in this relation to the value; text compares by code points. None stands in no relation."""

    field: str
    relation: Literal["<", "<=", ">", ">="]
    value: str | int | float


Condition: TypeAlias = Equal | OneOf | Compare


# --- questions ------------------------------------------------------------------------------------


class Query(msgspec.Struct, Generic[R_co], frozen=True):
    """A question whose answer is an `R_co`."""


class Get(Query["Record | None"], frozen=True):
    """The record of this key, or None."""

    collection: str
    key: str


class Select(Query[Page], frozen=True):
    """The records of a collection that meet all conditions.

    `order` names fields, with `-` in front for the descending order; None comes before every value. What is equal in
    them, and everything where `order` is empty, stands in the order of arrival, so that pages never overlap.
    """

    collection: str
    where: Sequence[Condition] = ()
    order: Sequence[str] = ()
    limit: int | None = None
    offset: int = 0
    total: bool = False
    """Count the records of all pages, too, in the same snapshot."""
    documents: bool = True
    """False leaves documents empty (`b""`), which is cheaper for large ones."""


class Entries(Query[tuple[Entry, ...]], frozen=True):
    """The entries of a journal behind the place `after`, in order; none where the journal does not exist."""

    journal: str
    after: int = 0
    limit: int | None = None


class Blobs(Query[tuple[Blob, ...]], frozen=True):
    """What is known of blobs, by digest: of `digests` those that exist, else all, behind the digest `after`."""

    digests: Sequence[str] | None = None
    put_before: float | None = None
    after: str = ""
    limit: int | None = None


# --- changes --------------------------------------------------------------------------------------


class Change(msgspec.Struct, Generic[R_co], frozen=True, tag=True):
    """A change that answers with an `R_co` once it is made. `AnyChange` reads changes from JSON."""


class Insert(Change[tuple[str, ...]], frozen=True):
    """Add records, which arrive in their order; answers with the keys that were written.

    `existing` says what becomes of a key that is there already: "refuse" raises KeyTaken, "keep" leaves the old record,
    "replace" gives it the new document and fields (and keeps its arrival).
    """

    collection: str
    records: Sequence[Record]
    existing: Literal["refuse", "keep", "replace"] = "refuse"


class Patch(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What becomes of one record, and what must be so for it."""

    key: str
    when: Mapping[str, Value] = {}
    """Compare-and-set: the values that these fields must have before."""
    fields: Mapping[str, Value] = {}
    """The fields that change; the others stay."""
    document: bytes | None = None
    """The new document, or None where the old one stays."""


class Update(Change[tuple[str, ...]], frozen=True):
    """Change records by key, one patch after the other; answers with the keys that were changed, in the order of the
    patches.

    A patch whose record is missing or is not as `when` says is *missed*: "refuse" raises ExpectationFailed, "skip" goes
    on.
    """

    collection: str
    patches: Sequence[Patch]
    missed: Literal["refuse", "skip"] = "refuse"


class Claim(Change[tuple[Record, ...]], frozen=True):
    """Give the first `limit` records that meet all conditions these fields; answers with them as they are then, in
    order.

    No two claims get a record that the fields of one exclude from the conditions of the other.
    """

    collection: str
    where: Sequence[Condition]
    fields: Mapping[str, Value]
    order: Sequence[str] = ()
    limit: int | None = None
    documents: bool = True


class Delete(Change[int], frozen=True):
    """Remove the records that meet all conditions, or the first `limit` of them to arrive; answers with their number.

    Where `expect` is given, another number raises ExpectationFailed.
    """

    collection: str
    where: Sequence[Condition]
    expect: int | None = None
    limit: int | None = None


class Check(Change[int], frozen=True):
    """Change nothing, but raise ExpectationFailed unless the number of matching records lies within the bounds.

    It guards the other changes of a transaction: a parent that must exist, children that must not. Answers with the
    number.
    """

    collection: str
    where: Sequence[Condition]
    least: int = 0
    most: int | None = None


class Append(Change[int], frozen=True):
    """Add entries at the end of a journal, which begins to exist with the first; answers with the last entry's place.

    Where `after` is given, ExpectationFailed is raised unless the journal ends there (0: unless it is empty).
    """

    journal: str
    entries: Sequence[bytes]
    after: int | None = None


class DropJournals(Change[int], frozen=True):
    """Remove journals; answers with the number of entries removed. A journal of the same name begins with 1 again."""

    journals: Sequence[str]


class DropBlobs(Change[int], frozen=True):
    """Remove blobs; answers with the number of those that were there. Readers that have one open read it to its end."""

    digests: Sequence[str]


AnyChange: TypeAlias = Insert | Update | Claim | Delete | Check | Append | DropJournals | DropBlobs
"""Every kind of change: with their class names as tags, a log can keep them as JSON (bytes as base64)."""


def bounds(least: int, most: int | None) -> str:
    """The bounds of a `Check` in words."""
    if most is None:
        return f"at least {least}"
    return str(least) if least == most else f"{least} to {most}"
