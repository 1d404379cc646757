"""Versions: whether data that was written with one schema can be opened with another, and what lies between the two.

Knows nothing of how things are kept: a store writes a `Written` beside its data, and asks here when it opens it again.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from .errors import CannotOpen, Misuse
from .interface import Schema
from .model import Collection


class Written(msgspec.Struct, frozen=True):
    """What of a schema is written beside the data; readable from and to JSON."""

    application: str
    version: int
    collections: Sequence[Collection]


def written(schema: Schema) -> Written:
    """A schema as it is written, its sequences as those that JSON gives back, so that two can be compared."""
    whole = Written(schema.application, schema.version, schema.collections)
    return msgspec.json.decode(msgspec.json.encode(whole), type=Written)


def must_migrate(found: Written, schema: Schema, place: str) -> bool:
    """Whether data at `place` must be migrated before it can be used with `schema`.

    Errors: CannotOpen for data of another application or a newer version, Misuse for a schema that contradicts it.
    """
    if found.application != schema.application:
        raise CannotOpen(f"{place} belongs to {found.application}, not to {schema.application}; choose another file")
    if found.version > schema.version:
        raise CannotOpen(
            f"{place} was written by a newer {found.application} (version {found.version}, this one knows"
            f" {schema.version}); update the program or choose another file"
        )
    before = {it.name: it for it in found.collections}
    after = {it.name: it for it in written(schema).collections}
    if found.version == schema.version:
        if before != after:
            raise Misuse(
                f"{found.application}: the collections are not those that version {found.version} of {place} was made"
                " with; raise Schema.version"
            )
        return False
    for name in before.keys() & after.keys():
        for field, kind in after[name].fields.items():
            if before[name].fields.get(field, kind) != kind:
                raise Misuse(f"{name}.{field}: the kind of a field cannot change; add another field")
    return True


def both(found: Written, schema: Schema) -> list[Collection]:
    """The collections that migrations work with: the fields of both versions, indexes and counts of the new one."""
    before = {it.name: it for it in found.collections}
    after = {it.name: it for it in written(schema).collections}
    return [
        Collection(
            name,
            {**(before[name].fields if name in before else {}), **(after[name].fields if name in after else {})},
            after[name].indexes if name in after else (),
            after[name].counts if name in after else (),
        )
        for name in {**before, **after}
    ]
