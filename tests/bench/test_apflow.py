"""The benchmark of nodes measures what it says, and small flows keep what it promises of large ones."""

from __future__ import annotations

import json
import sys
import urllib.error
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

from apflow import nodes, suite, trees

SMALL = 1_500
"""Beyond what a node stores as one piece."""


def test_flow_of_tasks_is_run_to_its_end_within_memory() -> None:
    flow = trees.run_flow(SMALL)
    assert (flow.tasks, flow.answered < flow.over) == (SMALL, True)
    assert 0 < flow.cost < 5_000
    assert flow.fresh < flow.peak < trees.MOST_MIB


def test_dependants_start_after_their_dependencies() -> None:
    waits = trees.waited(running=5, links=2, seconds=0.2)
    assert len(waits) == 5
    assert min(waits) > 0


def test_node_counts_what_it_holds_and_tells_errors(tmp_path: Path) -> None:
    with nodes.ours(tmp_path) as node:
        node.call("tasks.create", suite.TRIVIAL)
        assert node.counts() == {"pending": 1, "in_progress": 0, "completed": 0, "failed": 0}
        with pytest.raises((nodes.CannotMeasure, urllib.error.HTTPError)):
            node.call("tasks.get", {"task_id": "5f0c7e52-6a3c-4d1e-9a39-3a6e7d9b0c11"})


def test_node_that_cannot_start_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(nodes.CannotMeasure, match="does not start"), nodes.ours(tmp_path, settings="concurrency = 0"):
        pass


def test_flow_is_one_tree() -> None:
    call = json.loads(trees.flow_of(50))
    root, *others = call["params"]["tasks"]
    assert len(others) == 49
    assert {task["parent_id"] for task in others} == {root["id"]}
    assert len({task["id"] for task in [root, *others]}) == 50


def test_answers_are_counted_and_wrong_ones_refused() -> None:
    assert suite.answers("took 2000000 answers 300 wrong 0 p50 1500 p99 9000 \n") == (300, 2.0, 1.5, 9.0)
    wrong = (
        'took 2000000 answers 300 wrong 2 p50 1500 p99 9000 {"error":{}}\n',
        "Socket errors: connect 0, read 3, write 0, timeout 0\ntook 2000000 answers 300 wrong 0 p50 1 p99 2 \n",
        "unable to connect\n",
    )
    for told in wrong:
        with pytest.raises(nodes.CannotMeasure, match="wrong answers"):
            suite.answers(told)


def test_percentiles_are_the_median_and_what_99_of_100_stay_below() -> None:
    assert trees.percentiles([float(number) for number in range(1000)]) == (499.5, 990.0)
