"""Models: what the fuzzer knows of single protocols beyond their documents, each in a module of the protocol's name.

A module has `MODEL`, whose walks play the protocol's own rules, or `tamed(method, params)`, which makes params that ask
for long work ask for little, or both.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import ClassVar, Protocol, TypeAlias

from protogen_compliance.fuzz.description import Json
from protogen_compliance.fuzz.steps import Session

Tamer: TypeAlias = Callable[[str, Json], Json]


class WalkingModel(Protocol):
    """The state that a walk knows of the target, and the actions that lead on from it."""

    methods: ClassVar[frozenset[str]]
    """What the target must have for the model to be of use."""

    def __init__(self, session: Session, options: dict[str, str]) -> None: ...

    def draw(self, chance: random.Random) -> tuple[str, dict[str, Json]]:
        """The next action with its arguments: JSON that names things as the model does, never as the target does."""
        ...

    def play(self, action: str, arguments: dict[str, Json]) -> None:
        """Does an action and judges what came of it; raises Found. What makes no sense now is left out."""
        ...


def _module(protocol: str) -> object | None:
    """The module of a protocol; a newer dialect, named `name-version`, has none of its own."""
    name = protocol.replace("-", "_").replace(".", "_")
    if not name.isidentifier() or find_spec(f"{__name__}.{name}") is None:
        return None
    return import_module(f"{__name__}.{name}")


def find(protocol: str) -> type[WalkingModel] | None:
    """The model of a protocol; None where there is none."""
    return getattr(_module(protocol), "MODEL", None)


def tamer(protocol: str) -> Tamer | None:
    """What makes params harmless; None where the protocol needs nothing of the kind."""
    return getattr(_module(protocol), "tamed", None)
