"""`kill -9` again and again while flows run over real HTTP: nothing acknowledged is lost, nothing runs twice."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from durable_flows import Promises, check, wait_until_ended, work_and_kill
from serving import serving

LOGGED = Path(__file__).with_name("logged.py")
KILLS, KILLS_IN_SOAK = 15, 1000
PARTS = 40
"""Databases that the kills of a soak are spread over: each grows with its kills, and a part must not take longer than a
test may on a busy machine."""


def kill_often(folder: Path, kills: int, monkeypatch: pytest.MonkeyPatch, *, seed: int) -> None:
    monkeypatch.setenv("APFLOW_EXECUTIONS", str(folder / "executions"))
    chosen = random.Random(seed)
    promises = Promises()
    config = f'[executors]\nmodules = ["{LOGGED}"]\n'
    for number in range(kills):
        with serving(folder, config, is_killed=True) as node:
            work_and_kill(node, promises, clients=3, acknowledged=chosen.randint(1, 60), seed=seed + number)
    with serving(folder, config) as node:
        found = check(wait_until_ended(node), promises, folder / "executions")
        assert "error" not in {line.split(":")[0] for line in node.log.splitlines()}
        assert "Traceback" not in node.log
    print(f"  {kills} kills, {promises.count} acknowledgements: {dict(found)}")
    assert found["completed"] > kills


def test_nothing_acknowledged_is_lost_and_nothing_runs_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kill_often(tmp_path, KILLS, monkeypatch, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(PARTS))
def test_a_thousand_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    kill_often(tmp_path, KILLS_IN_SOAK // PARTS, monkeypatch, seed=1000 * (part + 1))
