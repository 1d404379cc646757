"""Documents from files: text, parsed tree, digest and the place of everything in it.

The only input I/O of the build; never the network. Does not know what the documents say.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from pathlib import Path
from typing import Any

import msgspec

from protogen.positions import position
from protogen.problems import Place, Problem, closest, error, warning

_LONE = re.compile(r"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|[c-fC-F][0-9a-fA-F]{2})")
"""The escape of half a surrogate pair, or what looks like one: the second half of a pair does, too."""

MAX_DEPTH = 200
"""Nesting beyond this is refused: no real schema comes near it, and Python's own recursion ends soon after."""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """One input file: `path` as shown to people (relative to the project where it is inside), `file` as opened.

    A front end hands back the tree of a protocol document in place of the one it read; what then stands elsewhere than
    in the text is found by `origins`.
    """

    path: str
    file: str
    text: str
    tree: Any
    sha256: str
    kind: str = ""
    """The front end that read it; empty for a document of our own form and for a plain JSON Schema."""
    origins: dict[str, Origin] = {}
    """For pointers of the tree that are none of the text: where that member, and all below it, really stands."""
    lists: tuple[str, ...] = ("/$defs", "/definitions")
    """Pointers of the objects whose members are named definitions."""
    dialect: str = ""
    """The `$schema` that counts where neither this document nor a file that it refers to declares one."""
    beside: tuple[Document, ...] = ()
    """Further files that the tree was made from."""
    expected: tuple[str, ...] = ()
    """Files that were looked for and would have been read, as they are shown."""
    examples: tuple[Any, ...] = ()
    """Examples that the document holds itself, as files of examples have them."""
    copy_of: str = ""
    """The path of the document that this one repeats, where its dynamic references lead elsewhere."""

    @property
    def shown(self) -> str:
        """Its path as people know it."""
        return self.copy_of or self.path

    def place(self, pointer: str = "") -> Place:
        """The line and column of `pointer` in this document."""
        origin, below = self._origin(pointer)
        if origin is not None and origin.document is not None:
            return origin.document.place(origin.pointer + below)
        at = pointer if origin is None else origin.pointer + below
        line, column = position(self.text, at)
        return Place(path=self.path, line=line, column=column, pointer=at)

    def _origin(self, pointer: str) -> tuple[Origin | None, str]:
        """The origin of the nearest member at or above `pointer` that has one, and what is left of the pointer."""
        above = pointer
        while self.origins and above:
            if above in self.origins:
                return self.origins[above], pointer[len(above) :]
            above = above.rpartition("/")[0]
        whole = self.origins.get("")
        return (whole, pointer) if whole is not None else (None, "")


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a member stands that a front end moved: a pointer into the text of `document` (None: the same one)."""

    pointer: str
    document: Document | None = None


def shown(path: Path, *, root: Path) -> str:
    """`path` relative to `root` with forward slashes, or as it is where it lies outside."""
    resolved = path.resolve()
    return resolved.relative_to(root).as_posix() if resolved.is_relative_to(root) else path.as_posix()


def stem(path: str) -> str:
    """The name a file gives to what has none: `order` for `schemas/order.schema.json`."""
    return path.rsplit("/", 1)[-1].removesuffix(".json").removesuffix(".schema")


def referred_file(name: str, *, document: Path, root: Path) -> Path:
    """The file that a document refers to by a relative path: beside it, else from the nearest folder above that has it.

    Folders above `root` are not looked in. Some documents are written to be read from the top of their repository.
    """
    beside = document.parent / name
    if _is_there(beside) or not document.resolve().is_relative_to(root):
        return beside
    above = (folder / name for folder in document.resolve().parent.parents if folder.is_relative_to(root))
    return next((path for path in above if _is_there(path) and path.is_file()), beside)


def _is_there(path: Path) -> bool:
    """Whether there is something at a path; a name that no file can have names nothing."""
    try:
        return path.exists()
    except OSError:
        return False


def load(path: Path, *, root: Path) -> tuple[Document | None, list[Problem]]:
    """Reads one JSON file; None and the reason where that cannot be done.

    `root` is the project's folder, absolute and resolved; it decides how the path is shown.
    """
    name = shown(path, root=root)
    try:
        data = path.read_bytes()
    except OSError as reason:
        return None, [_unreadable(name, path, reason)]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as reason:
        line = data.count(b"\n", 0, reason.start) + 1
        column = reason.start - (data.rfind(b"\n", 0, reason.start) + 1) + 1
        place = Place(path=name, line=line, column=column)
        fix = "save the file as UTF-8"
        return None, [error("PG002", f"byte 0x{data[reason.start]:02x} is not UTF-8", fix=fix, place=place)]
    tree, problems = parsed(text, name)
    if problems and tree is None:
        return None, problems
    return Document(path=name, file=str(path), text=text, tree=tree, sha256=hashlib.sha256(data).hexdigest()), problems


