"""All definitions of a document with every `$ref`, `$anchor` and `$id` resolved to a name.

Reads further files of the project through `load`, never the network. Knows where schemas stand, not what they mean.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import msgspec

from protogen import keywords
from protogen.keywords import Shape
from protogen.load import Document, Origin, load, referred_file, stem
from protogen.naming import pascal
from protogen.positions import escape, unescape
from protogen.problems import Place, Problem, closest, error, warning


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """Where a schema stands: its document, the pointer to it, the base of its references and its draft."""

    document: Document
    pointer: str
    base: str
    draft: int

    def place(self, below: str = "") -> Place:
        """Line and column of the schema, or of what stands `below` it."""
        return self.document.place(self.pointer + below)

    @property
    def key(self) -> tuple[str, str]:
        """What tells this site from every other."""
        return self.document.path, self.pointer


class BundledSchema(msgspec.Struct, frozen=True, kw_only=True):
    """A schema under its name; `listed` tells a definition of the document from one that a reference lifted out."""

    name: str
    site: Site
    schema: Any
    listed: bool


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """Every schema that the main document defines or reaches; `targets` maps the site of a reference to a name."""

    main: Document
    documents: tuple[Document, ...]
    schemas: tuple[BundledSchema, ...]
    targets: dict[tuple[str, str], str]
    root_site: Site


Scope = dict[str, Site]
"""Dynamic anchors by name, each with the outermost schema that carries it."""


def bundle(document: Document, *, root: Path) -> tuple[Bundle, list[Problem]]:
    """Follows every reference of `document`; files outside `root` and other hosts are Problems, never opened."""
    return _Bundler(document, root).run()


def subschemas(schema: Any, pointer: str) -> Iterator[tuple[Any, str]]:
    """The schemas directly inside `schema` with their pointers, definitions included, in document order."""
    if not isinstance(schema, dict):
        return
    for keyword, value in schema.items():
        shape = keywords.KNOWN.get(keyword)
        if shape is None:
            continue
        at = f"{pointer}/{escape(keyword)}"
        if shape in (Shape.SCHEMA, Shape.SCHEMA_OR_SCHEMAS) and keywords.is_schema(value):
            yield value, at
        elif shape in (Shape.SCHEMAS, Shape.SCHEMA_OR_SCHEMAS) and isinstance(value, list):
            yield from ((entry, f"{at}/{index}") for index, entry in enumerate(value) if keywords.is_schema(entry))
        elif shape in (Shape.SCHEMA_MAP, Shape.SCHEMA_OR_NAMES_MAP) and isinstance(value, dict):
            yield from ((entry, f"{at}/{escape(name)}") for name, entry in value.items() if keywords.is_schema(entry))


def annotated_schemas(tree: Any) -> Iterator[tuple[Any, str, str]]:
    """Schemas that stand in the annotations of a protocol document: schema, pointer and a name for an inline one."""
    if not is_protocol(tree):
        return
    methods = tree.get("x-methods")
    if isinstance(methods, dict):
        for method, entry in methods.items():
            if isinstance(entry, dict):
                for member in ("params", "result", "events"):
                    if member in entry and entry[member] is not None:
                        pointer = f"/x-methods/{escape(method)}/{member}"
                        yield _as_schema(entry[member]), pointer, pascal(method) + pascal(member)
    errors = tree.get("x-errors")
    if isinstance(errors, dict):
        for name, entry in errors.items():
            if isinstance(entry, dict) and entry.get("data") is not None:
                yield _as_schema(entry["data"]), f"/x-errors/{escape(name)}/data", f"{pascal(name)}Data"


def is_protocol(tree: Any) -> bool:
    """Whether a document says that it describes a protocol; any other is read for its types alone."""
    return isinstance(tree, dict) and "x-protocol" in tree


def _as_schema(value: Any) -> Any:
    return {"$ref": value} if isinstance(value, str) else value


class _Bundler:
    """The state of one bundling: documents read, names given, references still to follow."""

    def __init__(self, main: Document, root: Path) -> None:
        self._root = root
        self._problems: list[Problem] = []
        self._documents: dict[str, Document] = {}
        self._uris: dict[str, str] = {}
        self._resources: dict[str, tuple[Document, str, int]] = {}
        self._anchors: dict[tuple[str, str], Site] = {}
        self._named: dict[tuple[str, str], BundledSchema] = {}
        self._shared: dict[tuple[str, str], tuple[str, str]] = {}
        self._names: set[str] = set()
        self._targets: dict[tuple[str, str], str] = {}
        self._waiting: list[BundledSchema] = []
        self._main = main
        # Base of a resource to its dynamic anchors, "" for $recursiveAnchor.
        self._dynamic: dict[str, dict[str, Site]] = {}
        self._scopes: dict[str, Scope] = {}
        self._copies: dict[tuple[str, tuple[tuple[str, tuple[str, str]], ...]], Document] = {}

    def run(self) -> tuple[Bundle, list[Problem]]:
        main = self._main
        site = self._admit(main)
        self._check_reserved(main)
        for pointer, name in _listed(main):
            self._list(self._site_at(site, pointer), name)
        tree = main.tree
        if isinstance(tree, bool) or (
            isinstance(tree, dict) and any(keywords.constrains(key, site.draft) for key in tree)
        ):
            self._name_root(site)
        for schema, pointer, name in annotated_schemas(tree):
            below = self._site_at(site, pointer)
            alone = isinstance(schema, dict) and not any(
                key != "$ref" and keywords.constrains(key, site.draft) for key in schema
            )
            if alone and isinstance(schema.get("$ref"), str):
                self._follow(schema["$ref"], below, "" if isinstance(_at(tree, pointer), str) else "/$ref")
            else:
                self._name(below, name, listed=False)
        while self._waiting:
            entry = self._waiting.pop(0)
            self._walk(entry.schema, entry.site)
        self._problems.extend(_endless(self._named, self._targets))
        for document in main.beside:
            self._documents.setdefault(document.path, document)
        bundled = Bundle(
            main=main,
            documents=tuple(self._documents.values()),
            schemas=tuple(self._named.values()),
            targets=self._targets,
            root_site=site,
        )
        return bundled, self._problems

    def _check_reserved(self, document: Document) -> None:
        if not keywords.is_schema(document.tree):
            self._problems.append(
                error(
                    "PG101",
                    f"expected a JSON Schema (an object or a boolean), got {type(document.tree).__name__}",
                    fix="write the document as one JSON object",
                    place=document.place(),
                )
            )

    def _uri(self, document: Document) -> str:
        """The URI of a document's file, remembered: finding it looks at every folder of the path."""
        known = self._uris.get(document.file)
        if known is None:
            known = self._uris[document.file] = Path(document.file).resolve().as_uri()
        return known

    def _admit(self, document: Document) -> Site:
        """Registers a document, its `$id`s and its anchors; the site of its root."""
        uri = self._uri(document)
        draft = self._draft(document)
        self._documents[document.path] = document
        self._resources[uri] = (document, "", draft)
        site = Site(document=document, pointer="", base=uri, draft=draft)
        self._index(document.tree, site)
        if document.kind:
            # What a front end hands over holds schemas where JSON Schema has none.
            for pointer, _ in _listed(document):
                self._index(_at(document.tree, pointer), self._site_at(site, pointer))
            for schema, pointer, _ in annotated_schemas(document.tree):
                self._index(schema, self._site_at(site, pointer))
        return site

    def _draft(self, document: Document) -> int:
        declared = document.tree.get("$schema") if isinstance(document.tree, dict) else None
        if not isinstance(declared, str):
            return keywords.DIALECTS.get(self._main.dialect, keywords.LATEST)
        if declared.rpartition("/")[2] == keywords.META_SCHEMA:
            return keywords.LATEST
        draft = keywords.DIALECTS.get(declared.removesuffix("#"))
        if draft is None:
            known = closest(declared, keywords.DIALECTS)
            self._problems.append(
                warning(
                    "PG113",
                    f'"$schema": {declared!r} is no draft that is read here{known}',
                    fix="name a draft from 4 to 2020-12; the document is read as 2020-12",
                    place=document.place("/$schema"),
                )
            )
            return keywords.LATEST
        return draft

    def _index(self, schema: Any, site: Site) -> None:
        stack = [(schema, site)]
        while stack:
            node, at = stack.pop()
            if not isinstance(node, dict):
                continue
            at = self._rebased(node, at)
            if at.base not in self._resources:
                self._resources[at.base] = (at.document, at.pointer, at.draft)
            for keyword in ("$anchor", "$dynamicAnchor"):
                if isinstance(node.get(keyword), str):
                    self._anchors[at.base, node[keyword]] = at
            if isinstance(node.get("$dynamicAnchor"), str):
                self._dynamic.setdefault(at.base, {})[node["$dynamicAnchor"]] = at
            if node.get("$recursiveAnchor") is True and at.pointer == self._resources[at.base][1]:
                self._dynamic.setdefault(at.base, {})[""] = at
            identity = node.get("id" if at.draft == keywords.DRAFT_04 else "$id")
            if isinstance(identity, str) and identity.startswith("#") and at.draft <= keywords.DRAFT_07:
                self._anchors[at.base, identity[1:]] = at
            for inner, pointer in subschemas(node, at.pointer):
                stack.append((inner, self._moved(at, pointer)))

    @staticmethod
    def _moved(site: Site, pointer: str) -> Site:
        return Site(document=site.document, pointer=pointer, base=site.base, draft=site.draft)

    @staticmethod
    def _rebased(node: dict[str, Any], site: Site) -> Site:
        identity = node.get("id" if site.draft == keywords.DRAFT_04 else "$id")
        if not isinstance(identity, str) or identity.startswith("#"):
            return site
        if "$ref" in node and site.draft <= keywords.DRAFT_07:
            return site
        base = _joined(site.base, identity.removesuffix("#"))
        if base is None:
            return site
        return Site(document=site.document, pointer=site.pointer, base=base, draft=site.draft)

    def _site_at(self, root: Site, pointer: str) -> Site:
        """The site of `pointer`, with the base that the `$id`s above it set."""
        site = root
        node: Any = root.document.tree
        path = ""
        for part in pointer.split("/")[1:]:
            if isinstance(node, dict):
                site = self._rebased(node, site)
            node = _step(node, part)
            path = f"{path}/{part}"
            site = self._moved(site, path)
        return site

    def _name_root(self, site: Site) -> None:
        tree = site.document.tree
        title = tree.get("title") if isinstance(tree, dict) else None
        name = title if isinstance(title, str) and title.strip() else stem(site.document.path)
        if name in self._names:
            same = next(entry for entry in self._named.values() if entry.name == name)
            if isinstance(tree, dict) and same.schema == _constraints_and_notes(tree, same.schema):
                self._named[site.key] = same
                return
            name = f"{name}Root"
        self._name(site, name, listed=True)

    def _list(self, site: Site, name: str) -> None:
        """Names a definition of the main document; one that only refers to its namesake elsewhere is that one."""
        way = [site]
        while (target := self._namesake(way[-1], name)) is not None and target.key not in (at.key for at in way):
            way.append(target)
        self._shared |= {at.key: way[-1].key for at in way[:-1]}
        self._name(way[-1], name, listed=True)

    def _namesake(self, site: Site, name: str) -> Site | None:
        """The definition of the same name in another document, where the schema is nothing but a reference to it."""
        schema = _at(site.document.tree, site.pointer)
        reference = schema.get("$ref") if isinstance(schema, dict) and len(schema) == 1 else None
        if not isinstance(reference, str) or reference.startswith("#") or not reference.endswith(f"/{escape(name)}"):
            return None
        target = self._resolve(reference, site, "/$ref")
        return None if target is None or target.document is site.document else target

    def _name(self, site: Site, name: str, *, listed: bool) -> str:
        known = self._named.get(self._shared.get(site.key, site.key))
        if known is not None:
            return known.name
        schema = _at(site.document.tree, site.pointer)
        if not keywords.is_schema(schema):
            self._problems.append(
                error(
                    "PG110",
                    f"expected a schema (an object or a boolean), got {type(schema).__name__}",
                    fix="write a schema here",
                    place=site.place(),
                )
            )
            schema = True
        unique = name
        if unique in self._names:
            unique = pascal(stem(site.document.shown)) + name
        number = 2
        while unique in self._names:
            unique, number = f"{name}{number}", number + 1
        self._names.add(unique)
        entry = BundledSchema(name=unique, site=site, schema=schema, listed=listed)
        self._named[site.key] = entry
        self._waiting.append(entry)
        return unique

    def _walk(self, schema: Any, site: Site) -> None:
        """Follows every reference in `schema`; definitions inside it wait until something refers to them."""
        stack = [(schema, site)]
        while stack:
            node, at = stack.pop()
            if not isinstance(node, dict):
                continue
            at = self._rebased(node, at)
            for keyword in ("$ref", "$dynamicRef", "$recursiveRef"):
                if isinstance(node.get(keyword), str) and keywords.constrains(keyword, at.draft):
                    self._follow(node[keyword], at, f"/{keyword}")
            if "$ref" in node and at.draft <= keywords.DRAFT_07:
                continue
            plain = {key: value for key, value in node.items() if key not in ("$defs", "definitions")}
            stack.extend((inner, self._moved(at, pointer)) for inner, pointer in subschemas(plain, at.pointer))

    def _follow(self, reference: str, site: Site, below: str) -> None:
        target = self._resolve(reference, site, below)
        if target is None:
            return
        if self._dynamic:
            scope = self._entered(self._scope_of(site.document), site.base)
            anchor = {"/$dynamicRef": reference.rpartition("#")[2], "/$recursiveRef": ""}.get(below)
            own = self._dynamic.get(self._own_base(target), {})
            if anchor is not None and anchor in own and own[anchor].key == target.key:
                target = scope.get(anchor, target)
            target = self._within(target, scope)
        name = self._name(target, _name_for(target), listed=False)
        self._targets[site.document.path, site.pointer + below] = name

    # --- the dynamic scope ------------------------------------------------------------------------

    def _scope_of(self, document: Document) -> Scope:
        """The outermost dynamic anchors of the way to a document; by itself, those of its root."""
        known = self._scopes.get(document.path)
        if known is not None:
            return known
        uri = self._uri(document)
        root = Site(document=document, pointer="", base=uri, draft=self._resources[uri][2])
        return self._entered({}, self._own_base(root))

    def _own_base(self, site: Site) -> str:
        """The resource that a schema belongs to, which is its own where it has an `$id`."""
        node = _at(site.document.tree, site.pointer)
        return self._rebased(node, site).base if isinstance(node, dict) else site.base

    def _entered(self, scope: Scope, base: str) -> Scope:
        """The scope within a resource: an anchor that is bound stays what it was outside."""
        return {**self._dynamic.get(base, {}), **scope}

    def _within(self, target: Site, scope: Scope) -> Site:
        """`target` as the way to it makes it: in a copy of its document where that way binds other anchors."""
        base = self._own_base(target)
        inside = self._entered(scope, base)
        if inside == self._entered(self._scope_of(target.document), base):
            return target
        key = (target.document.path, tuple(sorted((anchor, site.key) for anchor, site in inside.items())))
        copy = self._copies.get(key)
        if copy is None:
            document = target.document
            path = f"{document.path}?{len(self._copies) + 1}"
            origins = {"": Origin(pointer="", document=document)}
            copy = msgspec.structs.replace(document, path=path, copy_of=document.path, origins=origins)
            self._copies[key] = copy
            self._scopes[path] = inside
        return msgspec.structs.replace(target, document=copy)

    def _resolve(self, reference: str, site: Site, below: str) -> Site | None:
        uri, _, fragment = reference.partition("#")
        fragment = unquote(fragment)
        if uri:
            resource = self._resource(uri, site, below)
        else:
            resource = self._resources.get(site.base) or self._resources[self._uri(site.document)]
        if resource is None:
            return None
        document, start, draft = resource
        if fragment and not fragment.startswith("/"):
            base = _joined(site.base, uri) if uri else site.base
            anchored = self._anchors.get((base or "", fragment)) or self._anchors.get((self._uri(document), fragment))
            if anchored is None:
                names = [name for _, name in self._anchors]
                self._dangling(
                    reference, site, below, f"no schema has the anchor {fragment!r}", closest(fragment, names)
                )
            return anchored
        pointer = start + fragment
        if not _exists(document.tree, pointer):
            self._dangling(reference, site, below, "nothing stands there", _near(document.tree, pointer))
            return None
        root = Site(document=document, pointer="", base=self._uri(document), draft=draft)
        return self._site_at(root, _canonical(pointer))

    def _resource(self, uri: str, site: Site, below: str) -> tuple[Document, str, int] | None:
        absolute = _joined(site.base, uri)
        if absolute is None:
            self._dangling(uri, site, below, "it is no address", "")
            return None
        if absolute in self._resources:
            return self._resources[absolute]
        meta = self._meta_schema(absolute)
        if meta is not None:
            return meta
        scheme = urlsplit(uri).scheme
        if scheme and scheme != "file":
            self._refuse(f'"$ref": {uri!r} is on another host and nothing is fetched', site, below)
            return None
        name = unquote(urlsplit(uri).path if scheme else uri)
        if "\0" in name:
            self._dangling(uri, site, below, "no file is called so", "")
            return None
        path = Path(name) if scheme else referred_file(name, document=Path(site.document.file), root=self._root)
        if not path.resolve().is_relative_to(self._root):
            self._refuse(f'"$ref": {uri!r} lies outside the project {self._root.name}/', site, below)
            return None
        document, problems = load(path, root=self._root)
        if document is None:
            self._problems.extend(problems)
            self._dangling(uri, site, below, "the file cannot be read", "")
            return None
        self._problems.extend(problems)
        known = self._documents.get(document.path)
        if known is None:
            self._admit(document)
            known = document
        return known, "", self._resources[self._uri(known)][2]

    def _meta_schema(self, uri: str) -> tuple[Document, str, int] | None:
        """A meta-schema of JSON Schema itself, or a part of one: these are at hand and need no fetching."""
        if not uri.startswith(("http://json-schema.org/", "https://json-schema.org/")):
            return None
        from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]  # it has no stubs

        found = REGISTRY.get(uri.removesuffix("#"), REGISTRY.get(f"{uri.removesuffix('#')}#"))
        if found is None:
            return None
        text = json.dumps(found.contents, indent=2)
        base = uri.removesuffix("#")
        document = Document(path=base, file=base, text=text, tree=found.contents, sha256="")
        self._uris[base] = base
        self._admit(document)
        # It is no input of the project.
        del self._documents[base]
        return self._resources[base]

    def _refuse(self, what: str, site: Site, below: str) -> None:
        fix = "copy the schema into the project and refer to it by a relative path"
        self._problems.append(error("PG105", what, fix=fix, place=site.place(below)))

    def _dangling(self, reference: str, site: Site, below: str, why: str, near: str) -> None:
        self._problems.append(
            error(
                "PG102",
                f'"$ref": {reference!r} leads nowhere: {why}{near}',
                fix="correct the reference or add the definition",
                place=site.place(below),
            )
        )


