"""Dialects: how a target spells the methods of a protocol, so that what lies behind the spelling can be judged.

A dialect hides nothing: each clause that the spelling breaks is a finding of every run under it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from protogen_compliance.peer.rpc import Json
from protogen_compliance.verdicts import Evidence


def same(value: Json) -> Json:
    """What needs no translation."""
    return value


class Spelling(NamedTuple):
    """What the target calls a method: its name, its params made from the protocol's, the protocol's result from its.

    `result` gets the params as the protocol has them and the result as the target gave it.
    """

    method: str
    params: Callable[[Json], Json] = same
    result: Callable[[Json, Json], Json] = lambda params, result: result


class Dialect(NamedTuple):
    """Methods of the protocol with their spelling, and the clauses that the spelling breaks, each with how.

    `lacks` are roles of executors that no target of the dialect can play, each with why: what needs one is SKIPPED.
    """

    spellings: Mapping[str, Spelling]
    deviations: Mapping[str, str]
    lacks: Mapping[str, str] = {}


def findings(name: str, dialect: Dialect) -> list[Evidence]:
    """A failed test for each clause that a dialect breaks."""
    return [
        Evidence(
            test=f"dialect {name}::{clause}",
            clauses=(clause,),
            outcome="failed",
            text=f"judged under the dialect {name}: {how}",
        )
        for clause, how in dialect.deviations.items()
    ]
