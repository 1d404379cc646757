"""A server at the other end of pipes: what it may do wrong, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

HERE = Path(__file__).parent


def talk(folder: Path, *lines: bytes) -> list[Any]:
    """What the toy server answers to these lines, by id, once its input has ended."""
    command = [sys.executable, "-P", str(HERE / "toy_server.py"), str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"".join(lines))
        process.stdin.flush()
        answers = []
        for line in process.stdout:
            assert line.endswith(b"\n")
            answers.append(json.loads(line))
            if any(isinstance(answer, dict) and answer.get("id") == "last" for answer in answers):
                break
        process.stdin.close()
        assert process.wait(10) == 0
    return answers


LAST = b'{"jsonrpc":"2.0","id":"last","method":"echo","params":{"value":"end"}}\n'


def test_every_line_gets_its_answer_on_a_line(toy_folder: Path) -> None:
    answers = talk(
        toy_folder,
        b"{\n",
        b"\n \r\n",
        b'{"jsonrpc":"2.0","id":1,"method":"echo","params":{"value":"print"}}\r\n',
        b'[{"jsonrpc":"2.0","id":2,"method":"class"},{"jsonrpc":"2.0","method":"log","params":{"value":1}}]\n',
        b'{"jsonrpc":"2.0","id":9,"result":1}\n',
        b'{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":77}}\n',
        b'{"jsonrpc":"2.0","method":"$/cancelRequest","params":[]}\n',
        LAST,
    )
    assert {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "Parse error"}} in answers
    assert {"jsonrpc": "2.0", "id": 1, "result": {"value": "print"}} in answers
    assert [{"jsonrpc": "2.0", "id": 2, "result": {"method": "class"}}] in answers
    assert len(answers) == 4


def test_too_long_line_is_refused_and_the_next_one_served(toy_folder: Path) -> None:
    answers = talk(toy_folder, b" " * (16 * 1024 * 1024 + 1), b"\n", LAST)
    assert [answer.get("error", {}).get("code") for answer in answers] == [-32600, None]


def test_cancelled_call_is_not_answered(toy_folder: Path) -> None:
    answers = talk(
        toy_folder,
        b'{"jsonrpc":"2.0","id":5,"method":"wait"}\n',
        b'{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":5}}\n',
        LAST,
    )
    assert [answer["id"] for answer in answers] == ["last"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_what_was_asked_before_the_end_of_the_input_is_answered(
    toy_folder: Path, tmp_path: Path, backend: str, kind: str
) -> None:
    source = tmp_path / "in"
    source.write_bytes(b'{"jsonrpc":"2.0","id":1,"method":"class"}\n' + LAST.rstrip())
    command = [sys.executable, "-P", str(HERE / "toy_server.py"), str(toy_folder), backend]
    with source.open("rb") as file, (tmp_path / "out").open("wb") as out:
        if kind == "file":
            subprocess.run(command, stdin=file, stdout=out, check=True, timeout=20)
        else:
            out.write(subprocess.run(command, input=file.read(), capture_output=True, check=True, timeout=20).stdout)
    answers = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert sorted(str(answer["id"]) for answer in answers) == ["1", "last"]


def test_call_that_goes_on_after_the_end_of_the_input_is_cancelled(toy_folder: Path) -> None:
    answers = talk(toy_folder, b'{"jsonrpc":"2.0","id":5,"method":"wait"}\n', LAST)
    assert [answer["id"] for answer in answers] == ["last"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_interrupted_server_ends(toy_folder: Path, backend: str) -> None:
    command = [sys.executable, "-P", str(HERE / "toy_server.py"), str(toy_folder), backend]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(LAST)
        process.stdin.flush()
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) != 0


SERVERS = {
    "ends at once": "pass",
    "ends during the call": "input()",
    "writes rubbish and ends": "input(); print('rubbish'); print('{}')",
    "answers another call": 'input(); print(\'{"jsonrpc":"2.0","id":99,"result":1}\')',
    "answers both ways": 'input(); print(\'{"jsonrpc":"2.0","id":1,"result":1,"error":{}}\', flush=True); input()',
}


@pytest.mark.anyio
@pytest.mark.parametrize("code", SERVERS.values(), ids=SERVERS)
async def test_server_that_does_not_answer_is_a_transport_error(toy: Any, code: str) -> None:
    with anyio.fail_after(20):
        async with toy.ServerClient.stdio([sys.executable, "-c", code]) as client:
            with pytest.raises(toy.TransportError):
                await client.ask(toy.EchoParams(value=1))
            with pytest.raises(toy.TransportError):
                await client.ask(toy.EchoParams(value=1))


@pytest.mark.anyio
async def test_program_that_is_not_there_is_a_transport_error(toy: Any) -> None:
    with pytest.raises(toy.TransportError, match="no-such-program cannot be started"):
        async with toy.ServerClient.stdio(["no-such-program"]):
            pass


@pytest.mark.anyio
async def test_server_that_ignores_the_end_of_its_input_is_ended(toy: Any) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_DFL)\nwhile True: signal.pause()"
    with anyio.fail_after(10):
        async with toy.ServerClient.stdio([sys.executable, "-c", code]):
            pass
