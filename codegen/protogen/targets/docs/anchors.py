"""Where everything of a protocol stands in its reference: stable pages and ids, whatever it is called.

Knows which characters an id may have; the same name has the same id in every build.
"""

from __future__ import annotations

import re

import msgspec

from protogen import ir
from protogen.targets.docs.blocks import Anchor

_PLAIN = re.compile(r"[A-Za-z0-9._/$-]")
"""What an id and the fragment of a link may hold unchanged, in HTML, in Markdown and in an address bar."""


class Anchors(msgspec.Struct, frozen=True, kw_only=True):
    """The places of a protocol's parts; members by the name of their type and their own."""

    roles: dict[str, Anchor]
    methods: dict[str, Anchor]
    types: dict[str, Anchor]
    errors: dict[str, Anchor]
    members: dict[tuple[str, str], Anchor]


def anchors(protocol: ir.Protocol) -> Anchors:
    """An anchor for every role, method, type, error and member of a record."""
    taken: set[str] = set()
    members = [
        (definition.name, field.wire)
        for definition in protocol.definitions
        if isinstance(definition, ir.Record)
        for field in definition.fields
    ]
    return Anchors(
        roles={role.name: _anchor("README", f"role-{role.name}", taken) for role in protocol.roles},
        methods={method.name: _anchor("methods", f"method-{method.name}", taken) for method in protocol.methods},
        types={entry.name: _anchor("types", f"type-{entry.name}", taken) for entry in protocol.definitions},
        errors={code.name: _anchor("errors", f"error-{code.name}", taken) for code in protocol.errors},
        members={pair: _anchor("types", f"member-{pair[0]}.{pair[1]}", taken) for pair in members},
    )


def _anchor(page: str, text: str, taken: set[str]) -> Anchor:
    plain = "".join(letter if _PLAIN.match(letter) else f"_{ord(letter):x}_" for letter in text)
    chosen, count = plain, 1
    while chosen.lower() in taken:
        count += 1
        chosen = f"{plain}-{count}"
    taken.add(chosen.lower())
    return Anchor(page, chosen)
