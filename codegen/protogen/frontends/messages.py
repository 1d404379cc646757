"""A JSON Schema of whole messages: definitions whose `method` is a constant are the requests and notifications.

Results, errors and directions follow from how such schemas are written: a result is paired with its request by name or
by the response that holds it, and unions called after a side list what that side sends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from protogen.load import Document, Origin
from protogen.positions import escape
from protogen.problems import Problem, warning

from . import overlay

_SENT = re.compile(r"(?P<side>[A-Z][A-Za-z0-9]*?)(?P<what>Requests?|Notifications?)$")
_SUFFIXES = ("Request", "Notification")
_NOT_SIDES = ("JSONRPC", "JsonRpc", "Any", "All", "")
"""Prefixes of unions that say nothing about who sends."""

_DEPTH = 8
"""References and unions followed in search of an answer's type: more than any schema nests them."""


def constant_of(definition: Any) -> str | None:
    """The method that a message names: its `method` is a constant text, in the definition itself or a part of it."""
    for part in _parts(definition):
        said = part.get("properties")
        value = _constant(said.get("method")) if isinstance(said, dict) else None
        if isinstance(value, str) and value:
            return value
    return None


def read(source: Document) -> tuple[Document, list[Problem]]:
    """The schema as a protocol document; what a rule cannot say is in the file of methods."""
    return _Reader(source).document()


class _Message(msgspec.Struct, frozen=True, kw_only=True):
    """A definition that is a whole message of a method."""

    name: str
    method: str
    schema: dict[str, Any]
    is_request: bool

    @property
    def stem(self) -> str:
        """The name without what says that it is a message."""
        for suffix in _SUFFIXES:
            if self.name.endswith(suffix) and self.name != suffix:
                return self.name.removesuffix(suffix)
        return self.name


