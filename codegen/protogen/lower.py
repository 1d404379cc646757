"""From definitions in normal form to the IR: records, enums, unions, aliases, and the protocol's methods and errors.

A type admits every value that its schema admits; where types cannot say all, `exact` is False and the
lowered schema decides. Knows no language.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Set
from typing import Any

import msgspec

from protogen import ir, keywords
from protogen.bundle import Bundle, annotated_schemas, is_protocol
from protogen.load import stem
from protogen.normalise import NormalSchema, Schema, constraints, is_null, referred, strip
from protogen.positions import escape
from protogen.problems import Place, Problem, closest, error, warning

ALL_KINDS: frozenset[ir.JsonKind] = frozenset(("null", "boolean", "integer", "number", "string", "array", "object"))
_KIND_ORDER: tuple[ir.JsonKind, ...] = ("null", "boolean", "integer", "number", "string", "array", "object")


def lower(bundle: Bundle, normal: list[NormalSchema]) -> tuple[ir.Protocol, list[Problem]]:
    """The protocol that the bundle's main document describes."""
    lowerer = _Lowerer(bundle, normal)
    return lowerer.protocol(), lowerer.problems


BOUNDED, MISSHAPEN = 1, 2
"""What types leave out of a schema: constraints alone, or more."""


class _Merged(msgspec.Struct, kw_only=True):
    """An object schema with its `allOf` arms folded in, as far as types can say it."""

    properties: dict[str, Schema]
    required: dict[str, None]
    additional: list[Schema]
    is_object: bool = False
    inexact: int = 0
    """Nothing, BOUNDED or MISSHAPEN, by what is said besides."""


