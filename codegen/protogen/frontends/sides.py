"""JSON Schemas that mark their definitions: `x-method` names the method, `x-side` the side that serves it.

A definition is params, result or notification by its name and by its fellow of the same method. A list of methods
beside the schema (`agentMethods`, `clientMethods`, `protocolMethods`) tells of methods and sides, and is held against
the marks.
"""

from __future__ import annotations

from typing import Any

import msgspec

from protogen.load import Document, Origin
from protogen.positions import escape
from protogen.problems import Problem, closest, warning

from . import overlay

_LIST = "Methods"
_BOTH = ("protocol", "both", "any", "common", "shared")
"""Sides that stand for both roles."""

_ANSWERS = ("Response", "Result")
_ASKS = ("Request", "Params")
_TELLS = ("Notification",)


def read(source: Document, methods: Document | None, told: frozenset[str]) -> tuple[Document, list[Problem]]:
    """The schema as a protocol document of the two sides that its marks name.

    `methods` is a list of methods; nothing is missed of those that a file of methods has `told` of.
    """
    return _Reader(source, methods, told).document()


class _Marked(msgspec.Struct, frozen=True, kw_only=True):
    """The definitions that are marked with one method and side."""

    method: str
    side: str
    params: str | None
    result: str | None
    kind: str