class _Reader:
    """The state of one reading: the definitions, which may grow, and what is found about them."""

    def __init__(self, source: Document) -> None:
        self._source = source
        self._tree: dict[str, Any] = dict(source.tree)
        self._keyword = "$defs" if isinstance(self._tree.get("$defs"), dict) else "definitions"
        self._definitions = overlay.definitions(self._tree)
        self._pointers = overlay.definition_pointers(self._tree)
        self._origins: dict[str, Origin] = {}
        self._problems: list[Problem] = []
        self._tree[self._keyword] = dict(self._tree.get(self._keyword, {}))
        self._errors: dict[str, dict[str, Any]] = {}
        self._error_of: dict[str, str] = {}

    def document(self) -> tuple[Document, list[Problem]]:
        messages = list(self._messages())
        senders = self._senders(messages)
        self._find_errors()
        made: dict[str, Any] = {}
        first: dict[str, _Message] = {}
        for message in messages:
            if message.method in made:
                self._again(message, first[message.method], made, senders)
                continue
            first[message.method] = message
            at = f"/x-methods/{escape(message.method)}"
            self._origins[at] = Origin(pointer=self._pointers[message.name])
            made[message.method] = self._entry(message, senders.get(message.name, []))
        tree = self._tree
        tree["x-protocol"] = overlay.about(tree.get("title"), _version(tree), tree.get("description"))
        tree["x-roles"] = overlay.roles(made, ("client", "server") if not senders else ())
        tree["x-methods"] = made
        tree["x-errors"] = self._errors
        return msgspec.structs.replace(self._source, tree=tree, kind="messages", origins=self._origins), self._problems

    # --- messages ---------------------------------------------------------------------------------

    def _messages(self) -> Iterator[_Message]:
        for name, schema in self._definitions.items():
            method = constant_of(schema) if isinstance(schema, dict) else None
            if method is not None:
                yield _Message(name=name, method=method, schema=schema, is_request=self._is_request(name, schema))

    def _is_request(self, name: str, schema: dict[str, Any]) -> bool:
        """A message with an id is answered; without one its name says what it is."""
        if any("id" in part["properties"] for part in _parts(schema) if isinstance(part.get("properties"), dict)):
            return True
        if name.endswith("Notification"):
            return False
        return name.endswith("Request") or self._result_of(name) is not None

    def _senders(self, messages: list[_Message]) -> dict[str, list[str]]:
        """Message to the sides that send it, as the unions say: `ClientRequest` lists what a client sends."""
        known = {message.name for message in messages}
        found: dict[str, list[str]] = {}
        for name in self._definitions:
            match = _SENT.fullmatch(name)
            if match is None or match["side"] in _NOT_SIDES or name in known:
                continue
            listed = [target for target in self._alternatives(name) if target in known]
            if len(listed) == 0:
                continue
            for target in listed:
                found.setdefault(target, []).append(match["side"])
        sides = list(dict.fromkeys(side for each in found.values() for side in each))
        if len(sides) == 1 and sides[0].lower() not in ("client", "server"):
            return {}  # one union of all messages tells nothing about who sends them
        return {target: list(dict.fromkeys(overlay.role_name(side) for side in each)) for target, each in found.items()}

    def _alternatives(self, name: str) -> Iterator[str]:
        """The definitions that a union of references lists, unions of unions opened."""
        waiting, seen = [name], {name}
        while waiting:
            schema = self._definitions.get(waiting.pop(0))
            for keyword in ("anyOf", "oneOf"):
                arms = schema.get(keyword) if isinstance(schema, dict) else None
                for arm in arms if isinstance(arms, list) else ():
                    target = self._referred(arm)
                    if target is not None and target not in seen:
                        seen.add(target)
                        yield target
                        waiting.append(target)

    def _referred(self, schema: Any) -> str | None:
        """The name of the definition that a schema refers to, and does nothing else."""
        if not isinstance(schema, dict):
            return None
        reference = schema.get("$ref")
        if reference is None and isinstance(schema.get("allOf"), list) and len(schema["allOf"]) == 1:
            return self._referred(schema["allOf"][0])
        if not isinstance(reference, str):
            return None
        for prefix in ("#/$defs/", "#/definitions/"):
            if reference.startswith(prefix):
                name = reference.removeprefix(prefix).replace("~1", "/").replace("~0", "~")
                return name if name in self._definitions else None
        return None

    # --- methods ------------------------------------------------------------------------------------

    def _entry(self, message: _Message, senders: list[str]) -> dict[str, Any]:
        roles = self._direction(senders)
        entry: dict[str, Any] = {
            "kind": "request" if message.is_request else "notification",
            **roles,
            **overlay.texts(
                None,
                message.schema.get("description"),
                f"{'Calls' if message.is_request else 'Sends'} `{message.method}`.",
            ),
        }
        params = self._member(message.name, "params")
        if params is not None:
            entry["params"] = params
        if message.is_request:
            result = self._result(message)
            if result is not None:
                entry["result"] = result
            errors = self._errors_of(message)
            if errors:
                entry["errors"] = errors
        if message.schema.get("deprecated") is True:
            entry["deprecated"] = True
        return entry

    @staticmethod
    def _direction(senders: list[str]) -> dict[str, Any]:
        if len(senders) > 1:
            return {"from": senders[0], "to": senders[1], "mutual": True}
        sender = senders[0] if senders else "client"
        return {"from": sender, "to": "client" if sender == "server" else "server"}

    def _again(self, message: _Message, known: _Message, made: dict[str, Any], senders: dict[str, list[str]]) -> None:
        """A second definition of one method: the first one counts, unless only one of them is what a side sends."""
        if known.name not in senders and message.name in senders:
            made[message.method] = self._entry(message, senders[message.name])
            return
        if message.name not in senders and known.name in senders:
            return
        what = f'"{known.name}" and "{message.name}" are both messages of "{message.method}"; the first one counts'
        fix = f'say in a file of methods what "{message.method}" takes, or give the other a method of its own'
        place = self._source.place(self._pointers[message.name])
        self._problems.append(warning("PG132", what, fix=fix, place=place))

    def _member(self, name: str, member: str) -> dict[str, Any] | None:
        """A member of a message as a reference; an inline type gets a name: `PingRequestParams`."""
        found = self._declared(name, member)
        if found is None:
            return None
        owner, pointer, schema = found
        target = self._referred(schema)
        if target is not None and set(schema) <= {"$ref", "description", "title", "allOf"}:
            return {"$ref": f"#{self._pointers[target]}"}
        if not isinstance(schema, dict):
            return None
        return {"$ref": f"#{self._named(owner, member, pointer, schema)}"}

    def _declared(self, name: str, member: str) -> tuple[str, str, Any] | None:
        """The definition that declares a member of a message, where, and as what; the message itself goes first."""
        waiting, seen = [name], {name}
        while waiting and len(seen) < 4 * _DEPTH:
            owner = waiting.pop(0)
            base = self._pointers[owner]
            for part, pointer in _places(self._definitions[owner], base):
                said = part.get("properties")
                if isinstance(said, dict) and member in said:
                    return owner, f"{pointer}/properties/{escape(member)}", said[member]
                target = self._referred(part) if "$ref" in part else None
                if target is not None and target not in seen:
                    seen.add(target)
                    waiting.append(target)
        return None

    def _named(self, owner: str, member: str, pointer: str, schema: dict[str, Any]) -> str:
        """The pointer of a definition of its own for an inline member; the message refers to it from now on."""
        for at, origin in self._origins.items():
            if origin.pointer == pointer and at.startswith(f"/{self._keyword}/"):
                return at
        name = overlay.free(f"{owner}{member[0].upper()}{member[1:]}", self._definitions)
        at = f"/{self._keyword}/{escape(name)}"
        self._tree[self._keyword][name] = schema
        self._definitions[name] = schema
        self._pointers[name] = at
        self._origins[at] = Origin(pointer=pointer)
        self._replace(pointer, {"$ref": f"#{at}", **_notes(schema)})
        return at

    def _replace(self, pointer: str, schema: dict[str, Any]) -> None:
        """Puts `schema` at `pointer`, with copies of all that stands above it."""
        parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
        node: Any = self._tree
        for part in parts[:-1]:
            key: Any = int(part) if isinstance(node, list) else part
            node[key] = list(node[key]) if isinstance(node[key], list) else dict(node[key])
            node = node[key]
        node[parts[-1]] = schema
        self._definitions |= overlay.definitions(self._tree)

    # --- results ------------------------------------------------------------------------------------

    def _result_of(self, name: str) -> str | None:
        """The result or response that is called after a request."""
        stem = name.removesuffix("Request")
        for suffix in ("Result", "Response", "SuccessResponse", "ResultResponse"):
            if f"{stem}{suffix}" in self._definitions and f"{stem}{suffix}" != name:
                return f"{stem}{suffix}"
        return None

    def _result(self, message: _Message) -> dict[str, Any] | None:
        """The type of the answer: by name, through the response that carries it, else the empty result."""
        name = self._result_of(message.name)
        if name is not None:
            return self._carried(name) or {"$ref": f"#{self._pointers[name]}"}
        for empty in ("EmptyResult", "EmptyResponse"):
            if empty in self._definitions:
                return {"$ref": f"#{self._pointers[empty]}"}
        what = f'no definition is called after the request "{message.name}": any JSON value is taken for its result'
        fix = f'say it in {self._beside()}: {{"x-methods": {{"{message.method}": {{"result": "…"}}}}}}'
        place = self._source.place(self._pointers[message.name])
        self._problems.append(warning("PG133", what, fix=fix, place=place))
        return None

    def _beside(self) -> str:
        name = self._source.path.rpartition("/")[2]
        return f"{name.removesuffix('.json').removesuffix('.schema')}.methods.json"

    def _carried(self, name: str) -> dict[str, Any] | None:
        """The `result` that a response carries; None where the definition is the result itself."""
        for candidate in (name, *self._alternatives(name)):
            schema = self._definitions.get(candidate)
            if not isinstance(schema, dict):
                continue
            members = [part["properties"] for part in _parts(schema) if isinstance(part.get("properties"), dict)]
            if any("result" in said for said in members) and any("jsonrpc" in said or "id" in said for said in members):
                return self._member(candidate, "result")
        return None

    # --- errors -------------------------------------------------------------------------------------

    def _find_errors(self) -> None:
        """Definitions with a constant integer `code`: the errors of the protocol, less those that JSON-RPC has."""
        codes: dict[int, str] = {}
        for name, schema in list(self._definitions.items()):
            found = self._error_shape(schema)
            if found is None:
                continue
            pointer, code, members = found
            self._error_of[name] = name
            entry: dict[str, Any] = {"code": code, "message": _message(members, name)}
            if isinstance(schema.get("description"), str) and schema["description"].strip():
                entry["description"] = schema["description"].strip()
            data = members.get("data")
            if isinstance(data, dict) and data.keys() - {"description", "title"}:
                entry["data"] = self._error_data(name, f"{pointer}/data", data)
            plain = overlay.error_name(name, code)
            key = overlay.free(plain, self._errors)
            if code in codes:
                entry["family"] = f"alternative-{sum(each['code'] == code for each in self._errors.values()) + 1}"
            codes.setdefault(code, key)
            self._errors[key] = entry
            self._error_of[name] = key
            self._origins[f"/x-errors/{key}"] = Origin(pointer=self._pointers[name])

    def _error_data(self, name: str, pointer: str, data: dict[str, Any]) -> dict[str, Any]:
        target = self._referred(data)
        if target is not None:
            return {"$ref": f"#{self._pointers[target]}"}
        return {"$ref": f"#{self._named(name, 'data', pointer, data)}"}

    def _error_shape(self, schema: Any) -> tuple[str, int, dict[str, Any]] | None:
        """Where the members of an error stand, its code, and those members: an error object or a whole response."""
        name = next((each for each, known in self._definitions.items() if known is schema), "")
        for part, pointer in _places(schema, self._pointers.get(name, "")):
            said = part.get("properties")
            if not isinstance(said, dict):
                continue
            code = _constant(said.get("code"))
            if isinstance(code, int) and not isinstance(code, bool) and "message" in said | _inherited(schema):
                return f"{pointer}/properties", code, said
            inner = said.get("error")
            for below, at in _places(inner, f"{pointer}/properties/error"):
                members = below.get("properties")
                code = _constant(members.get("code")) if isinstance(members, dict) else None
                if isinstance(members, dict) and isinstance(code, int) and not isinstance(code, bool):
                    return f"{at}/properties", code, members
        return None

    def _errors_of(self, message: _Message) -> list[str]:
        """The errors that the response of a request lists."""
        name = self._result_of(message.name)
        found: list[str] = []
        for response in (name, *self._alternatives(name)) if name is not None else ():
            declared = self._definitions.get(response)
            said = declared.get("properties") if isinstance(declared, dict) else None
            inner = said.get("error") if isinstance(said, dict) else None
            if not isinstance(inner, dict):
                continue
            targets = [self._referred(inner)]
            for keyword in ("anyOf", "oneOf"):
                arms = inner.get(keyword)
                targets += [self._referred(arm) for arm in arms] if isinstance(arms, list) else []
            for target in targets:
                if target is None:
                    continue
                for each in (target, *self._alternatives(target)):
                    if each in self._error_of and self._error_of[each] not in found:
                        found.append(self._error_of[each])
        return found


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    """A schema and the parts of its `allOf`."""
    yield from (part for part, _ in _places(schema, ""))


