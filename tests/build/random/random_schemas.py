"""Random documents: JSON Schemas and protocol documents of every draft, each decided by its number alone."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

from hostile import DIALECTS, NAMES, NUMBERS, PATTERNS, RAW, TEXTS

_PLAIN = ("name", "kind", "items", "count", "next", "data", "left", "right", "value", "state", "tags", "size")
_TYPES = ("null", "boolean", "string", "integer", "number", "array", "object")
_FORMATS = (
    "date-time",
    "uuid",
    "uri",
    "email",
    "int64",
    "uint64",
    "int32",
    "double",
    "byte",
    "regex",
    "nonsense",
    "*/",
)
_RAW_TEXT = re.compile(f'"(?:{re.escape(json.dumps(RAW)[1:-1])}|{RAW})([^"]*)"')


def text_of(tree: Any, chance: random.Random) -> str:
    """The text of a document, sometimes with its letters as they are and not escaped; numbers as RAW says."""
    ascii_only = chance.random() < 0.5
    text = json.dumps(tree, ensure_ascii=ascii_only, indent=chance.choice((None, 2)))
    if not ascii_only:
        text = "".join(f"\\u{ord(letter):04x}" if "\ud800" <= letter <= "\udfff" else letter for letter in text)
    return _RAW_TEXT.sub(lambda found: found[1], text)


def document(number: int) -> str:
    """The text of the document of a number."""
    chance = random.Random(f"document {number}")
    return text_of(Maker(chance).document(), chance)


class Maker:
    """The state of one document: its chance, its draft and the names that its schemas may refer to."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._hostility = chance.choice((0.0, 0.1, 0.5, 0.9))
        self._dialect = chance.choice(DIALECTS)
        self._modern = "draft/20" in self._dialect
        self._place = "$defs" if self._modern and chance.random() < 0.9 else "definitions"
        self._names: list[str] = []
        self._anchors: list[str] = []
        self._fatal = chance.random() < 0.03
        self._at = 0
        self._inside = 0

    def document(self) -> Any:
        """A schema, or a protocol document with roles, methods and errors."""
        chance = self._chance
        count = chance.choice((1, 1, 2, 2, 3, 4, 6)) if chance.random() < 0.99 else 60
        self._names = list(dict.fromkeys(self.name() for _ in range(count)))
        if chance.random() < 0.3:
            self._names = list(dict.fromkeys([*self._names, *(self._near(name) for name in self._names[:3])]))
        if chance.random() < 0.3:
            self._dialect, self._place = chance.choice(((DIALECTS[2], "definitions"), (DIALECTS[4], "$defs")))
            self._modern = self._place == "$defs"
            is_protocol = True
        else:
            is_protocol = False
        if is_protocol:
            self._names = [name for name in self._names if name] or ["Thing"]
        definitions: dict[str, Any] = {}
        for at, name in enumerate(self._names):
            self._at = at
            definitions[name] = self.schema(chance.choice((1, 2, 2, 3, 3, 4)))
        tree: dict[str, Any] = {"$schema": self._dialect, self._place: definitions}
        if chance.random() < 0.3:
            tree |= {"title": self.text(), "description": self.text()}
        if chance.random() < 0.2:
            root = self.schema(2)
            tree |= root if isinstance(root, dict) else {}
        if chance.random() < 0.01:
            tree[self._place]["Deep"] = self._deep(chance.choice((20, 60, 120, 250)))
        if chance.random() < 0.01:
            tree[self._place]["Wide"] = self._wide()
        return self._protocol(tree) if is_protocol else tree

    # --- names and values -------------------------------------------------------------------------

    def _is_hostile(self) -> bool:
        return self._chance.random() < self._hostility

    def name(self) -> str:
        """A name of anything."""
        if not self._is_hostile():
            return self._chance.choice(_PLAIN) + self._chance.choice(("", "", "s", "Of", "2", "_id"))
        if self._chance.random() < 0.1:
            return self.text()[:60]
        return self._let(self._chance.choice(NAMES))

    def _pin(self) -> str:
        """A name that SDKs are told to use: nearly always one that may be told so."""
        name = self.name()
        return name if self._chance.random() < 0.02 else re.sub("^[^A-Za-z]+|[^A-Za-z0-9_]", "", name) or "Pin"

    def _let(self, text: str) -> str:
        """`text`, in most documents without what alone makes a document unreadable."""
        return text if self._fatal else re.sub("[\ud800-\udfff]", "", text)

    def _near(self, name: str) -> str:
        """Another name that a language may well write the same."""
        changed = (name.upper(), name.lower(), name.title(), f"{name}_", f"_{name}", name.replace("_", "-"), f"{name}2")
        return self._chance.choice(changed)

    def text(self) -> str:
        """A text for people, or for nobody."""
        chance = self._chance
        if not self._is_hostile():
            return chance.choice(("What it is.", "A name, as people write it.", "One.\n\nTwo: `x`.", "Of state."))
        return self._let("".join(chance.choice(TEXTS) for _ in range(chance.choice((1, 1, 2, 4)))))

    def value(self, depth: int = 2) -> Any:
        """Any JSON value."""
        chance = self._chance
        match chance.randrange(8 if depth else 6):
            case 0:
                return chance.choice((None, True, False))
            case 1 | 2:
                return self._number()
            case 3 | 4 | 5:
                return self.name() if chance.random() < 0.5 else self.text()
            case 6:
                return [self.value(depth - 1) for _ in range(chance.randrange(4))]
            case _:
                return {self.name(): self.value(depth - 1) for _ in range(chance.randrange(4))}

    def _number(self) -> Any:
        if not self._is_hostile():
            return self._chance.randrange(-2, 20)
        return self._chance.choice(NUMBERS if self._fatal else [each for each in NUMBERS if "1e400" not in str(each)])

    def _count(self) -> Any:
        return self._chance.choice((0, 1, 2, 3, 5, 1000)) if self._chance.random() < 0.97 else self._number()

    def _pattern(self) -> str:
        return self._chance.choice(PATTERNS) if self._is_hostile() else self._chance.choice(PATTERNS[:12])

    # --- schemas ----------------------------------------------------------------------------------

    def schema(self, depth: int) -> Any:
        """A schema whose own schemas nest `depth` levels at most."""
        chance = self._chance
        if chance.random() < 0.03:
            return chance.choice((True, False, {}, {}, {"not": {}}, {"allOf": []}))
        if chance.random() < 0.002:
            return self.value()
        kinds: list[Callable[[int], Any]] = [self._scalar, self._scalar, self._reference, self._enum, self._constant]
        if depth > 0:
            kinds += [self._record, self._record, self._record, self._list, self._union, self._tagged, self._all]
            kinds += [self._list, self._map, self._odd, self._nullable]
        made = chance.choice(kinds)(depth - 1)
        if isinstance(made, dict) and chance.random() < 0.35:
            made |= self._notes()
        if isinstance(made, dict) and chance.random() < 0.004:
            made[chance.choice((*made, "type", "properties", "enum", "$ref", "required", "items"))] = self.value()
        return made

    def _scalar(self, depth: int) -> dict[str, Any]:
        chance = self._chance
        kind = chance.choice(_TYPES[:5])
        made: dict[str, Any] = {"type": kind}
        if chance.random() < 0.1:
            made["type"] = chance.sample(_TYPES, chance.randrange(1, 4))
        if kind == "string" and chance.random() < 0.5:
            word = chance.choice(("pattern", "pattern", "minLength", "maxLength", "format"))
            made[word] = self._pattern() if word == "pattern" else self._count()
            if word == "format":
                made[word] = chance.choice(_FORMATS)
        if kind in ("integer", "number") and chance.random() < 0.5:
            words: tuple[str, ...] = ("minimum", "maximum", "multipleOf", "format")
            words += ("exclusiveMinimum", "exclusiveMaximum") if "draft-04" not in self._dialect else ()
            for word in chance.sample(words, chance.randrange(1, 3)):
                made[word] = chance.choice(_FORMATS) if word == "format" else self._number()
            if made.get("multipleOf") in (0, -1) and chance.random() < 0.9:
                made["multipleOf"] = 0.1
        return made

    def _reference(self, depth: int) -> dict[str, Any]:
        chance = self._chance
        if self._anchors and chance.random() < 0.1:
            return {chance.choice(("$ref", "$dynamicRef")): f"#{chance.choice(self._anchors)}"}
        if chance.random() < 0.01:
            return {
                "$ref": chance.choice(("#", "#/nowhere", f"#/{self._place}", "other.json", "#/properties/name", "#x"))
            }
        # What applies to the same value again is a cycle; only one in a hundred is let be one.
        names = self._names if self._inside or chance.random() < 0.01 else self._names[self._at + 1 :]
        if not names:
            return self._scalar(depth)
        pointer = chance.choice(names).replace("~", "~0").replace("/", "~1").replace("%", "%25")
        return {"$ref": f"#/{self._place}/{pointer}"}

    def _enum(self, depth: int) -> dict[str, Any]:
        chance = self._chance
        count = chance.choice((1, 2, 3, 5)) if chance.random() < 0.98 else 300
        match chance.randrange(4):
            case 0 | 1:
                values: list[Any] = [self.name() for _ in range(count)]
            case 2:
                values = [self._number() for _ in range(count)]
            case _:
                values = [self.value() for _ in range(count)]
        if chance.random() < 0.8:
            values = [value for at, value in enumerate(values) if value not in values[:at]]
        made: dict[str, Any] = {"enum": values}
        if chance.random() < 0.5 and all(isinstance(value, str) for value in values):
            made["type"] = "string"
        if chance.random() < 0.2:
            made["x-enum-descriptions"] = {
                f"{value}"[:50]: self.text() for value in values[:4] if RAW not in f"{value}"
            }
        if chance.random() < 0.1:
            made["enumNames"] = [self.name() for _ in values]
        return made

    def _constant(self, depth: int) -> dict[str, Any]:
        value = self.value()
        return {"enum": [value]} if "draft-04" in self._dialect else {"const": value}

    def _record(self, depth: int) -> dict[str, Any]:
        chance = self._chance
        names = list(dict.fromkeys(self.name() for _ in range(chance.choice((0, 1, 2, 3, 4, 6)))))
        if names and chance.random() < 0.2:
            names = list(dict.fromkeys([*names, self._near(names[0])]))
        self._inside += 1
        made: dict[str, Any] = {"type": "object", "properties": {name: self.schema(depth) for name in names}}
        if chance.random() < 0.6:
            wanted = chance.sample(names, chance.randrange(len(names) + 1))
            made["required"] = wanted if chance.random() < 0.95 else [*wanted, self.name()]
        if chance.random() < 0.3:
            made["additionalProperties"] = chance.choice((False, True, self.schema(depth)))
        if chance.random() < 0.1:
            made["patternProperties"] = {self._pattern(): self.schema(depth)}
        self._inside -= 1
        if chance.random() < 0.06:
            word = chance.choice(("minProperties", "maxProperties"))
            made[word] = self._count()
        if chance.random() < 0.05 and names:
            word = "dependentRequired" if self._modern else "dependencies"
            made[word] = {chance.choice(names): [self.name()]}
        if chance.random() < 0.04 and self._modern:
            made["unevaluatedProperties"] = chance.choice((False, self.schema(depth)))
        if chance.random() < 0.1:
            del made["type"]
        return made

    def _list(self, depth: int) -> dict[str, Any]:
        chance = self._chance
        made: dict[str, Any] = {"type": "array"}
        self._inside += 1
        if chance.random() < 0.25:
            word = "prefixItems" if self._dialect.endswith("2020-12/schema") else "items"
            made[word] = [self.schema(depth) for _ in range(chance.randrange(1, 4))]
            rest = "items" if word == "prefixItems" else "additionalItems"
            if chance.random() < 0.5:
                made[rest] = chance.choice((False, self.schema(depth)))
        elif chance.random() < 0.9:
            made["items"] = self.schema(depth)
        for word in ("minItems", "maxItems"):
            if chance.random() < 0.1:
                made[word] = self._count()
        if chance.random() < 0.1:
            made["uniqueItems"] = True
        if chance.random() < 0.07:
            made["contains"] = self.schema(depth)
        self._inside -= 1
        return made

    def _map(self, depth: int) -> dict[str, Any]:
        self._inside += 1
        made = {"type": "object", "additionalProperties": self.schema(depth)}
        self._inside -= 1
        if self._chance.random() < 0.15:
            made["propertyNames"] = {"pattern": self._pattern()}
        return made

    def _union(self, depth: int) -> dict[str, Any]:
        chance = self._chance
        count = chance.choice((1, 2, 2, 3, 4, 6))
        return {chance.choice(("anyOf", "oneOf")): [self.schema(depth) for _ in range(count)]}

    def _tagged(self, depth: int) -> dict[str, Any]:
        """Records told apart by a constant; sometimes with an arm for all others, or one that does not fit."""
        chance = self._chance
        tag = self.name()
        values = list(dict.fromkeys(self.name() for _ in range(chance.choice((2, 3, 5)))))
        arms: list[Any] = []
        for value in values:
            arm = self._record(depth)
            arm["type"] = "object"
            arm["properties"] = {**arm.get("properties", {}), tag: self._tag(value)}
            arm["required"] = [*arm.get("required", ()), tag] if chance.random() < 0.95 else []
            arm["required"] = list(dict.fromkeys(arm["required"]))
            arms.append(arm)
        if chance.random() < 0.2:
            other = {
                "type": "object",
                "properties": {tag: {"type": "string", "not": {"enum": values}}},
                "required": [tag],
            }
            arms.append(other)
        if chance.random() < 0.15:
            arms.append(self.schema(depth))
        if chance.random() < 0.2:
            arms.append({"type": "null"})
        made: dict[str, Any] = {chance.choice(("anyOf", "oneOf")): arms}
        if chance.random() < 0.2:
            made["discriminator"] = {"propertyName": tag}
        if chance.random() < 0.1:
            made |= self._record(depth)
        return made

    def _tag(self, value: str) -> dict[str, Any]:
        said: list[dict[str, Any]] = [{"enum": [value]}, {"type": "string", "enum": [value]}]
        if "draft-04" not in self._dialect:
            said += [{"const": value}, {"const": value}, {"type": "string", "const": value}]
        return self._chance.choice(said)

    def _all(self, depth: int) -> dict[str, Any]:
        chance = self._chance
        parts = [
            chance.choice((self._reference, self._record, self.schema))(depth) for _ in range(chance.randrange(1, 4))
        ]
        made: dict[str, Any] = {"allOf": parts}
        return {**made, **self._record(depth)} if chance.random() < 0.4 else made

    def _nullable(self, depth: int) -> dict[str, Any]:
        inner = self.schema(depth)
        return {self._chance.choice(("anyOf", "oneOf")): self._chance.sample([inner, {"type": "null"}], 2)}

    def _odd(self, depth: int) -> dict[str, Any]:
        """What types can hardly say."""
        chance = self._chance
        match chance.choice((0, 0, 1, 1, 2, 2, 3, 4, 5, 5)):
            case 0:
                return {"not": self.schema(depth)}
            case 1:
                return {"if": self.schema(depth), "then": self.schema(depth), "else": self.schema(depth)}
            case 2:
                return {**self._record(depth), "if": self._record(depth), "then": self._record(depth)}
            case 3:
                anchor = f"a{len(self._anchors)}"
                self._anchors.append(anchor)
                return {"$anchor" if chance.random() < 0.7 else "$dynamicAnchor": anchor, **self._record(depth)}
            case 4:
                return {"$id": f"urn:x:{chance.randrange(9)}", **self._record(depth)}
            case _:
                return {**self._reference(depth), **self._record(depth)}

    def _notes(self) -> dict[str, Any]:
        chance = self._chance
        every: dict[str, Any] = {
            "title": self.text(),
            "description": self.text(),
            "default": self.value(),
            "examples": [self.value()],
            "deprecated": True,
            "readOnly": True,
            "$comment": self.text(),
            "x-protogen-name": self._pin(),
            "x-note": self.value(),
        }
        weights = (6, 9, 8, 1, 1, 1, 1, 1, 1)
        return {word: every[word] for word in chance.choices(list(every), weights, k=chance.choice((1, 1, 2, 3)))}

    def _deep(self, levels: int) -> Any:
        schema: Any = {"type": "string"}
        for level in range(levels // 2):
            schema = self._chance.choice(
                (
                    {"type": "array", "items": schema},
                    {"type": "object", "properties": {f"level{level}": schema}},
                    {"anyOf": [schema, {"type": "null"}]},
                )
            )
        return schema

    def _wide(self) -> Any:
        count = self._chance.choice((40, 120, 400))
        word = self._chance.choice(("anyOf", "oneOf"))
        match self._chance.randrange(3):
            case 0:
                return {
                    word: [
                        {"type": "object", "properties": {"t": self._tag(f"{self.name()}{n}")}, "required": ["t"]}
                        for n in range(count)
                    ]
                }
            case 1:
                return {
                    word: [{"type": "object", "properties": {f"p{n}": {}}, "required": [f"p{n}"]} for n in range(count)]
                }
            case _:
                return {word: [self.schema(1) for _ in range(count)]}

    # --- protocols --------------------------------------------------------------------------------

    def _protocol(self, tree: dict[str, Any]) -> dict[str, Any]:
        chance = self._chance
        roles = chance.choice(
            (("client", "server"), ("worker", "runtime"), ("agent", "host"), ("type", "class"), ("a", "b"))
        )
        self._inside = 1  # methods and errors may refer to any definition
        errors = {
            "".join(re.findall("[A-Za-z]", self.name()))[:40].capitalize() or f"E{number}": {
                "code": -32000 - number,
                "message": self.text(),
                **({"data": self._reference(0)} if chance.random() < 0.4 else {}),
                **({"description": self.text()} if chance.random() < 0.5 else {}),
            }
            for number in range(chance.randrange(3))
        }
        methods = {self._method_name(): self._method(roles, list(errors)) for _ in range(chance.choice((1, 2, 3, 6)))}
        about = {"name": chance.choice(("acme", "type", "json", "a-b", "x2")), "version": "1.0", "title": self.text()}
        return {
            **tree,
            "x-protocol": about if chance.random() < 0.9 else {**about, "summary": self.text()},
            "x-roles": {role: {"summary": self.text()} for role in roles},
            "x-methods": methods,
            **({"x-errors": errors} if errors else {}),
        }

    def _method_name(self) -> str:
        chance = self._chance
        return (
            f"{chance.choice(('', '', 'a/', 'b.', '$/', 'x_'))}{self.name()}" if chance.random() < 0.9 else self.text()
        )

    def _method(self, roles: tuple[str, str], errors: list[str]) -> dict[str, Any]:
        chance = self._chance
        sender, receiver = chance.sample(roles, 2)
        made: dict[str, Any] = {"kind": "request", "from": sender, "to": receiver, "summary": self.text()}
        if chance.random() < 0.85:
            made["params"] = self._reference(0) if chance.random() < 0.98 else self._record(1)
        if chance.random() < 0.2:
            made["kind"] = "notification"
        else:
            made["result"] = self._reference(0) if chance.random() < 0.98 else self.schema(2)
            if errors and chance.random() < 0.5:
                made["errors"] = [chance.choice(errors)]
            if chance.random() < 0.15:
                made["events"] = self._reference(0)
            if chance.random() < 0.2:
                made["idempotent"] = True
        for word, value in (
            ("description", self.text()),
            ("paramStructure", chance.choice(("by-name", "by-position", "either"))),
            ("deprecated", True),
            ("since", self.text()),
            ("mutual", True),
            ("x-protogen-name", self._pin()),
        ):
            made |= {word: value} if chance.random() < 0.12 else {}
        return made
