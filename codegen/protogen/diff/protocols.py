"""How two versions of a protocol differ, and whom that breaks.

Walks the messages of each method to find which way a type travels: a member that params require breaks old callers, a
value that results may newly hold breaks old readers. Reads and writes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from protogen import ir
from protogen.positions import escape
from protogen.problems import Place

from .rules import CATEGORIES, RULE, Category, Direction, Upgrade, judge
from .schemas import Compared, Pair, Side, compare

_BOTH: Final[frozenset[Direction]] = frozenset(("asked", "answered"))


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One difference with its category, the subject it is about, and the methods whose messages it concerns."""

    rule: str
    category: Category
    subject: str
    what: str
    why: str = ""
    methods: tuple[str, ...] = ()
    place: Place | None = None


class Diff(msgspec.Struct, frozen=True, kw_only=True):
    """All findings on one protocol, worst first; versions are those that the documents declare, "" for none."""

    protocol: str
    old_version: str
    new_version: str
    findings: tuple[Finding, ...]

    def count(self, category: Category) -> int:
        """How many findings are of a category."""
        return sum(finding.category == category for finding in self.findings)

    @property
    def bump(self) -> str:
        """What a version by semver must raise: `major`, `minor`, `patch` or `none`."""
        if self.count("wire-breaking") or self.count("source-breaking"):
            return "major"
        effects = {RULE[finding.rule].effect for finding in self.findings}
        return "none" if not effects else "patch" if effects == {"documents"} else "minor"

    @property
    def next_version(self) -> str | None:
        """The least version that says so, None where the old one is not made of numbers; below 1.0 minor stands for
        major."""
        parts = self.old_version.split(".")
        if not all(part.isdecimal() for part in parts):
            return None
        numbers = [int(part) for part in parts] + [0] * (3 - len(parts))
        at = {"major": 0, "minor": 1, "patch": 2}.get(self.bump)
        if at is None:
            return self.old_version
        if numbers[0] == 0 and at == 0:
            at = 1
        raised = [*numbers[:at], numbers[at] + 1, *([0] * (len(numbers) - at - 1))]
        return ".".join(map(str, raised[: max(len(parts), at + 1)]))

    @property
    def is_declared(self) -> bool:
        """Whether the new version is at least what the findings ask for; True where that cannot be told."""
        wanted, given = self.next_version, self.new_version.split(".")
        if wanted is None or not all(part.isdecimal() for part in given):
            return True
        asked = [int(part) for part in wanted.split(".")]
        said = [int(part) for part in given]
        longest = max(len(asked), len(said))
        return said + [0] * (longest - len(said)) >= asked + [0] * (longest - len(asked))


def compare_protocols(old: ir.Protocol, new: ir.Protocol, *, upgrade: Upgrade = "handlers") -> Diff:
    """Every difference, judged for the case that the side named by `upgrade` is of the new version first."""
    findings = _Comparison(old, new, upgrade).findings()
    return Diff(
        protocol=new.name,
        old_version=old.version,
        new_version=new.version,
        findings=tuple(sorted(findings, key=lambda finding: CATEGORIES.index(finding.category))),
    )


def whole_protocol(protocol: ir.Protocol, *, gone: bool) -> Diff:
    """The difference that a whole protocol makes which the other version has not."""
    rule, what = ("protocol-removed", "is gone") if gone else ("protocol-added", "is new")
    finding = Finding(rule=rule, category=judge(RULE[rule], (), "any"), subject=protocol.name, what=what)
    old, new = (protocol.version, "") if gone else ("", protocol.version)
    return Diff(protocol=protocol.name, old_version=old, new_version=new, findings=(finding,))


