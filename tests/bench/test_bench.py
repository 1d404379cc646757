"""The benchmarks measure what they say: the schema they make, what they hand to the peers, and the table they print."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from protogen.build import read_protocol

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

import measure  # noqa: E402 - the folder above is on sys.path only now
from build import foreign, peers, synthetic  # noqa: E402 - the same
from report import Report, Series, Target, table  # noqa: E402 - the same


def test_synthetic_document_is_a_protocol_without_findings(tmp_path: Path) -> None:
    schema = tmp_path / "protocol.json"
    schema.write_text(json.dumps(synthetic.document(150)), "utf-8")
    protocol, problems = read_protocol(schema, root=tmp_path.resolve())
    assert problems == []
    assert protocol is not None
    assert (len(protocol.definitions), len(protocol.methods)) == (150, 15)
    assert {type(definition).__name__ for definition in protocol.definitions} == {"Record", "Enum", "Union", "Alias"}


def test_synthetic_document_has_whole_groups() -> None:
    with pytest.raises(ValueError, match="multiple of 10"):
        synthetic.document(155)


def test_synthetic_openrpc_is_read_without_findings_and_as_large_as_told(tmp_path: Path) -> None:
    text = json.dumps(synthetic.openrpc(foreign.METHODS))
    assert 2.6e6 < len(text) < 2.8e6
    schema = tmp_path / "openrpc.json"
    schema.write_text(json.dumps(synthetic.openrpc(50)), "utf-8")
    protocol, problems = read_protocol(schema, root=tmp_path.resolve(), name="large")
    assert [problem for problem in problems if problem.level == "error"] == []
    assert protocol is not None
    assert len(protocol.methods) == 50
    assert {type(definition).__name__ for definition in protocol.definitions} >= {"Record", "Alias"}


def test_memory_of_a_child_is_its_most(tmp_path: Path) -> None:
    _, held = measure.child_usage([sys.executable, "-c", "x = b'1' * (256 << 20); del x"], cwd=tmp_path, environment={})
    assert held >= 256


def test_growth_leaves_out_what_every_run_costs() -> None:
    sizes = {1_000: [1.5, 1.4], 5_000: [5.4, 6.0], 20_000: [20.4]}
    assert foreign._each(sizes, 5_000) == pytest.approx(0.001)
    assert foreign._each(sizes, 20_000) == pytest.approx(0.001)


def test_peers_read_the_document_less_notes_and_recursive_arrays() -> None:
    tree = {
        "x-methods": {"a": {}},
        "$defs": {
            "Node": {"type": "object", "x-enum-descriptions": {}, "properties": {"next": {"$ref": "#/$defs/Nodes"}}},
            "Nodes": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
            "Names": {"type": "array", "items": {"type": "string"}},
        },
    }
    assert peers.readable(tree) == {
        "$defs": {
            "Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Nodes"}}},
            "Nodes": {"type": "array"},
            "Names": {"type": "array", "items": {"type": "string"}},
        }
    }


def test_cpu_of_a_child_is_that_of_the_child_alone(tmp_path: Path) -> None:
    busy = "import time\nwhile time.process_time() < 0.3: pass"
    busy_seconds = measure.child_cpu([sys.executable, "-c", busy], cwd=tmp_path, environment={})
    idle_seconds = measure.child_cpu([sys.executable, "-c", "pass"], cwd=tmp_path, environment={})
    assert busy_seconds >= 0.3
    assert idle_seconds < busy_seconds


def test_child_that_fails_is_no_measurement(tmp_path: Path) -> None:
    program = "print('what went wrong'); raise SystemExit(3)"
    with pytest.raises(measure.ChildFailed, match=r"(?s)exit 3.*what went wrong"):
        measure.child_cpu([sys.executable, "-c", program], cwd=tmp_path, environment={})


def test_first_call_of_a_function_does_not_count() -> None:
    calls: list[float] = []
    taken = measure.own_cpu(lambda: calls.append(time.process_time()), repeats=3)
    assert (len(calls), len(taken)) == (4, 3)


def test_table_shows_minimum_median_ratio_and_missed_targets() -> None:
    report = Report(
        unit="CPU seconds",
        base="ours",
        series=(Series(name="ours", seconds=(0.3, 0.2, 0.4)), Series(name="theirs", seconds=(1.0, 1.2, 1.1))),
        targets=(
            Target(name="ours", measured=0.2, most=0.35, unit="s"),
            Target(name="share", measured=0.2, most=0.1, unit=""),
        ),
        versions={"Tool": "1.2"},
        notes=("a note",),
    )
    assert table(report).splitlines() == [
        "CPU seconds    minimum     median    ratio",
        "ours             0.200      0.300     1.00",
        "theirs           1.000      1.100     5.00",
        "",
        "ours             0.200  of at most 0.35 s",
        "share            0.200  of at most 0.1  MISSED",
        "",
        "Tool 1.2",
        "a note",
    ]
