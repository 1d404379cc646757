"""The command: what it prints, how it exits, what it leaves for `protogen replay`."""

from __future__ import annotations

import json
import shlex
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner
from notes_node import NotesNode

from protogen.cli import cli

NOTES = Path(__file__).resolve().parent / "notes" / "protocol.json"
NODE = Path(__file__).resolve().parent / "notes_node.py"


class Done(NamedTuple):
    """A finished command."""

    code: int
    out: str
    err: str


Command = Callable[..., Done]


@pytest.fixture
def protogen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs the command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROTOGEN_CACHE_DIR", str(tmp_path / "cache"))

    def run(*words: str) -> Done:
        done = CliRunner().invoke(cli, list(words))
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Done(done.exit_code, done.stdout, done.stderr)

    return run


def fuzz(protogen: Command, url: str, *words: str) -> Done:
    return protogen("fuzz", url, "--schema", str(NOTES), "--rounds", "0", *words)


def test_sound_server_exits_with_0(protogen: Command, tmp_path: Path) -> None:
    with NotesNode() as node:
        done = fuzz(protogen, node.url, "--json", "run.json")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("0 findings: ")
    assert len(done.out.splitlines()) == 1
    run = json.loads((tmp_path / "run.json").read_bytes())
    assert (run["protocol"], run["role"], run["findings"]) == ("notes", "server", [])
    assert run["met"]["note.put"]["200"] > 5
    assert list((tmp_path / ".protogen" / "fuzz" / "notes").glob("met-*.json"))


def test_finding_is_shown_and_can_be_sent_again(protogen: Command) -> None:
    with NotesNode("bad-result") as node:
        done = fuzz(protogen, node.url, "--no-corpus")
        assert done.code == 1
        assert "FAIL result note.put, note.get\n    the result is not what the schema says: /stars:" in done.out
        assert '\n    > {"jsonrpc": "2.0", "id": 1, "method": "note.put"' in done.out
        assert "\n    curl -sS -X POST " in done.out
        (line,) = [line for line in done.out.splitlines() if line.startswith("    protogen replay ")]
        again = protogen(*line.split()[1:], node.url)
    assert again.code in (0, 1)  # the node makes a new identifier, so the answer differs in it
    assert '"stars": "many"' in again.out


def test_warnings_do_not_fail_a_run(protogen: Command) -> None:
    with NotesNode("no-data") as node:
        done = protogen("fuzz", node.url, "--schema", str(NOTES), "--rounds", "1", "--no-corpus")
    assert done.code == 0
    assert "WARN error-data -32001" in done.out
    assert "0 findings, 1 warning: " in done.out


def test_quiet_prints_one_line(protogen: Command) -> None:
    with NotesNode("bad-result") as node:
        done = fuzz(protogen, node.url, "--no-corpus", "--quiet")
    assert done.code == 1
    assert done.out.startswith("1 finding: ")
    assert len(done.out.splitlines()) == 1


def test_command_that_prints_its_port_is_a_target(protogen: Command, tmp_path: Path) -> None:
    script = tmp_path / "serve.py"
    script.write_text(
        f"import sys, threading\nsys.path.insert(0, {str(NODE.parent)!r})\nfrom notes_node import NotesNode\n"
        "with NotesNode() as node:\n    print(f'{{\"port\": {node.server.server_address[1]}}}', flush=True)\n"
        "    threading.Event().wait()\n",
        encoding="utf-8",
    )
    assert fuzz(protogen, shlex.join([sys.executable, str(script)])).code == 0


def test_dead_address_is_one_line(protogen: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    done = fuzz(protogen, url)
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith(f"nothing to fuzz at {url}: no connection to ")
    assert len(done.err.splitlines()) == 1


def test_command_that_does_nothing_is_one_line(protogen: Command) -> None:
    done = fuzz(protogen, "true")
    assert (done.code, done.out) == (3, "")
    assert done.err == 'nothing to fuzz at true: true ended with 0 before it printed {"port": N}\n'


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["http://h"], "name the protocol with --protocol or give --schema FILE. There are: "),
        (["http://h", "--protocol", "echo", "--schema", "x.json"], "name the protocol with --protocol or give"),
        (["ftp://h", "--protocol", "echo"], "expected an address such as http://127.0.0.1:8000"),
        (["stdio:true", "--protocol", "echo"], "protogen fuzz speaks HTTP"),
        (["http://h", "--protocol", "echo", "--role", "x"], "echo has no role 'x'; it has client, server."),
        (["http://h", "--protocol", "echo", "--without", "x"], "echo has no method 'x'; it has echo, add, "),
        (["http://h", "--protocol", "echo", "--max-time", "0"], "0 is not in the range x>0"),
        (["http://h", "--protocol", "echo", "--executor", "x"], "expected NAME=VALUE for --executor"),
    ],
)
def test_wrong_usage_is_told(protogen: Command, words: list[str], said: str) -> None:
    done = protogen("fuzz", *words)
    assert done.code == 2
    assert said in done.err


def test_folder_that_cannot_be_written_is_told(protogen: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with NotesNode() as node:
        done = fuzz(protogen, node.url, "--corpus", "file/below")
    assert done.code == 2
    assert "cannot be kept in file" in done.err
