"""`protogen worker`: what it says where it cannot begin, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from worker_rig import execute_message

PROTOGEN = [sys.executable, "-P", "-m", "protogen", "worker"]
ENDED_SECONDS = 60

APP = """
from protogen_runtime.stepflow.worker import App, Context
print("a line that is no message")
app = App("printing")
other = {}

@app.component("/say")
async def say(value: str, context: Context) -> str:
    print("said", value)
    context.log("told", "warning", value=value)
    return value
"""


def worker(folder: Path, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*PROTOGEN, *words], input=stdin, capture_output=True, check=False, timeout=ENDED_SECONDS, cwd=folder
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "printing.py").write_text(APP, "utf-8")
    (tmp_path / "broken.py").write_text("import json\n\nvalue = 1 / 0\n", "utf-8")
    (tmp_path / "lacking.py").write_text("import no_such_module_at_all\n", "utf-8")
    (tmp_path / "ends.py").write_text("raise SystemExit(3)\n", "utf-8")
    return tmp_path


REFUSED = [
    ("printing", "error: expected MODULE:APP such as components:app, got 'printing'"),
    ("printing:", "error: expected MODULE:APP such as components:app, got 'printing:'"),
    ("nowhere:app", "error: there is no module 'nowhere' in {folder} or where Python is installed"),
    ("printing:wrong", "error: printing has no 'wrong'; it has app"),
    ("printing:other", "error: printing:other is of type dict; expected the App of a worker"),
    ("broken:app", "error: {folder}/broken.py:3: broken cannot be imported: ZeroDivisionError: division by zero"),
    (
        "lacking:app",
        (
            "error: {folder}/lacking.py:1: lacking cannot be imported: ModuleNotFoundError: "
            "No module named 'no_such_module_at_all'"
        ),
    ),
    ("ends:app", "error: {folder}/ends.py:1: ends cannot be imported: SystemExit: 3"),
]


@pytest.mark.parametrize(("name", "line"), REFUSED)
def test_an_app_that_cannot_be_served_is_told_in_one_line(folder: Path, name: str, line: str) -> None:
    ended = worker(folder, name, "--stdio")
    told = [it for it in ended.stderr.decode().splitlines() if it != "a line that is no message"]
    assert (ended.returncode, ended.stdout, told) == (2, b"", [line.format(folder=folder)])


def test_stdio_has_no_port(folder: Path) -> None:
    ended = worker(folder, "printing:app", "--stdio", "--port", "0")
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert ended.stderr.endswith(b"Error: --stdio has no --host, --port or --announce.\n")


def test_only_messages_reach_the_output_over_stdio_and_lines_carry_ids(folder: Path) -> None:
    seen = {"run_id": "r1", "step_id": "s1", "trace_id": "0" * 31 + "1"}
    ended = worker(folder, "printing:app", "--stdio", stdin=execute_message("/say", "x", observability=seen) + b"\n")
    assert ended.returncode == 0
    assert [json.loads(line) for line in ended.stdout.splitlines()] == [
        {"jsonrpc": "2.0", "id": 1, "result": {"output": "x"}}
    ]
    lines = ended.stderr.decode().splitlines()
    assert {"a line that is no message", "said x"} <= set(lines)
    told = next(it for it in (json.loads(line) for line in lines if line.startswith("{")) if it["event"] == "told")
    assert {name: told[name] for name in seen} == seen
    assert (told["level"], told["component"], told["attempt"], told["value"]) == ("warning", "/say", 1, "x")


def test_a_program_announces_its_port_and_ends_by_sigterm(folder: Path) -> None:
    command = [*PROTOGEN, "printing:app", "--port", "0", "--announce"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        port = json.loads(process.stdout.readline())["port"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=ENDED_SECONDS) as page:
            assert json.loads(page.read())["service"] == "printing"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=ENDED_SECONDS)
        assert process.returncode == 0
