"""How two lowered schemas differ, rule by rule.

Compares definitions pair by pair: a pair has differences of its own, and leads to the pairs that both sides refer to.
What a difference means for anybody is decided elsewhere. Knows no protocol and no file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

import msgspec

from protogen.normalise import is_null, referred

from .rules import RULE

Schema = dict[str, Any] | bool
Pair = tuple[str, str]
"""Names of an old definition and of the new one in its place."""


class Difference(msgspec.Struct, frozen=True):
    """One difference: its rule, the way from the definition to the place (`.name`, `[]`, `{}`), and what it is."""

    rule: str
    path: tuple[str, ...]
    what: str


class Compared(msgspec.Struct, frozen=True):
    """A pair of definitions: what differs in them, and to which pairs they lead.

    `pairs` come with the way to them. `opaque` ones are referred to from conditions that turn meanings round (`not`,
    `if` …): whatever differs there may narrow and widen alike. `covered` ones need no comparison of their own here.
    """

    differences: tuple[Difference, ...]
    pairs: tuple[tuple[Pair, tuple[str, ...]], ...]
    opaque: tuple[Pair, ...]
    covered: tuple[Pair, ...]


class Side(msgspec.Struct, frozen=True):
    """The definitions of one version, and which of its unions are open (to the names of the arms that they list)."""

    definitions: Mapping[str, Schema]
    open_unions: Mapping[str, tuple[str, ...]]


_KINDS: Final = ("null", "boolean", "integer", "number", "string", "array", "object")
_OPAQUE: Final = (
    *("patternProperties", "propertyNames", "dependencies", "not", "if", "then", "else", "contains"),
    *("minContains", "maxContains", "unevaluatedItems", "unevaluatedProperties", "pattern"),
)
_LEAST: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_MOST: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_OBJECT: Final = frozenset(("type", "properties", "required", "allOf"))


def compare(old: Side, new: Side, pair: Pair) -> Compared:
    """The differences between definition `pair[0]` of the old side and `pair[1]` of the new one."""
    comparer = _Comparer(old, new)
    comparer.definitions(pair)
    return Compared(
        tuple(dict.fromkeys(comparer.differences)),
        tuple(dict.fromkeys(comparer.pairs)),
        tuple(dict.fromkeys(comparer.opaque)),
        tuple(dict.fromkeys(comparer.covered)),
    )


class _Comparer:
    """What has been found so far about one pair."""

    def __init__(self, old: Side, new: Side) -> None:
        self._old = old
        self._new = new
        self._open: set[Pair] = set()
        self.differences: list[Difference] = []
        self.pairs: list[tuple[Pair, tuple[str, ...]]] = []
        self.opaque: list[Pair] = []
        self.covered: list[Pair] = []

    def definitions(self, pair: Pair) -> None:
        before, after = (self._old.open_unions.get(pair[0]), self._new.open_unions.get(pair[1]))
        if before is not None and after is not None:
            self._open_arms(before, after)
            return
        if before is not None or after is not None:
            old_arms = before if before is not None else _references(self._old.definitions[pair[0]])
            new_arms = after if after is not None else _references(self._new.definitions[pair[1]])
            if old_arms and new_arms:
                opened = before is None
                self._say(
                    "union-opened" if opened else "union-closed",
                    (),
                    f"alternatives that are not listed are {'taken' if opened else 'refused'}",
                )
                self._open_arms(old_arms, new_arms, known=False)
                return
        self._schemas(self._old.definitions[pair[0]], self._new.definitions[pair[1]], ())

    def _open_arms(self, before: tuple[str, ...], after: tuple[str, ...], *, known: bool = True) -> None:
        prefix = "known-arm" if known else "arm"
        matched, gone, come = _matched(
            [{"$ref": f"#/definitions/{_escaped(name)}"} for name in before],
            [{"$ref": f"#/definitions/{_escaped(name)}"} for name in after],
            self._old,
            self._new,
        )
        for one, other in matched:
            self._schemas(one, other, ())
        for arm in gone:
            self._say(f"{prefix}-removed", (), f"{_label(arm)} is gone")
        for arm in come:
            self._say(f"{prefix}-added", (), f"{_label(arm)} is new")

    def _say(self, rule: str, path: tuple[str, ...], what: str) -> None:
        self.differences.append(Difference(rule, path, what))

    # --- any two schemas ------------------------------------------------------------------------

    def _schemas(self, old: Schema, new: Schema, path: tuple[str, ...]) -> None:
        before, after = referred(old), referred(new)
        if before is not None and after is not None:
            self.pairs.append(((before, after), path))
            return
        if before is not None or after is not None:
            # A reference against what is written in its place: followed, once for each two names on the way.
            key = (before or "", after or "")
            name = before if before is not None else after
            side = self._old if before is not None else self._new
            if name is None or key in self._open or name not in side.definitions:
                return
            self._open.add(key)
            target = side.definitions[name]
            self._schemas(target if before is not None else old, new if before is not None else target, path)
            self._open.discard(key)
            return
        old_arms, new_arms = _arms(old), _arms(new)
        if old_arms is not None or new_arms is not None:
            exclusive = any(isinstance(schema, dict) and "oneOf" in schema for schema in (old, new))
            self._unions(old_arms or _by_type(old), new_arms or _by_type(new), path, exclusive=exclusive)
            return
        if old is False or new is False:
            if old is not new:
                rule = "constraint-added" if new is False else "constraint-removed"
                self._say(rule, path, "nothing is taken" if new is False else "values are taken, where none were")
            return
        self._keywords({} if old is True else old, {} if new is True else new, path)

    def _unions(self, old: list[Schema], new: list[Schema], path: tuple[str, ...], *, exclusive: bool) -> None:
        """Compares alternatives. Where exactly one may fit, and two might, a wider one can narrow the whole."""
        if not exclusive or (_are_disjoint(old, self._old) and _are_disjoint(new, self._new)):
            self._alternatives(old, new, path)
            return
        said, led = len(self.differences), len(self.pairs)
        self._alternatives(old, new, path)
        if any(RULE[difference.rule].effect in ("narrows", "widens") for difference in self.differences[said:]):
            self._say("constraint-changed", path, "oneOf takes what exactly one alternative takes, and two may overlap")
        self.opaque += [pair for pair, _ in self.pairs[led:]]

    def _alternatives(self, old: list[Schema], new: list[Schema], path: tuple[str, ...]) -> None:
        before, after = _known_values(old, self._old), _known_values(new, self._new)
        if before is not None and after is not None:
            for value in _without(before.values, after.values):
                self._say("known-value-removed", path, f"{_json(value)} is not listed any more")
            for value in _without(after.values, before.values):
                self._say("known-value-added", path, f"{_json(value)} is listed")
            self.covered += [(one, other) for one in before.names for other in after.names]
            old, new = _rest(old, before.arms), _rest(new, after.arms)
        elif before is not None:
            old, new = self._closed(before, old, new, path)
        elif after is not None:
            new, old = self._closed(after, new, old, path, opened=True)
        matched, gone_arms, come_arms = _matched(old, new, self._old, self._new)
        for one_arm, other_arm in matched:
            self._schemas(one_arm, other_arm, path)
        if not matched and gone_arms and come_arms:
            labels = [" or ".join(map(_label, arms)) for arms in (gone_arms, come_arms)]
            self._say("type-changed", path, f"was {labels[0]}, is {labels[1]}")
            return
        for arm in gone_arms:
            if is_null(arm):
                self._say("null-refused", path, "null is refused")
            else:
                self._say("arm-removed", path, f"{_label(arm)} is gone")
        for arm in come_arms:
            if is_null(arm):
                self._say("null-allowed", path, "null is taken")
            else:
                self._say("arm-added", path, f"{_label(arm)} is new")

    def _closed(
        self, known: _Known, arms: list[Schema], others: list[Schema], path: tuple[str, ...], *, opened: bool = False
    ) -> tuple[list[Schema], list[Schema]]:
        """Compares an open enum with a closed one on the other side, if it has one; gives the arms that are left."""
        side = self._old if opened else self._new
        closed = [arm for arm in others if _values(_target(arm, side)) is not None]
        if len(closed) != 1:
            return arms, others
        self._say(
            "enum-opened" if opened else "enum-closed",
            path,
            f"values that are not listed are {'taken' if opened else 'refused'}",
        )
        listed = _values(_target(closed[0], side)) or []
        before, after = (listed, known.values) if opened else (known.values, listed)
        self._values_changed(_without(before, after), _without(after, before), path)
        return _rest(arms, known.arms), _rest(others, closed)

    # --- keyword by keyword ---------------------------------------------------------------------

    def _keywords(self, old: dict[str, Any], new: dict[str, Any], path: tuple[str, ...]) -> None:
        old, new = self._flattened(old, new, path)
        if not self._types(old, new, path):
            return
        self._enums(old, new, path)
        self._bounds(old, new, path)
        self._multiples(old, new, path)
        if old.get("uniqueItems") is not new.get("uniqueItems"):
            unique = new.get("uniqueItems") is True
            if unique or old.get("uniqueItems") is True:
                rule = "constraint-added" if unique else "constraint-removed"
                self._say(rule, path, f"equal members are {'refused' if unique else 'taken'}")
        self._objects(old, new, path)
        self._arrays(old, new, path)
        self._conditions(old, new, path)

    def _types(self, old: dict[str, Any], new: dict[str, Any], path: tuple[str, ...]) -> bool:
        """Compares types; whether the values have any type in common."""
        before, after = _kinds(old), _kinds(new)
        if before == after:
            return True
        said = f"was {_kinds_said(before)}, is {_kinds_said(after)}"
        if not before & after:
            self._say("type-changed", path, said)
            return False
        for kinds, rule, null_rule in (
            (before - after, "type-narrowed", "null-refused"),
            (after - before, "type-widened", "null-allowed"),
        ):
            alone = {"null"} if len(kinds) < len(_KINDS) - 2 else set[str]()
            if kinds & alone:
                self._say(null_rule, path, f"null is {'refused' if null_rule == 'null-refused' else 'taken'}")
            if kinds - alone:
                self._say(rule, path, said)
        return True

    def _enums(self, old: dict[str, Any], new: dict[str, Any], path: tuple[str, ...]) -> None:
        before, after = _values(old), _values(new)
        if before is None and after is None:
            return
        if before is None or after is None:
            listed = before if after is None else after
            rule = "enum-opened" if after is None else "enum-closed"
            self._say(rule, path, f"{'any value' if after is None else 'only ' + _listed(listed)} is taken")
            return
        gone, come = _without(before, after), _without(after, before)
        if "const" in old and "const" in new and gone:
            self._say("const-changed", path, f"was {_json(old['const'])}, is {_json(new['const'])}")
            return
        self._values_changed(gone, come, path)

    def _values_changed(self, gone: Iterable[Any], come: Iterable[Any], path: tuple[str, ...]) -> None:
        for value in gone:
            self._say("enum-value-removed", path, f"{_json(value)} is gone")
        for value in come:
            self._say("enum-value-added", path, f"{_json(value)} is new")

    def _bounds(self, old: dict[str, Any], new: dict[str, Any], path: tuple[str, ...]) -> None:
        for words, tighter in ((_LEAST, 1), (_MOST, -1)):
            for word in words:
                before, after = old.get(word), new.get(word)
                if before == after:
                    continue
                narrower = before is None or (after is not None and (after - before) * tighter > 0)
                rule = "bound-tightened" if narrower else "bound-loosened"
                self._say(rule, path, f"{word} {_was(before, after)}")

    def _multiples(self, old: dict[str, Any], new: dict[str, Any], path: tuple[str, ...]) -> None:
        before, after = old.get("multipleOf"), new.get("multipleOf")
        if before == after:
            return
        if before is None or (after is not None and after % before == 0):
            rule = "bound-tightened"
        elif after is None or before % after == 0:
            rule = "bound-loosened"
        else:
            rule = "constraint-changed"
        self._say(rule, path, f"multipleOf {_was(before, after)}")

    def _objects(self, old: dict[str, Any], new: dict[str, Any], path: tuple[str, ...]) -> None:
        before, after = old.get("properties", {}), new.get("properties", {})
        needed, wanted = old.get("required", ()), new.get("required", ())
        rest, others = old.get("additionalProperties", True), new.get("additionalProperties", True)
        for name in dict.fromkeys([*before, *needed]):
            here = (*path, f".{name}")
            if name in after or name in wanted:
                if name in needed and name not in wanted:
                    self._say("property-optional", here, "was required, is optional")
                elif name in wanted and name not in needed:
                    self._say("property-required", here, "was optional, is required")
                if name in before or name in after:
                    self._schemas(before.get(name, rest), after.get(name, others), here)
            elif others is False:
                self._say("property-removed-from-closed", here, "is gone, and refused as an unknown member")
                if name in needed:
                    self._say("required-property-removed", here, "is gone; messages came with it")
            elif name in needed:
                self._say("required-property-removed", here, "is gone; messages came with it")
                self._unknown_now(before.get(name, rest), others, here)
            else:
                self._say("property-removed", here, "is gone")
                self._unknown_now(before.get(name, rest), others, here)
        for name in dict.fromkeys([*after, *wanted]):
            here = (*path, f".{name}")
            if name in before or name in needed:
                continue
            if name in wanted:
                self._say("required-property-added", here, "is new and required")
            if rest is False:
                self._say("property-added-to-closed", here, "is new, and was refused as an unknown member")
            elif name not in wanted:
                self._say("property-added", here, "is new")
                if isinstance(rest, dict) and rest:
                    self._schemas(rest, after.get(name, others), here)
        self._unknown_members(rest, others, path)

    def _unknown_now(self, before: Schema, others: Schema, here: tuple[str, ...]) -> None:
        if isinstance(others, dict) and others:
            self._schemas(before, others, here)

    def _unknown_members(self, rest: Schema, others: Schema, path: tuple[str, ...]) -> None:
        was_open, is_open = rest is True or rest == {}, others is True or others == {}
        if was_open and is_open:
            return
        if was_open or others is False:
            if rest is not False:
                self._say("object-closed", path, f"unknown members are {'refused' if others is False else 'bound'}")
        elif is_open or rest is False:
            self._say("object-opened", path, f"unknown members are taken{'' if is_open else ', within bounds'}")
        else:
            self._schemas(rest, others, (*path, "{}"))

    def _arrays(self, old: dict[str, Any], new: dict[str, Any], path: tuple[str, ...]) -> None:
        before: Any = old.get("items", True)
        after: Any = new.get("items", True)
        if isinstance(before, list) != isinstance(after, list):
            kinds = "types of their own" if isinstance(after, list) else "one type"
            self._say("tuple-changed", path, f"places have {kinds}")
        elif isinstance(before, list):
            if len(before) != len(after):
                self._say("tuple-changed", path, f"{len(before)} places of their own, now {len(after)}")
            for index, (one, other) in enumerate(zip(before, after, strict=False)):
                self._schemas(one, other, (*path, f"[{index}]"))
            self._schemas(old.get("additionalItems", True), new.get("additionalItems", True), (*path, "[]"))
        elif before is not True or after is not True:
            self._schemas(before, after, (*path, "[]"))

    def _conditions(self, old: dict[str, Any], new: dict[str, Any], path: tuple[str, ...]) -> None:
        for word in (*_OPAQUE, "anyOf", "oneOf", "allOf"):
            before, after = old.get(word), new.get(word)
            if before is None and after is None:
                continue
            if before is None or after is None:
                if word in ("then", "else") and ("if" in old) != ("if" in new):
                    continue
                both = word in ("if", "then", "else")
                rule = "constraint-changed" if both else "constraint-added" if before is None else "constraint-removed"
                self._say(rule, path, f"{word} {'is new' if before is None else 'is gone'}")
            elif word in ("anyOf", "oneOf"):
                self._unions(list(before), list(after), path, exclusive=word == "oneOf")
            elif before != after:
                if word == "allOf" and len(before) == len(after):
                    for one, other in zip(before, after, strict=True):
                        self._schemas(one, other, path)
                else:
                    self._say("constraint-changed", path, f"{word} says something else")
            elif word == "allOf":
                self.pairs += [((name, name), path) for name in _references(before)]
            else:
                self.opaque += [(name, name) for name in _references(before)]

    def _flattened(
        self, old: dict[str, Any], new: dict[str, Any], path: tuple[str, ...]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Both schemas with what `allOf` brings in written out; arms on both sides are pairs of their own."""
        if "allOf" not in old and "allOf" not in new:
            return old, new
        before, after = list(old.get("allOf", ())), list(new.get("allOf", ()))
        for arm in [arm for arm in before if arm in after]:
            self._schemas(arm, arm, path)
            before.remove(arm)
            after.remove(arm)
        return _merged({**old, "allOf": before}, self._old), _merged({**new, "allOf": after}, self._new)


