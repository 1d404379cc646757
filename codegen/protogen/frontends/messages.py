"""A JSON Schema of whole messages: definitions whose `method` is a constant are the requests and notifications.

Results, errors and directions follow from how such schemas are written: a result is paired with its request by name or
by the response that holds it, and unions called after a side list what that side sends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from protogen.load import Document, Origin
from protogen.naming import pascal
from protogen.positions import escape
from protogen.problems import Problem, warning

from . import overlay

_SENT = re.compile(r"(?P<side>[A-Z][A-Za-z0-9]*?)(?P<what>Requests?|Notifications?)$")
_SUFFIXES = ("Request", "Notification", "Params")
_SIDES = frozenset(
    (
        *("client", "server", "agent", "host", "worker", "runtime", "node", "peer", "editor", "ide", "extension"),
        *("provider", "consumer", "caller", "callee", "frontend", "backend", "controller", "device", "app"),
    )
)
"""Words that name a side of a protocol; where a union is called after one, unions of other names say nothing."""

_NOT_SIDES = frozenset(("jsonrpc", "any", "all", "input", "base"))
"""Beginnings of the names of unions that never say who sends."""

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


def has_messages(definition: Any) -> bool:
    """Whether a definition is a message, or a union that spells messages out."""
    return constant_of(definition) is not None or any(constant_of(arm) is not None for arm, _ in _arms(definition, ""))


def read(source: Document, told: frozenset[str]) -> tuple[Document, list[Problem]]:
    """The schema as a protocol document; nothing is missed of the methods that a file of methods has `told` of."""
    return _Reader(source, told).document()


class _Message(msgspec.Struct, frozen=True, kw_only=True):
    """A whole message of a method: a definition, or an alternative that a union of messages spells out."""

    name: str
    method: str
    schema: dict[str, Any]
    pointer: str
    is_request: bool
    stems: tuple[str, ...]
    """What definitions that belong to the message may begin with."""


class _Reader:
    """The state of one reading: the definitions, which may grow, and what is found about them."""

    def __init__(self, source: Document, told: frozenset[str]) -> None:
        self._source = source
        self._told = told
        self._sides: list[str] = []
        self._tree: dict[str, Any] = dict(source.tree)
        self._keyword = "$defs" if isinstance(self._tree.get("$defs"), dict) else "definitions"
        self._definitions = overlay.definitions(self._tree)
        self._pointers = overlay.definition_pointers(self._tree)
        self._names = {pointer: name for name, pointer in self._pointers.items()}
        self._origins: dict[str, Origin] = {}
        self._hoisted: dict[str, str] = {}
        self._problems: list[Problem] = []
        self._tree[self._keyword] = dict(self._tree.get(self._keyword, {}))
        self._errors: dict[str, dict[str, Any]] = {}
        self._error_of: dict[str, str] = {}

    def document(self) -> tuple[Document, list[Problem]]:
        messages = list(self._messages())
        senders, covered = self._senders(messages)
        self._find_errors()
        made: dict[str, Any] = {}
        first: dict[str, _Message] = {}
        for message in messages:
            sides = senders.get(message.pointer, [])
            if not sides and message.is_request in covered and message.method not in self._told:
                self._unsent(message)
                continue
            if message.method in made:
                self._again(message, first[message.method], made, sides)
                continue
            first[message.method] = message
            self._origins[f"/x-methods/{escape(message.method)}"] = Origin(pointer=message.pointer)
            made[message.method] = self._entry(message, sides)
        tree = self._tree
        tree["x-protocol"] = overlay.about(tree.get("title"), _version(tree), tree.get("description"))
        tree["x-roles"] = overlay.roles(made, ("client", "server") if not senders else ())
        tree["x-methods"] = made
        tree["x-errors"] = self._errors
        lists = (*self._source.lists, *overlay.namespaces(self._source.tree))
        document = msgspec.structs.replace(self._source, tree=tree, kind="messages", origins=self._origins, lists=lists)
        return document, self._problems

    # --- messages ---------------------------------------------------------------------------------

    def _messages(self) -> Iterator[_Message]:
        for name, schema in [*self._definitions.items(), ("", self._tree)]:
            pointer = self._pointers.get(name, "")
            method = constant_of(schema) if name else None
            if method is not None:
                stems = (_stem(name), *self._params_stem(schema))
                is_request = self._is_request(name, schema, stems)
                yield _Message(
                    name=name, method=method, schema=schema, pointer=pointer, is_request=is_request, stems=stems
                )
                continue
            for arm, at in _arms(schema, pointer):
                method = constant_of(arm)
                if method is None:
                    continue
                called = arm.get("title") if isinstance(arm.get("title"), str) else ""
                stems = (*self._params_stem(arm), pascal(method))
                match = _SENT.fullmatch(name)
                if match is not None:
                    is_request = match["what"].startswith("Request")
                else:
                    is_request = self._is_request(called, arm, stems)
                yield _Message(
                    name=pascal(method) + ("Request" if is_request else "Notification"),
                    method=method,
                    schema=arm,
                    pointer=at,
                    is_request=is_request,
                    stems=tuple(stems),
                )

    def _params_stem(self, schema: Any) -> tuple[str, ...]:
        """`TurnStart` where the params of a message are `TurnStartParams`."""
        for part in _parts(schema):
            said = part.get("properties")
            params = said.get("params") if isinstance(said, dict) else None
            target = self._referred(params) if params is not None else None
            if target is not None and target.endswith(_SUFFIXES):
                return (_stem(target),)
        return ()

    def _is_request(self, name: str, schema: Any, stems: tuple[str, ...]) -> bool:
        """A message with an id is answered; without one its name says what it is."""
        if any("id" in part["properties"] for part in _parts(schema) if isinstance(part.get("properties"), dict)):
            return True
        if name.lower().endswith("notification"):
            return False
        return name.lower().endswith("request") or self._result_of(stems) is not None

    def _senders(self, messages: list[_Message]) -> tuple[dict[str, list[str]], set[bool]]:
        """Message to the sides that send it, as the unions say: `ClientRequest` lists what a client sends.

        With it whether such unions list requests (True) and notifications (False) at all.
        """
        known = {message.pointer for message in messages}
        listed: dict[str, list[tuple[str, bool]]] = {}
        for name in self._definitions:
            match = _SENT.fullmatch(name)
            if match is None:
                continue
            side = overlay.role_name(match["side"])
            if side in _NOT_SIDES:
                continue
            is_request = match["what"].startswith("Request")
            if self._pointers[name] in known:
                # A union of one message is written as that message.
                twin = any(
                    other.name != name and other.method == constant_of(self._definitions[name]) for other in messages
                )
                if side in _SIDES and twin:
                    listed.setdefault(self._pointers[name], []).append((side, is_request))
                continue
            for target in self._alternatives(name):
                if target in known:
                    listed.setdefault(target, []).append((side, is_request))
        sides = dict.fromkeys(side for each in listed.values() for side, _ in each)
        plain = [side for side in sides if side in _SIDES]
        if not plain and len(sides) < 2:
            return {}, set()  # one union of all messages tells nothing about who sends them
        chosen = plain or list(sides)
        self._sides = chosen
        senders = {
            target: list(dict.fromkeys(side for side, _ in each if side in chosen)) for target, each in listed.items()
        }
        covered = {is_request for each in listed.values() for side, is_request in each if side in chosen}
        return {target: each for target, each in senders.items() if each}, covered

    def _alternatives(self, name: str) -> Iterator[str]:
        """Pointers of what a union lists: definitions and alternatives spelled out, unions of unions opened."""
        waiting, seen = [name], {name}
        while waiting:
            current = waiting.pop(0)
            for arm, at in _arms(self._definitions.get(current), self._pointers.get(current, "")):
                target = self._referred(arm)
                if target is None:
                    yield at
                elif target not in seen:
                    seen.add(target)
                    yield self._pointers[target]
                    waiting.append(target)

    def _referred(self, schema: Any) -> str | None:
        """The name of the definition that a schema refers to, and does nothing else."""
        if not isinstance(schema, dict):
            return None
        reference = schema.get("$ref")
        if reference is None and isinstance(schema.get("allOf"), list) and len(schema["allOf"]) == 1:
            return self._referred(schema["allOf"][0])
        return self._names.get(reference[1:]) if isinstance(reference, str) and reference.startswith("#") else None

    def _unsent(self, message: _Message) -> None:
        """A message that no side sends: it is part of other messages."""
        what = f'no union of what a side sends lists "{message.name}": "{message.method}" is no method of its own'
        fix = (
            f'say in {self._beside()} who sends it, if it is: {{"x-methods": {{"{message.method}": {{"from": "…"}}}}}}'
        )
        self._problems.append(warning("PG135", what, fix=fix, place=self._source.place(message.pointer)))

    # --- methods ------------------------------------------------------------------------------------

    def _entry(self, message: _Message, senders: list[str]) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "kind": "request" if message.is_request else "notification",
            **self._direction(senders),
            **overlay.texts(
                None,
                message.schema.get("description"),
                f"{'Calls' if message.is_request else 'Sends'} `{message.method}`.",
            ),
        }
        params = self._member(message.schema, message.pointer, message.name, "params")
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

    def _direction(self, senders: list[str]) -> dict[str, Any]:
        if len(senders) > 1:
            return {"from": senders[0], "to": senders[1], "mutual": True}
        sender = senders[0] if senders else "client"
        usual = "server" if sender == "client" else "client"
        other = next((side for side in self._sides if side != sender), usual) if senders else usual
        return {"from": sender, "to": other}

    def _again(self, message: _Message, known: _Message, made: dict[str, Any], sides: list[str]) -> None:
        """A second message of one method: the same one from the other side makes it mutual, else the first counts."""
        entry = made[message.method]
        new = self._entry(message, sides)
        same = all(new.get(member) == entry.get(member) for member in ("kind", "params", "result"))
        if same and {new["from"], new["to"]} == {entry["from"], entry["to"]}:
            if new["from"] != entry["from"]:
                entry["mutual"] = True
            return
        if message.method in self._told:
            return
        what = f'"{known.name}" and "{message.name}" are both messages of "{message.method}"; the first one counts'
        fix = f'say in a file of methods what "{message.method}" takes, or give the other a method of its own'
        self._problems.append(warning("PG132", what, fix=fix, place=self._source.place(message.pointer)))

    def _member(self, schema: Any, pointer: str, name: str, member: str) -> dict[str, Any] | None:
        """A member of a message as a reference; an inline type gets a name: `PingRequestParams`."""
        found = self._declared(schema, pointer, member)
        if found is None:
            return None
        at, inner = found
        target = self._referred(inner)
        if target is not None and set(inner) <= {"$ref", "description", "title", "allOf", "default"}:
            return {"$ref": f"#{self._pointers[target]}"}
        if not isinstance(inner, dict) or (member == "params" and _is_nothing(inner)):
            return None
        if isinstance(inner.get("$ref"), str) and not inner.keys() - {"$ref", "description", "title"}:
            return {"$ref": inner["$ref"]}
        return {"$ref": f"#{self._named(name, member, at, inner)}"}

    def _declared(self, schema: Any, pointer: str, member: str) -> tuple[str, Any] | None:
        """Where a member of a message is declared, and as what; the message itself goes before what it refers to."""
        waiting, seen = [(schema, pointer)], {pointer}
        while waiting and len(seen) < 4 * _DEPTH:
            current, base = waiting.pop(0)
            for part, at in _places(current, base):
                said = part.get("properties")
                if isinstance(said, dict) and member in said:
                    return f"{at}/properties/{escape(member)}", said[member]
                target = self._referred(part) if "$ref" in part else None
                if target is not None and self._pointers[target] not in seen:
                    seen.add(self._pointers[target])
                    waiting.append((self._definitions[target], self._pointers[target]))
        return None

    def _named(self, owner: str, member: str, pointer: str, schema: dict[str, Any]) -> str:
        """The pointer of a definition of its own for an inline member; the message refers to it from now on."""
        if pointer in self._hoisted:
            return self._hoisted[pointer]
        name = overlay.free(f"{owner}{member[0].upper()}{member[1:]}", self._definitions)
        at = f"/{self._keyword}/{escape(name)}"
        self._tree[self._keyword][name] = schema
        self._definitions[name] = schema
        self._pointers[name] = at
        self._names[at] = name
        self._hoisted[pointer] = at
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

    def _result_of(self, stems: Iterable[str]) -> str | None:
        """The result or response that is called after a request; one that carries a result goes first."""
        for stem in stems:
            there = self._answers(stem)
            if there:
                return next((name for name in there if self._carrier(name) is not None), there[-1])
        return None

    def _answers(self, stem: str) -> list[str]:
        """The definitions that are called after an answer."""
        named = [f"{stem}{suffix}" for suffix in ("ResultResponse", "SuccessResponse", "Response", "Result")]
        return [name for name in named if name in self._definitions and constant_of(self._definitions[name]) is None]

    def _result(self, message: _Message) -> dict[str, Any] | None:
        """The type of the answer: by name, through the response that carries it, else the empty result."""
        name = self._result_of(message.stems)
        if name is not None:
            carrier = self._carrier(name)
            if carrier is None:
                return {"$ref": f"#{self._pointers[name]}"}
            return self._member(self._definitions[carrier], self._pointers[carrier], carrier, "result")
        for empty in ("EmptyResult", "EmptyResponse"):
            if empty in self._definitions:
                return {"$ref": f"#{self._pointers[empty]}"}
        if message.method in self._told:
            return None
        what = f'no definition is called after the request "{message.name}": any JSON value is taken for its result'
        fix = f'say it in {self._beside()}: {{"x-methods": {{"{message.method}": {{"result": "…"}}}}}}'
        self._problems.append(warning("PG133", what, fix=fix, place=self._source.place(message.pointer)))
        return None

    def _beside(self) -> str:
        name = self._source.path.rpartition("/")[2]
        return f"{name.removesuffix('.json').removesuffix('.schema')}.methods.json"

    def _carrier(self, name: str) -> str | None:
        """The definition that carries the result as a member, this one or one of its alternatives."""
        inner = (self._names[at] for at in self._alternatives(name) if at in self._names)
        for candidate in (name, *inner):
            schema = self._definitions.get(candidate)
            members = [part["properties"] for part in _parts(schema) if isinstance(part.get("properties"), dict)]
            if any("result" in said for said in members) and any("jsonrpc" in said or "id" in said for said in members):
                return candidate
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
        answers = [name for stem in message.stems for name in self._answers(stem)]
        found: list[str] = []
        inner = [self._names[at] for name in answers for at in self._alternatives(name) if at in self._names]
        for response in dict.fromkeys([*answers, *inner]):
            declared = self._definitions.get(response)
            said = declared.get("properties") if isinstance(declared, dict) else None
            error = said.get("error") if isinstance(said, dict) else None
            targets = [self._referred(error), *(self._referred(arm) for arm, _ in _arms(error, ""))]
            for target in targets:
                if target is None:
                    continue
                nested = (self._names[at] for at in self._alternatives(target) if at in self._names)
                for each in (target, *nested):
                    if each in self._error_of and self._error_of[each] not in found:
                        found.append(self._error_of[each])
        return found


def _arms(schema: Any, pointer: str) -> Iterator[tuple[Any, str]]:
    """The alternatives of a union and where each stands."""
    for keyword in ("anyOf", "oneOf"):
        arms = schema.get(keyword) if isinstance(schema, dict) else None
        for index, arm in enumerate(arms if isinstance(arms, list) else ()):
            if type(arm) is dict:
                yield arm, f"{pointer}/{keyword}/{index}"


def _stem(name: str) -> str:
    """A name without what says which part of a call it is."""
    for suffix in _SUFFIXES:
        if name.endswith(suffix) and name != suffix:
            return name.removesuffix(suffix)
    return name


def _is_nothing(schema: dict[str, Any]) -> bool:
    """Whether params are none: `null`, as generators write it for methods that take nothing."""
    return schema.get("type") == "null" or (set(schema) <= {"description", "title"})


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
