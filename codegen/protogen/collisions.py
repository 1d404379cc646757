"""Names of the source that become one name in a language, found before any target settles them.

Targets number such names; an author who cares gives better ones. Knows styles, not languages.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from protogen import ir
from protogen.bundle import Bundle, Site
from protogen.naming import pascal
from protogen.normalise import NormalSchema
from protogen.positions import escape
from protogen.problems import Place, Problem, error, warning

Where = Callable[[str], Place]


def collisions(protocol: ir.Protocol, bundle: Bundle, normal: Iterable[NormalSchema]) -> list[Problem]:
    """A Problem for each group of names in one scope that differ only in case and separators."""
    sites = {entry.name: entry.site for entry in normal}
    main = bundle.main
    found: list[Problem] = []
    found += _clashes(
        "definitions", [(entry.name, entry.pin) for entry in protocol.definitions], lambda name: sites[name].place()
    )
    found += _clashes(
        "methods",
        [(method.name, method.pin) for method in protocol.methods],
        lambda name: main.place(f"/x-methods/{escape(name)}"),
    )
    found += _clashes(
        "errors",
        [(entry.name, entry.pin) for entry in protocol.errors],
        lambda name: main.place(f"/x-errors/{escape(name)}"),
    )
    for record in protocol.definitions:
        if isinstance(record, ir.Record):
            fields = [(field.wire, field.pin) for field in record.fields]
            found += _clashes(f'properties of "{record.name}"', fields, partial(_property, sites[record.name]))
    return found


def _property(site: Site, wire: str) -> Place:
    return site.place(f"/properties/{escape(wire)}")


def _clashes(what: str, names: list[tuple[str, str | None]], where: Where) -> Iterator[Problem]:
    groups: dict[str, list[tuple[str, str | None]]] = defaultdict(list)
    for name, pin in names:
        groups[(pin if pin is not None else pascal(name)).casefold()].append((name, pin))
    for group in groups.values():
        if len(group) < 2:
            continue
        quoted = " and ".join(f'"{name}"' for name, _ in group)
        pinned = [name for name, pin in group if pin is not None]
        if len(pinned) > 1:
            fix = 'change one "x-protogen-name"'
            yield error("PG108", f"{what} {quoted} are pinned to one name", fix=fix, place=where(pinned[-1]))
        else:
            yield warning(
                "PG107",
                f"{what} {quoted} become one name in a language's style and are numbered",
                fix='give one a name of its own with "x-protogen-name"',
                place=where(group[-1][0]),
            )
