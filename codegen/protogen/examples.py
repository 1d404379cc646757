"""Examples of a protocol: named exchanges and values from the folder `examples/` beside its document.

Knows their format, not whether they are right: tests and lint hold them against the schema.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from protogen import ir
from protogen.load import Document, load, shown
from protogen.positions import escape
from protogen.problems import Problem, closest, warning

FOLDER = "examples"


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What stands beside a document; `inputs` are the files read, and the folder itself (its path ends in `/`)."""

    examples: tuple[ir.Example, ...] = ()
    inputs: tuple[ir.Source, ...] = ()


def read_examples(path: Path, protocol: ir.Protocol, *, root: Path) -> tuple[Found, list[Problem]]:
    """The examples beside the protocol document at `path`: files in order of their names, entries as they stand.

    An entry that is no example, or is about a method or type that the protocol has not, is a warning and left out.
    """
    folder = path.parent / FOLDER
    inputs = [ir.Source(path=f"{shown(folder, root=root)}/", sha256="")]
    examples: list[ir.Example] = []
    problems: list[Problem] = []
    for file in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        document, found = load(file, root=root)
        problems += [msgspec.structs.replace(problem, level="warning") for problem in found]
        if document is None:
            continue
        inputs.append(ir.Source(path=document.path, sha256=document.sha256))
        made, found = _entries(document, protocol)
        examples += made
        problems += found
    return Found(examples=tuple(examples), inputs=tuple(inputs)), problems


def own_examples(document: Document, protocol: ir.Protocol) -> tuple[list[ir.Example], list[Problem]]:
    """The examples that a document of another kind holds itself; one without a method of the protocol is left out."""
    methods = {method.name for method in protocol.methods}
    found = (_example(entry, methods, set())[0] for entry in document.examples)
    return [example for example in found if example is not None], []


def _entries(document: Document, protocol: ir.Protocol) -> tuple[list[ir.Example], list[Problem]]:
    if not isinstance(document.tree, list):
        what = f"expected an array of examples, found {_kind(document.tree)}"
        return [], [warning("PG120", what, fix="see Examples in protogen.schema.json", place=document.place())]
    examples: list[ir.Example] = []
    problems: list[Problem] = []
    methods = {method.name for method in protocol.methods}
    types = {definition.name for definition in protocol.definitions}
    for at, entry in enumerate(document.tree):
        example, fault, member = _example(entry, methods, types)
        if example is not None:
            examples.append(example)
            continue
        place = document.place(f"/{at}/{escape(member)}" if member else f"/{at}")
        problems.append(warning("PG120", fault, fix="correct the example; it is left out", place=place))
    return examples, problems


def _example(entry: Any, methods: set[str], types: set[str]) -> tuple[ir.Example | None, str, str]:
    """The example; or None, what is wrong, and the member it is about."""
    if not isinstance(entry, dict):
        return None, f"expected an example, found {_kind(entry)}", ""
    for member, kind in (("name", str), ("summary", str), ("valid", bool)):
        if not isinstance(entry.get(member), kind):
            return None, f'an example needs "{member}"', member if member in entry else ""
    subject, content, known = ("method", "request", methods) if "method" in entry else ("type", "value", types)
    if not isinstance(entry.get(subject), str) or content not in entry:
        return None, 'an example has "method" and "request", or "type" and "value"', ""
    if entry[subject] not in known:
        return None, f'there is no {subject} "{entry[subject]}"{closest(entry[subject], known)}', subject
    events = entry.get("events", ())
    refused = entry.get("error")
    return (
        ir.Example(
            name=entry["name"],
            summary=entry["summary"],
            valid=entry["valid"],
            why=str(entry.get("why", "")),
            method=entry.get("method"),
            type=entry.get("type") if subject == "type" else None,
            value=entry.get("value", ir.UNSET) if subject == "type" else ir.UNSET,
            request=entry.get("request", ir.UNSET),
            response=entry.get("response", ir.UNSET),
            events=tuple(events) if isinstance(events, list) else (),
            error=refused if isinstance(refused, int) else None,
        ),
        "",
        "",
    )


def _kind(value: Any) -> str:
    return "an object" if isinstance(value, dict) else "an array" if isinstance(value, list) else f"{value!r:.40}"
