"""Every dialect in one form: draft-07, references by definition name, inline types lifted to definitions of their own.

What a schema accepts does not change here. Annotations stay for the next stage. Knows no IR and no language.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from protogen import keywords
from protogen.bundle import Bundle, BundledSchema, Site
from protogen.naming import pascal
from protogen.positions import escape
from protogen.problems import Problem, closest, error, warning

Schema = dict[str, Any] | bool

OBJECT_KEYWORDS = frozenset(
    (
        "properties",
        "required",
        "additionalProperties",
        "patternProperties",
        "propertyNames",
        "minProperties",
        "maxProperties",
        "dependencies",
        "unevaluatedProperties",
    )
)
"""Keywords that say nothing about values that are no objects."""


class NormalSchema(msgspec.Struct, frozen=True, kw_only=True):
    """A definition in normal form; `listed` as in the bundle, False for what was lifted out of another."""

    name: str
    schema: Schema
    site: Site
    listed: bool


def normalise(bundle: Bundle) -> tuple[list[NormalSchema], list[Problem]]:
    """All definitions of the bundle in normal form, lifted ones after their owner."""
    return _Normaliser(bundle).run()


def reference(name: str) -> str:
    """The only form of `$ref` in normal form."""
    return f"#/definitions/{escape(name)}"


def referred(schema: Schema) -> str | None:
    """The name that `schema` refers to, where it is a reference."""
    if isinstance(schema, dict) and "$ref" in schema:
        pointer: str = schema["$ref"]
        return pointer.removeprefix("#/definitions/").replace("~1", "/").replace("~0", "~")
    return None


def constraints(schema: dict[str, Any]) -> dict[str, Any]:
    """The members of `schema` that accept or reject values."""
    return {key: value for key, value in schema.items() if key in keywords.CONSTRAINTS}


def notes(schema: dict[str, Any]) -> dict[str, Any]:
    """The members of `schema` that only annotate."""
    return {key: value for key, value in schema.items() if key not in keywords.CONSTRAINTS}


def is_null(schema: Schema) -> bool:
    """Whether only `null` fits."""
    return isinstance(schema, dict) and (
        constraints(schema) in ({"type": "null"}, {"const": None}, {"type": "null", "const": None})
    )


def strip(schema: Schema) -> Schema:
    """`schema` without annotations, as validators are made from it."""
    if not isinstance(schema, dict):
        return schema
    bare: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword not in keywords.CONSTRAINTS:
            continue
        if keyword in ("const", "enum", "required", "type"):
            bare[keyword] = value
        elif isinstance(value, list):
            bare[keyword] = [strip(entry) for entry in value]
        elif keyword in _MAPS:
            bare[keyword] = {name: entry if isinstance(entry, list) else strip(entry) for name, entry in value.items()}
        else:
            bare[keyword] = strip(value) if isinstance(value, dict) else value
    return bare


_OF_THE_MEMBER = ("default", "deprecated", "readOnly", "writeOnly")
_MAPS = ("properties", "patternProperties", "dependencies")
_LISTS = ("allOf", "anyOf", "oneOf")
_SINGLES = ("contains", "propertyNames", "not", "if", "then", "else", "unevaluatedItems", "unevaluatedProperties")
_PLAIN = (
    "type",
    "const",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minContains",
    "maxContains",
    "minProperties",
    "maxProperties",
    "required",
)


class _Normaliser:
    """The state of one normalisation: names taken, definitions lifted so far, findings."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._problems: list[Problem] = []
        self._names = {entry.name for entry in bundle.schemas}
        self._lifted: list[NormalSchema] = []
        self._site: Site = bundle.root_site
        self._listed = False

    def run(self) -> tuple[list[NormalSchema], list[Problem]]:
        done: list[NormalSchema] = []
        seen: set[str] = set()
        for entry in self._bundle.schemas:
            if entry.name in seen:
                continue
            seen.add(entry.name)
            self._lifted = []
            done.append(self._definition(entry))
            done.extend(self._lifted)
        return done, self._problems

    def _definition(self, entry: BundledSchema) -> NormalSchema:
        self._site = entry.site
        schema = self._normal(entry.schema, entry.site.pointer, entry.name)
        return NormalSchema(name=entry.name, schema=schema, site=entry.site, listed=entry.listed)

    def _normal(self, node: Any, pointer: str, owner: str) -> Schema:
        """`node` in normal form; inline types below it are lifted under names that begin with `owner`."""
        if node is True:
            return {}
        if not isinstance(node, dict):
            return False
        node = _with_known_values(self._checked(node, pointer))
        draft = self._site.draft
        target = self._target(node, pointer)
        annotations = _annotations(node)
        if "$ref" in node and draft <= keywords.DRAFT_07:
            ignored = [key for key in node if key != "$ref" and keywords.constrains(key, draft)]
            if ignored:
                self._problems.append(
                    warning(
                        "PG109",
                        f'{_quoted(ignored)} beside "$ref" says nothing before draft 2019-09',
                        fix='put the reference into "allOf" beside it',
                        place=self._site.document.place(f"{pointer}/{escape(ignored[0])}"),
                    )
                )
            return {"$ref": reference(target), **annotations} if target else annotations
        active = {key: value for key, value in node.items() if keywords.constrains(key, draft)}
        out = self._constraints(active, pointer, owner)
        if target is not None:
            if not out:
                return {"$ref": reference(target), **annotations}
            out["allOf"] = [{"$ref": reference(target)}, *out.get("allOf", ())]
        return self._simple({**out, **annotations}, pointer, owner)

    def _target(self, node: dict[str, Any], pointer: str) -> str | None:
        for keyword in ("$ref", "$dynamicRef", "$recursiveRef"):
            target = self._bundle.targets.get((self._site.document.path, f"{pointer}/{keyword}"))
            if keyword in node and target is not None:
                return target
        return None

    def _checked(self, node: dict[str, Any], pointer: str) -> dict[str, Any]:
        """The members whose value has the right form; the others are Problems."""
        kept: dict[str, Any] = {}
        for keyword, value in node.items():
            shape = keywords.KNOWN.get(keyword)
            if shape is None:
                if not keyword.startswith("x-"):
                    self._unread(keyword, pointer)
                elif keyword == "x-protogen-name" and not _is_name(value):
                    self._misnamed(value, pointer)
                    continue
                kept[keyword] = value
            elif keyword == "id" and self._site.draft > keywords.DRAFT_04:
                self._unread(keyword, pointer)
            elif keywords.fits(value, shape):
                kept[keyword] = value
            elif keyword in keywords.CONSTRAINTS or keyword in keywords.STRUCTURE:
                self._problems.append(
                    error(
                        "PG110",
                        f'"{keyword}" must be {shape.value}, got {_short(value)}',
                        fix="correct the value",
                        place=self._site.document.place(f"{pointer}/{escape(keyword)}"),
                    )
                )
        return kept

    def _misnamed(self, value: Any, pointer: str) -> None:
        self._problems.append(
            error(
                "PG110",
                f'"x-protogen-name" must be a name of ASCII letters, digits and _, got {_short(value)}',
                fix="give one that begins with a letter",
                place=self._site.document.place(f"{pointer}/x-protogen-name"),
            )
        )

    def _unread(self, keyword: str, pointer: str) -> None:
        known = closest(keyword, keywords.KNOWN)
        self._problems.append(
            warning(
                "PG104",
                f'the keyword "{keyword}" is not read{known}',
                fix='correct its name, or begin it with "x-" if it is a note of your own',
                place=self._site.document.place(f"{pointer}/{escape(keyword)}"),
            )
        )

    def _constraints(self, active: dict[str, Any], pointer: str, owner: str) -> dict[str, Any]:
        """The keywords of any draft as those of draft-07."""
        out: dict[str, Any] = {}
        for keyword, value in active.items():
            at = f"{pointer}/{escape(keyword)}"
            if keyword == "type":
                out[keyword] = _types(value)
            elif keyword == "enum":
                out.update(_enum(value))
            elif keyword in _PLAIN:
                out[keyword] = value
            elif keyword == "properties":
                out[keyword] = {
                    name: self._part(inner, f"{at}/{escape(name)}", owner + pascal(name))
                    for name, inner in value.items()
                }
            elif keyword == "additionalProperties":
                out[keyword] = self._part(value, at, f"{owner}Value")
            elif keyword == "patternProperties":
                out[keyword] = {name: self._normal(v, f"{at}/{escape(name)}", owner) for name, v in value.items()}
            elif keyword in _LISTS:
                out[keyword] = self._arms(keyword, value, at, owner)
            elif keyword in _SINGLES:
                out[keyword] = self._normal(value, at, owner)
        out.update(_bounds(active))
        out.update(self._items(active, pointer, owner))
        out.update(self._dependencies(active, pointer, owner))
        if "if" in out and not ("then" in out or "else" in out) and self._site.draft >= keywords.DRAFT_2019:
            # Alone it decides nothing, but what it looks at counts as evaluated.
            out["then"] = {}
        elif "if" not in out or not ("then" in out or "else" in out):
            for keyword in ("if", "then", "else"):
                out.pop(keyword, None)
        if out.get("uniqueItems") is False:
            del out["uniqueItems"]
        if "contains" not in out:
            out.pop("minContains", None)
            out.pop("maxContains", None)
        return out

    def _arms(self, keyword: str, members: list[Any], at: str, owner: str) -> list[Schema]:
        if keyword == "allOf":
            return [self._normal(arm, f"{at}/{index}", owner) for index, arm in enumerate(members)]
        return [self._part(arm, f"{at}/{index}", _arm_name(arm, index, owner)) for index, arm in enumerate(members)]

    def _items(self, active: dict[str, Any], pointer: str, owner: str) -> dict[str, Any]:
        prefix, rest = active.get("prefixItems"), active.get("items")
        prefix_at, rest_at = "prefixItems", "items"
        if isinstance(rest, list):
            prefix, rest = rest, active.get("additionalItems")
            prefix_at, rest_at = "items", "additionalItems"
        if isinstance(prefix, list):
            out: dict[str, Any] = {
                "items": [
                    self._part(entry, f"{pointer}/{prefix_at}/{index}", f"{owner}Item{index}")
                    for index, entry in enumerate(prefix)
                ]
            }
            if rest is not None:
                out["additionalItems"] = self._part(rest, f"{pointer}/{rest_at}", f"{owner}Item")
            return out
        if rest is None:
            return {}
        return {"items": self._part(rest, f"{pointer}/items", f"{owner}Item")}

    def _dependencies(self, active: dict[str, Any], pointer: str, owner: str) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for keyword in ("dependencies", "dependentRequired", "dependentSchemas"):
            for name, entry in active.get(keyword, {}).items():
                at = f"{pointer}/{keyword}/{escape(name)}"
                new = entry if isinstance(entry, list) else self._normal(entry, at, owner)
                merged[name] = _both(merged[name], new) if name in merged else new
        return {"dependencies": merged} if merged else {}

    def _part(self, node: Any, pointer: str, name: str) -> Schema:
        """A member schema, lifted to a definition called `name` where it describes a type that wants a name."""
        schema = self._normal(node, pointer, name)
        if not isinstance(schema, dict) or not _wants_name(schema):
            return schema
        unique, number = name, 2
        while unique in self._names:
            unique, number = f"{name}{number}", number + 1
        self._names.add(unique)
        site = Site(document=self._site.document, pointer=pointer, base=self._site.base, draft=self._site.draft)
        outside: dict[str, Any] = {key: schema[key] for key in _OF_THE_MEMBER if key in schema}
        inner = {key: value for key, value in schema.items() if key not in outside or key == "deprecated"}
        self._lifted.append(NormalSchema(name=unique, schema=inner, site=site, listed=False))
        if "description" in schema:
            outside["description"] = schema["description"]
        return {"$ref": reference(unique), **outside}

    def _simple(self, schema: dict[str, Any], pointer: str, owner: str) -> Schema:
        """The same set of values said the way the next stage reads it."""
        arms = schema.get("allOf")
        if arms is not None:
            arms = [arm for arm in arms if arm is False or constraints_of(arm)]
            schema = {key: value for key, value in schema.items() if key != "allOf"}
            rest = constraints(schema)
            if len(arms) == 1 and not rest:
                return {**arms[0], **schema} if isinstance(arms[0], dict) else False
            if arms:
                schema["allOf"] = arms
        for keyword in ("anyOf", "oneOf"):
            arms = schema.get(keyword)
            if arms is not None and len(arms) == 1 and len(constraints(schema)) == 1:
                schema = {key: value for key, value in schema.items() if key != keyword}
                return {**arms[0], **schema} if isinstance(arms[0], dict) else False
        return self._split_null(schema, pointer, owner)

    def _split_null(self, schema: dict[str, Any], pointer: str, owner: str) -> dict[str, Any]:
        """`null` as an arm of its own beside an enum or an object that wants a name."""
        said = constraints(schema)
        values = said.get("enum")
        if values is not None and None in values and len(values) > 2 and set(said) <= {"enum", "type"}:
            kinds = said.get("type", ["null"])
            if "null" not in ([kinds] if isinstance(kinds, str) else kinds):
                return schema
            others: dict[str, Any] = {"enum": [value for value in values if value is not None]}
            if "x-enum-descriptions" in schema:
                others["x-enum-descriptions"] = schema["x-enum-descriptions"]
            return self._nullable(others, schema, pointer, owner)
        types = said.get("type")
        if isinstance(types, list) and set(types) == {"object", "null"} and "properties" in said:
            inner = {key: value for key, value in said.items() if key != "type"}
            if set(inner) <= OBJECT_KEYWORDS:
                return self._nullable({"type": "object", **inner}, schema, pointer, owner)
        return schema

    def _nullable(self, inner: dict[str, Any], schema: dict[str, Any], pointer: str, owner: str) -> dict[str, Any]:
        unique, number = f"{owner}Value" if pointer == self._site.pointer else owner, 2
        while unique in self._names:
            unique, number = f"{owner}{number}", number + 1
        self._names.add(unique)
        site = Site(document=self._site.document, pointer=pointer, base=self._site.base, draft=self._site.draft)
        if "description" in schema:
            inner = {**inner, "description": schema["description"]}
        self._lifted.append(NormalSchema(name=unique, schema=inner, site=site, listed=False))
        return {"anyOf": [{"$ref": reference(unique)}, {"type": "null"}], **notes(schema)}


