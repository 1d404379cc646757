"""Journaling: the engine's entries as rows of the store's journal, and a run brought back from them.

A row holds what one commit added to a run: the time, then one entry to a line. Knows no store.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, overload

import msgspec
from msgspec import Raw

from protogen_runtime.stepflow.engine import Dialect, Effect, journal
from protogen_runtime.stepflow.engine.plan import Plan
from protogen_runtime.stepflow.flow.values import Json

LAZY_FROM: Final = 64
"""Inputs of so many items stay text until their item begins: as values they take several times the memory."""


class _Begun(msgspec.Struct, frozen=True, tag_field="is", tag="begun"):
    """The engine's Begun, whose inputs are not read yet."""

    flow_id: str
    inputs: list[Raw]
    variables: dict[str, Any]
    overrides: Any
    max_concurrency: int | None
    dialect: Dialect


_BEGUN: Final = msgspec.json.Decoder(_Begun)


class Inputs(Sequence[Json]):
    """Inputs that are read from their text whenever they are asked for."""

    def __init__(self, texts: Sequence[Raw]) -> None:
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts)

    @overload
    def __getitem__(self, index: int) -> Json: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Json]: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return Inputs(self._texts[index])
        return msgspec.json.decode(self._texts[index])


def row(at: int, entries: Iterable[bytes]) -> bytes:
    """What one commit adds; `at` is in microseconds since the epoch."""
    return b"\n".join((b"%d" % at, *entries))


def read_row(data: bytes) -> tuple[int, list[bytes]]:
    """The time of a commit, and its entries."""
    at, *entries = data.split(b"\n")
    return int(at), entries


def begun_of(entry: bytes | Raw) -> journal.Begun:
    """The first entry of a run, whose inputs are read when they are needed. Errors: journal.JournalDamaged."""
    try:
        it = _BEGUN.decode(entry)
    except msgspec.MsgspecError as reason:
        raise journal.JournalDamaged(f"not the beginning of a run: {reason}") from None
    return journal.Begun(it.flow_id, Inputs(it.inputs), it.variables, it.overrides, it.max_concurrency, it.dialect)


class Replay:
    """A run that is brought to where its journal ends, entry by entry. It forgets the results of items."""

    def __init__(self, begun: bytes | Raw, plan: Plan) -> None:
        self.begun: Final = begun_of(begun)
        self.run: Final = journal.make(self.begun, plan, keeps_results=False)

    def begin(self) -> list[Effect]:
        """What the beginning led to."""
        return self.run.begin()

    def entries(self, entries: Iterable[bytes | Raw]) -> Iterator[tuple[journal.Entry, list[Effect]]]:
        """Each entry, and what it led to."""
        for entry in entries:
            what = journal.read(bytes(entry))
            if isinstance(what, journal.Begun):
                raise journal.JournalDamaged("the journal begins the run a second time")
            yield what, journal.replay(self.run, what)
