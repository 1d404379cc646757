"""Programs: the executor `command`, and functions in processes of their own."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio
from executor_rig import execution, perform, registry

from protogen_runtime.apflow.executors import (
    CannotRegister,
    Execution,
    ExecutorFailed,
    ExecutorRegistry,
    ExecutorSettings,
    FieldFault,
    InvalidInputs,
    failure_text,
    run,
)

ON: dict[str, Any] = {"commands_enabled": True, "allowed_commands": None}


def command(command: str | list[str], **more: Any) -> dict[str, Any]:
    settings = {key: more.pop(key) for key in list(more) if key in ExecutorSettings.__struct_fields__}
    return trio.run(lambda: perform("command", {"command": command} | more, **(ON | settings)))


def test_commands_are_off() -> None:
    with pytest.raises(ExecutorFailed, match="commands are off"):
        trio.run(perform, "command", {"command": ["true"]})
    with pytest.raises(ExecutorFailed, match="commands are off"):
        trio.run(perform, "command_executor", {"command": "true"})


def test_enabled_commands_still_need_a_list() -> None:
    with pytest.raises(ExecutorFailed, match="'true' is not allowed; allowed are: none"):
        command(["true"], allowed_commands=())


def test_a_program_answers() -> None:
    assert command(["printf", "%s|", "a b", "c"]) == {
        "success": True,
        "return_code": 0,
        "stdout": "a b|c|",
        "stderr": "",
    }


def test_a_line_is_split_as_a_shell_would() -> None:
    assert command("printf '%s|' 'a b' c\\ d \"e\"")["stdout"] == "a b|c d|e|"


def test_a_line_reads_standard_input() -> None:
    assert command("cat", stdin="h\u00e9")["stdout"] == "h\u00e9"
    assert command("true", stdin="x" * 1_000_000)["stdout"] == ""


def test_allowed_programs_alone_run() -> None:
    assert command("echo hi", allowed_commands=("echo",))["stdout"] == "hi"
    for other in ("/bin/echo hi", "../bin/echo hi", "ECHO hi", "cat /etc/passwd", "env echo hi", "'echo ' hi"):
        with pytest.raises(ExecutorFailed, match="is not allowed; allowed are: echo"):
            command(other, allowed_commands=("echo",))


INJECTIONS = [
    *(
        "; id",
        "| id",
        "|| id",
        "& id",
        "&& id",
        "`id`",
        "$(id)",
        "${IFS}id",
        "\nid",
        "\r\nid",
        "> {canary}",
        ">> {canary}",
    ),
    *(
        "< /etc/passwd",
        "2>&1 > {canary}",
        "'; touch {canary} #",
        '"; touch {canary} #',
        "$(touch {canary})",
        "`touch {canary}`",
    ),
    *(
        "; touch {canary}",
        "| touch {canary}",
        "&& touch {canary}",
        "\ntouch {canary}",
        "%0atouch {canary}",
        "{{touch,{canary}}}",
    ),
    *(
        "$PATH",
        "~root",
        "*",
        "?",
        "[a-z]*",
        "!!",
        "#",
        "\\",
        "--help; id",
        "-n;id",
        "\x1b[31m",
        "$'\\x41'",
        "<(id)",
        "()",
    ),
]


@pytest.mark.parametrize("text", INJECTIONS)
def test_nothing_in_an_argument_is_run_or_expanded(text: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    argument = text.replace("{canary}", str(canary))
    assert command(["printf", "%s.", argument])["stdout"] == f"{argument}.".strip()
    assert not canary.exists()


@pytest.mark.parametrize("text", [text for text in INJECTIONS if "{canary}" in text or "id" in text])
def test_nothing_in_a_line_is_run_or_expanded(text: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    printed = ""
    # A quote that is not closed cannot be split, and nothing is run.
    with suppress(ExecutorFailed):
        line = "printf %s.\\\\n x" + text.replace("{canary}", str(canary))
        printed = command(line, allowed_commands=("printf",))["stdout"]
    assert "uid=" not in printed
    assert not canary.exists()


@pytest.mark.parametrize(
    "program",
    [
        "../../bin/sh",
        "/bin/../bin/sh",
        "./sh",
        "sh\x00",
        "..%2fbin%2fsh",
        "~/sh",
        "$SHELL",
        "//bin/sh",
        "printf/../sh",
        "PRINTF",
    ],
)
def test_other_ways_to_a_program_are_not_taken(program: str) -> None:
    with pytest.raises(ExecutorFailed):
        command([program, "-c", "true"], allowed_commands=("printf",))


@pytest.mark.parametrize(
    ("given", "said"),
    [("", "command"), ("'a", "cannot be split"), ("   ", "empty"), ([""], "empty"), (["a\0b"], "null")],
)
def test_commands_that_are_none_are_one_line(given: str | list[str], said: str) -> None:
    with pytest.raises((ExecutorFailed, InvalidInputs), match=said):
        command(given)


def test_programs_that_fail_say_how() -> None:
    with pytest.raises(ExecutorFailed, match=r"command 'sh' left with 3: oh$"):
        command(["sh", "-c", "echo oh >&2; exit 3"])
    with pytest.raises(ExecutorFailed, match="left with 137"):
        command(["sh", "-c", "kill -9 $$"])
    with pytest.raises(ExecutorFailed, match="cannot be started: no such file"):
        command(["/no/such/program"])


def test_programs_see_only_the_variables_that_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "s")
    monkeypatch.setenv("TZ", "UTC")
    found = command(["env"], command_environment=("PATH", "TZ", "NOT_SET"))["stdout"].splitlines()
    assert sorted(line.partition("=")[0] for line in found) == ["PATH", "TZ"]
    assert command(["pwd"], command_folder=str(tmp_path))["stdout"] == str(tmp_path.resolve())


@pytest.mark.parametrize("stream", ["1", "2"])
def test_too_much_output_ends_a_program(stream: str) -> None:
    with pytest.raises(ExecutorFailed, match="wrote more than 10000 bytes"):
        command(["sh", "-c", f"yes >&{stream}"], command_max_output_bytes=10_000)


def test_programs_end_in_time() -> None:
    with pytest.raises(ExecutorFailed, match=r"did not end within 0\.2 s"):
        command(["sleep", "1000"], timeout=0.2)
    with pytest.raises(ExecutorFailed, match=r"did not end within 0\.2 s"):
        command(["sleep", "1000"], command_max_seconds=0.2)


def test_a_program_that_leaves_another_is_not_waited_for(tmp_path: Path) -> None:
    left = tmp_path / "left"
    result = command(["sh", "-c", f"sleep 1000 & echo $! > {left}; echo done"], timeout=15)
    assert result["stdout"] == "done"
    trio.run(until, lambda: not alive(int(left.read_text())))


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie, which somebody else must reap, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def until(condition: Any) -> None:
    with trio.fail_after(15):
        while not condition():
            await trio.sleep(0.01)


@pytest.mark.parametrize(
    "script",
    [
        "echo $$ > {file}; sleep 1000",
        "trap '' TERM INT HUP; echo $$ > {file}; sleep 1000; sleep 1000",
        "sleep 1000 & echo $! > {file}; wait",
    ],
)
def test_cancellation_kills_a_program_and_what_it_started(script: str, tmp_path: Path) -> None:
    file = tmp_path / "pid"

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            inputs = {"command": ["sh", "-c", script.format(file=file)], "timeout": 1000}
            nursery.start_soon(lambda: perform("command", inputs, **ON))
            await until(lambda: file.exists() and file.read_text().strip())
            pid = int(file.read_text())
            assert alive(pid)
            nursery.cancel_scope.cancel()
        await until(lambda: not alive(pid))

    trio.run(main)


# --- functions in processes -----------------------------------------------------------------------

MODULE = """
import datetime, os, sys, subprocess, time
from protogen_runtime.apflow.executors import ExecutorFailed, FieldFault, InvalidInputs, executor

