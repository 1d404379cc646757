"""The lowered schema as the Go validator reads it: patterns in Go's syntax, and what Go cannot check left out.

Leaving something out only ever widens a schema: where it stands under a negation, the negation goes with it.
"""

from __future__ import annotations

from collections.abc import Iterator

from protogen import ir
from protogen.problems import Place, Problem, warning
from protogen.targets.go.patterns import Untranslatable, translate
from protogen.targets.go.text import compact

ONE = frozenset(
    "additionalItems additionalProperties contains else if not propertyNames then unevaluatedItems"
    " unevaluatedProperties".split()
)
"""Keywords that hold one schema (`items` may)."""

MANY = frozenset({"allOf", "anyOf", "oneOf"})
TABLES = frozenset({"definitions", "dependentSchemas", "dependencies", "patternProperties", "properties"})

READ = (
    ONE
    | MANY
    | TABLES
    | frozenset(
        "$ref const dependentRequired enum exclusiveMaximum exclusiveMinimum items maxContains maxItems maxLength"
        " maxProperties maximum minContains minItems minLength minProperties minimum multipleOf pattern required type"
        " uniqueItems".split()
    )
)
"""All that the validator looks at; other keywords would only make the module larger."""


def embedded(protocol: ir.Protocol) -> tuple[str, list[Problem]]:
    """The schema's JSON text, one definition a line, and a Problem for every pattern that Go cannot check."""
    definitions: dict[str, ir.Json] = protocol.schema.get("definitions", {})
    loose = _loose(definitions)
    problems: list[Problem] = []
    places = {entry.name: ir.place_of(entry) for entry in protocol.definitions}
    lines = []
    for name, schema in definitions.items():
        translated, _ = _Translation(name, loose, problems, place=places.get(name)).schema(schema)
        lines.append(f"{compact(name)}:{compact(translated)}")
    return '{"definitions":{\n' + ",\n".join(lines) + "\n}}", problems


def type_schema(expression: ir.Type) -> ir.Json:
    """The schema of a type expression that has no definition of its own."""
    match expression:
        case ir.AnyType():
            return True
        case ir.NullType():
            return {"type": "null"}
        case ir.BooleanType():
            return {"type": "boolean"}
        case ir.StringType():
            return _with(
                "string", minLength=expression.min_length, maxLength=expression.max_length, pattern=expression.pattern
            )
        case ir.IntegerType():
            return _with("integer", minimum=expression.minimum, maximum=expression.maximum)
        case ir.NumberType():
            return _with("number", minimum=expression.minimum, maximum=expression.maximum)
        case ir.LiteralType():
            return {"const": expression.value}
        case ir.ListType():
            items = type_schema(expression.item)
            return _with("array", items=items, minItems=expression.min_items, maxItems=expression.max_items)
        case ir.TupleType():
            size = len(expression.items)
            return {
                "type": "array",
                "items": [type_schema(item) for item in expression.items],
                "minItems": size,
                "maxItems": size,
            }
        case ir.MapType():
            return {"type": "object", "additionalProperties": type_schema(expression.value)}
        case ir.NullableType():
            return {"anyOf": [type_schema(expression.of), {"type": "null"}]}
        case ir.NamedType():
            return {"$ref": f"#/definitions/{expression.name.replace('~', '~0').replace('/', '~1')}"}


def inline(expression: ir.Type) -> str:
    """The text of `type_schema` with its patterns in Go's syntax."""
    translated, _ = _Translation("", frozenset(), []).schema(type_schema(expression))
    return compact(translated)


def _with(kind: str, **keywords: ir.Json) -> ir.Json:
    return {"type": kind} | {key: value for key, value in keywords.items() if value is not None}


def _loose(definitions: dict[str, ir.Json]) -> frozenset[str]:
    """Names of the definitions that something is left out of, themselves or through a reference."""
    direct: set[str] = set()
    users: dict[str, set[str]] = {}
    for name, schema in definitions.items():
        for part in _parts(schema):
            patterns = [part["pattern"]] if isinstance(part.get("pattern"), str) else []
            if any(not _translatable(pattern) for pattern in (*patterns, *part.get("patternProperties", ()))):
                direct.add(name)
            if isinstance(part.get("$ref"), str):
                target = part["$ref"].removeprefix("#/definitions/").replace("~1", "/").replace("~0", "~")
                users.setdefault(target, set()).add(name)
    waiting, found = list(direct), set(direct)
    while waiting:
        for user in users.get(waiting.pop(), ()):
            if user not in found:
                found.add(user)
                waiting.append(user)
    return frozenset(found)