class _Lowerer:
    """The state of one lowering: the table of definitions, memoised kinds, and what the current definition lost."""

    def __init__(self, bundle: Bundle, normal: list[NormalSchema]) -> None:
        self._bundle = bundle
        self._normal = normal
        self._table = {entry.name: entry for entry in normal}
        self._kinds: dict[str, frozenset[ir.JsonKind]] = {}
        self._inexact = 0
        self._standing = {entry.site.key: entry.name for entry in reversed(bundle.schemas)}
        self._records = self._message_names()
        self.problems: list[Problem] = []

    def protocol(self) -> ir.Protocol:
        definitions = _exactness([self._definition(entry) for entry in self._normal])
        main = self._bundle.main
        tree = main.tree if isinstance(main.tree, dict) else {}
        if not is_protocol(tree):
            tree = {key: value for key, value in tree.items() if not key.startswith("x-")}
        about = _object(tree.get("x-protocol"))
        name = str(about.get("name", stem(main.path)))
        errors = self._errors(_object(tree.get("x-errors")))
        roles = self._roles(_object(tree.get("x-roles")), _object(tree.get("x-methods")))
        return ir.Protocol(
            name=name,
            version=str(about.get("version", "0")),
            title=str(about.get("title") or tree.get("title") or name),
            summary=_text(about.get("summary")),
            doc=_text(tree.get("description") or about.get("summary")),
            definitions=tuple(definitions),
            roles=roles,
            methods=self._methods(_object(tree.get("x-methods")), roles, errors),
            errors=errors,
            http=_http(_object(_object(tree.get("x-transports")).get("http"))),
            roots=tuple(entry.name for entry in self._normal if entry.listed),
            sources=tuple(ir.Source(path=doc.path, sha256=doc.sha256) for doc in self._bundle.documents),
            schema={
                "$schema": "http://json-schema.org/draft-07/schema#",
                "definitions": {entry.name: strip(entry.schema) for entry in self._normal},
            },
        )

    # --- definitions ----------------------------------------------------------------------------

    def _definition(self, entry: NormalSchema) -> ir.AnyDefinition:
        schema = entry.schema
        self._inexact = 0
        if not isinstance(schema, dict):
            return ir.Alias(
                name=entry.name,
                type=ir.AnyType(),
                exact=False,
                path=entry.site.document.shown,
                pointer=entry.site.pointer,
            )
        common: dict[str, Any] = {
            "name": entry.name,
            "doc": _doc(schema, entry.name),
            "deprecated": schema.get("deprecated") is True,
            "pin": _pin(schema),
            "path": entry.site.document.shown,
            "pointer": entry.site.pointer,
        }
        said = constraints(schema)
        values = said.get("enum")
        if values is not None and None not in values and all(_scalar(value) for value in values):
            self._note_rest(said, {"enum", "type"})
            typed = said.get("type")
            if typed is not None and not all(_has_type(value, typed) for value in values):
                self._inexact = MISSHAPEN
            return ir.Enum(
                **common, values=_enum_values(schema), open=schema.get("x-open-enum") is True, **self._exactly()
            )
        merged = self._merged(schema)
        if (
            merged is not None
            and merged.is_object
            and (merged.properties or merged.required or _closed(merged) or entry.name in self._records)
        ):
            return self._record(entry, merged, common)
        for keyword in ("anyOf", "oneOf"):
            arms = said.get(keyword)
            if (
                arms is not None
                and sum(not is_null(arm) for arm in arms) > 1
                and (merged is None or not merged.is_object)
            ):
                opened = self._open_enum(arms, common)
                if opened is None:
                    return self._union(entry, keyword, arms, common)
                # With oneOf, a known value fits two arms of an open enum, and so is not valid.
                exact = not (opened.open and keyword == "oneOf")
                return msgspec.structs.replace(opened, exact=exact, shaped=exact)
        kinds = said.get("type")
        if isinstance(kinds, list) and sum(kind != "null" for kind in kinds) > 1:
            shared = {key: value for key, value in said.items() if key != "type"}
            parts: list[Schema] = [{"type": kind, **_relevant(shared, kind)} for kind in kinds]
            self._note_rest(
                shared, set(_OF_KIND["string"]) | _OF_KIND["number"] | _OF_KIND["array"] | _OF_KIND["object"]
            )
            return self._union(entry, "anyOf", parts, common)
        return ir.Alias(**common, type=self._type(schema), **self._exactly())

    def _record(self, entry: NormalSchema, merged: _Merged, common: dict[str, Any]) -> ir.Record:
        self._inexact = max(self._inexact, merged.inexact)
        fields = [
            self._field(wire, schema, required=wire in merged.required) for wire, schema in merged.properties.items()
        ]
        fields.extend(
            ir.Field(wire=wire, type=ir.AnyType(), required=True)
            for wire in merged.required
            if wire not in merged.properties
        )
        if merged.additional and len(fields) > len(merged.properties):
            # What is required without being described must be what the additional members must be.
            self._inexact = MISSHAPEN
        extra: ir.Type | None = ir.AnyType()
        if any(schema is False for schema in merged.additional):
            extra = None
        elif len(merged.additional) == 1:
            extra = self._type(merged.additional[0])
        elif merged.additional:
            self._inexact = MISSHAPEN
        if merged.inexact and extra is not None and not isinstance(extra, ir.AnyType):
            extra = ir.AnyType()
        return ir.Record(**common, fields=tuple(fields), extra=extra, **self._exactly())

    def _field(self, wire: str, schema: Schema, *, required: bool) -> ir.Field:
        if not isinstance(schema, dict):
            self._inexact = MISSHAPEN
            return ir.Field(wire=wire, type=ir.AnyType(), required=required)
        return ir.Field(
            wire=wire,
            type=self._type(schema),
            required=required,
            doc=_text(schema.get("description")) or self._null_arm_doc(schema),
            default=schema.get("default", ir.UNSET),
            deprecated=schema.get("deprecated") is True,
            read_only=schema.get("readOnly") is True,
            write_only=schema.get("writeOnly") is True,
            pin=_pin(schema),
        )

    @staticmethod
    def _null_arm_doc(schema: dict[str, Any]) -> str:
        """The description that stands in the only arm beside `null`."""
        for keyword in ("anyOf", "oneOf"):
            arms = [arm for arm in schema.get(keyword, ()) if not is_null(arm)]
            if len(arms) == 1 and isinstance(arms[0], dict):
                return _text(arms[0].get("description"))
        return ""

    def _merged(self, schema: Schema, trail: tuple[str, ...] = ()) -> _Merged | None:
        """The object view of `schema`; None where an arm of `allOf` is no plain object."""
        if not isinstance(schema, dict):
            return None
        name = referred(schema)
        if name is not None:
            if name in trail:
                return None
            return self._merged(self._table[name].schema, (*trail, name))
        said = constraints(schema)
        merged = _Merged(properties={}, required={}, additional=[])
        for arm in said.get("allOf", ()):
            merged.inexact = MISSHAPEN
            part = self._merged(arm, trail)
            if part is None:
                return None
            _fold(merged, part)
        types = said.get("type")
        if types not in (None, "object"):
            return None
        if {"const", "enum"} & set(said):
            return None
        merged.is_object = merged.is_object or types == "object"
        additional = said.get("additionalProperties")
        own = _Merged(
            properties=dict(said.get("properties", {})),
            required=dict.fromkeys(said.get("required", ())),
            additional=[] if additional in (None, {}, True) else [additional],
        )
        if "patternProperties" in said:
            own.additional = []
        own.inexact = _inexactness(set(said) - {"type", "properties", "required", "additionalProperties", "allOf"})
        _fold(merged, own)
        return merged

    # --- unions ---------------------------------------------------------------------------------

    def _open_enum(self, arms: list[Schema], common: dict[str, Any]) -> ir.Enum | None:
        """`anyOf` of known strings and any string: an enum to which others may be added."""
        values: list[ir.EnumValue] = []
        is_open = False
        for arm in arms:
            if not isinstance(arm, dict):
                return None
            said = constraints(self._resolved(arm))
            if said == {"type": "string"}:
                is_open = True
            elif "const" in said and isinstance(said["const"], str) and set(said) <= {"const", "type"}:
                values.append(
                    ir.EnumValue(value=said["const"], doc=_text(arm.get("description")), name=arm.get("title"))
                )
            elif (
                "enum" in said
                and all(isinstance(value, str) for value in said["enum"])
                and set(said) <= {"enum", "type"}
            ):
                values.extend(_enum_values(self._resolved(arm)))
            else:
                return None
        distinct = len({value.value for value in values}) == len(values)
        if not values or not distinct:
            return None
        return ir.Enum(**common, values=tuple(values), open=is_open, exact=True, shaped=True)

    def _union(
        self, entry: NormalSchema, keyword: str, arms: list[Schema], common: dict[str, Any]
    ) -> ir.Union | ir.Alias:
        said = constraints(entry.schema) if isinstance(entry.schema, dict) else {}
        # A list of types is the union itself; beside `anyOf` it is one more condition.
        self._note_rest(said, {keyword} if keyword in said else {"type"})
        if any(self._is_anything(arm) for arm in arms):
            return ir.Alias(**common, type=ir.AnyType(), exact=False)
        built = tuple(self._arm(arm) for arm in arms)
        tag, tags, is_open = self._tag(arms)
        if tag is not None:
            kept = [
                ir.Arm(
                    name=arm.name, type=arm.type, doc=arm.doc, kinds=arm.kinds, required=arm.required, tags=tags[index]
                )
                for index, arm in enumerate(built)
                if tags[index]
            ]
            self._inexact = MISSHAPEN if is_open else self._inexact
            return ir.Union(**common, arms=tuple(kept), tag=tag, open=is_open, **self._exactly())
        if not _disjoint([arm.kinds for arm in built]):
            self._inexact = MISSHAPEN
            self._warn_alike(entry, keyword, built)
        return ir.Union(**common, arms=built, **self._exactly())

    def _arm(self, schema: Schema) -> ir.Arm:
        type_ = self._type(schema)
        kinds = self._kinds_of(schema)
        merged = self._merged(schema) if "object" in kinds else None
        name = type_.name if isinstance(type_, ir.NamedType) else _kind_name(type_)
        doc = _text(schema.get("description")) if isinstance(schema, dict) else ""
        required = tuple(merged.required) if merged is not None and merged.is_object else ()
        return ir.Arm(name=name, type=type_, doc=doc, kinds=_ordered(kinds), required=required)

    def _tag(self, arms: list[Schema]) -> tuple[str | None, list[tuple[str, ...]], bool]:
        """The property whose constants tell the arms apart, its values per arm, and whether other values may come."""
        views: list[_Merged] = []
        for arm in arms:
            merged = self._merged(arm) if referred(arm) is not None else None
            if merged is None or not merged.is_object:
                return None, [], False
            views.append(merged)
        for wire in views[0].properties:
            values = [self._constants(view, wire) for view in views]
            seen = [value for group in values for value in group]
            rest = [index for index, group in enumerate(values) if not group]
            if len(set(seen)) != len(seen) or not seen:
                continue
            if not rest:
                return wire, values, False
            if len(rest) == 1 and self._excludes(views[rest[0]], wire, seen):
                return wire, values, True
        return None, [], False

    def _constants(self, view: _Merged, wire: str) -> tuple[str, ...]:
        schema = view.properties.get(wire)
        if wire not in view.required or not isinstance(schema, dict):
            return ()
        value = self._resolved(schema).get("const")
        return (value,) if isinstance(value, str) else ()

    def _excludes(self, view: _Merged, wire: str, values: list[str]) -> bool:
        """Whether `view` admits for `wire` only strings that are none of `values`."""
        schema = view.properties.get(wire)
        if wire not in view.required or not isinstance(schema, dict):
            return False
        said = constraints(self._resolved(schema))
        excluded = said.get("not")
        if said.get("type") != "string" or not isinstance(excluded, dict):
            return False
        names = [
            name
            for arm in _not_arms(excluded)
            for name in self._resolved(arm).get("enum", [self._resolved(arm).get("const")])
        ]
        return set(values) <= set(names)

    def _warn_alike(self, entry: NormalSchema, keyword: str, arms: tuple[ir.Arm, ...]) -> None:
        objects = [frozenset(arm.required) for arm in arms if "object" in arm.kinds]
        if len(set(objects)) == len(objects) or not entry.listed:
            return
        self.problems.append(
            warning(
                "PG103",
                f'"{entry.name}": the alternatives of "{keyword}" can only be told apart by validating each',
                fix='give every alternative a required property with its own "const"',
                place=entry.site.place(f"/{keyword}"),
            )
        )

    # --- type expressions -----------------------------------------------------------------------

    def _type(self, schema: Schema) -> ir.Type:
        """The type expression of a member schema; sets `_inexact` where it admits more than the schema."""
        if not isinstance(schema, dict):
            self._inexact = MISSHAPEN
            return ir.AnyType()
        name = referred(schema)
        if name is not None:
            return ir.AnyType() if self._is_anything(schema) else ir.NamedType(name=name)
        said = constraints(schema)
        if not said:
            return ir.AnyType()
        if "const" in said:
            return self._constant(said)
        if "enum" in said:
            return self._small_enum(said)
        for keyword in ("anyOf", "oneOf"):
            if keyword in said:
                return self._optional(said, keyword)
        types = said.get("type")
        if isinstance(types, list) and "null" in types and len(types) == 2:
            kind = next(kind for kind in types if kind != "null")
            return ir.NullableType(of=self._of_kind(kind, {**said, "type": kind}, format_=schema.get("format")))
        if isinstance(types, str):
            return self._of_kind(types, said, format_=schema.get("format"))
        self._inexact = MISSHAPEN
        if "properties" in said and types is None and "allOf" not in said:
            self._warn_untyped(schema)
        return ir.AnyType()

    def _warn_untyped(self, schema: dict[str, Any]) -> None:
        entry = next((entry for entry in self._normal if entry.schema is schema), None)
        place = entry.site.place() if entry is not None else None
        what = '"properties" without "type" admits strings, numbers and arrays too'
        self.problems.append(warning("PG115", what, fix='add "type": "object"', place=place))

    def _constant(self, said: dict[str, Any]) -> ir.Type:
        value = said["const"]
        self._note_rest(said, {"const", "type"})
        if "type" in said and not _has_type(value, said["type"]):
            self._inexact = MISSHAPEN
        if value is None:
            return ir.NullType()
        if _scalar(value):
            return ir.LiteralType(value=value)
        self._inexact = MISSHAPEN
        return ir.AnyType()

    def _small_enum(self, said: dict[str, Any]) -> ir.Type:
        """An enum that was not lifted: one value beside `null`, or values that are no scalars."""
        values = [value for value in said["enum"] if value is not None]
        if len(values) == 1 and _scalar(values[0]) and set(said) <= {"enum", "type"}:
            if "type" in said and not all(_has_type(value, said["type"]) for value in said["enum"]):
                self._inexact = MISSHAPEN
            return ir.NullableType(of=ir.LiteralType(value=values[0]))
        self._inexact = MISSHAPEN
        return ir.AnyType()

    def _optional(self, said: dict[str, Any], keyword: str) -> ir.Type:
        """`anyOf` or `oneOf` with a single arm beside `null`."""
        self._note_rest(said, {keyword})
        arms = said[keyword]
        others = [arm for arm in arms if not is_null(arm)]
        if len(others) != 1 or set(said) - {keyword, "type"}:
            self._inexact = MISSHAPEN
            return ir.AnyType()
        inner = self._type(others[0])
        if "null" in self._kinds_of(others[0]) and len(others) < len(arms):
            self._inexact = MISSHAPEN if keyword == "oneOf" else self._inexact
            return inner
        return ir.NullableType(of=inner) if len(others) < len(arms) else inner

    def _of_kind(self, kind: str, said: dict[str, Any], *, format_: str | None) -> ir.Type:
        self._note_rest(said, _CARRIED[kind])
        match kind:
            case "null":
                return ir.NullType()
            case "boolean":
                return ir.BooleanType()
            case "string":
                return ir.StringType(
                    format=format_,
                    min_length=_whole(said.get("minLength")),
                    max_length=_whole(said.get("maxLength")),
                    pattern=said.get("pattern"),
                )
            case "integer":
                return ir.IntegerType(minimum=_least(said), maximum=_most(said), format=format_)
            case "number":
                return ir.NumberType(minimum=said.get("minimum"), maximum=said.get("maximum"), format=format_)
            case "array":
                return self._array(said)
            case _:
                return self._object(said)

    def _array(self, said: dict[str, Any]) -> ir.Type:
        items = said.get("items", {})
        low, high = _whole(said.get("minItems")), _whole(said.get("maxItems"))
        if isinstance(items, list):
            if low == len(items) and (said.get("additionalItems") is False or high == low):
                self._inexact = MISSHAPEN if "additionalItems" in said else self._inexact
                return ir.TupleType(items=tuple(self._type(item) for item in items))
            self._inexact = MISSHAPEN
            return ir.ListType(item=ir.AnyType(), min_items=low, max_items=high)
        return ir.ListType(item=self._type(items), min_items=low, max_items=high)

    def _object(self, said: dict[str, Any]) -> ir.Type:
        if said.get("properties") or said.get("required") or "patternProperties" in said:
            self._inexact = MISSHAPEN
            return ir.MapType(value=ir.AnyType())
        additional = said.get("additionalProperties", {})
        if not isinstance(additional, dict):
            self._inexact = MISSHAPEN
            return ir.MapType(value=ir.AnyType())
        return ir.MapType(value=self._type(additional))

    # --- what a schema can hold -----------------------------------------------------------------

    def _resolved(self, schema: Schema) -> dict[str, Any]:
        """`schema` behind its references; empty for a boolean."""
        name = referred(schema)
        seen: set[str] = set()
        while name is not None and name not in seen:
            seen.add(name)
            schema = self._table[name].schema
            name = referred(schema)
        return schema if isinstance(schema, dict) else {}

    def _is_anything(self, schema: Schema) -> bool:
        """Whether `schema` admits every value, as far as its members tell."""
        return schema is True or (isinstance(schema, dict) and not referred(schema) and not constraints(schema))

    def _kinds_of(self, schema: Schema, trail: tuple[str, ...] = ()) -> frozenset[ir.JsonKind]:
        """The JSON kinds that values of `schema` can have; never too few."""
        if not isinstance(schema, dict):
            return frozenset() if schema is False else ALL_KINDS
        name = referred(schema)
        if name is not None:
            if name in trail:
                return ALL_KINDS
            if name not in self._kinds:
                self._kinds[name] = self._kinds_of(self._table[name].schema, (*trail, name))
            return self._kinds[name]
        said = constraints(schema)
        kinds = ALL_KINDS
        if "type" in said:
            types = said["type"]
            listed: list[ir.JsonKind] = types if isinstance(types, list) else [types]
            named = set(listed)
            if "number" in named:
                named.add("integer")
            kinds = frozenset(named)
        if "const" in said:
            kinds &= _kinds_of_value(said["const"])
        if "enum" in said:
            kinds &= frozenset(kind for value in said["enum"] for kind in _kinds_of_value(value))
        for keyword in ("anyOf", "oneOf"):
            if keyword in said:
                kinds &= frozenset(kind for arm in said[keyword] for kind in self._kinds_of(arm, trail))
        for arm in said.get("allOf", ()):
            kinds &= self._kinds_of(arm, trail)
        return kinds

    def _note_rest(self, said: Iterable[str], carried: Iterable[str]) -> None:
        self._inexact = max(self._inexact, _inexactness(set(said) - set(carried)))

    def _exactly(self) -> dict[str, Any]:
        """What a definition says of its types."""
        return {"exact": not self._inexact, "shaped": self._inexact < MISSHAPEN}

    # --- behaviour ------------------------------------------------------------------------------

    def _message_names(self) -> set[str]:
        """Definitions that methods and errors use as whole messages: always records, even without properties."""
        names: set[str] = set()
        for _, pointer, _ in annotated_schemas(self._bundle.main.tree):
            target = self._annotated(pointer)
            while target is not None and target not in names:
                names.add(target)
                entry = self._table.get(target)
                target = referred(entry.schema) if entry is not None else None
        return names

    def _annotated(self, pointer: str) -> str | None:
        path = self._bundle.main.path
        if (path, pointer) in self._standing:
            return self._standing[path, pointer]
        for below in ("/$ref", ""):
            if (path, pointer + below) in self._bundle.targets:
                return self._bundle.targets[path, pointer + below]
        return None

    def _named(self, pointer: str) -> ir.Type | None:
        name = self._annotated(pointer)
        return ir.NamedType(name=name) if name is not None else None

    def _roles(self, declared: dict[str, Any], methods: dict[str, Any]) -> tuple[ir.Role, ...]:
        if declared or not methods:
            return tuple(
                ir.Role(name=name, doc=_text(_object(entry).get("summary"))) for name, entry in declared.items()
            )
        return ir.Role(name="client"), ir.Role(name="server")

    def _errors(self, declared: dict[str, Any]) -> tuple[ir.ErrorCode, ...]:
        built: list[ir.ErrorCode] = []
        taken: dict[tuple[str | None, int], str] = {}
        for name, declaration in declared.items():
            at = f"/x-errors/{escape(name)}"
            entry = _object(declaration)
            code = entry.get("code")
            if not isinstance(code, int) or isinstance(code, bool):
                self._invalid(at, f'error "{name}" needs an integer "code", got {code!r}', "give it a code")
                continue
            family = entry.get("family")
            if (family, code) in taken:
                other = taken[family, code]
                self._invalid(
                    f"{at}/code",
                    f'errors "{other}" and "{name}" both have the code {code}',
                    'give one another code, or each its own "family"',
                    code="PG114",
                )
            taken[family, code] = name
            built.append(
                ir.ErrorCode(
                    name=name,
                    code=code,
                    message=str(entry.get("message", name)),
                    data=self._named(f"{at}/data"),
                    doc=_text(entry.get("description")),
                    family=family,
                    pin=_pin(entry),
                )
            )
        return tuple(built)

    def _methods(
        self, declared: dict[str, Any], roles: tuple[ir.Role, ...], errors: tuple[ir.ErrorCode, ...]
    ) -> tuple[ir.Method, ...]:
        role_names = [role.name for role in roles]
        error_names = {entry.name for entry in errors}
        built: list[ir.Method] = []
        for name, declaration in declared.items():
            at = f"/x-methods/{escape(name)}"
            entry = _object(declaration)
            sender, receiver = entry.get("from", "client"), entry.get("to", "server")
            for member, role in (("from", sender), ("to", receiver)):
                if role not in role_names:
                    self._invalid(
                        f"{at}/{member}",
                        f'method "{name}": "{role}" is no role of "x-roles"{closest(str(role), role_names)}',
                        "name a role that is declared",
                        code="PG111",
                    )
            for index, used in enumerate(entry.get("errors", ())):
                if used not in error_names:
                    self._invalid(
                        f"{at}/errors/{index}",
                        f'method "{name}": "{used}" is no error of "x-errors"{closest(str(used), error_names)}',
                        "name an error that is declared",
                        code="PG111",
                    )
            kind = entry.get("kind", "request")
            result = self._named(f"{at}/result")
            built.append(
                ir.Method(
                    name=name,
                    kind="notification" if kind == "notification" else "request",
                    sender=sender,
                    receiver=receiver,
                    params=self._named(f"{at}/params"),
                    result=result if result is not None or kind == "notification" else ir.AnyType(),
                    errors=tuple(used for used in entry.get("errors", ()) if used in error_names),
                    events=self._named(f"{at}/events"),
                    event_framing=entry.get("eventFraming", "events"),
                    param_structure=entry.get("paramStructure", "by-name"),
                    mutual=entry.get("mutual") is True and sender != receiver,
                    idempotent=entry.get("idempotent") is True,
                    deprecated=bool(entry.get("deprecated", False)),
                    since=entry.get("since"),
                    summary=_text(entry.get("summary")),
                    doc=_text(entry.get("description")),
                    pin=_pin(entry),
                )
            )
        return tuple(built)

    def _invalid(self, pointer: str, what: str, fix: str, *, code: str = "PG101") -> None:
        place: Place = self._bundle.main.place(pointer)
        self.problems.append(error(code, what, fix=fix, place=place))


_BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
_CARRIED: dict[str, set[str]] = {
    "null": {"type"},
    "boolean": {"type"},
    "string": {"type", "minLength", "maxLength", "pattern"},
    "integer": {"type", *_BOUNDS},
    "number": {"type", "minimum", "maximum"},
    "array": {"type", "items", "minItems", "maxItems"},
    "object": {"type", "additionalProperties"},
}
_OF_KIND: dict[str, set[str]] = {
    "string": {"minLength", "maxLength", "pattern"},
    "integer": {*_BOUNDS, "multipleOf"},
    "number": {*_BOUNDS, "multipleOf"},
    "array": {"items", "additionalItems", "minItems", "maxItems", "uniqueItems", "contains"},
    "object": {"additionalProperties"},
}


def _relevant(said: dict[str, Any], kind: str) -> dict[str, Any]:
    """The members of `said` that concern values of `kind`."""
    return {key: value for key, value in said.items() if key in _OF_KIND.get(kind, ())}


def _fold(into: _Merged, part: _Merged) -> None:
    """Adds the properties, requirements and bounds of `part`; a narrower property takes the place of a wider one."""
    for wire, schema in part.properties.items():
        known = into.properties.get(wire)
        if known is None or _narrower(schema, known):
            into.properties[wire] = schema
        elif known != schema:
            into.inexact = MISSHAPEN
    into.required.update(part.required)
    into.additional.extend(entry for entry in part.additional if entry not in into.additional)
    into.is_object = into.is_object or part.is_object
    into.inexact = max(into.inexact, part.inexact)