def _joined(base: str, reference: str) -> str | None:
    """`reference` seen from `base`; None where it cannot be read (`http://[`)."""
    try:
        return urljoin(base, reference)
    except ValueError:
        return None


def _listed(document: Document) -> Iterator[tuple[str, str]]:
    """Pointers and names of the definitions that a document lists."""
    for place in document.lists:
        entries = _at(document.tree, place)
        if isinstance(entries, dict):
            pointers = ((f"{place}/{escape(name)}", name) for name in entries)
            yield from ((pointer, name) for pointer, name in pointers if pointer not in document.lists)


def _constraints_and_notes(tree: dict[str, Any], like: Any) -> Any:
    """The root schema without what only a document has, to compare it with the definition of the same name."""
    structure = {key for key in tree if key in keywords.STRUCTURE or key.startswith("x-")}
    kept = {key: value for key, value in tree.items() if key not in structure}
    if isinstance(like, dict) and "title" not in like:
        kept.pop("title", None)
    return kept


def _name_for(site: Site) -> str:
    """A name for what a reference points at: the definition's own, or its path where it is none."""
    parts = [unescape(part) for part in site.pointer.split("/")[1:]]
    if not parts:
        title = site.document.tree.get("title") if isinstance(site.document.tree, dict) else None
        return title if isinstance(title, str) and title.strip() else stem(site.document.path)
    if len(parts) >= 2 and parts[-2] in ("$defs", "definitions", "schemas"):
        return parts[-1]
    meaning = [part for part in parts if part not in _PLACES]
    return "".join(pascal(part) for part in meaning) or pascal(site.pointer)


