"""Minutes of fuzzing: with atheris where it can be installed, else with mutations of the corpus.

PROTOGEN_FUZZ_SECONDS says how long for each target; 600 by default.
"""

from __future__ import annotations

import importlib.util
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fuzz_targets import CORPUS, TARGETS, mutations

SECONDS = int(os.environ.get("PROTOGEN_FUZZ_SECONDS", "600"))
RUN = Path(__file__).resolve().parent / "run.py"
HAS_ATHERIS = importlib.util.find_spec("atheris") is not None


def fuzz(name: str, seconds: int, folder: Path) -> int:
    """Run atheris; returns the number of inputs. A finding stays in `folder`, which the failure names."""
    command = [sys.executable, "-P", str(RUN), name, "--seconds", str(seconds)]
    found = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds + 120,
        check=False,
    )
    if found.returncode:
        kept = ", ".join(str(path) for path in folder.iterdir())
        pytest.fail(f"{name}: {kept}\n{found.stdout[-2000:]}{found.stderr[-4000:]}", pytrace=False)
    units = re.search(r"stat::number_of_executed_units:\s*(\d+)", found.stderr)
    assert units is not None, found.stderr[-2000:]
    return int(units[1])


@pytest.mark.soak
@pytest.mark.skipif(not HAS_ATHERIS, reason="atheris has no wheel for this machine; mutations run instead")
@pytest.mark.parametrize("name", TARGETS)
def test_fuzzing_finds_nothing(name: str, tmp_path: Path) -> None:
    assert fuzz(name, SECONDS, tmp_path) > 100 * SECONDS


@pytest.mark.soak
@pytest.mark.skipif(HAS_ATHERIS, reason="atheris does this better")
@pytest.mark.parametrize("name", TARGETS)
def test_mutating_for_long_finds_nothing(name: str) -> None:
    ends = time.monotonic() + SECONDS
    for data in mutations(name, seed=random.SystemRandom().getrandbits(32)):
        try:
            TARGETS[name](data)
        except Exception as fault:
            raise AssertionError(f"put this into {CORPUS / name}: {data!r}") from fault
        if time.monotonic() > ends:
            return


@pytest.mark.soak
@pytest.mark.skipif(not HAS_ATHERIS, reason="atheris has no wheel for this machine")
def test_finding_fails_the_run_and_is_kept(tmp_path: Path) -> None:
    planted = f"import sys; sys.path.insert(0, {str(RUN.parent)!r}); sys.argv = ['run']; import run, fuzz_targets\n"
    planted += "fuzz_targets.TARGETS['lines'] = lambda data: 1 // (b'crlf' not in data and len(data) != 3)\n"
    planted += "run.main(['lines', '--seconds', '60'])\n"
    found = subprocess.run(
        [sys.executable, "-P", "-c", planted],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert found.returncode != 0
    assert "ZeroDivisionError" in found.stdout + found.stderr
    assert [path.name.startswith("fuzz-lines-crash-") for path in tmp_path.iterdir()] == [True]