def _narrower(schema: Schema, known: Schema) -> bool:
    """Whether `schema` says more than `known`: a constant before an enum before a reference before the rest."""
    return _rank(schema) >= _rank(known)


def _rank(schema: Schema) -> int:
    said = constraints(schema) if isinstance(schema, dict) else {"not": {}}
    for rank, keyword in ((4, "const"), (3, "enum"), (2, "$ref"), (1, "type")):
        if keyword in said:
            return rank
    return 0


def _closed(merged: _Merged) -> bool:
    return any(schema is False for schema in merged.additional)


def _not_arms(excluded: dict[str, Any]) -> Iterator[dict[str, Any]]:
    arms = excluded.get("anyOf") or excluded.get("oneOf") or [excluded]
    return (arm for arm in arms if isinstance(arm, dict))


def _disjoint(groups: list[tuple[ir.JsonKind, ...]]) -> bool:
    seen: set[str] = set()
    for kinds in groups:
        coarse = {"number" if kind == "integer" else kind for kind in kinds}
        if coarse & seen or not coarse:
            return False
        seen |= coarse
    return True


def _inexactness(left_out: Set[str]) -> int:
    """How much of a schema types leave out that say all but these keywords."""
    if not left_out:
        return 0
    return BOUNDED if left_out <= keywords.BOUNDS else MISSHAPEN