class _Comparison:
    """One comparison under way: the pairs of definitions that stand for each other, and who uses them."""

    def __init__(self, old: ir.Protocol, new: ir.Protocol, upgrade: Upgrade) -> None:
        self._old = old
        self._new = new
        self._upgrade: Upgrade = upgrade
        self._old_table = ir.definition_table(old)
        self._new_table = ir.definition_table(new)
        self._sides = _side(old), _side(new)
        self._compared: dict[Pair, Compared] = {}
        self._ways: dict[Pair, set[Direction]] = defaultdict(set)
        self._users: dict[Pair, dict[str, None]] = defaultdict(dict)
        self._covered: set[Pair] = set()
        self._shown: dict[str, str] = {}

    def findings(self) -> Iterator[Finding]:
        new_methods = {method.name: method for method in self._new.methods}
        common = [(method, new_methods[method.name]) for method in self._old.methods if method.name in new_methods]
        errors = {code.name: code for code in self._new.errors}
        for before, after in common:
            self._follow(before.params, after.params, "asked", after.name)
            self._follow(before.result, after.result, "answered", after.name)
            self._follow(before.events, after.events, "answered", after.name)
        for code in self._old.errors:
            if code.name in errors:
                users = [method.name for method in self._new.methods if code.name in method.errors] or [code.name]
                for user in users:
                    self._follow(code.data, errors[code.name].data, "answered", user)
        for name in self._old_table:
            pair = (name, name)
            if name in self._new_table and pair not in self._compared and pair not in self._covered:
                self._walk(pair, _BOTH, "")
        yield from self._about_protocol()
        yield from self._about_methods(common)
        yield from self._about_errors()
        yield from self._about_names()
        for pair, compared in self._compared.items():
            yield from self._about_types(pair, compared)

    # --- pairs, and which way they travel -------------------------------------------------------

    def _follow(self, old: ir.Type | None, new: ir.Type | None, way: Direction, user: str) -> None:
        if isinstance(old, ir.NamedType) and isinstance(new, ir.NamedType):
            self._walk((old.name, new.name), frozenset((way,)), user)

    def _walk(self, start: Pair, ways: frozenset[Direction], user: str) -> None:
        """Says of a pair, and of all that it leads to, that messages of these directions hold it."""
        waiting = [(start, ways)]
        while waiting:
            pair, ways = waiting.pop()
            if pair[0] not in self._old_table or pair[1] not in self._new_table:
                continue
            if ways <= self._ways[pair] and user in self._users[pair]:
                continue
            self._ways[pair] |= ways
            self._users[pair][user] = None
            compared = self._compared.get(pair)
            if compared is None:
                compared = self._compared[pair] = compare(*self._sides, pair)
                self._covered.update(compared.covered)
            for further, path in compared.pairs:
                self._shown.setdefault(further[1], self._subject(pair[1]) + "".join(path))
                waiting.append((further, ways))
            waiting += [(further, _BOTH) for further in compared.opaque]

    def _subject(self, name: str) -> str:
        """A definition as its author knows it: one that was lifted out of another is a place in that one."""
        return name if name in self._new.roots else self._shown.get(name, name)

    def _finding(
        self,
        rule: str,
        subject: str,
        what: str,
        *,
        ways: Iterable[Direction] = (),
        methods: Iterable[str] = (),
        place: Place | None = None,
    ) -> Finding:
        ways = tuple(ways)
        category = judge(RULE[rule], ways, self._upgrade)
        return Finding(
            rule=rule,
            category=category,
            subject=subject,
            what=what,
            why=_why(rule, ways, self._upgrade) if category == "wire-breaking" else "",
            methods=tuple(methods),
            place=place,
        )

    # --- what is found where --------------------------------------------------------------------

    def _main(self, pointer: str) -> Place | None:
        return Place(path=self._new.sources[0].path, pointer=pointer) if self._new.sources else None

    def _about_protocol(self) -> Iterator[Finding]:
        old, new = self._old, self._new
        if old.name != new.name:
            yield self._finding("protocol-renamed", new.name, f"was {old.name}", place=self._main("/x-protocol/name"))
        roles = {role.name for role in new.roles}, {role.name for role in old.roles}
        for role in old.roles:
            if role.name not in roles[0]:
                yield self._finding("role-removed", f"role {role.name}", "is gone", place=self._main("/x-roles"))
        for role in new.roles:
            if role.name not in roles[1]:
                place = self._main(f"/x-roles/{escape(role.name)}")
                yield self._finding("role-added", f"role {role.name}", "is new", place=place)
        for said, before, after in (
            ("path", old.http.path, new.http.path),
            ("health path", old.http.health_path, new.http.health_path),
            ("header", old.http.instance_header, new.http.instance_header),
        ):
            if before != after and not (said == "health path" and before is None):
                place = self._main("/x-transports/http")
                yield self._finding("transport-changed", f"HTTP {said}", f"was {before}, is {after}", place=place)

    def _about_methods(self, common: list[tuple[ir.Method, ir.Method]]) -> Iterator[Finding]:
        old_names, new_names = ({method.name for method in side.methods} for side in (self._old, self._new))
        for method in self._old.methods:
            if method.name not in new_names:
                place = self._main("/x-methods")
                yield self._finding("method-removed", method.name, "is gone", methods=[method.name], place=place)
        for method in self._new.methods:
            if method.name not in old_names:
                place = self._main(f"/x-methods/{escape(method.name)}")
                yield self._finding("method-added", method.name, "is new", methods=[method.name], place=place)
        for before, after in common:
            place = self._main(f"/x-methods/{escape(after.name)}")
            for rule, what, ways in _method_differences(before, after, self._new_table):
                yield self._finding(rule, after.name, what, ways=ways, methods=[after.name], place=place)

    def _about_errors(self) -> Iterator[Finding]:
        old, new = ({code.name: code for code in side.errors} for side in (self._old, self._new))
        for name, code in old.items():
            if name not in new:
                place = self._main("/x-errors")
                yield self._finding("error-removed", f"error {name}", f"is gone ({code.code})", place=place)
        for name, code in new.items():
            place, before = self._main(f"/x-errors/{escape(name)}"), old.get(name)
            if before is None:
                yield self._finding("error-added", f"error {name}", f"is new ({code.code})", place=place)
                continue
            if before.code != code.code:
                what = f"was {before.code}, is {code.code}"
                yield self._finding("error-code-changed", f"error {name}", what, place=place)
            if before.message != code.message:
                what = f"message is {code.message!r}, was {before.message!r}"
                yield self._finding("error-message-changed", f"error {name}", what, place=place)

    def _about_names(self) -> Iterator[Finding]:
        renamed: dict[str, str] = {}
        listed = {*self._old.roots, *self._new.roots}
        for old, new in self._compared:
            if old == new or not listed & {old, new}:
                continue
            place = ir.place_of(self._new_table[new])
            if old not in self._new_table and new not in self._old_table:
                renamed.setdefault(old, new)
                if renamed[old] == new:
                    yield self._finding("type-renamed", new, f"was {old}", place=place)
            else:
                yield self._finding("type-replaced", new, f"stands where {old} stood", place=place)
        for name in self._old.roots:
            if name not in self._new_table and name not in renamed:
                yield self._finding("type-removed", name, "is gone", place=self._main(""))
        for name in self._new.roots:
            if name not in self._old_table and name not in renamed.values():
                yield self._finding("type-added", name, "is new", place=ir.place_of(self._new_table[name]))

    def _about_types(self, pair: Pair, compared: Compared) -> Iterator[Finding]:
        old, new = self._old_table[pair[0]], self._new_table[pair[1]]
        users = [user for user in self._users[pair] if user]
        for difference in compared.differences:
            yield self._finding(
                difference.rule,
                self._subject(new.name) + "".join(difference.path),
                difference.what,
                ways=self._ways[pair],
                methods=users,
                place=_at(new, difference.path),
            )
        for rule, path, what in _annotations(old, new):
            yield self._finding(
                rule,
                self._subject(new.name) + "".join(path),
                what,
                ways=self._ways[pair],
                methods=users,
                place=_at(new, path),
            )