def _merged(schema: dict[str, Any], side: Side, seen: frozenset[str] = frozenset()) -> dict[str, Any]:
    """An object schema with the members that plain arms of its `allOf` add; other arms stay where they are."""
    arms: list[Schema] = schema.get("allOf", [])
    plain = {word: value for word, value in schema.items() if word != "allOf"}
    properties, required = dict(plain.get("properties", {})), list(plain.get("required", ()))
    left: list[Schema] = []
    for arm in arms:
        name = referred(arm)
        target = arm if name is None else side.definitions.get(name, True)
        if not isinstance(target, dict) or name in seen or not set(target) <= _OBJECT:
            left.append(arm)
            continue
        if target.get("type", "object") != "object":
            left.append(arm)
            continue
        inner = _merged(target, side, seen | {name} if name is not None else seen)
        if "allOf" in inner or any(properties.get(key, value) != value for key, value in inner["properties"].items()):
            left.append(arm)
            continue
        properties |= inner["properties"]
        required += [key for key in inner["required"] if key not in required]
        if "type" in inner:
            plain["type"] = "object"
    plain |= {"properties": properties, "required": required}
    return {**plain, "allOf": left} if left else plain


# --- alternatives -----------------------------------------------------------------------------------


def _arms(schema: Schema) -> list[Schema] | None:
    """The alternatives of a schema that says nothing else, nested ones included; None for another schema."""
    if not isinstance(schema, dict):
        return None
    words = [word for word in ("anyOf", "oneOf") if word in schema]
    if len(words) != 1 or len(schema) != 1:
        return None
    found: list[Schema] = []
    for arm in schema[words[0]]:
        found += _arms(arm) or [arm]
    return found