def add(inputs):
    print("noise on standard output")
    return {"sum": inputs["a"] + inputs["b"], "pid": os.getpid()}

async def report(inputs, execution):
    execution.report_progress(0.25)
    execution.report_progress(0.5)
    return {"task": execution.task_id, "user": execution.user_id, "params": execution.params,
            "attempt": execution.attempt, "before": execution.dependency_results()}

def fail(inputs):
    raise ExecutorFailed("as expected")

def crash(inputs):
    raise RuntimeError("boom")

def reject(inputs):
    raise InvalidInputs(FieldFault(field="a", reason="Missing", path=("inputs", "a")))

def die(inputs):
    os._exit(7)

def large(inputs):
    return {"x": "x" * inputs["size"]}

def primitive(inputs):
    return 5

def odd(inputs):
    return {"when": datetime.date(2020, 1, 1)}

def hang(inputs):
    child = subprocess.Popen(["sleep", "1000"])
    with open(inputs["file"] + ".part", "w") as file:
        file.write(f"{os.getpid()} {child.pid}")
    os.rename(inputs["file"] + ".part", inputs["file"])
    child.wait()
    return {}

@executor("declared", process=True)
def declared(inputs):
    return {"pid": os.getpid()}
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    import importlib

    (tmp_path / "work_functions.py").write_text(MODULE, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("work_functions")
    del sys.modules["work_functions"]


def in_process(
    function: Any, inputs: dict[str, Any], about: Execution | None = None, **settings: Any
) -> dict[str, Any]:
    found = ExecutorRegistry(ExecutorSettings(**settings))
    registered = found.register("f", function, process=True)

    async def main() -> dict[str, Any]:
        with trio.fail_after(30):
            return await run(registered, inputs, about or execution(), settings=found.settings)

    return trio.run(main)


def test_a_function_runs_in_a_process_of_its_own(module: Any) -> None:
    result = in_process(module.add, {"a": 1, "b": 2})
    assert result["sum"] == 3
    assert result["pid"] != os.getpid()


def test_a_process_knows_its_execution_and_reports(module: Any) -> None:
    seen: list[float] = []
    about = execution(
        user_id="u", params={"p": 1}, attempt=2, report=seen.append, dependency_results=lambda: {"d": {"x": 1}}
    )
    result = in_process(module.report, {}, about)
    assert result == {"task": "a", "user": "u", "params": {"p": 1}, "attempt": 2, "before": {"d": {"x": 1}}}
    assert seen == [0.25, 0.5]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("fail", "as expected"),
        ("crash", "RuntimeError: boom"),
        ("reject", "invalid inputs: inputs.a: Missing"),
        ("die", "the process of the function: it ended with code 7 and no result"),
        ("primitive", "the executor returned an int; it must return an object (dict)"),
        ("odd", "result.when is a date, which JSON cannot hold"),
    ],
)
def test_failures_of_a_process_are_those_of_the_function(module: Any, name: str, text: str) -> None:
    with pytest.raises((ExecutorFailed, InvalidInputs)) as caught:
        in_process(getattr(module, name), {})
    assert failure_text(caught.value) == text