def _unreadable(name: str, path: Path, reason: OSError) -> Problem:
    what = f"cannot be read: {reason.strerror or reason}"
    if isinstance(reason, FileNotFoundError) and path.parent.is_dir():
        what += closest(path.name, sorted(entry.name for entry in path.parent.iterdir()))
    fix = (
        "name a folder's file, not the folder"
        if isinstance(reason, IsADirectoryError)
        else "check the path and its permissions"
    )
    return error("PG001", what, fix=fix, place=Place(path=name))


def parsed(text: str, name: str) -> tuple[Any, list[Problem]]:
    """The tree of a text that is shown as `name`; None and the reason where it is not JSON, or not to be had.

    That is: nested too deep, a number that no double holds, or half a surrogate pair, which is no text.
    """
    repeated: list[str] = []
    endless: list[str] = []

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        built = dict(pairs)
        if len(built) != len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    repeated.append(key)
                seen.add(key)
        return built

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not JSON")

    def real(token: str) -> float:
        value = float(token)
        if math.isinf(value):
            endless.append(token)
        return value

    if not text.strip():
        return None, [error("PG003", "the file is empty", fix="write a JSON document into it", place=Place(path=name))]
    try:
        tree = json.loads(text, object_pairs_hook=members, parse_constant=refuse, parse_float=real)
    except json.JSONDecodeError as reason:
        place = Place(path=name, line=reason.lineno, column=reason.colno)
        return None, [error("PG003", f"is not JSON: {reason.msg}", fix="correct the text at this place", place=place)]
    except ValueError as reason:
        return None, [error("PG003", f"is not JSON: {reason}", fix="use a JSON value", place=Place(path=name))]
    except RecursionError:
        return None, [_too_deep(name)]
    if depth(tree) > MAX_DEPTH:
        return None, [_too_deep(name)]
    if endless:
        what = f"the number {endless[0][:40]} is larger than any that a double holds (1.8e308)"
        place = _token_place(text, name, text.find(endless[0]))
        return None, [error("PG006", what, fix="write a smaller one, or leave the bound out", place=place)]
    lone = _lone(text, tree)
    if lone is not None:
        what = f"the escape {lone[0]} is half of a surrogate pair, which is no text"
        fix = "write the character itself, or both halves"
        return None, [error("PG007", what, fix=fix, place=_token_place(text, name, lone.start()))]
    problems = [
        warning(
            "PG004",
            f'the key "{key}" is repeated in one object; the last one counts',
            fix="remove the others",
            place=_repeated_place(text, name, key),
        )
        for key in repeated
    ]
    return tree, problems


def _lone(text: str, tree: Any) -> re.Match[str] | None:
    """The escape of half a surrogate pair, where a key or a text of the tree holds one."""
    found = _LONE.search(text)
    if found is None:
        return None
    waiting: list[Any] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            waiting += node
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
        elif isinstance(node, str) and any("\ud800" <= letter <= "\udfff" for letter in node):
            half = re.search("[\ud800-\udfff]", node)
            assert half is not None
            escape = f"\\u{ord(half[0]):04x}"
            return next((each for each in _LONE.finditer(text) if each[0].lower() == escape), found)
    return None


def _token_place(text: str, name: str, at: int) -> Place:
    return Place(path=name, line=text.count("\n", 0, at) + 1, column=at - (text.rfind("\n", 0, at) + 1) + 1)


def _repeated_place(text: str, name: str, key: str) -> Place:
    at = text.rfind(json.dumps(key, ensure_ascii=False))
    if at < 0:
        return Place(path=name)
    return _token_place(text, name, at)


def _too_deep(name: str) -> Problem:
    what = f"is nested deeper than {MAX_DEPTH} levels"
    return error("PG005", what, fix="move inner schemas into definitions", place=Place(path=name))


def depth(tree: Any) -> int:
    """Levels of nesting: 1 for a scalar."""
    deepest = 0
    layer: list[Any] = [tree]
    while layer:
        deepest += 1
        if deepest > MAX_DEPTH + 1:
            break
        layer = [
            member
            for value in layer
            if isinstance(value, (dict, list))
            for member in (value.values() if isinstance(value, dict) else value)
        ]
    return deepest
