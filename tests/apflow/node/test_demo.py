"""The example flow, as `make demo` runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_example_flow_runs_and_is_drawn() -> None:
    command = [sys.executable, "-P", str(ROOT / "docs" / "examples" / "apflow" / "demo.py")]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    lines = [line.strip() for line in found.stdout.splitlines()]
    started = [line.split(maxsplit=1)[1] for line in lines if line.startswith("in_progress")]
    assert set(started[:2]) == {"fetch sales", "fetch stock"}
    assert started.index("archive last year") > started.index("clean stock")
    assert started[-2:] == ["publish", "morning report"]
    assert "✘ fetch weather  p2 fail  the weather service is down" in found.stdout
    assert "⊘ archive last year" in found.stdout
    assert lines[-1] == "12 tasks: 1 pending, 9 completed, 1 failed, 1 cancelled"
