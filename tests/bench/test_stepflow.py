"""The benchmark of runtimes and workers measures what it says: whole exchanges, and runs that are kept."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

from stepflow import durable, load, servers, suite

TOLD = "took 2000000 answers 300 wrong {} p50 1500 p99 9000 \n"
RUNS = 20


def test_runs_are_answered_and_those_are_kept(tmp_path: Path) -> None:
    with servers.our_worker(tmp_path) as worker, servers.our_runtime(tmp_path, worker, durable=True) as runtime:
        flows = {name: suite.store_flow(runtime, name) for name in suite.STEPS}
        for flow_id in flows.values():
            for _ in range(RUNS):
                answer = runtime.ask("/runs", {"flowId": flow_id, "input": [suite.INPUT]})
                assert suite.GOOD in json.dumps(answer, separators=(",", ":"))
        with pytest.raises(load.CannotMeasure, match="answered 404"):
            runtime.ask("/runs", {"flowId": "0" * 64, "input": [1]})
        assert runtime.database is not None
        assert durable.kept_after_kill(runtime.pid, runtime.database) == RUNS * len(flows)


def test_a_component_is_called_back_until_it_answers(tmp_path: Path) -> None:
    with servers.our_worker(tmp_path) as worker:
        turn = suite.turn(worker, suite.BLOBS, None, connections=3, seconds=1)
        assert turn.answers > 3
        assert 0 < turn.p50 <= turn.p99 < 1000
        assert 0 < turn.client < 1.5
        with pytest.raises(load.CannotMeasure, match="-32001"):
            load.by_calling_back(
                worker.port,
                lambda name: json.dumps(suite.call(name, "/nothing")).encode(),
                connections=1,
                seconds=1,
            )


def test_a_worker_that_hangs_up_is_no_measurement() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            for _ in range(2):
                listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises((load.CannotMeasure, ConnectionError)):
            load.by_calling_back(listener.getsockname()[1], str.encode, connections=1, seconds=1)
        thread.join()


def test_syncs_are_counted_before_the_answers_that_they_are_for() -> None:
    trace = [
        '7 write(12, "abc"..., 24) = 24',
        "7 fdatasync(12)                     = 0",
        '5 sendto(23, "HTTP/1.1 200 OK\\r"..., 326, 0, NULL, 0) = 326',
        "7 fsync(12 <unfinished ...>",
        '5 sendto(23, "HTTP/1.1 200 OK\\r"..., 326, 0, NULL, 0) = 326',
        "7 <... fsync resumed>)              = 0",
        '5 writev(23, [{iov_base="HTTP/1.1 200 OK\\r"..., iov_len=326}], 1) = 326',
    ]
    assert durable.seen_in(trace) == durable.Seen(answers=3, unsynced=1, syncs=2)


def test_a_process_that_cannot_be_traced_is_not_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert durable.watch(os.getpid(), tmp_path, lambda: None) is None


def test_answers_are_counted_and_wrong_ones_refused() -> None:
    turn = load.turn_of(TOLD.format(0), 0.1, may_fail=False)
    assert (turn.answers, turn.rate, turn.p50, turn.p99, turn.wrong) == (300, 150, 1.5, 9, 0)
    assert load.turn_of(TOLD.format(7), 0.1, may_fail=True).wrong == 7
    for told, may_fail in (
        (TOLD.format(2), False),
        ("Socket errors: connect 0, read 3, write 0, timeout 0\n" + TOLD.format(0), True),
        ("took 2000000 answers 0 wrong 0 p50 0 p99 0 \n", True),
        ("unable to connect\n", True),
    ):
        with pytest.raises(load.CannotMeasure):
            load.turn_of(told, 0.1, may_fail=may_fail)
