"""A node that is killed at any moment loses nothing that it acknowledged, runs nothing twice, and goes on."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from protogen_runtime.apflow.manager import INTERRUPTED
from protogen_runtime.apflow.records import DEPENDENCIES, RUNS, SCHEMA, TASKS
from protogen_runtime.store import Select, open_store

NODE = Path(__file__).with_name("kill_node.py")
ENDED = ("completed", "failed", "cancelled")
KILLS = 15
KILLS_IN_SOAK = 1000
MOST_LINES = 150
SEED = 4


class Promises:
    """What nodes said before they were killed."""

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.flows: list[list[str]] = []
        self.ended: dict[str, str] = {}

    def note(self, line: str) -> None:
        word, *ids = line.split()
        self.known.update(ids)
        if word == "started":
            self.flows.append(ids)
        elif word in ENDED:
            self.ended[ids[0]] = word


def run_and_kill(folder: Path, promises: Promises, lines: int) -> None:
    """Start a node, read so many lines of it and kill it; what it still had said counts."""
    command = [sys.executable, str(NODE), str(folder / "node.db"), str(folder / "log"), "work"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout is not None
        for _ in range(lines):
            line = node.stdout.readline()
            assert line, "the node ended by itself"
            promises.note(line)
        node.kill()
        for line in node.stdout:
            if line.endswith("\n"):
                promises.note(line)


def finish(folder: Path) -> None:
    command = [sys.executable, str(NODE), str(folder / "node.db"), str(folder / "log"), "finish"]
    assert subprocess.run(command, stdout=subprocess.PIPE, timeout=120, check=False).returncode == 0


def stored(folder: Path) -> dict[str, dict[str, Any]]:
    async def read() -> dict[str, dict[str, Any]]:
        async with open_store(f"sqlite:///{folder / 'node.db'}", SCHEMA) as store:
            assert (await store.read(Select(RUNS))).records == ()
            tasks = (await store.read(Select(TASKS))).records
            edges = {record.key for record in (await store.read(Select(DEPENDENCIES))).records}
            found = {record.key: msgspec.json.decode(record.document) for record in tasks}
            for record in tasks:
                assert record.fields["status"] == found[record.key]["status"]
                assert record.fields["in_run"] is None
            assert edges == {f"{need['id']}>{key}" for key, it in found.items() for need in it["dependencies"]}
            return found

    return trio.run(read)


def check(folder: Path, promises: Promises) -> Counter[str]:
    tasks = stored(folder)
    missing = promises.known - tasks.keys()
    assert not missing, f"acknowledged and lost: {missing}"
    for id_, status in promises.ended.items():
        assert tasks[id_]["status"] == status, f"{id_} was {status}, and is {tasks[id_]['status']}"
    executed = Counter((folder / "log").read_text().split())
    for id_, count in executed.items():
        assert count == 1 or tasks[id_]["schemas"]["method"] == "again", f"{id_} was executed {count} times"
    for id_, it in tasks.items():
        status = it["status"]
        assert status != "in_progress"
        assert status != "completed" or executed[id_]
        assert (executed[id_] == 0) == (it["started_at"] is None) or it["error"] == INTERRUPTED
        assert it["error"] in (None, "as asked", INTERRUPTED)
    for ids in promises.flows:
        for id_ in ids:
            it = tasks[id_]
            is_blocked = not all(is_met(need, tasks[need["id"]]["status"]) for need in it["dependencies"])
            assert (it["status"] == "pending") == is_blocked, it
    return Counter(it["status"] for it in tasks.values())


def is_met(need: dict[str, Any], status: str) -> bool:
    return status == "completed" or (need.get("required") is False and status in ENDED)


def kill_often(folder: Path, kills: int) -> None:
    chosen = random.Random(SEED)
    promises = Promises()
    for _ in range(kills):
        run_and_kill(folder, promises, chosen.randint(1, MOST_LINES))
    finish(folder)
    found = check(folder, promises)
    assert found["completed"] > 10 * kills


def test_nothing_acknowledged_is_lost_and_nothing_runs_twice(tmp_path: Path) -> None:
    kill_often(tmp_path, KILLS)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(10))
def test_nothing_is_lost_in_a_thousand_kills(tmp_path: Path, part: int) -> None:
    kill_often(tmp_path, KILLS_IN_SOAK // 10)
