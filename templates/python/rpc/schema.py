"""What is wrong with a JSON value, member by member: an interpreter of the embedded schema.

Reads draft-07 as the generator lowers it (references are `#/definitions/<name>`), and the later keywords that the
lowering keeps: unevaluatedProperties, unevaluatedItems, minContains, maxContains, dependentRequired,
dependentSchemas. Formats are annotations. It is slow and complete: the generated validators decide, this explains.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from .jsonvalue import Json, is_multiple, one_of, same, unique

MAX_ISSUES: Final = 50
"""Faults listed for one value: enough to mend it, and an answer stays small whatever was sent."""


class Issue(msgspec.Struct, frozen=True):
    """One fault: `path` from the value's root (`$.tasks[3].id`) and a sentence that holds nothing of the value."""

    path: str
    message: str


class Evaluated(msgspec.Struct):
    """Members of an object and items of an array that some keyword has looked at and accepted."""

    names: set[str]
    items: set[int]


_KINDS: Final[dict[str, Callable[[Json], bool]]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: type(value) is bool,
    "integer": lambda value: type(value) is int or (type(value) is float and value.is_integer()),
    "number": lambda value: type(value) is int or type(value) is float,
    "string": lambda value: type(value) is str,
    "array": lambda value: type(value) is list,
    "object": lambda value: type(value) is dict,
}

_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def member_path(path: str, name: str) -> str:
    """`path.name`, or `path["na me"]` where the name is no plain word."""
    if _PLAIN_NAME.match(name):
        return f"{path}.{name}"
    return f"{path}[{msgspec.json.encode(name).decode()}]"


class SchemaReader:
    """Applies the definitions of one document.

    `root` is the document with its `definitions`, `patterns` has every pattern in it as Python writes it. Without
    `constraints` what bounds values of the right type does not count.
    """

    __slots__ = ("_constraints", "_definitions", "_patterns")

    def __init__(
        self, root: dict[str, Json], patterns: Mapping[str, re.Pattern[str]], *, constraints: bool = True
    ) -> None:
        self._definitions: dict[str, Json] = root.get("definitions", {})
        self._patterns = patterns
        self._constraints = constraints

    def issues(self, schema: Json, value: Json) -> list[Issue]:
        """All faults of `value` against `schema`, at most MAX_ISSUES, in the order of the value."""
        kind = _Reading if self._constraints else _LooseReading
        found, _ = kind(self._definitions, self._patterns).evaluate(schema, value, "$")
        return found

    def is_valid(self, schema: Json, value: Json) -> bool:
        """Whether `schema` accepts `value`."""
        return not self.issues(schema, value)

    def definition(self, name: str) -> Json:
        """The definition of that name. Errors: KeyError."""
        return self._definitions[name]