def constraints_of(schema: Schema) -> bool:
    """Whether `schema` rejects anything at all, as far as its members tell."""
    return isinstance(schema, dict) and bool(constraints(schema))


def _wants_name(schema: dict[str, Any]) -> bool:
    """Whether a member schema describes a record, an enum or a union."""
    if "$ref" in schema:
        return False
    if schema.get("properties") or (schema.get("type") == "object" and schema.get("additionalProperties") is False):
        return True
    if sum(value is not None for value in schema.get("enum", ())) > 1 or len(schema.get("allOf", ())) > 1:
        return True
    if any(sum(not is_null(arm) for arm in schema.get(keyword, ())) > 1 for keyword in ("anyOf", "oneOf")):
        return True
    if "allOf" in schema and len(constraints(schema)) > 1:
        return True
    types = schema.get("type")
    return isinstance(types, list) and len(set(types) - {"null"}) > 1


def _arm_name(arm: Any, index: int, owner: str) -> str:
    """A name for an inline alternative: its title, the value of its only constant, or its place."""
    if isinstance(arm, dict):
        title = arm.get("title")
        if isinstance(title, str) and pascal(title):
            return pascal(title)
        properties = arm.get("properties")
        if isinstance(properties, dict):
            constants = [
                entry["const"]
                for entry in properties.values()
                if isinstance(entry, dict) and isinstance(entry.get("const"), str)
            ]
            if len(constants) == 1 and pascal(constants[0]):
                return owner + pascal(constants[0])
        if arm.get("type") == "array":
            return f"{owner}List"
    return f"{owner}Option{index + 1}"