class _Reader:
    """The state of one reading."""

    def __init__(self, source: Document, methods: Document | None, told: frozenset[str]) -> None:
        self._source = source
        self._told = told
        self._methods = methods
        self._definitions = overlay.definitions(source.tree)
        self._pointers = overlay.definition_pointers(source.tree)
        self._problems: list[Problem] = []
        self._origins: dict[str, Origin] = {}

    def document(self) -> tuple[Document, list[Problem]]:
        marked = self._marked()
        listed = self._listed()
        sides = [*(each.side for each in marked), *(side for side, _ in listed.values())]
        roles = [side for side in dict.fromkeys(sides) if side not in _BOTH]
        if len(roles) < 2:
            roles = [*roles, *(other for other in ("client", "server") if other not in roles)][:2]
        made: dict[str, Any] = {}
        for entry in marked:
            side = listed[entry.method][0] if entry.method in listed else entry.side
            if entry.method in made:
                self._twice(entry)
                continue
            made[entry.method] = self._entry(entry, side, roles)
        self._unmarked(listed, made)
        tree = dict(source_tree(self._source))
        version = tree.get("version")
        if self._methods is not None and version is None:
            version = self._methods.tree.get("version")
        tree["x-protocol"] = overlay.about(tree.get("title"), version, tree.get("description"))
        tree["x-roles"] = overlay.roles(made, [overlay.role_name(role) for role in roles])
        tree["x-methods"] = made
        made_document = msgspec.structs.replace(self._source, tree=tree, kind="sides", origins=self._origins)
        return made_document, self._problems

    def _marked(self) -> list[_Marked]:
        groups: dict[tuple[str, str], list[str]] = {}
        for name, schema in self._definitions.items():
            if isinstance(schema, dict) and isinstance(schema.get("x-method"), str):
                side = schema.get("x-side")
                groups.setdefault((schema["x-method"], side if isinstance(side, str) else "server"), []).append(name)
        return [self._grouped(method, side, names) for (method, side), names in groups.items()]

    def _grouped(self, method: str, side: str, names: list[str]) -> _Marked:
        """What each of the definitions of a method is: told by its name, then by what is left."""
        answers = [name for name in names if name.endswith(_ANSWERS)]
        tells = [name for name in names if name.endswith(_TELLS)]
        asks = [name for name in names if name not in answers and name not in tells]
        named = [name for name in asks if name.endswith(_ASKS)] or asks
        extra = [*answers[1:], *tells[1:], *(each for each in asks if each not in named[:1])]
        for name in extra if method not in self._told else ():
            what = f'"{name}" is one more definition of "{method}", and it is not known which part it is'
            fix = "end its name in Request, Response or Notification, or say it in a file of methods"
            self._problems.append(warning("PG132", what, fix=fix, place=self._source.place(self._pointers[name])))
        if tells and not answers and not named:
            return _Marked(method=method, side=side, params=tells[0], result=None, kind="notification")
        params = named[0] if named else (tells[0] if tells else None)
        result = answers[0] if answers else None
        if result is None and params is not None and method not in self._told:
            what = f'no definition is the result of "{method}": any JSON value is taken for it'
            fix = 'mark one with the same "x-method", or say it in a file of methods'
            place = self._source.place(f"{self._pointers[params]}/x-method")
            self._problems.append(warning("PG133", what, fix=fix, place=place))
        return _Marked(method=method, side=side, params=params, result=result, kind="request")

    def _entry(self, entry: _Marked, side: str, roles: list[str]) -> dict[str, Any]:
        first = entry.params or entry.result or ""
        schema = self._definitions.get(first, {})
        at = f"/x-methods/{escape(entry.method)}"
        self._origins[at] = Origin(pointer=f"{self._pointers[first]}/x-method" if first else "")
        mutual = side in _BOTH
        receiver = roles[0] if mutual else side
        sender = next((role for role in roles if role != receiver), receiver)
        made: dict[str, Any] = {
            "kind": entry.kind,
            "from": overlay.role_name(sender),
            "to": overlay.role_name(receiver),
            **({"mutual": True} if mutual else {}),
            **overlay.texts(
                None,
                schema.get("description"),
                f"{'Sends' if entry.kind == 'notification' else 'Calls'} `{entry.method}`.",
            ),
        }
        if entry.params is not None:
            made["params"] = {"$ref": f"#{self._pointers[entry.params]}"}
        if entry.result is not None:
            made["result"] = {"$ref": f"#{self._pointers[entry.result]}"}
        if schema.get("deprecated") is True:
            made["deprecated"] = True
        return made

    def _twice(self, entry: _Marked) -> None:
        first = entry.params or entry.result or ""
        what = f'"{entry.method}" is marked for two sides; the first one counts'
        fix = f'mark its definitions with "x-side": "{_BOTH[0]}", or give each side a method of its own'
        place = self._source.place(f"{self._pointers[first]}/x-side")
        self._problems.append(warning("PG132", what, fix=fix, place=place))

    def _listed(self) -> dict[str, tuple[str, str]]:
        """Method to its side, and to the pointer in the list that says so."""
        found: dict[str, tuple[str, str]] = {}
        tree = self._methods.tree if self._methods is not None else {}
        for key, entries in tree.items():
            if not key.endswith(_LIST) or not isinstance(entries, dict):
                continue
            side = key.removesuffix(_LIST)
            for name, method in entries.items():
                if isinstance(method, str):
                    found.setdefault(method, (side, f"/{escape(key)}/{escape(name)}"))
        return found

    def _unmarked(self, listed: dict[str, tuple[str, str]], made: dict[str, Any]) -> None:
        """Methods that stand in the list alone, or in the marks alone."""
        if self._methods is None:
            return
        for method, (_, pointer) in listed.items():
            if method not in made:
                near = closest(method, made)
                what = f'no definition is marked with the method "{method}" of the list: it is left out{near}'
                fix = 'mark its params and result with "x-method"'
                self._problems.append(warning("PG135", what, fix=fix, place=self._methods.place(pointer)))
        for method in made:
            if listed and method not in listed:
                what = f'the method "{method}" is not in the list of methods'
                fix = f"add it to {self._methods.path}"
                place = self._source.place(self._origins[f"/x-methods/{escape(method)}"].pointer)
                self._problems.append(warning("PG135", what, fix=fix, place=place))


def source_tree(source: Document) -> dict[str, Any]:
    """The tree of the schema, as it is known to be an object."""
    tree: dict[str, Any] = source.tree
    return tree
