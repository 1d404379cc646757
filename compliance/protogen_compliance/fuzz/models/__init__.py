"""Models: what the fuzzer knows of single protocols beyond their documents, each in a module of the protocol's name.

A module may have `MODELS`, whose walks play the protocol's own rules, one for each role; `tamed(method, params)`, which
makes params that ask for long work ask for little; `LEFT_OUT`, the methods that are not called at all;
and `IGNORED`, members of params by method that a server may leave unread.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Mapping
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

    @staticmethod
    def tour() -> Iterable[tuple[str, list[tuple[str, dict[str, Json]]]]]:
        """Short walks that every run begins with: what each is about, and its actions."""
        ...

    def play(self, action: str, arguments: dict[str, Json]) -> None:
        """Does an action and judges what came of it; raises Found. What makes no sense now is left out."""
        ...


def _module(protocol: str) -> object | None:
    """The module of a protocol; dialects, named `name-version`, share one."""
    name = protocol.partition("-")[0]
    if not name.isidentifier() or find_spec(f"{__name__}.{name}") is None:
        return None
    return import_module(f"{__name__}.{name}")


def find(protocol: str, methods: Collection[str]) -> type[WalkingModel] | None:
    """The model of a protocol for a target that has these methods; None where there is none."""
    models: tuple[type[WalkingModel], ...] = getattr(_module(protocol), "MODELS", ())
    return next((model for model in models if model.methods <= frozenset(methods)), None)


def tamer(protocol: str) -> Tamer | None:
    """What makes params harmless; None where the protocol needs nothing of the kind."""
    return getattr(_module(protocol), "tamed", None)


def left_out(protocol: str) -> frozenset[str]:
    """Methods that cannot be fuzzed by somebody who is never called back."""
    return getattr(_module(protocol), "LEFT_OUT", frozenset())


def departures(protocol: str) -> frozenset[str]:
    """How the protocol uses JSON-RPC otherwise: words of `raw.fixed`."""
    return getattr(_module(protocol), "DEPARTURES", frozenset())


def ignored(protocol: str) -> Mapping[str, frozenset[str]]:
    """Members of params, by method, that a server may leave unread: whatever they are may be accepted."""
    return getattr(_module(protocol), "IGNORED", {})