def _by_type(schema: Schema) -> list[Schema]:
    """A schema of several types as alternatives of one type each."""
    if isinstance(schema, dict) and isinstance(schema.get("type"), list) and "enum" not in schema:
        return [{"type": "null"} if name == "null" else {**schema, "type": name} for name in schema["type"]]
    return [schema]


def _matched(
    old: list[Schema], new: list[Schema], before: Side, after: Side
) -> tuple[list[tuple[Schema, Schema]], list[Schema], list[Schema]]:
    """Alternatives that stand for each other, those that are gone, and those that are new."""
    old, new = list(old), list(new)
    matched: list[tuple[Schema, Schema]] = []
    for keys in (_identity, _tag, _kind):
        table: dict[str, list[Schema]] = {}
        for arm in new:
            for key in keys(arm, after):
                table.setdefault(key, []).append(arm)
        old_keys = [key for arm in old for key in keys(arm, before)]
        for arm in list(old):
            for key in keys(arm, before):
                others = [other for other in table.get(key, ()) if any(other is one for one in new)]
                if not others or (keys is not _identity and (len(others) > 1 or old_keys.count(key) > 1)):
                    continue
                matched.append((arm, others[0]))
                old = [one for one in old if one is not arm]
                new = [one for one in new if one is not others[0]]
                break
    return matched, old, new


