"""What front ends share: places in trees, names and texts, and the file of methods that is laid over what they found.

Knows the form of a protocol document; where a member of it came from is said by each front end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from protogen import keywords
from protogen.load import Document, Origin
from protogen.naming import pascal
from protogen.positions import escape
from protogen.problems import Problem, closest, error

DRAFT_07 = "http://json-schema.org/draft-07/schema#"
DRAFT_2020 = "https://json-schema.org/draft/2020-12/schema"

_PARTS = ("x-protocol", "x-roles", "x-methods", "x-errors", "x-transports", "$defs", "definitions")
"""What a file of methods may hold: the same members as a protocol document."""

_METHOD = (
    *("kind", "from", "to", "mutual", "summary", "description", "params", "result", "errors", "events"),
    *("eventFraming", "paramStructure", "idempotent", "since", "deprecated", "x-protogen-name"),
)
EVERY = "*"
"""The entry of a file of methods that holds for every method."""


def definitions(tree: dict[str, Any]) -> dict[str, Any]:
    """The named definitions of a JSON Schema of any draft, those in namespaces (`definitions.v2.Thing`) too."""
    return {name: schema for name, _, schema in _defined(tree)}


def definition_pointers(tree: dict[str, Any]) -> dict[str, str]:
    """Where each named definition stands."""
    return {name: pointer for name, pointer, _ in _defined(tree)}


def namespaces(tree: dict[str, Any]) -> tuple[str, ...]:
    """Pointers of members of the definitions that are no schemas but hold some."""
    return tuple(
        f"/{keyword}/{escape(name)}"
        for keyword in ("$defs", "definitions")
        if isinstance(tree.get(keyword), dict)
        for name, entry in tree[keyword].items()
        if _is_namespace(entry)
    )


def _defined(tree: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    seen: set[str] = set()
    for keyword in ("$defs", "definitions"):
        entries = tree.get(keyword)
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            at = f"/{keyword}/{escape(name)}"
            inside = entry.items() if _is_namespace(entry) else ()
            for inner, schema in inside or ((name, entry),):
                key = inner if inner not in seen else pascal(f"{name} {inner}")
                seen.add(key)
                yield key, f"{at}/{escape(inner)}" if inside else at, schema


def _is_namespace(entry: Any) -> bool:
    """Whether a member of the definitions holds definitions: objects under names of types, and no keyword."""
    return (
        isinstance(entry, dict)
        and bool(entry)
        and not any(name in keywords.KNOWN or name.startswith("x-") for name in entry)
        and all(isinstance(schema, dict) and name[:1].isupper() for name, schema in entry.items())
        and any(keywords.KNOWN.keys() & schema.keys() for schema in entry.values())
    )


def base_tree(source: Document) -> dict[str, Any]:
    """The members of a document that is no schema itself, without any that a schema would be read from."""
    return {key: value for key, value in source.tree.items() if key not in keywords.CONSTRAINTS}


def about(title: Any, version: Any, description: Any = None) -> dict[str, Any]:
    """`x-protocol` without a name: the file's own is used."""
    made: dict[str, Any] = {"version": version_of(version)}
    if isinstance(title, str) and title.strip():
        made["title"] = one_line(title)
    if isinstance(description, str) and description.strip():
        made["summary"] = sentence(description)
    return made


def version_of(version: Any) -> str:
    """A version as protocol documents have it: what begins with a digit, `0` where there is none."""
    text = re.sub(r"[^0-9A-Za-z.+-]", "-", str(version)) if isinstance(version, str | int | float) else ""
    found = re.search(r"[0-9]+(\.[0-9]+)*([-+][0-9A-Za-z.-]+)?", text)
    return found[0] if found else "0"


def one_line(text: str) -> str:
    """`text` with every run of blanks and line breaks as one blank."""
    return " ".join(text.split())


def sentence(text: str) -> str:
    """The first sentence of a text, on one line."""
    paragraph = re.split(r"\n\s*\n|\n\s*[-*#|]\s", text.strip(), maxsplit=1)[0]
    line = one_line(paragraph)
    found = re.match(r".+?[.!?](?=\s|$)", line)
    return (found[0] if found and len(found[0]) > 1 else line)[:300].rstrip()


