"""`protogen call`: params as typed, answers, events and failures as shown, against a server of ours."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

PROTOGEN = [sys.executable, "-P", "-m", "protogen"]
ENDED_SECONDS = 60


def protogen(*words: str, stdin: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROTOGEN, *words], input=stdin, capture_output=True, text=True, check=False, timeout=ENDED_SECONDS, cwd=cwd
    )


@pytest.fixture(scope="module")
def url() -> Generator[str]:
    """A server of the echo protocol."""
    server = subprocess.Popen(
        [*PROTOGEN, "serve", "echo", "--port", "0", "--announce"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert server.stdout is not None
    try:
        yield f"http://127.0.0.1:{json.loads(server.stdout.readline())['port']}/"
    finally:
        server.terminate()
        server.wait(ENDED_SECONDS)
        server.stdout.close()


@pytest.mark.parametrize(
    ("words", "result"),
    [
        (["echo", "value=7"], {"value": 7}),
        (["echo", "value=seven"], {"value": "seven"}),
        (["echo", 'value="7"'], {"value": "7"}),
        (["echo", '{"value": {"a": [1]}}'], {"value": {"a": [1]}}),
        (["add", "a=1", "b=2.5"], {"sum": 3.5}),
        (["add", "[1, 2]"], {"sum": 3}),
    ],
)
def test_params_are_what_was_typed(url: str, words: list[str], result: object) -> None:
    found = protogen("call", url, *words, "--json")
    assert (found.returncode, found.stderr) == (0, "")
    assert json.loads(found.stdout) == {"result": result}


def test_params_can_be_read_from_files_and_standard_input(url: str, tmp_path: Path) -> None:
    (tmp_path / "value.json").write_text("[1, 2]")
    (tmp_path / "params.json").write_text('{"value": 3}')
    results = [
        protogen("call", url, "echo", word, "--json", stdin='{"value": 4}', cwd=tmp_path).stdout
        for word in ("value=@value.json", "@params.json", "-")
    ]
    assert [json.loads(it)["result"]["value"] for it in results] == [[1, 2], 3, 4]


def test_events_are_shown_as_they_come(url: str) -> None:
    found = protogen("call", url, "count", "to=2", "--json")
    assert [json.loads(line) for line in found.stdout.splitlines()] == [
        {"event": {"number": 1}},
        {"event": {"number": 2}},
        {"result": {"counted": 2}},
    ]


def test_a_result_is_laid_out_for_people(url: str) -> None:
    assert protogen("call", url, "add", "a=1", "b=2").stdout == '{\n  "sum": 3\n}\n'


def test_an_error_answer_is_told_and_exits_with_1(url: str) -> None:
    found = protogen("call", url, "fail", "code=-32000", "message=no", 'data={"a":1}')
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr.splitlines()[0] == "error -32000: no"
    told = protogen("call", url, "fail", "code=-32000", "message=no", "--json").stdout
    assert json.loads(told) == {"error": {"code": -32000, "message": "no"}}


def test_a_notification_waits_for_nothing(url: str) -> None:
    found = protogen("call", url, "notify", "message=x", "--notify")
    assert (found.returncode, found.stdout) == (0, "")


def test_an_unknown_method_is_told_the_nearest_name(url: str) -> None:
    found = protogen("call", url, "ecco", "value=1", "--protocol", "echo")
    assert found.returncode == 1
    assert found.stderr.splitlines()[:2] == [
        "note: echo has no method 'ecco'; did you mean \"echo\"?",
        "error -32601: Method not found",
    ]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["http://127.0.0.1:1/", "echo"], 3, "error: no answer from http://127.0.0.1:1/"),
        (["nowhere", "echo"], 2, "write http://nowhere/ or stdio:COMMAND"),
        (["http://127.0.0.1:1/", "echo", "value"], 2, "expected NAME=VALUE, got 'value'"),
        (["http://127.0.0.1:1/", "echo", "{"], 2, "expected JSON"),
        (["http://127.0.0.1:1/", "echo", "value=@none"], 2, "@none cannot be read"),
        (["http://127.0.0.1:1/", "echo", "--header", "x"], 2, "expected 'NAME: VALUE'"),
        (["http://127.0.0.1:1/", "echo", "--protocol", "ecco"], 2, "there is no protocol 'ecco'"),
        (["stdio:/does/not/exist", "echo"], 3, "/does/not/exist"),
    ],
)
def test_what_cannot_be_called_is_one_clear_error(words: list[str], code: int, said: str) -> None:
    found = protogen("call", *words)
    assert (found.returncode, found.stdout) == (code, "")
    assert said in found.stderr
    assert "Traceback" not in found.stderr


def test_a_server_that_takes_too_long_is_left(url: str) -> None:
    found = protogen("call", url, "sleep", "seconds=30", "--timeout", "0.2")
    assert found.returncode == 3
    assert "did not answer sleep within 0.2 s" in found.stderr