def _are_disjoint(arms: list[Schema], side: Side) -> bool:
    """Whether no value can fit two of the alternatives: types differ, or constants that each requires."""
    tags: dict[str, set[str]] = {}
    objects, seen = 0, set[str]()
    for arm in arms:
        target = _target(arm, side)
        kinds = {"number" if kind == "integer" else kind for kind in _kinds(target if isinstance(target, dict) else {})}
        if kinds == {"object"}:
            objects += 1
            for tag in _tag(arm, side):
                tags.setdefault(tag.partition("=")[0], set()).add(tag)
            kinds = kinds if objects == 1 else set()
        if kinds & seen:
            return False
        seen |= kinds
    return objects < 2 or any(len(values) == objects for values in tags.values())


def _identity(arm: Schema, side: Side) -> Iterator[str]:
    del side
    yield _json(arm)


def _tag(arm: Schema, side: Side) -> Iterator[str]:
    """Required constants by which an object says what it is."""
    target = _target(arm, side)
    if isinstance(target, dict):
        for member, schema in target.get("properties", {}).items():
            if isinstance(schema, dict) and "const" in schema and member in target.get("required", ()):
                yield f"{member}={_json(schema['const'])}"


def _kind(arm: Schema, side: Side) -> Iterator[str]:
    """The type of its values, where it has one."""
    target = _target(arm, side)
    kinds = {"number" if kind == "integer" else kind for kind in _kinds(target if isinstance(target, dict) else {})}
    if len(kinds) == 1:
        yield kinds.pop()