def texts(summary: Any, description: Any, otherwise: str) -> dict[str, str]:
    """`summary` and `description` of a method: the first sentence where there is no summary, nothing said twice."""
    short = one_line(summary) if isinstance(summary, str) else ""
    long = description.strip() if isinstance(description, str) else ""
    short = short or sentence(long) or otherwise
    if not long or one_line(long) == short:
        return {"summary": short}
    return {"summary": short, "description": long}


def joined(*parts: Any) -> str:
    """Texts as paragraphs, each once."""
    return "\n\n".join(dict.fromkeys(part.strip() for part in parts if isinstance(part, str) and part.strip()))


def error_name(text: str, code: int) -> str:
    """A name for an error: what its text says in at most six words, else its code."""
    name = "".join(re.findall(r"[A-Za-z0-9_]+", pascal(" ".join(re.split(r"[\s_-]+", text.strip())[:6]))))
    return name if name[:1].isalpha() else f"Error{abs(code)}"


def role_name(text: str) -> str:
    """A role as protocol documents have it: lower case, digits, dashes."""
    from protogen.naming import words

    name = "-".join("".join(re.findall(r"[a-z0-9]", word.lower())) for word in words(text)).strip("-")
    return name if name[:1].isalpha() else f"role-{name}".rstrip("-")


def roles(methods: dict[str, Any], names: Any = ()) -> dict[str, Any]:
    """`x-roles` for all roles that methods name, each with a sentence on what it does; `names` go first."""
    found: dict[str, Any] = dict.fromkeys(names)
    calls: set[tuple[str, str]] = set()
    for entry in methods.values():
        sender, receiver = entry.get("from"), entry.get("to")
        if isinstance(sender, str) and isinstance(receiver, str):
            found |= dict.fromkeys(each for each in (sender, receiver) if each not in found)
            calls |= {(sender, receiver), *([(receiver, sender)] if entry.get("mutual") is True else [])}
    for role in found:
        called = [f"the {other}" for other in found if (role, other) in calls]
        callers = [f"the {other}" for other in found if (other, role) in calls]
        said = [f"calls {' and '.join(called)}"] if called else []
        said += [f"serves what {' and '.join(callers)} call{'s' * (len(callers) == 1)}"] if callers else []
        text = " and ".join(said) or "takes no part in any method"
        found[role] = {"summary": f"{text[0].upper()}{text[1:]}."}
    return found


def free(name: str, taken: Any) -> str:
    """`name`, or the first of `name2`, `name3`, … that is not taken."""
    if name not in taken:
        return name
    number = 2
    while f"{name}{number}" in taken:
        number += 1
    return f"{name}{number}"


# --- the file of methods --------------------------------------------------------------------------


def laid(document: Document, methods: Document) -> tuple[Document, list[Problem]]:
    """`document` with a file of methods laid over its tree as a merge patch (RFC 7396): null takes a member away.

    In "x-methods" the entry "*" is laid over every method first. Types are references into the schema, or just names.
    """
    patch = methods.tree
    if not isinstance(patch, dict):
        what = "a file of methods is an object with members such as x-methods"
        return document, [error("PG134", what, fix="write one", place=methods.place())]
    problems = list(_faults(document, methods))
    if problems:
        return document, problems
    known = _known_types(document) | definition_pointers(patch)
    patch = {key: value for key, value in patch.items() if key in _PARTS}
    patch["x-methods"] = _expanded(document, patch.get("x-methods", {}), known)
    patch["x-errors"] = {name: _entry(entry, known, ("data",)) for name, entry in patch.get("x-errors", {}).items()}
    tree = _merged(document.tree, patch)
    if "x-methods" in tree and "x-protocol" not in tree:
        tree["x-protocol"] = about(tree.get("title"), "0")
    if tree.get("x-methods"):
        tree["x-roles"] = {**roles(tree["x-methods"]), **(patch.get("x-roles") or {})}
    origins = dict(document.origins)
    for part, entries in patch.items():
        for name in entries if isinstance(entries, dict) else ():
            at = f"/{escape(part)}/{escape(name)}"
            if part == "x-methods" and name not in methods.tree.get("x-methods", {}):
                continue
            for below in ("", *_below(entries[name])):
                origins[at + below] = Origin(pointer=at + below, document=methods)
    return msgspec.structs.replace(document, tree=tree, origins=origins), problems


