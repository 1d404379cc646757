"""`kill -9` at any moment: what was acknowledged is there, whole, and the next process opens the file at once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from protogen_runtime.store import BlobMissing, Entries, Equal, Select, open_store, read_blob
from protogen_runtime.store.contract import SCHEMA

KILLS = 20
PARTS_IN_SOAK, KILLS_OF_A_PART = 4, 250
COUNTED = [Equal("parent", None), Equal("status", "done")]
"""What the schema keeps counted: all that is whole."""
MOST_ACKNOWLEDGED = 150
"""How much one life may acknowledge before it is killed."""


class Writers:
    """Lives of kill_writer.py, one after the other."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def live(self, acknowledgements: int) -> set[str]:
        """Let one write until it has acknowledged so much, kill it, and return all that it acknowledged."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        said: set[str] = set()
        # The copy may be faster with its first words than its parent with the number.
        child = 0
        for line in self._process.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "pid":
                child = int(rest)
            elif word == "dead":
                return said
            elif word == "failed":
                break
            else:
                said.add(line.strip())
            if child and len(said) >= acknowledgements:
                os.kill(child, signal.SIGKILL)
                acknowledgements = sys.maxsize
        raise AssertionError("the writer has ended by itself")


@contextmanager
def writers(path: Path, manner: str) -> Iterator[Writers]:
    command = [sys.executable, str(Path(__file__).with_name("kill_writer.py")), str(path), manner]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Writers(process)
        finally:
            process.kill()


async def missing(path: Path, said: set[str]) -> tuple[list[str], list[str]]:
    """What was acknowledged and is not there; and transactions of which only a part is there."""
    async with open_store(f"sqlite:///{path}", SCHEMA) as store:
        page = await store.read(Select("tasks", documents=False))
        keys = {record.key for record in page.records}
        whole = {record.key for record in page.records if record.fields["status"] == "done"}
        logged = {entry.data.decode() for entry in await store.read(Entries("log"))}
        counted = await store.read(Select("tasks", COUNTED, limit=0, total=True))
        assert counted.total == len(whole)
        lost = [line for line in said if line.startswith("key ") and line[4:] not in keys]
        for line in said:
            if line.startswith("blob "):
                try:
                    await read_blob(store, line[5:])
                except BlobMissing:
                    lost.append(line)
        return lost, sorted((keys ^ whole) | (keys ^ logged))


def kill(path: Path, kills: int, manner: str, *, seed: int = 0) -> tuple[int, int]:
    """Kill so many writers; returns how much was acknowledged and how much of it was lost. Nothing may be torn."""
    chance = random.Random(seed)
    acknowledged = lost = 0
    unchecked: set[str] = set()
    with writers(path, manner) as those:
        for number in range(kills):
            # Every fifth dies while it is still opening the file.
            unchecked |= those.live(chance.randrange(MOST_ACKNOWLEDGED) if number % 5 else 0)
            if number % 4 == 3 or number == kills - 1:
                gone, torn = trio.run(missing, path, unchecked)
                assert torn == []
                acknowledged += len(unchecked)
                lost += len(gone)
                unchecked.clear()
    return acknowledged, lost


def test_nothing_acknowledged_is_lost_by_killing(tmp_path: Path) -> None:
    acknowledged, lost = kill(tmp_path / "store.db", KILLS, "honest")
    assert acknowledged > 10 * KILLS
    assert lost == 0


def test_writer_that_acknowledges_too_early_is_found_out(tmp_path: Path) -> None:
    """The control: what these kills lose is seen."""
    _, lost = kill(tmp_path / "store.db", 8, "hasty")
    assert lost > 0


@pytest.mark.soak
@pytest.mark.parametrize("part", range(PARTS_IN_SOAK))
def test_nothing_acknowledged_is_lost_by_killing_a_thousand_times(tmp_path: Path, part: int) -> None:
    acknowledged, lost = kill(tmp_path / "store.db", KILLS_OF_A_PART, "honest", seed=part)
    print(f"{KILLS_OF_A_PART} kills, {acknowledged} acknowledged, {lost} lost")
    assert acknowledged > 10 * KILLS_OF_A_PART
    assert lost == 0
