"""kill -9: whatever was acknowledged is there, and what was recorded is not executed again."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from kill_program import ITEMS

PROGRAM = Path(__file__).with_name("kill_program.py")


class Told:
    """What the program said, over all its lives."""

    def __init__(self) -> None:
        self.seeds: dict[str, int] = {}
        self.done: dict[str, list[int]] = {}
        self.blobs: dict[str, str] = {}
        self.final: dict[str, tuple[str, list[int]]] = {}
        self.read: dict[str, str] = {}

    def take(self, line: str) -> None:
        """One line."""
        kind, *rest = line.split(" ", 3)
        match kind, rest:
            case "ack", [run_id, seed]:
                self.seeds[run_id] = int(seed)
            case "blob", [blob_id, seed]:
                self.blobs[blob_id] = f"blob {seed}"
            case "done", [run_id, text]:
                self.done[run_id] = json.loads(text)
            case "final", [run_id, status, text]:
                self.final[run_id] = (status, json.loads(text))
            case "read", [blob_id, text, *more]:
                self.read[blob_id] = json.loads(" ".join([text, *more]))
            case _:
                raise AssertionError(line)


def killed(kills: int, folder: Path, seed: int) -> Told:
    """Run the program, kill it so often at some moment, and let the last one end in peace."""
    chance = random.Random(seed)
    told = Told()
    command = [sys.executable, "-P", str(PROGRAM), f"sqlite:///{folder}/a.db", str(folder / "log")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(kills):
            process.stdin.write("go\n")
            word, pid = process.stdout.readline().split()
            assert word == "pid"
            lines_left = chance.choice([0, 1, 2, 3, 5, 8, 13, 40])
            is_killed = False
            while (line := process.stdout.readline().strip()) != "ended":
                assert line, "the program has ended"
                told.take(line)
                lines_left -= 1
                if lines_left <= 0 and not is_killed:
                    os.kill(int(pid), signal.SIGKILL)
                    is_killed = True
        process.stdin.write("finish\n" + "".join(f"{blob_id}\n" for blob_id in told.blobs) + "\n")
        while (line := process.stdout.readline().strip()) != "ended":
            assert line, "the program has ended"
            told.take(line)
        process.stdin.close()
        assert process.wait() == 0
    return told


def check(told: Told, log: str) -> None:
    """Nothing that was acknowledged is lost, and nothing that was recorded was done again."""
    for run_id, seed in told.seeds.items():
        expected = [seed * 100 + item + 4 for item in range(ITEMS)]
        assert told.final[run_id] == ("completed", expected)
        assert told.done.get(run_id, expected) == expected
    # A run that was stored and not acknowledged any more has run, too.
    assert {status for status, _ in told.final.values()} <= {"completed"}
    assert {name: (text * 20)[:20] for name, text in told.blobs.items()} == {
        name: (text * 20)[:20] for name, text in told.read.items()
    }
    assert "call " in log
    assert "kept " in log
    kept: set[tuple[str, ...]] = set()
    attempts: dict[tuple[str, ...], int] = defaultdict(int)
    for line in log.splitlines():
        word, *step = line.split()
        if word == "kept":
            kept.add(tuple(step))
        else:
            *place, attempt = step
            assert tuple(place) not in kept, f"{line}: it was recorded before"
            assert int(attempt) > attempts[tuple(place)]
            attempts[tuple(place)] = int(attempt)


def test_what_was_acknowledged_survives_fifteen_kills(tmp_path: Path) -> None:
    told = killed(15, tmp_path, seed=1)
    check(told, (tmp_path / "log").read_text("utf-8"))
    assert len(told.seeds) >= 15


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_what_was_acknowledged_survives_a_thousand_kills(tmp_path: Path, seed: int) -> None:
    """A hundred on each store."""
    told = killed(100, tmp_path, seed)
    log = (tmp_path / "log").read_text("utf-8")
    check(told, log)
    print(f"{len(told.seeds)} runs and {len(told.blobs)} blobs acknowledged, {log.count('call ')} calls")