def _with_known_values(node: dict[str, Any]) -> dict[str, Any]:
    """`node` with `_enum` as an enum that may be any other text, and the texts of its values by value."""
    values, texts = node.get("enum", node.get("_enum")), node.get("enumDescriptions")
    if isinstance(texts, list) and isinstance(values, list) and "x-enum-descriptions" not in node:
        told = {str(value): text for value, text in zip(values, texts, strict=False) if isinstance(text, str)}
        node = {**node, "x-enum-descriptions": told}
    alone = "_enum" in node and constraints(node) == {"type": "string"}
    if not alone or not values or not all(isinstance(value, str) for value in values):
        return node
    docs = node.get("x-enum-descriptions", {})
    arms = [
        {"enum": [value], **({"description": docs[value]} if value in docs else {})} for value in dict.fromkeys(values)
    ]
    kept = {key: value for key, value in node.items() if key not in ("type", "_enum", "x-enum-descriptions")}
    return {**kept, "anyOf": [*arms, {"type": "string"}]}


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", value) is not None


def _types(value: Any) -> Any:
    names = [value] if isinstance(value, str) else list(dict.fromkeys(value))
    if "number" in names and "integer" in names:
        names.remove("integer")
    return names[0] if len(names) == 1 else names


def _enum(values: list[Any]) -> dict[str, Any]:
    if len(values) == 1:
        return {"const": values[0]}
    return {"enum": values} if values else {"not": {}}


def _bounds(active: dict[str, Any]) -> dict[str, Any]:
    """Bounds with draft-04's boolean exclusiveness said as later drafts say it."""
    out: dict[str, Any] = {}
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        limit, strict = active.get(bound), active.get(exclusive)
        if strict is True and limit is not None:
            out[exclusive] = limit
            continue
        if limit is not None:
            out[bound] = limit
        if strict is not None and not isinstance(strict, bool):
            out[exclusive] = strict
    return out


def _both(first: Any, second: Any) -> Schema:
    return {"allOf": [{"required": part} if isinstance(part, list) else part for part in (first, second)]}


def _annotations(node: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in node.items()
        if (key in keywords.ANNOTATIONS or key.startswith(("x-protogen-", "x-enum-", "x-open-enum")))
        and key not in ("$comment", "example", "examples")
    }


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