class _Reading:
    """One value against one schema. Remembers what it found for each container, since alternatives ask again."""

    __slots__ = ("_definitions", "_known", "_patterns")

    def __init__(self, definitions: dict[str, Json], patterns: Mapping[str, re.Pattern[str]]) -> None:
        self._definitions = definitions
        self._patterns = patterns
        self._known: dict[tuple[int, int], tuple[list[Issue], Evaluated]] = {}

    def evaluate(self, schema: Json, value: Json, path: str) -> tuple[list[Issue], Evaluated]:
        """The faults, and what was looked at. A container has one place in a value, so its path is always the same."""
        if value.__class__ not in (dict, list):
            return self._evaluate(schema, value, path)
        key = (id(schema), id(value))
        if key not in self._known:
            self._known[key] = self._evaluate(schema, value, path)
        return self._known[key]

    def _evaluate(self, schema: Json, value: Json, path: str) -> tuple[list[Issue], Evaluated]:
        found: list[Issue] = []
        seen = Evaluated(set(), set())
        if schema is True:
            return found, seen
        if schema is False:
            return [Issue(path, "must not be there")], seen
        if "$ref" in schema:
            return self.evaluate(self._definition(schema["$ref"]), value, path)
        self._collect(schema, value, path, found, seen)
        return found[:MAX_ISSUES], seen

    def _definition(self, reference: str) -> Json:
        return self._definitions[reference.removeprefix("#/definitions/").replace("~1", "/").replace("~0", "~")]

    def _apply(self, schema: Json, value: Json, path: str, found: list[Issue]) -> Evaluated:
        faults, seen = self.evaluate(schema, value, path)
        if len(found) < MAX_ISSUES:
            found.extend(faults)
        return seen

    def _try(self, schema: Json, value: Json, path: str) -> Evaluated | None:
        faults, seen = self.evaluate(schema, value, path)
        return None if faults else seen

    def _strictly(self) -> _Reading:
        """The reading for what a schema excludes and what it asks first, in which constraints count."""
        return self

    def _collect(self, schema: Json, value: Json, path: str, found: list[Issue], seen: Evaluated) -> None:
        self._apply_value(schema, value, path, found)
        kind = value.__class__
        if kind is str:
            self._apply_string(schema, value, path, found)
        elif kind is int or kind is float:
            self._apply_number(schema, value, path, found)
        elif kind is list:
            self._apply_array(schema, value, path, found, seen)
        elif kind is dict:
            self._apply_object(schema, value, path, found, seen)
        self._apply_combined(schema, value, path, found, seen)
        if kind is dict and "unevaluatedProperties" in schema:
            for name, member in value.items():
                if name not in seen.names:
                    self._apply(schema["unevaluatedProperties"], member, member_path(path, name), found)
                    seen.names.add(name)
        if kind is list and "unevaluatedItems" in schema:
            for index, item in enumerate(value):
                if index not in seen.items:
                    self._apply(schema["unevaluatedItems"], item, f"{path}[{index}]", found)
                    seen.items.add(index)

    def _apply_value(self, schema: dict[str, Json], value: Json, path: str, found: list[Issue]) -> None:
        if "type" in schema:
            wanted = schema["type"]
            names: list[str] = [wanted] if type(wanted) is str else wanted
            if not any(_KINDS[name](value) for name in names):
                found.append(Issue(path, f"must be {_alternatives(names)}"))
        if "const" in schema and not same(value, schema["const"]):
            found.append(Issue(path, f"must be {_text(schema['const'])}"))
        if "enum" in schema and not one_of(value, schema["enum"]):
            found.append(Issue(path, f"must be one of {', '.join(map(_text, schema['enum'][:20]))}"))

    def _apply_string(self, schema: dict[str, Json], value: str, path: str, found: list[Issue]) -> None:
        if "minLength" in schema and len(value) < schema["minLength"]:
            found.append(Issue(path, f"must have at least {schema['minLength']} characters"))
        if "maxLength" in schema and len(value) > schema["maxLength"]:
            found.append(Issue(path, f"must have at most {schema['maxLength']} characters"))
        if "pattern" in schema and not self._matches(schema["pattern"], value):
            found.append(Issue(path, f"must match the pattern {_text(schema['pattern'])}"))

    def _matches(self, pattern: str, text: str) -> bool:
        # A pattern that Python cannot say is not there: the generator warned of it, and every string passes.
        compiled = self._patterns.get(pattern)
        return compiled is None or compiled.search(text) is not None

    def _apply_number(self, schema: dict[str, Json], value: float, path: str, found: list[Issue]) -> None:
        if "minimum" in schema and value < schema["minimum"]:
            found.append(Issue(path, f"must be at least {_text(schema['minimum'])}"))
        if "maximum" in schema and value > schema["maximum"]:
            found.append(Issue(path, f"must be at most {_text(schema['maximum'])}"))
        if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
            found.append(Issue(path, f"must be greater than {_text(schema['exclusiveMinimum'])}"))
        if "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]:
            found.append(Issue(path, f"must be less than {_text(schema['exclusiveMaximum'])}"))
        if "multipleOf" in schema and not is_multiple(value, schema["multipleOf"]):
            found.append(Issue(path, f"must be a multiple of {_text(schema['multipleOf'])}"))

    def _apply_array(
        self, schema: dict[str, Json], value: list[Json], path: str, found: list[Issue], seen: Evaluated
    ) -> None:
        if "minItems" in schema and len(value) < schema["minItems"]:
            found.append(Issue(path, f"must have at least {schema['minItems']} items"))
        if "maxItems" in schema and len(value) > schema["maxItems"]:
            found.append(Issue(path, f"must have at most {schema['maxItems']} items"))
        if schema.get("uniqueItems") and not unique(value):
            found.append(Issue(path, "must not hold the same item twice"))
        items: Json = schema.get("items")
        if items.__class__ is list:
            for index, item in enumerate(value):
                if index < len(items):
                    self._apply(items[index], item, f"{path}[{index}]", found)
                elif "additionalItems" in schema:
                    self._apply(schema["additionalItems"], item, f"{path}[{index}]", found)
                else:
                    break
                seen.items.add(index)
        elif items is not None:
            for index, item in enumerate(value):
                self._apply(items, item, f"{path}[{index}]", found)
                seen.items.add(index)
        if "contains" in schema:
            self._apply_contains(schema, value, path, found, seen)

    def _apply_contains(
        self, schema: dict[str, Json], value: list[Json], path: str, found: list[Issue], seen: Evaluated
    ) -> None:
        matches = [
            index
            for index, item in enumerate(value)
            if self._try(schema["contains"], item, f"{path}[{index}]") is not None
        ]
        seen.items.update(matches)
        least = schema.get("minContains", 1)
        if len(matches) < least:
            found.append(Issue(path, f"must have at least {least} items that match `contains`"))
        if "maxContains" in schema and len(matches) > schema["maxContains"]:
            found.append(Issue(path, f"must have at most {schema['maxContains']} items that match `contains`"))

    def _apply_object(
        self, schema: dict[str, Json], value: dict[str, Json], path: str, found: list[Issue], seen: Evaluated
    ) -> None:
        found.extend(
            Issue(path, f"must have the member {_text(name)}")
            for name in schema.get("required", ())
            if name not in value
        )
        if "minProperties" in schema and len(value) < schema["minProperties"]:
            found.append(Issue(path, f"must have at least {schema['minProperties']} members"))
        if "maxProperties" in schema and len(value) > schema["maxProperties"]:
            found.append(Issue(path, f"must have at most {schema['maxProperties']} members"))
        if "propertyNames" in schema:
            found.extend(
                Issue(member_path(path, name), "has a name that is not allowed")
                for name in value
                if self._try(schema["propertyNames"], name, path) is None
            )
        self._apply_dependencies(schema, value, path, found, seen)
        properties: dict[str, Json] = schema.get("properties", {})
        patterns: dict[str, Json] = schema.get("patternProperties", {})
        for name, member in value.items():
            known = name in properties
            if known:
                self._apply(properties[name], member, member_path(path, name), found)
            for pattern, member_schema in patterns.items():
                if self._matches(pattern, name):
                    known = True
                    self._apply(member_schema, member, member_path(path, name), found)
            if not known and "additionalProperties" in schema:
                known = True
                self._apply(schema["additionalProperties"], member, member_path(path, name), found)
            if known:
                seen.names.add(name)

    def _apply_dependencies(
        self, schema: dict[str, Json], value: dict[str, Json], path: str, found: list[Issue], seen: Evaluated
    ) -> None:
        for keyword in ("dependencies", "dependentRequired", "dependentSchemas"):
            for name, needed in schema.get(keyword, {}).items():
                if name not in value:
                    continue
                if needed.__class__ is list:
                    found.extend(
                        Issue(path, f"must have the member {_text(other)} beside {_text(name)}")
                        for other in needed
                        if other not in value
                    )
                else:
                    _merge(seen, self._apply(needed, value, path, found))

    def _apply_combined(
        self, schema: dict[str, Json], value: Json, path: str, found: list[Issue], seen: Evaluated
    ) -> None:
        for part in schema.get("allOf", ()):
            _merge(seen, self._apply(part, value, path, found))
        if "anyOf" in schema:
            accepted = [match for part in schema["anyOf"] if (match := self._try(part, value, path)) is not None]
            for match in accepted:
                _merge(seen, match)
            if not accepted:
                self._explain_alternatives(schema["anyOf"], value, path, found)
        if "oneOf" in schema:
            accepted = [match for part in schema["oneOf"] if (match := self._try(part, value, path)) is not None]
            if len(accepted) == 1:
                _merge(seen, accepted[0])
            elif accepted:
                found.append(Issue(path, f"must match one alternative only, but matches {len(accepted)}"))
            else:
                self._explain_alternatives(schema["oneOf"], value, path, found)
        if "not" in schema and self._strictly().evaluate(schema["not"], value, path)[0] == []:
            found.append(Issue(path, "must not match what the schema excludes"))
        if "if" in schema:
            faults, looked = self._strictly().evaluate(schema["if"], value, path)
            condition = None if faults else looked
            if condition is not None:
                _merge(seen, condition)
            branch = "then" if condition is not None else "else"
            if branch in schema:
                _merge(seen, self._apply(schema[branch], value, path, found))

    def _explain_alternatives(self, parts: Iterable[Json], value: Json, path: str, found: list[Issue]) -> None:
        """The faults of the alternative that was meant, by kind and tag; else of the one that fits best."""
        meant = [part for part in parts if not self._is_other(part, value)]
        best: list[Issue] = []
        depth = -1
        for part in meant:
            faults, _ = self.evaluate(part, value, path)
            reach = min((len(fault.path) for fault in faults), default=-1)
            if reach > depth:
                best, depth = faults, reach
        if len(meant) == 1 or depth > len(path):
            found.extend(best)
        else:
            found.append(Issue(path, "must match one of its alternatives"))

    def _is_other(self, part: Json, value: Json) -> bool:
        """Whether an alternative is for values of another kind, or with another constant in one of its members."""
        while part.__class__ is dict and "$ref" in part:
            part = self._definition(part["$ref"])
        if part.__class__ is not dict:
            return False
        wanted = part.get("type")
        if wanted is not None:
            names: list[str] = [wanted] if wanted.__class__ is str else wanted
            if not any(_KINDS[name](value) for name in names):
                return True
        if value.__class__ is not dict:
            return False
        members: dict[str, Json] = part.get("properties", {})
        return any(
            schema.__class__ is dict and "const" in schema and name in value and not same(value[name], schema["const"])
            for name, schema in members.items()
        )


