"""Runs against a small server: each of its defects is found by the check it is meant for, and nothing else is said."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from notes_node import DEFECTS, NotesNode

from protogen_compliance.fuzz import findings
from protogen_compliance.fuzz.engine import Progress, Run, Settings, run
from protogen_compliance.fuzz.preflight import NoTarget

Fuzzed = Callable[..., Run]
TOKENS = {"a": "alice", "b": "bob"}
ALICE, BOB = {"authorization": "Bearer a"}, {"authorization": "Bearer b"}
NEED_TWO = ("everybody", "no-login")


@pytest.mark.parametrize("defect", DEFECTS)
def test_defect_is_found(fuzzed: Fuzzed, defect: str) -> None:
    tokens = TOKENS if defect in NEED_TWO else None
    more: dict[str, Any] = {"headers": ALICE, "other_headers": BOB} if tokens else {}
    if defect == "slow":
        more["timeout"] = 0.3
    with NotesNode(defect, tokens=tokens) as node:
        done = fuzzed(node.url, rounds=3, **more)
    assert {it.check for it in done.findings} == {DEFECTS[defect]}, done.findings


def test_sound_server_gives_no_finding(fuzzed: Fuzzed) -> None:
    with NotesNode() as node:
        done = fuzzed(node.url, rounds=2)
    assert done.findings == []
    assert done.clean
    assert done.rounds == 2
    assert done.documented_met >= done.documented - 2  # nothing that note.put and note.count are asked is not found
    assert done.requests >= 300


def test_sound_server_with_two_users_gives_no_finding(fuzzed: Fuzzed) -> None:
    with NotesNode(tokens=TOKENS) as node:
        done = fuzzed(node.url, rounds=1, headers=ALICE, other_headers=BOB)
    assert done.findings == []


def test_finding_has_the_smallest_program(fuzzed: Fuzzed) -> None:
    with NotesNode("own-code") as node:
        done = fuzzed(node.url, rounds=1)
    (it,) = [it for it in done.findings if it.check == "catalogue"]
    assert [step.method for step in it.program.steps] in (["note.get"], ["note.drop"])
    assert len(it.exchanges) == 1
    assert it.repeats
    assert json.loads(it.exchanges[0].sent.bytes())["id"] == 1


def test_leak_between_users_is_shown_by_two_requests(fuzzed: Fuzzed) -> None:
    with NotesNode("everybody", tokens=TOKENS) as node:
        done = fuzzed(node.url, rounds=3, headers=ALICE, other_headers=BOB)
    (it,) = [it for it in done.findings if it.check == "identity"]
    assert [step.other for step in it.program.steps] == [False, True]
    assert all("Bearer" not in str(exchanged) for exchanged in it.exchanges)


def test_one_cause_is_one_finding(fuzzed: Fuzzed) -> None:
    with NotesNode("version-1") as node:
        done = fuzzed(node.url)
    assert {it.check for it in done.findings} == {"envelope"}
    assert len(done.findings) == 1
    assert set(done.findings[0].methods) >= {"note.put", "note.get", "note.drop", "note.count"}


def test_run_ends_with_the_phase_that_found_something(fuzzed: Fuzzed) -> None:
    with NotesNode("bad-result") as node:
        short = fuzzed(node.url, rounds=1)
        long = fuzzed(node.url, rounds=1, go_on=True)
    assert (short.rounds, long.rounds) == (0, 1)


def test_same_seed_sends_the_same_bytes(fuzzed: Fuzzed) -> None:
    def heard(seed: int) -> list[bytes]:
        with NotesNode() as node:
            fuzzed(node.url, rounds=1, seed=seed)
            return list(node.heard)

    first = heard(1)
    assert heard(1) == first
    assert heard(2) != first


def test_several_workers_do_the_same_work(fuzzed: Fuzzed) -> None:
    with NotesNode() as node:
        one = fuzzed(node.url, rounds=1)
    with NotesNode() as node:
        four = fuzzed(node.url, rounds=1, workers=4)
    assert four.programs == one.programs
    assert four.findings == []


def test_time_ends_a_run(fuzzed: Fuzzed) -> None:
    with NotesNode() as node:
        done = fuzzed(node.url, rounds=None, seconds=1.5)
    assert 1.5 <= done.seconds < 10


def test_methods_can_be_left_out(fuzzed: Fuzzed) -> None:
    with NotesNode("http-500") as node:
        done = fuzzed(node.url, rounds=1, without=("note.drop",))
        assert not [body for body in node.heard if b'"method": "note.drop"' in body]
    assert done.findings == []


def test_progress_is_told(notes: Any) -> None:
    told: list[Progress] = []
    with NotesNode() as node:
        run(Settings(url=node.url, protocol="notes", rounds=1), notes, on_progress=told.append)
    assert [it.requests for it in told] == sorted(it.requests for it in told)
    assert {it.phase for it in told} == {"systematic", "round 1"}


# --- what is kept ---------------------------------------------------------------------------------


def test_what_was_found_is_played_first(fuzzed: Fuzzed, tmp_path: Path) -> None:
    with NotesNode("bad-result") as node:
        found = fuzzed(node.url, folder=tmp_path)
        assert len(found.findings) == 1
        again = fuzzed(node.url, folder=tmp_path)
    assert again.programs <= len(findings.read(tmp_path))
    assert [it.id for it in again.findings] == [it.id for it in found.findings]
    with NotesNode() as node:
        assert fuzzed(node.url, folder=tmp_path).findings == []


def test_one_program_is_kept_for_each_new_answer(fuzzed: Fuzzed, tmp_path: Path) -> None:
    with NotesNode() as node:
        done = fuzzed(node.url, rounds=1, folder=tmp_path)
    names = {it.name for it in findings.read(tmp_path)}
    assert {"met-note.put-200", "met-note.get-404"} <= names
    assert len(names) <= sum(len(it) for it in done.met.values())


def test_nothing_is_kept_of_credentials(fuzzed: Fuzzed, tmp_path: Path) -> None:
    with NotesNode("everybody", tokens=TOKENS) as node:
        fuzzed(node.url, rounds=2, folder=tmp_path, headers=ALICE, other_headers=BOB)
    text = "".join(file.read_text("utf-8") for file in tmp_path.iterdir())
    assert "Bearer a" not in text
    assert "Bearer b" not in text


# --- targets that are none ------------------------------------------------------------------------


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], str]]:
    """Makes a server that answers every connection with the same bytes; the address."""
    servers: list[socket.socket] = []

    def make(data: bytes) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65_536)
                    connection.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}"

    yield make
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def http(status: str, body: bytes, kind: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x00garbage\r\n\r\n", "expected an HTTP/1.1 status line"),
        (b"", "the connection ended without a whole answer"),
        (http("200 OK", b"<html>", "text/html"), "none of JSON-RPC: HTTP 200"),
        (http("404 Not Found", b""), "none of JSON-RPC: HTTP 404"),
        (http("401 Unauthorized", b""), "it wants to know who asks"),
        (http("200 OK", b'{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"x"}}'), "knows no method of notes"),
        (http("200 OK", b"[1]"), "none of JSON-RPC"),
    ],
)
def test_target_that_is_none_is_told_in_a_sentence(
    fuzzed: Fuzzed, answering: Callable[[bytes], str], data: bytes, said: str
) -> None:
    with pytest.raises(NoTarget, match=said) as refused:
        fuzzed(answering(data))
    assert "\n" not in str(refused.value)


def test_port_that_never_answers_is_no_target(fuzzed: Fuzzed) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(NoTarget, match=r"no answer within 0\.2 s"),
    ):
        fuzzed(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=0.2)


def test_closed_port_is_no_target(fuzzed: Fuzzed) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(NoTarget, match="no connection to"):
        fuzzed(f"http://127.0.0.1:{port}")


def test_target_that_dies_is_one_finding(notes: Any) -> None:
    with NotesNode() as node:

        def end(it: Progress) -> None:
            if it.requests >= 50:
                node.server.shutdown()
                node.server.server_close()
                node.close_all()

        settings = Settings(url=node.url, protocol="notes", rounds=5, timeout=1.0)
        done = run(settings, notes, on_progress=end)
    assert [it.check for it in done.findings] == ["alive"]
    assert "no connection" in done.ended
    assert not done.clean