def _translatable(pattern: str) -> bool:
    try:
        translate(pattern)
    except Untranslatable:
        return False
    return True


def _parts(schema: ir.Json) -> Iterator[dict[str, ir.Json]]:
    """A schema and all schemas inside it, without following references."""
    if not isinstance(schema, dict):
        return
    found: dict[str, ir.Json] = schema
    yield found
    for key, value in found.items():
        inner: ir.Json = []
        if key in ONE or key in MANY or key == "items":
            inner = value if isinstance(value, list) else [value]
        elif key in TABLES:
            inner = value.values()
        for entry in inner:
            yield from _parts(entry)


class _Translation:
    """The translation of one definition; `loose` names definitions that are wider than the source says."""

    def __init__(
        self, name: str, loose: frozenset[str], problems: list[Problem], *, place: Place | None = None
    ) -> None:
        self.name = name
        self.place = place
        self.loose = loose
        self.problems = problems

    def schema(self, schema: ir.Json) -> tuple[ir.Json, bool]:
        """The schema as Go reads it, and whether it is wider than the source."""
        if not isinstance(schema, dict):
            return schema, False
        if "$ref" in schema:
            name = schema["$ref"].removeprefix("#/definitions/").replace("~1", "/").replace("~0", "~")
            return {"$ref": schema["$ref"]}, name in self.loose
        wider: set[str] = set()
        out: dict[str, ir.Json] = {}
        for key, value in schema.items():
            if key not in READ:
                continue
            translated, wide = self.keyword(key, value)
            if wide:
                wider.add(key)
            if not (key == "pattern" and wide):
                out[key] = translated
        self.keep_wide(out, wider)
        return out, bool(wider)

    def keyword(self, key: str, value: ir.Json) -> tuple[ir.Json, bool]:
        if key == "pattern":
            pattern = self.pattern(value)
            return pattern, pattern is None
        if isinstance(value, list):
            if key not in MANY and key != "items":
                return value, False
            entries = [self.schema(entry) for entry in value]
            return [entry for entry, _ in entries], any(wide for _, wide in entries)
        if key in ONE or key == "items":
            return self.schema(value)
        if key in TABLES:
            return self.table(key, value)
        return value, False

    def table(self, key: str, value: dict[str, ir.Json]) -> tuple[ir.Json, bool]:
        out: dict[str, ir.Json] = {}
        any_wide = False
        for name, entry in value.items():
            target = self.pattern(name) if key == "patternProperties" else name
            if target is None:
                any_wide = True
                continue
            translated, wide = (entry, False) if isinstance(entry, list) else self.schema(entry)
            any_wide = any_wide or wide
            # Two source patterns may be one in Go: then both apply.
            out[target] = {"allOf": [out[target], translated]} if target in out else translated
        return out, any_wide

    def pattern(self, pattern: str) -> str | None:
        try:
            return translate(pattern)
        except Untranslatable as reason:
            where = f'the pattern "{pattern}" of "{self.name}"'
            what = f"Go has no equivalent of {reason} in {where}, so that the Go SDK does not check it"
            fix = "write the pattern without it, or check in the handler"
            self.problems.append(warning("PG601", what, fix=fix, place=self.place))
            return None

    @staticmethod
    def keep_wide(out: dict[str, ir.Json], wider: set[str]) -> None:
        """Takes out what would become narrower because something inside it became wider."""
        if "not" in wider:
            del out["not"]
        if "oneOf" in wider:
            choices = out.pop("oneOf")
            out.setdefault("allOf", []).append({"anyOf": choices})
        if "if" in wider:
            for key in ("if", "then", "else"):
                out.pop(key, None)
        if "contains" in wider:
            out.pop("maxContains", None)
        if "patternProperties" in wider:
            out.pop("additionalProperties", None)
        if wider:
            out.pop("unevaluatedProperties", None)
            out.pop("unevaluatedItems", None)