def _side(protocol: ir.Protocol) -> Side:
    unions = [entry for entry in protocol.definitions if isinstance(entry, ir.Union) and entry.open and entry.tag]
    return Side(
        definitions=protocol.schema["definitions"],
        open_unions={
            union.name: tuple(arm.type.name for arm in union.arms if isinstance(arm.type, ir.NamedType))
            for union in unions
        },
    )


def _method_differences(
    old: ir.Method, new: ir.Method, table: dict[str, ir.AnyDefinition]
) -> Iterator[tuple[str, str, tuple[Direction, ...]]]:
    if old.kind != new.kind:
        yield "method-kind-changed", f"was a {old.kind}, is a {new.kind}", ()
    if (old.sender, old.receiver) != (new.sender, new.receiver):
        what = f"was from {old.sender} to {old.receiver}, is from {new.sender} to {new.receiver}"
        yield "method-direction-changed", what, ()
    if old.param_structure != new.param_structure:
        what = f"params were {old.param_structure}, are {new.param_structure}"
        word = "narrowed" if old.param_structure == "either" else "widened" if new.param_structure == "either" else ""
        yield f"params-structure-{word or 'changed'}", what, ("asked",)
    if old.params is None and new.params is not None:
        record = table.get(new.params.name) if isinstance(new.params, ir.NamedType) else None
        needs = isinstance(record, ir.Record) and any(field.required for field in record.fields)
        yield "params-required" if needs else "params-added", "takes params", ("asked",)
    elif old.params is not None and new.params is None:
        yield "params-removed", "takes no params", ("asked",)
    if old.events is None and new.events is not None:
        yield "events-added", "streams events", ("answered",)
    elif old.events is not None and new.events is None:
        yield "events-removed", "streams no events", ("answered",)
    elif old.event_framing != new.event_framing:
        yield "event-framing-changed", f"events were framed as {old.event_framing}, are as {new.event_framing}", ()
    for before, after, way in (
        (old.params, new.params, "asked"),
        (old.result, new.result, "answered"),
        (old.events, new.events, "answered"),
    ):
        # A named type against any JSON at all: definitions are compared elsewhere.
        if before is not None and after is not None and isinstance(before, ir.AnyType) != isinstance(after, ir.AnyType):
            rule = "type-widened" if isinstance(after, ir.AnyType) else "type-narrowed"
            word = "params" if way == "asked" else "result"
            direction: Direction = "asked" if way == "asked" else "answered"
            yield rule, f"{word}: any JSON {'is taken' if rule == 'type-widened' else 'was taken'}", (direction,)
    if old.idempotent != new.idempotent:
        yield "retry-added" if new.idempotent else "retry-removed", f"idempotent: {str(new.idempotent).lower()}", ()
    for name in old.errors:
        if name not in new.errors:
            yield "method-error-removed", f"no longer gives {name}", ()
    for name in new.errors:
        if name not in old.errors:
            yield "error-added", f"may give {name}", ()
    if old.deprecated != new.deprecated:
        yield "deprecated", f"is {'' if new.deprecated else 'no longer '}deprecated", ()
    if (old.summary, old.doc) != (new.summary, new.doc):
        yield "documentation", "is described in other words", ()


