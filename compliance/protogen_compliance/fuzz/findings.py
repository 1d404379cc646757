"""Findings: one for each cause, with the steps that show it, and the folder in which they are kept."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from protogen_compliance.fuzz.checks import Fault
from protogen_compliance.fuzz.steps import Program
from protogen_compliance.peer.http import Exchange
from protogen_compliance.transcripts import Exchanged, Transcript, exchanged

MAX_EXCHANGES = 40
"""Of a finding that a long sequence leads to, the last ones are kept."""
MAX_KEPT_PROGRAMS = 500


class Finding(msgspec.Struct, kw_only=True):
    """One thing that is wrong with the target, and the smallest sequence that showed it."""

    id: str
    check: str
    methods: list[str]
    code: int | None
    level: Literal["must", "should"]
    text: str
    origin: str
    program: Program
    exchanges: list[Exchanged]
    times: int = 1
    repeats: bool = True
    """Whether the program showed it again; False where the target does otherwise from time to time."""

    @property
    def title(self) -> str:
        """The finding in a line."""
        code = f" {self.code}" if self.code is not None else ""
        return f"{self.check}{code} {', '.join(name for name in self.methods if name)}".rstrip()

    def transcript(self, target: str) -> Transcript:
        """What `protogen replay` sends again."""
        return Transcript(id=self.id, target=target, title=f"{self.title}: {self.text}", exchanges=self.exchanges)


def finding(protocol: str, fault: Fault, program: Program, exchanges: Iterable[Exchange]) -> Finding:
    """A finding of one fault."""
    return Finding(
        id=hashlib.sha256(repr((protocol, fault.key)).encode()).hexdigest()[:8],
        check=fault.check,
        methods=[fault.method],
        code=fault.code,
        level=fault.level,
        text=fault.text,
        origin=program.origin,
        program=program,
        exchanges=[exchanged(it) for it in exchanges][-MAX_EXCHANGES:],
    )


def by_cause(found: Iterable[Finding]) -> list[Finding]:
    """The findings, those that differ in the method alone made one: what all methods do wrong has one cause."""
    merged: dict[tuple[str, int | None, str], Finding] = {}
    for it in found:
        known = merged.setdefault((it.check, it.code, cause(it.text)), it)
        if known is not it:
            known.methods += [name for name in it.methods if name not in known.methods]
            known.times += it.times
    return sorted(merged.values(), key=lambda it: (it.level != "must", it.check, it.id))


def cause(text: str) -> str:
    """A text without what differs from one request to the next."""
    plain = text.partition(";")[0].partition(" was answered by ")[0]
    return re.sub(r"'[^']*'|\"[^\"]*\"|\d+", "…", plain)


# --- the folder -----------------------------------------------------------------------------------


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A program that is played first in the next run."""

    name: str
    finding: str = ""
    program: Program


def read(folder: Path) -> list[Kept]:
    """The kept programs in the order of their names; a file that is none is left out."""
    found: list[Kept] = []
    for file in sorted(folder.glob("*.json")):
        try:
            found.append(msgspec.json.decode(file.read_bytes(), type=Kept))
        except (OSError, msgspec.MsgspecError):
            continue  # a run must not fail for what an older version, or a hand, left here
    return found


def keep(folder: Path, kept: Iterable[Kept]) -> None:
    """Writes programs into the folder; the names are the files'. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    there = len(list(folder.glob("*.json")))
    for it in kept:
        file = folder / f"{it.name}.json"
        if it.finding or file.exists() or there < MAX_KEPT_PROGRAMS:
            file.write_bytes(msgspec.json.format(msgspec.json.encode(it), indent=1) + b"\n")