def _exactness(definitions: list[ir.AnyDefinition]) -> list[ir.AnyDefinition]:
    """`exact` and `shaped` made transitive: they hold for a type only where they hold for all that it refers to."""
    users: dict[str, set[str]] = {}
    for definition in definitions:
        for target in set(_names_in(definition)):
            users.setdefault(target, set()).add(definition.name)
    inexact = _spread({it.name for it in definitions if not it.exact}, users)
    misshapen = _spread({it.name for it in definitions if not it.shaped}, users)
    return [
        msgspec.structs.replace(it, exact=it.name not in inexact, shaped=it.name not in misshapen)
        if (it.exact and it.name in inexact) or (it.shaped and it.name in misshapen)
        else it
        for it in definitions
    ]


def _spread(names: set[str], users: dict[str, set[str]]) -> set[str]:
    """The names, and all that use them, directly or not."""
    waiting = list(names)
    while waiting:
        for user in users.get(waiting.pop(), ()):
            if user not in names:
                names.add(user)
                waiting.append(user)
    return names


def _names_in(definition: ir.AnyDefinition) -> Iterator[str]:
    match definition:
        case ir.Record(fields=fields, extra=extra):
            types: list[ir.Type] = [field.type for field in fields]
            if extra is not None:
                types.append(extra)
        case ir.Union(arms=arms):
            types = [arm.type for arm in arms]
        case ir.Alias(type=type_):
            types = [type_]
        case _:
            types = []
    while types:
        match types.pop():
            case ir.NamedType(name=name):
                yield name
            case ir.ListType(item=inner) | ir.MapType(value=inner) | ir.NullableType(of=inner):
                types.append(inner)
            case ir.TupleType(items=items):
                types.extend(items)
            case _:
                pass


