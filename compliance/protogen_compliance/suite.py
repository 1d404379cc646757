"""Suites: what can be tested, found in a table of folders and among entry points. Knows no protocol itself.

A suite is a folder of pytest files and a `Suite` that says what it judges. Those of the kit stand in `suites/`, each
declared in the `suite.py` of its folder; another distribution declares its own under the entry points
`protogen.suites`, each a `Suite` or a tuple of them (docs/how-to/write-a-suite.md).
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import msgspec

from protogen.problems import closest
from protogen_compliance.dialects import Dialect
from protogen_compliance.plugin import Settings
from protogen_compliance.registry import Clause, UnknownProtocol
from protogen_compliance.targets import Kind

GROUP = "protogen.suites"


class Suite(msgspec.Struct, frozen=True, kw_only=True):
    """What judges one role of one protocol.

    `clauses` gives the registry's clauses for that role, by id, in the order of the report. `preflight` looks at the
    target before anything else and returns the settings that the tests get; it raises NoTarget where there is nothing
    to test. `profiles` names what may be asked for besides the core, with what each needs. `dialects` are spellings of
    the methods under which a target can be judged, by name. `folders` are those that pytest collects.
    """

    protocol: str
    role: str
    summary: str
    folder: Path
    clauses: Callable[[], dict[str, Clause]]
    preflight: Callable[[Settings], Settings]
    profiles: Mapping[str, str] = {}
    takes: tuple[Kind, ...] = ("url", "command")
    prepare: Callable[[Settings], AbstractContextManager[Settings]] = nullcontext
    """Opens what the target needs before it is opened itself, and says so in the settings."""
    dialects: Mapping[str, Dialect] = {}


def suites() -> list[Suite]:
    """All suites there are: those of the kit in the order of their names, then those of other distributions."""
    found: list[Suite] = []
    here = Path(__file__).resolve().parent / "suites"
    for folder in sorted(here.iterdir()):
        if (folder / "suite.py").is_file():
            module = importlib.import_module(f"protogen_compliance.suites.{folder.name}.suite")
            found += module.SUITES
    for entry in importlib.metadata.entry_points(group=GROUP):
        loaded = entry.load()
        found += loaded if isinstance(loaded, tuple | list) else [loaded]
    return found


def find(protocol: str, role: str | None = None) -> Suite:
    """The suite for a protocol and a role, the protocol's first one where none is named.

    Raises UnknownProtocol, which names those there are.
    """
    there = suites()
    fitting = [it for it in there if it.protocol == protocol]
    if not fitting:
        names = list(dict.fromkeys(it.protocol for it in there))
        near = closest(protocol, names)
        raise UnknownProtocol(f"no suite for {protocol!r}{near}; there is one for {', '.join(names)}")
    for it in fitting:
        if role in (None, it.role):
            return it
    roles = [it.role for it in fitting]
    near = closest(role or "", roles)
    raise UnknownProtocol(f"{protocol} has no suite for the role {role!r}{near}; choose one of {', '.join(roles)}")
