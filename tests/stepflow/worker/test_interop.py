"""Interop: the published runtime executes flows with our components, found by URL and started as a program."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from interop_env import RUNTIMES, announced
from published_runtime import ask, failure_in, output_in, serving

pytestmark = pytest.mark.interop

HERE = Path(__file__).resolve().parent
WORKER = ["-P", "-m", "protogen", "worker", "worker_components:app", "--port", "0", "--announce"]
VALUE = {"b": [1, None, 2**63, 1.5, "é😀\u2028" * 3000], "a": {}}


@contextmanager
def worker(root: Path, folder: Path, dialect: str, way: str) -> Generator[int]:
    if way == "program":
        program = {"command": sys.executable, "args": WORKER}
        with serving(root, folder, dialect, program, directory=HERE) as port:
            yield port
        return
    with (
        announced([sys.executable, *WORKER], cwd=HERE) as ours,
        serving(root, folder, dialect, {"url": f"http://127.0.0.1:{ours}"}) as port,
    ):
        yield port


FAILURES = {"0.9": (-32006, -32004), "0.11": (-32100, -32100)}
"""The codes of an execution that was too late, and of one that raised."""


def check_failures(port: int, dialect: str) -> None:
    late, raised = FAILURES[dialect]
    code, message = failure_in(port, "/late")
    assert (code, message.startswith("/late did not end")) == (late, True)
    code, message = failure_in(port, "/raise", "object")
    assert (code, "no JSON" in message) == (-32603, True)
    code, message = failure_in(port, "/raise", "group")
    assert (code, message) == ({"0.9": -32005, "0.11": -32102}[dialect], "second")
    assert failure_in(port, "/raise", "value")[0] == raised
    assert failure_in(port, "/none")[0] == -32001


@pytest.mark.parametrize("dialect", RUNTIMES)
@pytest.mark.parametrize("way", ["url", "program"])
def test_the_published_runtime_runs_our_components(root: Path, tmp_path: Path, way: str, dialect: str) -> None:
    with worker(root, tmp_path, dialect, way) as port:
        listed = [info["component"] for info in ask(port, "/components")["components"]]
        assert {"/add", "/echo", "/convert/json"} <= set(listed)
        assert output_in(port, "/echo", VALUE) == VALUE
        assert output_in(port, "/add", {"a": 2}) == {"sum": 3}
        assert output_in(port, "/model", {"name": "ab"}) == {"name": "abab"}
        assert output_in(port, "/convert/a/b") == "rest a/b"
        component, attempt, run_id, flow_id, step_id, trace_id = output_in(port, "/ids")
        assert (component, attempt, step_id) == ("/ids", 1, "s")
        assert (len(run_id), len(flow_id), len(trace_id)) == (36, 64, 32)
        # Callbacks, or requests for blobs, from a thread and from 50 tasks at once, with text that chunks may cut; and
        # sub-runs of a flow of our own.
        in_main, name, back = output_in(port, "/thread", VALUE)
        assert (in_main, len(name), back) == (False, 64, VALUE)
        assert len(set(output_in(port, "/blobs", list(range(50))))) == 50
        assert output_in(port, "/evaluate", VALUE) == VALUE
        assert output_in(port, "/sub-runs", [1, "é"]) == [["completed", 1], ["completed", "é"], "completed"]
        assert failure_in(port, "/add", {"a": "x"}) == (
            -32003,
            "/add: its input does not fit: $.a: Expected `int`, got `str`",
        )
        if way == "url":
            # 0.9 starts a program anew, twice, for each of them.
            check_failures(port, dialect)
        assert output_in(port, "/echo", 1) == 1
