"""stdio: lines, and what a line that cannot be read does."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from protogen_compliance.peer.link import Seen, StdioLink
from protogen_compliance.peer.rpc import MISSING, Json, parse_json
from protogen_compliance.plugin import Record, Unmet
from protogen_compliance.registry import clause, last, needs, profile
from protogen_compliance.suites.stepflow.worker.conftest import Watched
from protogen_compliance.suites.stepflow.worker.link import Runtime

STDIO = profile("stdio")


@pytest.fixture
def over_stdio(worker: Watched) -> StdioLink:
    """The link, where it is one over stdio."""
    assert isinstance(worker.link, StdioLink), "the profile stdio needs stdio:COMMAND"
    return worker.link


@STDIO
@last
@clause("SF-STDIO-001", "SF-STDIO-003")
def test_every_line_is_a_message(seen: Seen, over_stdio: StdioLink) -> None:
    assert over_stdio.peer.heard, "the worker wrote no line"
    for line in over_stdio.peer.heard:
        try:
            value = parse_json(line.data)
        except ValueError:
            pytest.fail(f"a line of standard output is no message: {line.data[:120]!r}")
        # An array is a message of a kind that SF-MSG-022 judges.
        assert isinstance(value, dict | list), f"a line of standard output is no message: {line.data[:120]!r}"


@STDIO
@last
@clause("SF-STDIO-003")
def test_component_that_prints(worker: Watched) -> None:
    if "prints" not in worker.components:
        pytest.skip("no component that prints was named; --executor prints=/NAME names one")
    worker.good("prints", "a line on standard output")


@STDIO
@clause("SF-STDIO-004")
def test_answers_in_reverse_order(worker: Watched, over_stdio: StdioLink, runtime: Runtime) -> None:
    both = threading.Event()
    came: list[Json] = []

    def respond(request: Json) -> Json:
        came.append(request)
        if len(came) == 2:
            both.set()
        first = came[0] is request
        both.wait(5)
        if first:
            threading.Event().wait(0.1)  # the second one's answer goes out before
        return runtime(request)

    worker.params("put", 0)
    before, over_stdio.responder = over_stdio.responder, respond
    try:
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda number: worker.execute("put", {"n": number}), range(2)))
    finally:
        over_stdio.responder = before
    ids = [json.dumps(answer.output if answer.output is not MISSING else None) for answer in answers]
    for number, told in enumerate(ids):
        wanted = runtime({"id": 1, "method": "blobs/put", "params": {"data": {"n": number}, "blob_type": "data"}})
        assert wanted["result"]["blob_id"] in told, f"execution {number} gave {answers[number].summary()}"


@STDIO
@clause("SF-STDIO-005")
@needs("SF-EXEC-015")
def test_fast_one_overtakes_the_slow_one(worker: Watched, over_stdio: StdioLink) -> None:
    slow = worker.message("components/execute", worker.params("slow", {"seconds": 1.0}))
    fast = worker.message("components/execute", worker.params("echo", 1))
    thread = threading.Thread(target=worker.send, args=(slow,), daemon=True)
    thread.start()
    threading.Event().wait(0.1)  # until the slow one has been sent
    answer = worker.send(fast)
    thread.join(10)
    assert answer.output == 1, f"beside a slow execution a fast one gave {answer.summary()}"
    ids = [_id_of(line.data) for line in over_stdio.peer.heard]
    order = [it for it in ids if it in (slow["id"], fast["id"])]
    assert order[0] == fast["id"], "the fast execution was answered after the slow one"


def _id_of(line: bytes) -> Json:
    """The id of a line; None where it has none."""
    try:
        value = parse_json(line)
    except ValueError:
        return None
    return value.get("id") if isinstance(value, dict) else None


@STDIO
@clause("SF-STDIO-006")
@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{bad", -32700),
        (b'{"jsonrpc":"2.0","id":"unknown","method":"components/nope","params":{}}', -32601),
        (b'{"jsonrpc":"2.0","id":"params","method":"components/info","params":{}}', -32602),
    ],
    ids=["text", "method", "params"],
)
def test_what_cannot_be_served_is_answered(worker: Watched, line: bytes, code: int) -> None:
    answer = worker.send(line, patience=2.0)
    assert answer.code == code, f"{line.decode()}: expected {code}, got {answer.summary()}"


@STDIO
@clause("SF-STDIO-007")
def test_rubbish_does_not_end_the_service(worker: Watched) -> None:
    for line in (b"rubbish", b"\xff\xfe", b"[]", b"{}", b"null"):
        worker.send(line, patience=0.3)
        answer = worker.call("components/list", {})
        if answer.fault is not None:
            raise Unmet((), f"after the line {line!r} components/list gave {answer.summary()}")
        assert answer.result is not MISSING, f"after the line {line!r} components/list gave {answer.summary()}"


@STDIO
@clause("SF-STDIO-008")
def test_long_lines(worker: Watched, record: Record) -> None:
    text = "x" * 512_000
    answer = worker.execute("echo", text)
    assert answer.output == text, f"an echo of 500 KiB gave {answer.summary()[:200]}"
    longer = worker.execute("echo", "x" * 5_000_000)
    record.note(f"an echo of 5 MB: {'taken' if longer.output is not MISSING else longer.summary()[:100]}")
    assert worker.call("components/list", {}).result is not MISSING, "after a line of 5 MB nothing is answered"
