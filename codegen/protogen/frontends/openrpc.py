"""OpenRPC 1.x: methods with content descriptors, components, errors, examples and links.

Source: the OpenRPC specification, 1.0 to 1.4. Schemas are draft-07 there unless the document says otherwise, methods
without a result are notifications, and all methods are called by a client on a server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from protogen import keywords
from protogen.load import Document, Origin, load, referred_file
from protogen.positions import escape, unescape
from protogen.problems import Problem, closest, error

from . import overlay

_STRUCTURES = ("by-name", "by-position", "either")


def read(source: Document, *, root: Path) -> tuple[Document, list[Problem]]:
    """The OpenRPC document as a protocol document of the roles client and server."""
    return _Reader(source, root).document()


class _Spot(msgspec.Struct, frozen=True):
    """A node and where it stands, references followed."""

    node: Any
    document: Document
    pointer: str


class _Reader:
    """The state of one reading: files loaded, errors named, findings."""

    def __init__(self, source: Document, root: Path) -> None:
        self._source = source
        self._root = root
        self._files: dict[Path, Document] = {Path(source.file).resolve(): source}
        self._problems: list[Problem] = []
        self._origins: dict[str, Origin] = {}
        self._errors: dict[str, dict[str, Any]] = {}
        self._by_error: dict[tuple[int, str], str] = {}
        self._families: dict[int, int] = {}
        self._examples: list[dict[str, Any]] = []

    def document(self) -> tuple[Document, list[Problem]]:
        source = self._source
        tree = overlay.base_tree(source)
        info = self._object(tree.get("info", {}), "/info")
        listed = tree.get("methods", [])
        if not isinstance(listed, list):
            self._malformed(_Spot(None, source, "/methods"), "methods must be an array", "write an array of methods")
            listed = []
        self._component_errors(tree)
        made: dict[str, Any] = {}
        for index, node in enumerate(listed):
            spot = self._followed(_Spot(node, source, f"/methods/{index}"))
            if spot is not None:
                self._method(spot, made)
        tree.setdefault("$schema", overlay.DRAFT_07)
        tree["x-protocol"] = overlay.about(info.get("title"), info.get("version"), info.get("description"))
        tree["title"] = info.get("title") if isinstance(info.get("title"), str) else tree.get("title", "")
        tree["description"] = overlay.joined(info.get("description"))
        tree["x-roles"] = overlay.roles(made, ("client", "server"))
        tree["x-methods"] = made
        tree["x-errors"] = self._errors
        http = _http(tree.get("servers"))
        if http:
            tree["x-transports"] = {"http": http}
        document = msgspec.structs.replace(
            source,
            tree=tree,
            kind="openrpc",
            origins=self._origins,
            lists=("/components/schemas", "/$defs", "/definitions"),
            dialect=str(tree["$schema"]).removesuffix("#"),
            beside=tuple(file for file in self._files.values() if file is not source),
            examples=tuple(self._examples),
        )
        return document, self._problems

    # --- methods --------------------------------------------------------------------------------

    def _method(self, spot: _Spot, made: dict[str, Any]) -> None:
        node = spot.node
        if not isinstance(node, dict):
            return self._malformed(spot, f"a method is an object, found {_kind(node)}", "write a method object")
        name = node.get("name")
        if not isinstance(name, str) or not name:
            return self._malformed(spot, 'a method needs a "name", which is text', "give it one")
        if name in made:
            place = spot.document.place(f"{spot.pointer}/name")
            fix = "give one another name, or remove it"
            self._problems.append(error("PG132", f'the method "{name}" is described twice', fix=fix, place=place))
            return None
        at = f"/x-methods/{escape(name)}"
        self._came_from(at, spot.document, spot.pointer)
        notification = node.get("result") is None
        entry: dict[str, Any] = {
            "kind": "notification" if notification else "request",
            "from": "client",
            "to": "server",
            **overlay.texts(
                node.get("summary"),
                overlay.joined(node.get("description"), _see(node.get("externalDocs")), self._links(spot)),
                f"{'Sends' if notification else 'Calls'} `{name}`.",
            ),
        }
        structure = node.get("paramStructure", "either")
        if structure not in _STRUCTURES:
            near = closest(str(structure), _STRUCTURES).removeprefix("; ") or f"use {', '.join(_STRUCTURES)}"
            self._malformed(_below(spot, "paramStructure"), f"no param structure is called {structure!r}", near)
            structure = "either"
        params = self._params(spot, f"{at}/params")
        if params is not None:
            entry["params"] = params
            if structure != "by-name":
                entry["paramStructure"] = structure
        if not notification:
            result = self._descriptor(_below(spot, "result"), f"{at}/result")
            if result is not None:
                entry["result"] = result[1]
            errors = list(self._method_errors(spot))
            if errors:
                entry["errors"] = errors
        if node.get("deprecated") is True:
            entry["deprecated"] = True
        if isinstance(node.get("x-protogen-name"), str):
            entry["x-protogen-name"] = node["x-protogen-name"]
        made[name] = entry
        self._method_examples(spot, name, structure)
        return None

    def _params(self, spot: _Spot, at: str) -> dict[str, Any] | None:
        """One record of all parameters in their order; None where there are none."""
        listed = spot.node.get("params", [])
        if not isinstance(listed, list):
            self._malformed(_below(spot, "params"), "params must be an array", "write an array of content descriptors")
            return None
        self._came_from(at, spot.document, f"{spot.pointer}/params")
        properties: dict[str, Any] = {}
        required: list[str] = []
        for index in range(len(listed)):
            below = _Spot(listed[index], spot.document, f"{spot.pointer}/params/{index}")
            found = self._descriptor(below, "")
            if found is None:
                continue
            descriptor, schema = found
            name = descriptor.node.get("name")
            if not isinstance(name, str) or not name:
                self._malformed(descriptor, 'a parameter needs a "name", which is text', "give it one")
                continue
            if name in properties:
                self._malformed(descriptor, f'two parameters are called "{name}"', "give one another name")
                continue
            self._came_from(f"{at}/properties/{escape(name)}", descriptor.document, f"{descriptor.pointer}/schema")
            properties[name] = schema
            if descriptor.node.get("required") is True:
                required.append(name)
        if not properties:
            return None
        record: dict[str, Any] = {"type": "object", "properties": properties}
        return {**record, "required": required} if required else record

    def _descriptor(self, spot: _Spot, at: str) -> tuple[_Spot, Any] | None:
        """A content descriptor behind its references, and its schema with what the descriptor says of it."""
        found = self._followed(spot)
        if found is None:
            return None
        node = found.node
        if not isinstance(node, dict):
            self._malformed(found, f"a content descriptor is an object, found {_kind(node)}", "write one with a schema")
            return None
        if "schema" not in node:
            if "name" not in node or keywords.CONSTRAINTS.keys() & node.keys():
                what = 'a content descriptor has a "name" and a "schema", not the keywords of a schema'
                self._malformed(found, what, 'put them into "schema"')
                return None
            return found, {}
        schema = node["schema"]
        if not keywords.is_schema(schema):
            self._malformed(_below(found, "schema"), f"expected a schema, found {_kind(schema)}", "write a schema here")
            return None
        if at:
            self._came_from(at, found.document, f"{found.pointer}/schema")
        schema = self._here(schema, found.document)
        if not at and isinstance(schema, dict):
            text = overlay.joined(node.get("summary"), node.get("description"), schema.get("description"))
            notes: dict[str, Any] = {"description": text} if text else {}
            if node.get("deprecated") is True:
                notes["deprecated"] = True
            schema = {**schema, **notes}
        return found, schema

    # --- errors ---------------------------------------------------------------------------------

    def _component_errors(self, tree: dict[str, Any]) -> None:
        components = tree.get("components")
        listed = components.get("errors") if isinstance(components, dict) else None
        for name, node in listed.items() if isinstance(listed, dict) else ():
            spot = self._followed(_Spot(node, self._source, f"/components/errors/{escape(name)}"))
            if spot is not None:
                self._error(spot, name)

    def _method_errors(self, spot: _Spot) -> Iterator[str]:
        listed = spot.node.get("errors", [])
        if not isinstance(listed, list):
            self._malformed(_below(spot, "errors"), "errors must be an array", "write an array of errors")
            return
        seen: set[str] = set()
        for index, node in enumerate(listed):
            found = self._followed(_Spot(node, spot.document, f"{spot.pointer}/errors/{index}"))
            name = self._error(found, None) if found is not None else None
            if name is not None and name not in seen:
                seen.add(name)
                yield name

    def _error(self, spot: _Spot, key: str | None) -> str | None:
        """The name of an error, new or known: two that have code and message in common are one."""
        node = spot.node
        code = node.get("code") if isinstance(node, dict) else None
        if isinstance(code, str) and re.fullmatch(r"-?[0-9]+", code):
            code = int(code)
        if isinstance(code, float) and code.is_integer():
            code = int(code)
        if not isinstance(code, int) or isinstance(code, bool):
            self._malformed(spot, f'an error needs a "code", which is a whole number; found {code!r}', "give it one")
            return None
        message = overlay.one_line(node["message"]) if isinstance(node.get("message"), str) else ""
        known = self._by_error.get((code, message))
        if known is not None:
            return known
        wanted = overlay.error_name(key or message, code)
        name = overlay.free(wanted, self._errors)
        number = self._families[code] = self._families.get(code, 0) + 1
        entry: dict[str, Any] = {"code": code, "message": message or name}
        data = _data_schema(node.get("data"))
        text = overlay.joined(node.get("description"), _data(node.get("data")) if data is None else "")
        if text:
            entry["description"] = text
        if data is not None:
            below, schema = data
            entry["data"] = self._here(schema, spot.document)
            self._came_from(f"/x-errors/{name}/data", spot.document, f"{spot.pointer}/data{below}")
        if number > 1:
            # One number, several meanings: tables of their own keep them apart.
            entry["family"] = f"alternative-{number}"
        self._errors[name] = entry
        self._by_error[code, message] = name
        self._came_from(f"/x-errors/{name}", spot.document, spot.pointer)
        return name

    # --- links and examples -----------------------------------------------------------------------

    def _links(self, spot: _Spot) -> str:
        """What the links of a method say, as sentences."""
        listed = spot.node.get("links", [])
        lines: list[str] = []
        for index, node in enumerate(_list(listed)):
            found = self._followed(_Spot(node, spot.document, f"{spot.pointer}/links/{index}"))
            link = found.node if found is not None else None
            if not isinstance(link, dict):
                continue
            target = link.get("method", spot.node.get("name"))
            params = link.get("params")
            given = (
                ", ".join(f"{name} = {_written(value)}" for name, value in params.items())
                if isinstance(params, dict)
                else ""
            )
            about = overlay.one_line(str(link.get("description") or link.get("summary") or ""))
            lines.append(f"- `{target}`{f' with {given}' if given else ''}{f': {about}' if about else ''}")
        return "What it answers leads to:\n\n" + "\n".join(lines) if lines else ""

    def _method_examples(self, spot: _Spot, method: str, structure: str) -> None:
        listed = spot.node.get("examples", [])
        for index, node in enumerate(_list(listed)):
            found = self._followed(_Spot(node, spot.document, f"{spot.pointer}/examples/{index}"))
            if found is None or not isinstance(found.node, dict):
                continue
            pairing = found.node
            params = self._example_params(found, spot, structure)
            if params is None:
                continue
            name = str(pairing.get("name") or f"{method} {index + 1}")
            request: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": method}
            if params:
                request["params"] = params
            example = {
                "name": name,
                "summary": overlay.sentence(str(pairing.get("summary") or pairing.get("description") or name)),
                "valid": True,
                "method": method,
                "request": request,
            }
            if spot.node.get("result") is None:
                del request["id"]
            else:
                result = self._followed(_below(found, "result")) if pairing.get("result") is not None else None
                if result is not None and isinstance(result.node, dict) and "value" in result.node:
                    example["response"] = {"jsonrpc": "2.0", "id": 1, "result": result.node["value"]}
            self._examples.append(example)

    def _example_params(self, pairing: _Spot, method: _Spot, structure: str) -> Any:
        """The params of an example by name or by position; None where a value stands outside the document."""
        listed = pairing.node.get("params", [])
        declared = [
            self._followed(_Spot(node, method.document, f"{method.pointer}/params/{index}"))
            for index, node in enumerate(_list(method.node.get("params")))
        ]
        names = [
            spot.node.get("name") if spot is not None and isinstance(spot.node, dict) else None for spot in declared
        ]
        values: list[Any] = []
        by_name: dict[str, Any] = {}
        for index, node in enumerate(_list(listed)):
            found = self._followed(_Spot(node, pairing.document, f"{pairing.pointer}/params/{index}"))
            if found is None or not isinstance(found.node, dict) or "value" not in found.node:
                return None
            values.append(found.node["value"])
            name = found.node.get("name")
            if name not in names:
                name = names[index] if index < len(names) else None
            if isinstance(name, str):
                by_name[name] = found.node["value"]
        return by_name if structure == "by-name" else values

    # --- references -------------------------------------------------------------------------------

    def _followed(self, spot: _Spot) -> _Spot | None:
        """What stands behind the references of a node that is no schema; None, with a Problem, where nothing does."""
        seen: set[tuple[str, str]] = set()
        while isinstance(spot.node, dict) and isinstance(spot.node.get("$ref"), str):
            key = (spot.document.file, spot.pointer)
            if key in seen:
                what = f'"$ref": {spot.node["$ref"]!r} leads back to itself'
                self._refused("PG106", what, "let it refer to what it stands for", spot)
                return None
            seen.add(key)
            found = self._target(spot)
            if found is None:
                return None
            spot = found
        return spot

    def _target(self, spot: _Spot) -> _Spot | None:
        reference: str = spot.node["$ref"]
        uri, _, fragment = reference.partition("#")
        document = spot.document
        if uri:
            try:
                split = urlsplit(uri)
            except ValueError:
                what = f'"$ref": {reference!r} leads nowhere: it is no address'
                return self._refused("PG102", what, "correct the reference", spot)
            if split.scheme or split.netloc:
                what = f'"$ref": {reference!r} is on another host and nothing is fetched'
                fix = "copy the file into the project and refer to it by a relative path"
                return self._refused("PG105", what, fix, spot)
            name = unquote(split.path)
            if "\0" in name:
                what = f'"$ref": {reference!r} leads nowhere: no file is called so'
                return self._refused("PG102", what, "correct the reference", spot)
            path = referred_file(name, document=Path(document.file), root=self._root).resolve()
            if not path.is_relative_to(self._root):
                what = f'"$ref": {reference!r} lies outside the project {self._root.name}/'
                return self._refused("PG105", what, "copy the file into the project", spot)
            if path not in self._files:
                loaded, problems = load(path, root=self._root)
                self._problems.extend(problems)
                if loaded is None:
                    what = f'"$ref": {reference!r} leads nowhere: the file cannot be read'
                    return self._refused("PG102", what, "correct the reference", spot)
                self._files[path] = loaded
            document = self._files[path]
        pointer = unquote(fragment)
        node = document.tree
        walked = ""
        for part in pointer.split("/")[1:] if pointer.startswith("/") else ():
            name = unescape(part)
            inside: Any = None
            if isinstance(node, dict) and name in node:
                inside = (node[name],)
            elif isinstance(node, list) and name.isdigit() and int(name) < len(node):
                inside = (node[int(name)],)
            if inside is None:
                near = closest(name, node) if isinstance(node, dict) else ""
                what = f'"$ref": {reference!r} leads nowhere: nothing stands there{near}'
                return self._refused("PG102", what, "correct the reference or add what it names", spot)
            node, walked = inside[0], f"{walked}/{escape(name)}"
        if pointer and not pointer.startswith("/"):
            what = f'"$ref": {reference!r} leads nowhere: only a schema has anchors'
            return self._refused("PG102", what, "refer by a path such as #/components/...", spot)
        return _Spot(node, document, walked)

    def _here(self, schema: Any, document: Document) -> Any:
        """`schema` with references as they read from the main document."""
        if document is self._source:
            return schema
        here = PurePosixPath(Path(self._source.file).resolve().parent.as_posix())
        there = PurePosixPath(Path(document.file).resolve().as_posix())
        base = _relative(there, here)
        return _rebased(schema, base)

    # --- findings ---------------------------------------------------------------------------------

    def _came_from(self, at: str, document: Document, pointer: str) -> None:
        self._origins[at] = Origin(pointer=pointer, document=None if document is self._source else document)

    def _object(self, value: Any, pointer: str) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        self._malformed(_Spot(value, self._source, pointer), f"expected an object, found {_kind(value)}", "write one")
        return {}

    def _malformed(self, spot: _Spot, what: str, fix: str) -> None:
        self._problems.append(error("PG130", what, fix=fix, place=spot.document.place(spot.pointer)))

    def _refused(self, code: str, what: str, fix: str, spot: _Spot) -> _Spot | None:
        """Nothing, and the Problem that says why."""
        self._problems.append(error(code, what, fix=fix, place=spot.document.place(f"{spot.pointer}/$ref")))
        return None


def _below(spot: _Spot, member: str) -> _Spot:
    return _Spot(spot.node.get(member), spot.document, f"{spot.pointer}/{escape(member)}")


def _rebased(schema: Any, base: str) -> Any:
    if isinstance(schema, list):
        return [_rebased(part, base) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "$ref" and isinstance(value, str):
            made[key] = _moved(value, base)
        elif key in ("const", "enum", "default", "example", "examples"):
            made[key] = value
        else:
            made[key] = _rebased(value, base)
    return made


def _moved(reference: str, base: str) -> str:
    uri, mark, fragment = reference.partition("#")
    if not uri:
        return f"{base}{mark}{fragment}"
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", uri):
        return reference
    folder = base.rpartition("/")[0]
    return f"{folder}/{reference}" if folder else reference


def _relative(there: PurePosixPath, here: PurePosixPath) -> str:
    """The path of a file as seen from a folder."""
    common = 0
    for one, other in zip(there.parts[:-1], here.parts, strict=False):
        if one != other:
            break
        common += 1
    return "/".join([".."] * (len(here.parts) - common) + list(there.parts[common:]))


def _http(servers: Any) -> dict[str, Any]:
    """The path of the first server that is a plain HTTP address."""
    for server in servers if isinstance(servers, list) else ():
        url = server.get("url") if isinstance(server, dict) else None
        if isinstance(url, str) and re.match(r"https?://", url) and not re.search(r"[\s${}<>\\]", url):
            try:
                path = urlsplit(url).path
            except ValueError:
                return {}
            return {"path": path} if re.fullmatch(r"/[A-Za-z0-9._~/-]*", path) and path != "/" else {}
    return {}


def _see(docs: Any) -> str:
    url = docs.get("url") if isinstance(docs, dict) else None
    return f"See {url}." if isinstance(url, str) and url.strip() else ""


def _data_schema(data: Any) -> tuple[str, Any] | None:
    """The schema that stands where an error has its data, and the pointer to it; None for a value.

    The specification asks for a value; some documents (those of Starknet) give its type, or a content descriptor.
    """
    if not isinstance(data, dict):
        return None
    if isinstance(data.get("schema"), dict) and data.keys() <= {"name", "summary", "description", "required", "schema"}:
        return "/schema", data["schema"]
    told = any(keywords.fits(data[word], shape) for word, shape in _TELLING.items() if word in data)
    return ("", data) if told and all(word in keywords.KNOWN or word.startswith("x-") for word in data) else None


_TELLING = {word: keywords.CONSTRAINTS[word] for word in ("$ref", "type", "allOf", "anyOf", "oneOf")}
"""Members of a schema of which a mere value hardly has one, and all others as keywords, too."""


def _data(data: Any) -> str:
    """An error's data as an example of it."""
    if data is None:
        return ""
    text = json.dumps(data, ensure_ascii=False)
    return f"Data, for example: `{text}`." if len(text) <= 200 and "`" not in text else ""


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _kind(value: Any) -> str:
    return "an object" if isinstance(value, dict) else "an array" if isinstance(value, list) else f"{value!r:.40}"


def _list(value: Any) -> list[Any]:
    """An array, or nothing where there is none."""
    return value if isinstance(value, list) else []
