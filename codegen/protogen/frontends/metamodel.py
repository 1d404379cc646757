"""The meta-model of the Language Server Protocol: requests, notifications, structures, enumerations and aliases.

Source: metaModel.schema.json and metaModel.ts of the protocol's specification, 3.17 and 3.18. Its types are those of
TypeScript: objects may have further members, numbers are integers of 32 bits unless they are decimals.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from protogen.load import Document, Origin
from protogen.naming import pascal
from protogen.positions import escape
from protogen.problems import Problem, closest, error

from . import overlay

_MAX_INT = 2**31 - 1
BASE: dict[str, dict[str, Any]] = {
    "URI": {"type": "string", "format": "uri"},
    "DocumentUri": {"type": "string", "format": "uri"},
    "integer": {"type": "integer", "minimum": -(2**31), "maximum": _MAX_INT},
    "uinteger": {"type": "integer", "minimum": 0, "maximum": _MAX_INT},
    "decimal": {"type": "number"},
    "RegExp": {"type": "string", "format": "regex"},
    "string": {"type": "string"},
    "boolean": {"type": "boolean"},
    "null": {"type": "null"},
    "unknown": {},
    "never": {"not": {}},
}
"""The base types as schemas; the limits of integers are those that the specification gives."""

_DIRECTIONS: dict[str, dict[str, Any]] = {
    "clientToServer": {"from": "client", "to": "server"},
    "serverToClient": {"from": "server", "to": "client"},
    "both": {"from": "client", "to": "server", "mutual": True},
}


def read(source: Document) -> tuple[Document, list[Problem]]:
    """The meta-model as a protocol document of the roles client and server."""
    return _Reader(source).document()


class _Reader:
    """The state of one reading: names that are defined, definitions made, findings."""

    def __init__(self, source: Document) -> None:
        self._source = source
        self._problems: list[Problem] = []
        self._origins: dict[str, Origin] = {}
        self._structures: dict[str, tuple[dict[str, Any], str]] = {}
        self._names: set[str] = set()
        self._definitions: dict[str, Any] = {}
        self._flat: dict[str, dict[str, tuple[dict[str, Any], str]]] = {}
        self._kinds: dict[str, Callable[[dict[str, Any], str], dict[str, Any]]] = {
            "base": self._base,
            "reference": self._reference,
            "array": self._array,
            "map": self._map,
            "and": self._and,
            "or": self._or,
            "tuple": self._tuple,
            "literal": self._literal,
            "stringLiteral": self._constant,
            "integerLiteral": self._constant,
            "booleanLiteral": self._constant,
        }

    def document(self) -> tuple[Document, list[Problem]]:
        self._collect()
        for name, (node, pointer) in self._structures.items():
            self._define(name, pointer, self._structure(name, node))
        for node, pointer in self._entries("enumerations"):
            self._define(node["name"], pointer, self._enumeration(node, pointer))
        for node, pointer in self._entries("typeAliases"):
            schema = self._type(node.get("type"), f"{pointer}/type")
            self._define(node["name"], pointer, {**schema, **_notes(node)})
        methods: dict[str, Any] = {}
        for listed, kind in (("requests", "request"), ("notifications", "notification")):
            for node, pointer in self._entries(listed, named="method"):
                self._method(node, pointer, kind, methods)
        meta = self._source.tree.get("metaData")
        version = meta.get("version") if isinstance(meta, dict) else None
        tree = {
            "$schema": overlay.DRAFT_2020,
            "metaData": meta,
            "x-protocol": overlay.about("Language Server Protocol", version),
            "x-roles": overlay.roles(methods, ("client", "server")),
            "x-methods": methods,
            "x-errors": self._errors(),
            "$defs": self._definitions,
        }
        made = msgspec.structs.replace(self._source, tree=tree, kind="metamodel", origins=self._origins)
        return made, self._problems

    def _collect(self) -> None:
        """All names, before any type refers to one."""
        for listed in ("structures", "enumerations", "typeAliases"):
            for node, pointer in self._entries(listed):
                name = node["name"]
                if name in self._names:
                    place = self._source.place(f"{pointer}/name")
                    fix = "give one another name, or remove it"
                    self._problems.append(error("PG132", f'"{name}" is defined twice', fix=fix, place=place))
                    continue
                self._names.add(name)
                if listed == "structures":
                    self._structures[name] = (node, pointer)

    def _entries(self, listed: str, *, named: str = "name") -> list[tuple[dict[str, Any], str]]:
        """The well-formed members of a list of the meta-model; the others are Problems, told once."""
        entries = self._source.tree.get(listed, [])
        if not isinstance(entries, list):
            self._malformed(f"/{listed}", f'"{listed}" must be an array')
            return []
        found: list[tuple[dict[str, Any], str]] = []
        for index, node in enumerate(entries):
            if isinstance(node, dict) and isinstance(node.get(named), str) and node[named]:
                found.append((node, f"/{listed}/{index}"))
            else:
                self._malformed(f"/{listed}/{index}", f'a member of "{listed}" is an object with a "{named}"')
        return found

    def _define(self, name: str, pointer: str, schema: dict[str, Any]) -> None:
        if name not in self._definitions:
            self._definitions[name] = schema
            self._origins[f"/$defs/{escape(name)}"] = Origin(pointer=pointer)

    # --- methods ----------------------------------------------------------------------------------

    def _method(self, node: dict[str, Any], pointer: str, kind: str, made: dict[str, Any]) -> None:
        name: str = node["method"]
        if name in made:
            place = self._source.place(f"{pointer}/method")
            fix = "give one another name, or remove it"
            self._problems.append(error("PG132", f'the method "{name}" is described twice', fix=fix, place=place))
            return
        direction = node.get("messageDirection", "clientToServer")
        if not isinstance(direction, str) or direction not in _DIRECTIONS:
            near = closest(str(direction), _DIRECTIONS).removeprefix("; ") or f"use {', '.join(_DIRECTIONS)}"
            self._malformed(f"{pointer}/messageDirection", f"no direction is called {direction!r}", near)
            direction = "clientToServer"
        at = f"/x-methods/{escape(name)}"
        self._origins[at] = Origin(pointer=pointer)
        said = [node.get("documentation")]
        stem = _stem(node)
        for member, what in (
            ("partialResult", "Partial results, which travel as progress"),
            ("errorData", "The data of an error"),
            ("registrationOptions", "The options of a registration"),
        ):
            if node.get(member) is not None:
                label = self._label(node[member], stem, member, f"{pointer}/{member}")
                said.append(f"{what}: `{label}`.")
        if isinstance(node.get("registrationMethod"), str):
            said.append(f"It is registered as `{node['registrationMethod']}`.")
        if node.get("proposed") is True:
            said.append("Proposed: it may still change.")
        if isinstance(node.get("deprecated"), str):
            said.append(f"Deprecated: {node['deprecated']}")
        entry: dict[str, Any] = {
            "kind": kind,
            **_DIRECTIONS[direction],
            **overlay.texts(None, overlay.joined(*said), f"{'Calls' if kind == 'request' else 'Sends'} `{name}`."),
        }
        params = node.get("params")
        if isinstance(params, list) and len(params) == 1:
            params = params[0]
        if isinstance(params, list):
            if params:
                entry["params"] = self._positional(params, f"{pointer}/params")
                entry["paramStructure"] = "by-position"
        elif params is not None:
            entry["params"] = self._edge(params, f"{pointer}/params", f"{at}/params")
        if kind == "request":
            entry["result"] = self._edge(node.get("result"), f"{pointer}/result", f"{at}/result")
        if isinstance(node.get("since"), str):
            entry["since"] = node["since"]
        if node.get("deprecated"):
            entry["deprecated"] = True
        made[name] = entry

    def _edge(self, node: Any, pointer: str, at: str) -> dict[str, Any]:
        self._origins[at] = Origin(pointer=pointer)
        return {} if node is None else self._type(node, pointer)

    def _positional(self, params: list[Any], pointer: str) -> dict[str, Any]:
        """Several params are an array on the wire; each becomes a member named after its type."""
        properties: dict[str, Any] = {}
        for index, node in enumerate(params):
            name = node.get("name") if isinstance(node, dict) else None
            wanted = name[:1].lower() + name[1:] if isinstance(name, str) and name else f"arg{index + 1}"
            key = overlay.free(wanted, properties)
            properties[key] = self._type(node, f"{pointer}/{index}")
        return {"type": "object", "properties": properties, "required": list(properties)}

    def _label(self, node: Any, stem: str, member: str, pointer: str) -> str:
        """The name of a type beside a method; one without a name becomes a definition."""
        if isinstance(node, dict) and node.get("kind") == "reference" and _name(node) in self._names:
            return str(node["name"])
        name = overlay.free(stem + pascal(member), self._names | set(self._definitions))
        self._define(name, pointer, self._type(node, pointer))
        return name

    def _errors(self) -> dict[str, Any]:
        """The codes of errors that an enumeration lists, less those of JSON-RPC itself."""
        found: dict[str, Any] = {}
        codes: set[int] = set()
        for node, pointer in self._entries("enumerations"):
            if not node["name"].endswith("ErrorCodes"):
                continue
            for index, value in enumerate(_list(node.get("values"))):
                code = value.get("value") if isinstance(value, dict) else None
                name = value.get("name") if isinstance(value, dict) else None
                if not isinstance(code, int) or isinstance(code, bool) or not isinstance(name, str) or code in codes:
                    continue
                if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or "reserved" in name.lower():
                    continue
                codes.add(code)
                text = _documentation(value)
                entry = {"code": code, "message": overlay.one_line(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))}
                found[overlay.free(name, found)] = {**entry, **({"description": text} if text else {})}
                self._origins[f"/x-errors/{name}"] = Origin(pointer=f"{pointer}/values/{index}")
        return found

    # --- definitions ------------------------------------------------------------------------------

    def _structure(self, name: str, node: dict[str, Any]) -> dict[str, Any]:
        """One record of its own members and those that it extends and mixes in; its own have the last word."""
        members = self._members(name, ())
        schema = self._object(members, f"/$defs/{escape(name)}")
        return {**schema, **_notes(node)}

    def _members(self, name: str, trail: tuple[str, ...]) -> dict[str, tuple[dict[str, Any], str]]:
        if name in self._flat:
            return self._flat[name]
        node, pointer = self._structures[name]
        if name in trail:
            cycle = " -> ".join([*trail[trail.index(name) :], name])
            fix = "let one of them extend something else"
            place = self._source.place(pointer)
            self._problems.append(error("PG106", f"the structures {cycle} extend each other", fix=fix, place=place))
            return {}
        found: dict[str, tuple[dict[str, Any], str]] = {}
        for member in ("extends", "mixins"):
            for index, parent in enumerate(_list(node.get(member))):
                target = _name(parent)
                at = f"{pointer}/{member}/{index}"
                if target in self._structures:
                    found |= self._members(target, (*trail, name))
                else:
                    self._unknown(target, at)
        for index, prop in enumerate(_list(node.get("properties"))):
            at = f"{pointer}/properties/{index}"
            if isinstance(prop, dict) and isinstance(prop.get("name"), str):
                found[prop["name"]] = (prop, at)
            else:
                self._malformed(at, 'a property is an object with a "name" and a "type"')
        self._flat[name] = found
        return found

    def _object(self, members: dict[str, tuple[dict[str, Any], str]], at: str) -> dict[str, Any]:
        properties: dict[str, Any] = {}
        for name, (prop, pointer) in members.items():
            schema = self._type(prop.get("type"), f"{pointer}/type")
            properties[name] = {**schema, **_notes(prop)}
            if at:
                self._origins[f"{at}/properties/{escape(name)}"] = Origin(pointer=pointer)
        required = [name for name, (prop, _) in members.items() if prop.get("optional") is not True]
        schema = {"type": "object", "properties": properties}
        return {**schema, "required": required} if required else schema

    def _enumeration(self, node: dict[str, Any], pointer: str) -> dict[str, Any]:
        """The values with their names and texts; where others may come, any value of the type fits."""
        values = [value for value in _list(node.get("values")) if isinstance(value, dict) and "value" in value]
        base = _name(node.get("type"))
        if base not in ("string", "integer", "uinteger"):
            self._malformed(f"{pointer}/type", f"an enumeration is of string, integer or uinteger, not of {base!r}")
            base = "string"
        if not values:
            return {**BASE[base], **_notes(node)}
        if node.get("supportsCustomValues") is True:
            arms = [
                {
                    "const": value["value"],
                    **({"title": value["name"]} if isinstance(value.get("name"), str) else {}),
                    **({"description": text} if (text := _documentation(value)) else {}),
                }
                for value in values
            ]
            return {"anyOf": [*arms, BASE[base]], **_notes(node)}
        docs = {str(value["value"]): text for value in values if (text := _documentation(value))}
        return {
            "enum": [value["value"] for value in values],
            "enumNames": [str(value.get("name", value["value"])) for value in values],
            **({"x-enum-descriptions": docs} if docs else {}),
            **_notes(node),
        }

    # --- types ------------------------------------------------------------------------------------

    def _type(self, node: Any, pointer: str) -> dict[str, Any]:
        """A type of the meta-model as a schema."""
        kind = node.get("kind") if isinstance(node, dict) else None
        made = self._kinds.get(kind) if isinstance(kind, str) else None
        if made is None:
            near = closest(str(kind), self._kinds).removeprefix("; ") or f"use {', '.join(self._kinds)}"
            self._malformed(pointer, f"no kind of type is called {kind!r}", near)
            return {}
        return made(node, pointer)

    def _base(self, node: dict[str, Any], pointer: str) -> dict[str, Any]:
        name = _name(node)
        if name not in BASE:
            near = closest(name, BASE).removeprefix("; ") or f"use {', '.join(BASE)}"
            self._malformed(f"{pointer}/name", f"no base type is called {name!r}", near)
            return {}
        return dict(BASE[name])

    def _reference(self, node: dict[str, Any], pointer: str) -> dict[str, Any]:
        name = _name(node)
        if name not in self._names:
            self._unknown(name, f"{pointer}/name")
            return {}
        return {"$ref": f"#/$defs/{escape(name)}"}

    def _array(self, node: dict[str, Any], pointer: str) -> dict[str, Any]:
        return {"type": "array", "items": self._type(node.get("element"), f"{pointer}/element")}

    def _map(self, node: dict[str, Any], pointer: str) -> dict[str, Any]:
        """Keys are text in JSON; those of an integer type are its decimal form."""
        value = self._type(node.get("value"), f"{pointer}/value")
        schema: dict[str, Any] = {"type": "object", "additionalProperties": value}
        key = node.get("key")
        name = _name(key)
        if name in ("integer", "uinteger"):
            schema["propertyNames"] = {"pattern": "^-?[0-9]+$" if name == "integer" else "^[0-9]+$"}
        elif name not in BASE:
            self._type(key, f"{pointer}/key")
        return schema

    def _items(self, node: dict[str, Any], pointer: str) -> list[dict[str, Any]]:
        items = node.get("items")
        if not isinstance(items, list):
            self._malformed(f"{pointer}/items", f'a type of kind "{node["kind"]}" has an array of items')
            return []
        return [self._type(item, f"{pointer}/items/{index}") for index, item in enumerate(items)]

    def _or(self, node: dict[str, Any], pointer: str) -> dict[str, Any]:
        arms = self._items(node, pointer)
        distinct = [arm for index, arm in enumerate(arms) if arm not in arms[:index]]
        if BASE["integer"] in distinct and BASE["uinteger"] in distinct:
            distinct.remove(BASE["uinteger"])  # every one of them is an integer, too
        if len(distinct) == 1:
            return distinct[0]
        return {"anyOf": distinct} if distinct else {}

    def _and(self, node: dict[str, Any], pointer: str) -> dict[str, Any]:
        """Structures that all fit are one record where each of them is known member by member."""
        items = node.get("items")
        names = [
            _name(item) if isinstance(item, dict) and item.get("kind") == "reference" else "" for item in _list(items)
        ]
        if names and all(name in self._structures for name in names):
            members: dict[str, tuple[dict[str, Any], str]] = {}
            for name in names:
                members |= self._members(name, ())
            return self._object(members, "")
        arms = self._items(node, pointer)
        return {"allOf": arms} if arms else {}

    def _tuple(self, node: dict[str, Any], pointer: str) -> dict[str, Any]:
        items = self._items(node, pointer)
        if not items:
            return {"type": "array", "maxItems": 0}
        return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}

    def _literal(self, node: dict[str, Any], pointer: str) -> dict[str, Any]:
        value = node.get("value")
        properties = value.get("properties") if isinstance(value, dict) else None
        if not isinstance(value, dict) or not isinstance(properties, list):
            self._malformed(f"{pointer}/value", "a literal is an object with properties")
            return {}
        members: dict[str, tuple[dict[str, Any], str]] = {}
        for index, prop in enumerate(properties):
            at = f"{pointer}/value/properties/{index}"
            if isinstance(prop, dict) and isinstance(prop.get("name"), str):
                members[prop["name"]] = (prop, at)
            else:
                self._malformed(at, 'a property is an object with a "name" and a "type"')
        return {**self._object(members, ""), **_notes(value)}

    def _constant(self, node: dict[str, Any], pointer: str) -> dict[str, Any]:
        if "value" not in node:
            self._malformed(pointer, f'a type of kind "{node["kind"]}" has a value')
            return {}
        return {"const": node["value"]}

    # --- findings -----------------------------------------------------------------------------------

    def _unknown(self, name: str, pointer: str) -> None:
        near = closest(name, self._names)
        fix = near.removeprefix("; ") or "define it, or correct the name"
        self._problems.append(error("PG102", f'nothing is called "{name}"', fix=fix, place=self._source.place(pointer)))

    def _malformed(self, pointer: str, what: str, fix: str = "see the schema of meta-models") -> None:
        self._problems.append(error("PG130", what, fix=fix, place=self._source.place(pointer)))


def _stem(node: dict[str, Any]) -> str:
    """What the types of a method are called after: `typeName` without its ending, else the method."""
    name = node.get("typeName")
    if isinstance(name, str) and name:
        return name.removesuffix("Request").removesuffix("Notification")
    return pascal(node["method"])


def _documentation(node: dict[str, Any]) -> str:
    """The text of an entry, with what its marks say."""
    parts = [node.get("documentation")]
    if node.get("proposed") is True:
        parts.append("Proposed: it may still change.")
    if isinstance(node.get("deprecated"), str):
        parts.append(f"Deprecated: {node['deprecated']}")
    since = node.get("since")
    if isinstance(since, str) and "@since" not in str(node.get("documentation", "")):
        parts.append(f"Since {since}.")
    return overlay.joined(*parts)


def _notes(node: dict[str, Any]) -> dict[str, Any]:
    """The annotations of a definition or a property."""
    text = _documentation(node)
    made: dict[str, Any] = {"description": text} if text else {}
    return {**made, "deprecated": True} if node.get("deprecated") else made


def _name(node: Any) -> str:
    """The name of a type or a reference, empty where it has none."""
    name = node.get("name") if isinstance(node, dict) else None
    return name if isinstance(name, str) else ""


def _list(value: Any) -> list[Any]:
    """An array, or nothing where there is none."""
    return value if isinstance(value, list) else []