def _places(schema: Any, pointer: str) -> Iterator[tuple[dict[str, Any], str]]:
    waiting: list[tuple[Any, str, int]] = [(schema, pointer, 0)]
    while waiting:
        part, at, depth = waiting.pop(0)
        if not isinstance(part, dict):
            continue
        yield part, at
        arms = part.get("allOf")
        if isinstance(arms, list) and depth < _DEPTH:
            waiting.extend((arm, f"{at}/allOf/{index}", depth + 1) for index, arm in enumerate(arms))


def _inherited(schema: Any) -> dict[str, Any]:
    """A `message` may stand in a part that an error refers to."""
    return {"message": True} if isinstance(schema, dict) and isinstance(schema.get("allOf"), list) else {}


def _constant(schema: Any) -> Any:
    """The only value of a schema, said by `const` or by an enum of one."""
    if not isinstance(schema, dict):
        return None
    if "const" in schema:
        return schema["const"]
    values = schema.get("enum")
    return values[0] if isinstance(values, list) and len(values) == 1 else None


def _message(members: dict[str, Any], name: str) -> str:
    """The text of an error: a constant, a default, an example, else its name as words."""
    from protogen.naming import words

    said = members.get("message")
    if isinstance(said, dict):
        examples = said.get("examples")
        candidates = [_constant(said), said.get("default"), *(examples if isinstance(examples, list) else ())]
        for text in candidates:
            if isinstance(text, str) and text.strip():
                return overlay.one_line(text)
    plain = [word.lower() if word[1:].islower() or len(word) == 1 else word for word in words(name)]
    text = " ".join(plain[:-1] if len(plain) > 1 and plain[-1] == "error" else plain)
    return text[:1].upper() + text[1:]


def _notes(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: schema[key] for key in ("description",) if key in schema}


def _version(tree: dict[str, Any]) -> Any:
    """A version that the schema itself has, or that stands in its `$id`."""
    declared = tree.get("version")
    if isinstance(declared, str):
        return declared
    found = re.search(r"[0-9]+([.-][0-9]+)+", str(tree.get("$id", "")))
    return found[0] if found else "0"