def _annotations(old: ir.AnyDefinition, new: ir.AnyDefinition) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """What differs beside the schema: defaults, formats, marks and words."""
    if old.deprecated != new.deprecated:
        yield "deprecated", (), f"is {'' if new.deprecated else 'no longer '}deprecated"
    if old.doc != new.doc:
        yield "documentation", (), "is described in other words"
    if not isinstance(old, ir.Record) or not isinstance(new, ir.Record):
        return
    known = {field.wire: field for field in old.fields}
    for field in new.fields:
        before, path = known.get(field.wire), (f".{field.wire}",)
        if before is None:
            continue
        if not _same(before.default, field.default):
            yield "default-changed", path, f"default {_default(before.default)}, now {_default(field.default)}"
        formats = _format(before.type), _format(field.type)
        if formats[0] != formats[1]:
            yield "format-changed", path, f"format was {formats[0] or 'none'}, is {formats[1] or 'none'}"
        if before.deprecated != field.deprecated:
            yield "deprecated", path, f"is {'' if field.deprecated else 'no longer '}deprecated"
        if before.doc != field.doc:
            yield "documentation", path, "is described in other words"


def _same(one: Any, other: Any) -> bool:
    if one is ir.UNSET or other is ir.UNSET:
        return one is other
    return msgspec.json.encode(one, order="sorted") == msgspec.json.encode(other, order="sorted")


def _default(value: Any) -> str:
    return "was not given" if value is ir.UNSET else f"is {msgspec.json.encode(value).decode()}"


def _format(type_: ir.Type) -> str | None:
    inner = type_.of if isinstance(type_, ir.NullableType) else type_
    return inner.format if isinstance(inner, ir.StringType | ir.IntegerType | ir.NumberType) else None


def _at(definition: ir.AnyDefinition, path: tuple[str, ...]) -> Place | None:
    place = ir.place_of(definition)
    if place is None:
        return None
    steps = {"[]": "/items", "{}": "/additionalProperties"}
    way = "".join(
        steps.get(step) or (f"/properties/{escape(step[1:])}" if step[0] == "." else f"/prefixItems/{step[1:-1]}")
        for step in path
    )
    return Place(path=place.path, pointer=place.pointer + way)


def _why(rule: str, ways: tuple[Direction, ...], upgrade: Upgrade) -> str:
    """Whom it breaks, in a sentence."""
    effect = RULE[rule].effect
    if effect == "breaks":
        return "old and new peers do not understand each other here"
    said = {
        ("narrows", "asked"): "what old callers send may be refused",
        ("widens", "answered"): "old callers may get what they do not take",
        ("widens", "asked"): "what new callers send may be refused by old handlers",
        ("narrows", "answered"): "what old handlers answer may be refused by new callers",
    }
    asked = {"handlers": (0, 1), "callers": (2, 3), "any": (0, 1, 2, 3)}[upgrade]
    keys = list(said)
    return "; ".join(said[keys[at]] for at in asked if keys[at] in {(effect, way) for way in ways})