def _known_types(document: Document) -> dict[str, str]:
    """Where each definition stands that a file of methods may name."""
    found = definition_pointers(document.tree) if isinstance(document.tree, dict) else {}
    for place in document.lists:
        node: Any = document.tree
        for part in place.split("/")[1:]:
            node = node.get(part) if isinstance(node, dict) else None
        for name in node if isinstance(node, dict) else ():
            found[name] = f"{place}/{escape(name)}"
    return found


def _below(entry: Any) -> Iterator[str]:
    if isinstance(entry, dict):
        for member in entry:
            yield f"/{escape(member)}"


def _faults(document: Document, methods: Document) -> Iterator[Problem]:
    tree = methods.tree
    for key in tree:
        if key not in _PARTS and not key.startswith("$"):
            fix = closest(key, _PARTS).removeprefix("; ") or f"use {', '.join(_PARTS)}"
            yield error(
                "PG134", f'"{key}" is no part of a file of methods', fix=fix, place=methods.place(f"/{escape(key)}")
            )
    for part in _PARTS:
        if part in tree and not isinstance(tree[part], dict):
            yield error("PG134", f'"{part}" must be an object', fix="write one", place=methods.place(f"/{part}"))
            return
    known = document.tree.get("x-methods", {}) if isinstance(document.tree, dict) else {}
    types = {**_known_types(document), **_known_types(methods)}
    for name, entry in tree.get("x-methods", {}).items():
        at = f"/x-methods/{escape(name)}"
        if entry is None:
            if name not in known:
                fix = closest(name, known).removeprefix("; ") or "remove the entry"
                yield error("PG134", f'there is no method "{name}" to take away', fix=fix, place=methods.place(at))
            continue
        if not isinstance(entry, dict):
            yield error("PG134", f'method "{name}" must be an object or null', fix="write one", place=methods.place(at))
            continue
        for member in entry:
            if member not in _METHOD:
                fix = closest(member, _METHOD).removeprefix("; ") or f"use {', '.join(_METHOD)}"
                place = methods.place(f"{at}/{escape(member)}")
                yield error("PG134", f'method "{name}" has no member "{member}"', fix=fix, place=place)
        for member in ("params", "result", "events"):
            said = entry.get(member)
            if isinstance(said, str) and said not in types and not re.search(r"[#/]|\.json$", said):
                fix = closest(said, types).removeprefix("; ") or "name a definition of the schema, or add it here"
                place = methods.place(f"{at}/{member}")
                yield error("PG134", f'method "{name}": no definition is called "{said}"', fix=fix, place=place)


def _expanded(document: Document, patch: dict[str, Any], known: dict[str, str]) -> dict[str, Any]:
    found = document.tree.get("x-methods", {}) if isinstance(document.tree, dict) else {}
    every = patch.get(EVERY) or {}
    made: dict[str, Any] = {name: _entry(every, known) for name in found} if every else {}
    for name, entry in patch.items():
        if name == EVERY:
            continue
        if entry is None:
            made[name] = None
            continue
        own = {**made.get(name, {}), **_entry(entry, known)}
        if name not in found:
            kind = "notification" if "result" not in entry else "request"
            own = {"kind": kind, "from": "client", "to": "server", "summary": f"`{name}`.", **own}
        if own.get("result", "") is not None and "result" in own and own.get("kind") is None:
            own["kind"] = "request"
        made[name] = own
    return made


def _entry(entry: Any, known: dict[str, str], members: tuple[str, ...] = ("params", "result", "events")) -> Any:
    """`entry` with names of definitions as references."""
    if not isinstance(entry, dict):
        return entry
    made = dict(entry)
    for member in members:
        value = entry.get(member)
        if isinstance(value, str):
            made[member] = {"$ref": f"#{known[value]}" if value in known else value}
    return made


def _merged(target: Any, patch: Any) -> Any:
    """RFC 7396; a type is replaced as a whole, since half of a schema is another schema."""
    if not isinstance(patch, dict):
        return patch
    made = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        elif key in ("params", "result", "events", "data"):
            made[key] = value
        else:
            made[key] = _merged(made.get(key), value)
    return made