_PLACES = ("$defs", "definitions", "properties", "schema", "schemas", "components", "contentDescriptors")
"""Parts of a pointer that say nothing about what stands there."""


def _step(node: Any, part: str) -> Any:
    name = unescape(part)
    if isinstance(node, dict):
        return node.get(name)
    if isinstance(node, list) and name.isdigit() and int(name) < len(node):
        return node[int(name)]
    return None


def _at(tree: Any, pointer: str) -> Any:
    node = tree
    for part in pointer.split("/")[1:]:
        node = _step(node, part)
    return node


def _exists(tree: Any, pointer: str) -> bool:
    node = tree
    for part in pointer.split("/")[1:]:
        name = unescape(part)
        inside = (isinstance(node, dict) and name in node) or (
            isinstance(node, list) and name.isdigit() and int(name) < len(node)
        )
        if not inside:
            return False
        node = _step(node, part)
    return True


def _canonical(pointer: str) -> str:
    return "".join(f"/{escape(unescape(part))}" for part in pointer.split("/")[1:])


def _near(tree: Any, pointer: str) -> str:
    """The closest existing name beside the first part of `pointer` that is missing."""
    node = tree
    for part in pointer.split("/")[1:]:
        name = unescape(part)
        if isinstance(node, dict) and name not in node:
            return closest(name, node)
        node = _step(node, part)
    return ""


