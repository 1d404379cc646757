"""Each language's client against each language's server, on the generated Stepflow SDKs.

`worker` programs serve the role worker, `runtime` programs play a fixed scenario against a URL (or, in Python,
against a spawned worker over stdio) and print one JSON line a step: {"step": name, "got": value}.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sdk_programs

HERE = Path(__file__).parent
GENERATED = HERE.parents[1] / "generated"
LANGUAGES = ("python", "typescript", "go")
ROLES = ("worker", "runtime")

EXPECTED = {
    "initialize": 1,
    "list": 5,
    "info": "/blob",
    "callback": ["é\u2028😀", "9007199254740993", [1, None, {}]],
    "typed error": ["ComponentNotFound", -32001, {"component": "/nowhere"}],
    "invalid params": ["RpcError", -32602],
    "unknown method": ["RpcError", -32601],
    "internal error": ["RpcError", -32603, "Internal error"],
    "abandoned": True,
    "time-out": ["Timeout"],
    "time-out seen": True,
    "parallel": list(range(20)),
}

Commands = dict[str, dict[str, list[str]]]


@pytest.fixture(scope="session")
def programs(tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """Command lines of both programs in every language, compiled once."""
    folder = tmp_path_factory.mktemp("crosslang")
    return {
        "python": {role: [sys.executable, "-P", str(HERE / "python" / f"{role}_program.py")] for role in ROLES},
        "typescript": _typescript(tool, folder / "typescript"),
        "go": _go(tool, folder / "go"),
        "stack": {"worker": [*STACK, "--serve"]},
    }


def _typescript(tool: Callable[[str], str], folder: Path) -> dict[str, list[str]]:
    programs = sdk_programs.typescript(tool, folder, [HERE / "typescript" / f"{role}.ts" for role in ROLES])
    return {role: [tool("node"), programs[role]] for role in ROLES}


def _go(tool: Callable[[str], str], folder: Path) -> dict[str, list[str]]:
    programs = sdk_programs.go(tool, folder, HERE / "go")
    return {role: [str(programs / role)] for role in ROLES}


@pytest.fixture
def worker(programs: Commands, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a worker in the language that the test asks for."""
    command = programs[request.param]["worker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            assert line, process.stderr.read().decode() if process.stderr else ""
            yield f"http://127.0.0.1:{json.loads(line)['port']}/"
        finally:
            process.kill()


def play(command: list[str]) -> dict[str, object]:
    """What each step of the scenario gave."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    steps = [json.loads(line) for line in done.stdout.split("\n") if line]
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return {step["step"]: step["got"] for step in steps}


@pytest.mark.parametrize("worker", LANGUAGES, indirect=True, ids=lambda name: f"worker={name}")
@pytest.mark.parametrize("runtime", LANGUAGES, ids=lambda name: f"runtime={name}")
def test_every_client_understands_every_server(programs: Commands, worker: str, runtime: str) -> None:
    assert play([*programs[runtime]["runtime"], worker]) == EXPECTED


@pytest.mark.parametrize("worker", ["go"], indirect=True)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_python_client_on_both_event_loops(programs: Commands, backend: str, worker: str) -> None:
    assert play([*programs["python"]["runtime"], worker, "--backend", backend]) == EXPECTED


# --- the runtime's own transports -----------------------------------------------------------------------

STACK = [sys.executable, "-P", str(HERE / "python" / "stack.py")]


@pytest.mark.parametrize("worker", LANGUAGES, indirect=True, ids=lambda name: f"worker={name}")
def test_the_stack_calls_each_over_http(programs: Commands, worker: str) -> None:
    assert play([*STACK, worker]) == EXPECTED


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_stack_calls_each_over_stdio(programs: Commands, language: str) -> None:
    assert play([*STACK, f"stdio:{shlex.join([*programs[language]['worker'], '--stdio'])}"]) == EXPECTED


@pytest.mark.parametrize("worker", ["stack"], indirect=True)
@pytest.mark.parametrize("runtime", LANGUAGES)
def test_each_calls_the_stack_over_http(programs: Commands, worker: str, runtime: str) -> None:
    assert play([*programs[runtime]["runtime"], worker]) == EXPECTED


@pytest.mark.parametrize("runtime", LANGUAGES)
def test_each_calls_the_stack_over_stdio(programs: Commands, runtime: str) -> None:
    assert play([*programs[runtime]["runtime"], "--stdio", *STACK, "--serve", "--stdio"]) == EXPECTED


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_python_over_stdio_with_each(programs: Commands, language: str, backend: str) -> None:
    command = [
        *programs["python"]["runtime"],
        "--backend",
        backend,
        "--stdio",
        *programs[language]["worker"],
        "--stdio",
    ]
    assert play(command) == EXPECTED
