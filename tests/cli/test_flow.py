"""`protogen flow`: findings with their places, exit codes, and what programs get."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ENDED_SECONDS = 60

GOOD = "name: n\ndescription: d\nsteps:\n  - {id: a, component: /x}\noutput: {$step: a}\n"
DOUBTFUL = GOOD.replace("description: d\n", "")
BAD = "name: n\ndescription: d\nsteps:\n  - id: load\n    component: x\noutput:\n  r: {$step: laod}\n"
UNREADABLE = "steps:\n  - component: /x\n"


def flow(*words: str, cwd: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "protogen", "flow", *words]
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, check=False, timeout=ENDED_SECONDS, cwd=cwd
    )


def test_findings_are_told_with_their_places(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(BAD)
    found = flow("check", "flow.yaml", cwd=tmp_path)
    assert (found.returncode, found.stderr) == (1, "")
    *lines, summary = found.stdout.splitlines()
    assert [line.partition(":")[2].split(" ")[:3] for line in lines] == [
        ["4:5", "warning", "unreachableStep"],
        ["5:16", "error", "invalidComponent"],
        ["7:6", "fatal", "undefinedStepReference"],
    ]
    assert lines[2].endswith("which does not exist; did you mean 'load'?")
    assert summary.startswith("flow.yaml: 1 fatal, 1 error, 1 warning; id ")


@pytest.mark.parametrize(
    ("text", "options", "code"),
    [(GOOD, [], 0), (GOOD, ["--strict"], 0), (DOUBTFUL, [], 0), (DOUBTFUL, ["--strict"], 1), (UNREADABLE, [], 1)],
)
def test_exit_codes(text: str, options: list[str], code: int, tmp_path: Path) -> None:
    assert flow("check", "-", *options, cwd=tmp_path, stdin=text).returncode == code


def test_programs_get_json(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.json").write_text('{"steps": [\n  {"component": "/x"}]}')
    found = flow("check", "good.yaml", "bad.json", "--format", "json", cwd=tmp_path)
    assert found.returncode == 1
    good, bad = json.loads(found.stdout)
    assert (good["file"], good["findings"], len(good["id"])) == ("good.yaml", [], 64)
    assert bad == {
        "file": "bad.json",
        "id": None,
        "findings": [
            {
                "line": 2,
                "column": 3,
                "level": "fatal",
                "kind": "invalidDocument",
                "code": None,
                "message": '"id": is missing; give the step an id',
                "path": "$.steps[0]",
            }
        ],
    }


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    found = flow("check", "nope.yaml", cwd=tmp_path)
    assert (found.returncode, found.stdout) == (2, "")
    assert "nope.yaml cannot be read: No such file or directory" in found.stderr
    assert "Traceback" not in found.stderr