class _LooseReading(_Reading):
    """A reading in which constraints do not count, except in what a schema excludes and in what it asks first."""

    __slots__ = ("_relaxed", "_strict")

    def __init__(self, definitions: dict[str, Json], patterns: Mapping[str, re.Pattern[str]]) -> None:
        super().__init__(definitions, patterns)
        self._strict = _Reading(definitions, patterns)
        # Kept, since what was found is remembered by the identity of schemas.
        self._relaxed: dict[int, dict[str, Json]] = {}

    def _strictly(self) -> _Reading:
        return self._strict

    def _evaluate(self, schema: Json, value: Json, path: str) -> tuple[list[Issue], Evaluated]:
        if schema.__class__ is not dict:
            return super()._evaluate(schema, value, path)
        if id(schema) not in self._relaxed:
            self._relaxed[id(schema)] = self._relax(schema)
        return super()._evaluate(self._relaxed[id(schema)], value, path)

    @staticmethod
    def _relax(schema: dict[str, Json]) -> dict[str, Json]:
        """A schema without its own constraints. What tells two of its alternatives apart may be one: either may fit."""
        # The size of a tuple is part of its type.
        is_tuple = schema.get("items").__class__ is list
        kept = {
            keyword: said
            for keyword, said in schema.items()
            if keyword not in _BOUNDS or (is_tuple and keyword in ("minItems", "maxItems"))
        }
        if "contains" in kept:
            # Items that match count as looked at, however many they are.
            kept["minContains"] = 0
        if "oneOf" in kept:
            kept["allOf"] = [*kept.get("allOf", ()), {"anyOf": kept.pop("oneOf")}]
        return kept


_BOUNDS: Final = frozenset(
    (
        *("minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
        *("multipleOf", "minItems", "maxItems", "uniqueItems", "minContains", "maxContains"),
        *("minProperties", "maxProperties", "propertyNames"),
    )
)
"""What bounds a value of the right type."""


def _merge(seen: Evaluated, more: Evaluated) -> None:
    seen.names |= more.names
    seen.items |= more.items


def _text(value: Json) -> str:
    return msgspec.json.encode(value).decode()


def _alternatives(names: list[str]) -> str:
    article = [f"an {name}" if name[0] in "aio" else f"a {name}" if name != "null" else name for name in names]
    return " or ".join(article)