class _Known(msgspec.Struct, frozen=True):
    """The listed values of an open enum, the arms that make it up, and the names of those that are references."""

    values: list[Any]
    arms: list[Schema]
    names: list[str]


def _known_values(arms: list[Schema], side: Side) -> _Known | None:
    """The open enum among alternatives: one lists values, another takes all values of that type."""
    for arm in arms:
        target = _target(arm, side)
        values = _values(target)
        if values is None or not isinstance(target, dict):
            continue
        kinds = _kinds(target)
        for other in arms:
            plain = _target(other, side)
            if isinstance(plain, dict) and set(plain) == {"type"} and kinds == _kinds(plain) and len(kinds) == 1:
                names = [name for name in (referred(arm), referred(other)) if name is not None]
                return _Known(values, [arm, other], names)
    return None


def _target(schema: Schema, side: Side) -> Schema:
    """What a reference leads to, one step; another schema as it is."""
    name = referred(schema)
    return schema if name is None else side.definitions.get(name, True)


def _rest(arms: list[Schema], without: list[Schema]) -> list[Schema]:
    return [arm for arm in arms if not any(arm is one for one in without)]


def _references(value: Any) -> tuple[str, ...]:
    """Names of definitions that a schema refers to."""
    found: dict[str, None] = {}
    waiting: list[Any] = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += reversed(part)
        elif isinstance(part, dict):
            name = part.get("$ref")
            if isinstance(name, str):
                found[referred(part) or ""] = None
            waiting += [inner for word, inner in reversed(part.items()) if word not in ("const", "enum")]
    return tuple(found)