def test_results_of_a_process_are_bounded(module: Any) -> None:
    assert len(in_process(module.large, {"size": 9_000}, result_max_bytes=10_000)["x"]) == 9_000
    for size in (10_000, 5_000_000):
        with pytest.raises(ExecutorFailed, match="bytes"):
            in_process(module.large, {"size": size}, result_max_bytes=10_000)


def test_cancellation_kills_the_process_of_a_function(module: Any, tmp_path: Path) -> None:
    file = tmp_path / "pids"
    registered = ExecutorRegistry().register("hang", module.hang, process=True)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run, registered, {"file": str(file)}, execution())
            await until(file.exists)
            pids = [int(pid) for pid in file.read_text().split()]
            assert all(map(alive, pids))
            nursery.cancel_scope.cancel()
        await until(lambda: not any(map(alive, pids)))

    trio.run(main)


def test_processes_are_bounded(module: Any, tmp_path: Path) -> None:
    registered = ExecutorRegistry(ExecutorSettings(processes=1)).register("hang", module.hang, process=True)
    first, second = tmp_path / "first", tmp_path / "second"

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            scopes = []
            for file in (first, second):
                scope = trio.CancelScope()
                scopes.append(scope)

                async def one(file: Path = file, scope: trio.CancelScope = scope) -> None:
                    with scope:
                        await run(registered, {"file": str(file)}, execution())

                nursery.start_soon(one)
            await until(lambda: first.exists() or second.exists())
            running = int(second.exists())
            other = (first, second)[1 - running]
            assert not other.exists()
            scopes[running].cancel()
            await until(other.exists)
            nursery.cancel_scope.cancel()

    trio.run(main)


def test_declared_functions_may_ask_for_a_process(module: Any) -> None:
    registered = ExecutorRegistry().add_module(module)
    assert [it.id for it in registered] == ["declared"]
    result = trio.run(run, registered[0], {}, execution())
    assert result["pid"] != os.getpid()


def test_a_process_needs_a_function_that_can_be_imported() -> None:
    def local(inputs: dict[str, Any]) -> dict[str, Any]:
        return inputs

    for work in (local, lambda inputs: inputs):
        with pytest.raises(CannotRegister, match="cannot import it"):
            ExecutorRegistry().register("f", work, process=True)
    echo = registry().find("echo")
    assert echo is not None
    with pytest.raises(CannotRegister, match="only a function"):
        ExecutorRegistry().register("f", echo.executor, process=True)


def test_faults_are_data() -> None:
    assert InvalidInputs(FieldFault(field="a", reason="Missing")).faults[0].as_data() == {
        "field": "a",
        "reason": "Missing",
    }