def _kind_name(type_: ir.Type) -> str:
    match type_:
        case ir.ListType() | ir.TupleType():
            return "list"
        case ir.MapType():
            return "object"
        case ir.NullableType(of=inner):
            return _kind_name(inner)
        case ir.LiteralType(value=value):
            return str(value)
        case _:
            return str(type_.__struct_config__.tag)


def _ordered(kinds: frozenset[ir.JsonKind]) -> tuple[ir.JsonKind, ...]:
    return () if kinds == ALL_KINDS else tuple(kind for kind in _KIND_ORDER if kind in kinds)


def _kinds_of_value(value: Any) -> frozenset[ir.JsonKind]:
    match value:
        case None:
            return frozenset(("null",))
        case bool():
            return frozenset(("boolean",))
        case int() | float():
            return frozenset(("integer", "number"))
        case str():
            return frozenset(("string",))
        case list():
            return frozenset(("array",))
        case _:
            return frozenset(("object",))


def _has_type(value: Any, types: str | list[str]) -> bool:
    names = [types] if isinstance(types, str) else types
    if isinstance(value, float) and not value.is_integer():
        return "number" in names
    return any(name in _kinds_of_value(value) for name in names)


def _scalar(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float, bool))


def _enum_values(schema: dict[str, Any]) -> tuple[ir.EnumValue, ...]:
    docs = _object(schema.get("x-enum-descriptions"))
    names = schema.get("enumNames")
    titles = names if isinstance(names, list) else []
    return tuple(
        ir.EnumValue(
            value=value,
            doc=_text(docs.get(str(value))),
            name=titles[index] if index < len(titles) and isinstance(titles[index], str) else None,
        )
        for index, value in enumerate(schema["enum"])
    )


def _least(said: dict[str, Any]) -> int | None:
    """The smallest integer that the bounds admit."""
    bounds = [math.ceil(said["minimum"])] if "minimum" in said else []
    if "exclusiveMinimum" in said:
        bounds.append(math.floor(said["exclusiveMinimum"]) + 1)
    return max(bounds) if bounds else None


def _most(said: dict[str, Any]) -> int | None:
    """The largest integer that the bounds admit."""
    bounds = [math.floor(said["maximum"])] if "maximum" in said else []
    if "exclusiveMaximum" in said:
        bounds.append(math.ceil(said["exclusiveMaximum"]) - 1)
    return min(bounds) if bounds else None


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _http(declared: dict[str, Any]) -> ir.HttpBinding:
    default = ir.HttpBinding()
    return ir.HttpBinding(
        path=declared.get("path", default.path),
        health_path=declared.get("healthPath", default.health_path),
        instance_header=declared.get("instanceHeader", default.instance_header),
    )


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _doc(schema: dict[str, Any], name: str) -> str:
    title = _text(schema.get("title"))
    return _text(schema.get("description")) or ("" if title == name else title)


def _pin(schema: dict[str, Any]) -> str | None:
    value = schema.get("x-protogen-name")
    return value if isinstance(value, str) else None
