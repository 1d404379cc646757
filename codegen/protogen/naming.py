"""Names in a target's style from the names of the source, every collision settled in one place.

Knows casing and reserved words as data handed in; which style belongs to which language is the target's business.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Set
from functools import lru_cache

_CHUNK = re.compile(r"[^\W_]+")


def words(name: str) -> list[str]:
    """`getHTTPUrl_v2/x` as `get HTTP Url v2 x`: letters of any script, digits with the word before them."""
    return list(_split(name))


@lru_cache(maxsize=1 << 14)
def _split(name: str) -> tuple[str, ...]:
    """`words`, remembered: each target asks for the same names in several styles."""
    text = "".join(letter if f"a{letter}".isidentifier() else " " for letter in unicodedata.normalize("NFKC", name))
    return tuple(word for chunk in _CHUNK.findall(text) for word in _humps(chunk))


def _humps(chunk: str) -> Iterator[str]:
    """`getHTTPUrl2x` as `get HTTP Url2 x`."""
    start = 0
    for at in range(1, len(chunk)):
        before, here = chunk[at - 1], chunk[at]
        after = chunk[at + 1] if at + 1 < len(chunk) else ""
        hump = here.isupper() and (not before.isupper() or after.islower())
        if hump or (here.isalpha() and before.isdigit()):
            yield chunk[start:at]
            start = at
    yield chunk[start:]


def pascal(name: str) -> str:
    """`task_list` and `taskList` as `TaskList`; acronyms keep only their first capital unless alone."""
    return "".join(_capital(word) for word in words(name))


def _capital(word: str) -> str:
    return word[:1].upper() + (word[1:].lower() if word.isupper() else word[1:])


def camel(name: str) -> str:
    """`task_list` as `taskList`."""
    text = pascal(name)
    first = words(name)[:1]
    if not first:
        return text
    head = _capital(first[0])
    return head.lower() + text[len(head) :] if head[1:].islower() or len(head) == 1 else head[:1].lower() + text[1:]


def snake(name: str) -> str:
    """`taskList` as `task_list`."""
    return "_".join(word.lower() for word in words(name))


def upper(name: str) -> str:
    """`taskList` as `TASK_LIST`."""
    return snake(name).upper()


class Claim:
    """A wish for a name: `key` is what the table is asked for, `source` the wire text, `pin` the user's own choice."""

    __slots__ = ("key", "pin", "source")

    def __init__(self, key: str, source: str, *, pin: str | None = None) -> None:
        self.key = key
        self.source = source
        self.pin = pin


class Collision(Exception):
    """Two pins, or a pin and nothing else to move, ask for one name; `keys` are the claims concerned."""

    def __init__(self, name: str, keys: tuple[str, ...]) -> None:
        super().__init__(f"{' and '.join(keys)} are both pinned to {name!r}")
        self.name = name
        self.keys = keys


def settle(
    claims: Iterable[Claim],
    style: Callable[[str], str],
    *,
    reserved: Set[str] = frozenset(),
    fold: Callable[[str], str] = lambda name: name,
    empty: str = "value",
) -> dict[str, str]:
    """A distinct, legal name for every claim: key to name, independent of the order of unrelated claims.

    A reserved word and a name that starts with a digit get a trailing or leading underscore. Where several
    sources fall on one name, every member that is not pinned is renamed (`_1`, `_2` … in order of the source
    text), so that none silently takes another's name. `fold` says when two names are the same
    (case-insensitive file systems). Errors: Collision when pins contradict each other.
    """
    wanted: dict[str, list[tuple[Claim, str]]] = defaultdict(list)
    for claim in claims:
        asked = claim.pin if claim.pin is not None else style(claim.source)
        name = legal(asked, reserved=reserved, empty=empty)
        wanted[fold(name)].append((claim, name))
    # Made once names collide, which they rarely do: one scope has few names, and all types of a protocol reserved.
    taken: set[str] | None = None
    table: dict[str, str] = {}
    for folded in sorted(wanted):
        group = wanted[folded]
        if len(group) == 1:
            claim, name = group[0]
            table[claim.key] = name
            continue
        pinned = [claim.key for claim, _ in group if claim.pin is not None]
        if len(pinned) > 1:
            raise Collision(group[0][1], tuple(pinned))
        group.sort(key=lambda entry: (entry[0].pin is None, entry[0].source != entry[1], entry[0].source, entry[0].key))
        number = 0
        if taken is None:
            taken = {fold(word) for word in reserved} | set(wanted)
        for claim, name in group:
            number += 1
            if number == 1 and claim.pin is not None:
                table[claim.key] = name
                continue
            candidate = f"{name}_{number}"
            while fold(candidate) in taken:
                number += 1
                candidate = f"{name}_{number}"
            taken.add(fold(candidate))
            table[claim.key] = candidate
    return table


def legal(name: str, *, reserved: Set[str], empty: str) -> str:
    """`name` as an identifier: never empty, never starting with a digit, never a reserved word."""
    if not name:
        name = empty
    if name[0].isdigit():
        name = f"_{name}"
    while name in reserved:
        name += "_"
    return name