_IN_PLACE = ("allOf", "anyOf", "oneOf")


def _endless(named: dict[tuple[str, str], BundledSchema], targets: dict[tuple[str, str], str]) -> list[Problem]:
    """Schemas that apply themselves to the same value again: no value can ever be checked against them."""
    edges = {entry.name: list(_in_place(entry.schema, entry.site, targets)) for entry in named.values()}
    documents = {entry.name: entry.site.document for entry in named.values()}
    problems: list[Problem] = []
    state: dict[str, int] = {}

    def visit(name: str, trail: list[str]) -> None:
        state[name] = 1
        for target, pointer in edges.get(name, ()):
            if state.get(target) == 1:
                cycle = " -> ".join([*trail[trail.index(target) :], target])
                problems.append(
                    error(
                        "PG106",
                        f"the references {cycle} form a cycle that never reaches a schema",
                        fix="let one of them describe a value instead of referring on",
                        place=documents[name].place(pointer),
                    )
                )
            elif target not in state:
                visit(target, [*trail, target])
        state[name] = 2

    for name in edges:
        if name not in state:
            visit(name, [name])
    return problems


def _in_place(schema: Any, site: Site, targets: dict[tuple[str, str], str]) -> Iterator[tuple[str, str]]:
    """Names that `schema` applies to the very value it is applied to, and where it says so."""
    stack = [(schema, site.pointer)]
    while stack:
        node, pointer = stack.pop()
        if not isinstance(node, dict):
            continue
        for keyword in ("$ref", "$dynamicRef", "$recursiveRef"):
            target = targets.get((site.document.path, f"{pointer}/{keyword}"))
            if target is not None:
                yield target, f"{pointer}/{keyword}"
        for keyword in _IN_PLACE:
            members = node.get(keyword)
            if isinstance(members, list):
                stack.extend((member, f"{pointer}/{keyword}/{index}") for index, member in enumerate(members))
        singles = ("not", "if", "then", "else")
        stack.extend((node[keyword], f"{pointer}/{keyword}") for keyword in singles if keyword in node)