# --- values, in words -------------------------------------------------------------------------------


def _kinds(schema: dict[str, Any]) -> frozenset[str]:
    """Types of the values that a schema takes; `number` stands for itself and `integer`."""
    said = schema.get("type", list(_KINDS))
    names = {said} if isinstance(said, str) else set(said)
    if "number" in names:
        names.add("integer")
    values = _values(schema)
    if values is not None:
        of_values = {kind for value in values for kind in _kinds_of(value)}
        names &= of_values
    return frozenset(names)


def _kinds_of(value: Any) -> tuple[str, ...]:
    match value:
        case None:
            return ("null",)
        case bool():
            return ("boolean",)
        case int() | float():
            return ("integer", "number") if value == int(value) else ("number",)
        case str():
            return ("string",)
        case list():
            return ("array",)
        case _:
            return ("object",)


def _values(schema: Schema) -> list[Any] | None:
    """The values that a schema lists."""
    if not isinstance(schema, dict):
        return None
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _without(values: Iterable[Any], others: Iterable[Any]) -> list[Any]:
    """The values that are not among the others; 1 is not true."""
    known = {_json(value) for value in others}
    return [value for value in values if _json(value) not in known]


def _was(before: Any, after: Any) -> str:
    if before is None:
        return f"is {after}, was not bound"
    return f"was {before}, is {after}" if after is not None else f"was {before}, is not bound"


def _label(arm: Schema) -> str:
    name = referred(arm)
    if name is not None:
        return f'"{name}"'
    values = _values(arm)
    if values is not None:
        return _listed(values)
    if isinstance(arm, dict) and isinstance(arm.get("type"), str):
        article: Literal["a", "an"] = "an" if arm["type"][0] in "aeiou" else "a"
        return f"{article} {arm['type']}"
    return "an alternative without a name"


def _listed(values: Iterable[Any] | None) -> str:
    shown = [_json(value) for value in values or ()]
    return ", ".join(shown[:6]) + (f" and {len(shown) - 6} more" if len(shown) > 6 else "")


def _kinds_said(kinds: frozenset[str]) -> str:
    names = [kind for kind in _KINDS if kind in kinds and not (kind == "integer" and "number" in kinds)]
    return "anything" if len(kinds) == len(_KINDS) else " or ".join(names) or "nothing"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
