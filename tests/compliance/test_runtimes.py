"""Runtimes that the kit cannot configure, or that do not take what it says: one sentence each."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from protogen_compliance.suites.stepflow.runtime.programs import Program, Programs

HERE = Path(__file__).resolve().parent
PROGRAM = str(HERE / "reference_runtime.py")
RUNTIME = ("--protocol", "stepflow", "--role", "runtime")
GIVE = "give a command with {config}: the kit cannot configure a runtime that runs already"


REFUSE = shlex.join([sys.executable, "-I", "-S", "-c", "exit('worker kit: no answer to initialize')"])


def clauses(*names: str) -> list[str]:
    return [part for name in names for part in ("--clause", name)]


def test_runtime_that_refuses_a_kind_of_worker_is_blocked_there_alone(kit: Callable[..., Any]) -> None:
    refuse = "import json, os, sys; told = json.load(open(sys.argv[1]))['plugins'].values()\n"
    refuse += "if any(it.get('transport') for it in told): sys.exit('transport: I know none')\n"
    refuse += f"os.execv(sys.executable, [sys.executable, '-I', '-S', {PROGRAM!r}, sys.argv[1]])"
    command = f"{shlex.join([sys.executable, '-I', '-c', refuse])} {{config}}"
    judged = clauses("SF-STDIO-002", "SF-SESS-001", "SF-PROC-002", "SF-EXEC-006")
    profiles = ("--profile", "stdio", "--profile", "session-sse", "--profile", "subprocess")
    done = kit(command, *RUNTIME, *profiles, *judged)
    assert done.named("PASS") == {"SF-PROC-002", "SF-EXEC-006"}, done.said
    assert done.named("FAIL") == set()
    texts = done.texts()
    assert texts.keys() == {"SF-STDIO-002", "SF-SESS-001"}
    for status, *told in texts.values():
        assert status == "BLOCKED"
        assert all(it.startswith("no runtime with a worker ") for it in told), told
        assert all("it said 'transport: I know none'" in it for it in told), told


@pytest.fixture
def late(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """A runtime that starts as soon as its worker listens: its address, and the port of the worker."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        own, theirs = one.getsockname()[1], other.getsockname()[1]
    config = tmp_path / "config.json"
    plugin = {"type": "stepflow", "url": f"http://127.0.0.1:{theirs}"}
    told = {"plugins": {"kit": plugin}, "routes": {"/kit/{*component}": [{"plugin": "kit"}]}, "port": own}
    config.write_text(json.dumps(told), "utf-8")
    wait = "import os, select, socket, sys\n"
    wait += f"while socket.socket().connect_ex(('127.0.0.1', {theirs})): select.select([], [], [], 0.05)\n"
    wait += f"os.execv(sys.executable, [sys.executable, '-I', '-S', {PROGRAM!r}, {str(config)!r}])"
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", wait], stdout=subprocess.DEVNULL) as process:
        yield f"http://127.0.0.1:{own}", theirs
        process.kill()


def test_runtime_that_is_named_by_its_address(kit: Callable[..., Any], late: tuple[str, int]) -> None:
    url, port = late
    done = kit(url, *RUNTIME, "--setting", f"listen={port}", *clauses("SF-INIT-001", "SF-INIT-012", "SF-EXEC-006"))
    assert done.named("PASS") == {"SF-INIT-001", "SF-EXEC-006"}, done.said
    assert {name: texts[:2] for name, texts in done.texts().items()} == {"SF-INIT-012": ["BLOCKED", GIVE]}


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("", "a runtime that runs already has to know where the kit's worker listens"),
        ("any", "--setting listen: expected a port, got 'any'"),
        ("TAKEN", "the kit cannot listen there: "),
    ],
)
def test_address_without_a_place_for_the_worker(refused: Callable[..., Any], setting: str, said: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = ("--setting", f"listen={setting.replace('TAKEN', str(port))}") if setting else ()
        done = refused(f"http://127.0.0.1:{port}", *RUNTIME, *told)
    assert done.code == 2, done.said
    assert said in done.said


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("true", 'true ended with 0 before it printed {"port": N}'),
        (f"{REFUSE} {{config}}", "worker kit: no answer to initialize"),
    ],
    ids=["true", "refusal"],
)
def test_command_that_is_no_runtime(refused: Callable[..., Any], command: str, said: str) -> None:
    done = refused(command, *RUNTIME)
    assert done.code == 3, done.said
    assert said in done.said
    assert len(done.said.splitlines()) == 1


def test_puppet_without_strings_ends() -> None:
    started: list[Program] = []
    with Programs(started.append) as programs:
        process = subprocess.Popen(programs.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={})
        assert programs.wait(1, 10) == 1
    with process:
        assert process.wait(10) == 0
