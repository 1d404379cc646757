"""The log writes one JSON object per line, never blocks whoever logs, and counts what it loses."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from protogen_runtime.observe import Log, Record, configure
from protogen_runtime.observe.log import MAX_LINE_BYTES, StandardHandler, timestamp


class Blocked:
    """A sink that takes nothing until it is released."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.released = threading.Event()
        self.data = b""

    def write(self, data: bytes) -> None:
        self.entered.set()
        self.released.wait(10)
        self.data += data

    def flush(self) -> None:
        pass


class Full:
    """A sink on a disk without space, until it has some."""

    def __init__(self) -> None:
        self.is_full = True
        self.data = b""
        self.tried = threading.Event()

    def write(self, data: bytes) -> None:
        self.tried.set()
        if self.is_full:
            raise OSError(28, "No space left on device")
        self.data += data

    def flush(self) -> None:
        pass


def lines(data: bytes) -> list[dict[str, Any]]:
    assert data.endswith(b"\n")
    return [json.loads(line) for line in data.decode().split("\n")[:-1]]


@pytest.fixture
def restored() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    yield
    structlog.reset_defaults()
    root.setLevel(before[0])
    root.handlers[:] = before[1]


def test_one_line_a_record_with_its_members() -> None:
    sink = io.BytesIO()
    with Log(sink) as log:
        log.tell("started", port=8000, name="a\nb")
        log.tell("failed", "error", password="x")
        log.tell("detail", "debug")
    first, second = lines(sink.getvalue())
    assert first.pop("time").endswith("Z")
    assert first == {"level": "info", "event": "started", "port": 8000, "name": "a\\x0ab"}
    assert (second["level"], second["password"]) == ("error", "[redacted]")
    assert (log.counts.written, log.counts.dropped) == (2, 0)


def test_members_cannot_take_the_place_of_time_level_and_event() -> None:
    sink = io.BytesIO()
    with Log(sink) as log:
        log.tell("real", "warning", time="never", level="debug", event="forged")
    (line,) = lines(sink.getvalue())
    assert (line["level"], line["event"]) == ("warning", "real")
    assert line["time"] != "never"
    assert sink.getvalue().count(b'"event"') == 1


def test_exception_is_written_in_its_line() -> None:
    sink = io.BytesIO()
    with Log(sink) as log:
        try:
            raise KeyError("a\x1b")
        except KeyError as error:
            log.tell("the handler failed", "error", error=error)
    (line,) = lines(sink.getvalue())
    assert line["exception"] == "KeyError: 'a\\x1b'"
    assert any("test_exception_is_written_in_its_line" in text for text in line["traceback"])


def test_line_that_is_too_long_says_so() -> None:
    sink = io.BytesIO()
    with Log(sink) as log:
        log.tell("big", method="m", **{f"m{i}": "x" * 1024 for i in range(30)})
    (line,) = lines(sink.getvalue())
    assert line.pop("time")
    assert line.pop("too_long_bytes") > MAX_LINE_BYTES
    assert line == {"level": "info", "event": "big", "method": "m"}


def test_record_that_cannot_be_written_does_not_end_the_log() -> None:
    sink = io.BytesIO()
    with Log(sink) as log:
        log.put(Record("odd", "info", {"value": object()}, 0.0))
        log.tell("next")
    assert [(line["event"], line.get("fault")) for line in lines(sink.getvalue())] == [
        ("log record not writable", "TypeError"),
        ("next", None),
    ]


def test_full_queue_drops_and_counts_and_never_blocks() -> None:
    sink = Blocked()
    log = Log(sink, queue_records=10)
    log.start()
    log.tell("first")
    assert sink.entered.wait(10)
    for number in range(50):
        log.tell("more", number=number)
    assert log.counts.dropped == 40
    sink.released.set()
    assert log.close()
    found = lines(sink.data)
    assert [line.get("number") for line in found if line["event"] == "more"] == list(range(10))
    assert [line["records"] for line in found if line["event"] == "log records dropped"] == [40]
    assert (log.counts.written, log.counts.dropped) == (12, 40)


def test_close_writes_what_waits() -> None:
    sink = io.BytesIO()
    log = Log(sink)
    log.start()
    for number in range(5000):
        log.tell("x", number=number)
    assert log.close()
    assert [line["number"] for line in lines(sink.getvalue())] == list(range(5000))


def test_close_gives_up_on_a_stuck_sink_and_counts_the_loss() -> None:
    sink = Blocked()
    log = Log(sink)
    log.start()
    log.tell("first")
    assert sink.entered.wait(10)
    log.tell("second")
    assert log.close(timeout=0.01) is False
    assert log.counts.dropped == 1
    sink.released.set()


def test_sink_that_fails_loses_its_lines_and_takes_the_next() -> None:
    sink = Full()
    log = Log(sink)
    log.start()
    log.tell("lost")
    assert sink.tried.wait(10)
    while not log.counts.dropped:
        pass
    sink.is_full = False
    log.tell("kept")
    assert log.close()
    assert [line["event"] for line in lines(sink.data)] == ["kept"]
    assert (log.counts.written, log.counts.dropped) == (1, 1)


def test_records_of_many_threads_stay_whole() -> None:
    sink = io.BytesIO()
    with Log(sink, queue_records=100_000) as log:
        threads = [
            threading.Thread(target=lambda: [log.tell("x", text="é" * 100) for _ in range(500)]) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(lines(sink.getvalue())) == 4000


@pytest.mark.usefixtures("restored")
def test_handlers_log_through_structlog_with_what_is_known_of_their_call() -> None:
    sink = io.BytesIO()
    with Log(sink) as log:
        configure(log, context=lambda: {"request_id": "r1"})
        logger = structlog.get_logger()
        logger.info("paid\n", amount=3, api_key="k", order={"token": "t", "note": "a\x1b"})
        logger.debug("not written")
        try:
            raise ValueError("bad")
        except ValueError:
            logger.exception("broken")
    first, second = lines(sink.getvalue())
    assert {name: value for name, value in first.items() if name != "time"} == {
        "level": "info",
        "event": "paid\\x0a",
        "request_id": "r1",
        "amount": 3,
        "api_key": "[redacted]",
        "order": {"token": "[redacted]", "note": "a\\x1b"},
    }
    assert (second["level"], second["exception"]) == ("error", "ValueError: bad")


@pytest.mark.usefixtures("restored")
def test_libraries_that_use_standard_logging_land_in_the_same_log() -> None:
    sink = io.BytesIO()
    with Log(sink, level="warning") as log:
        configure(log)
        logging.getLogger("lib").warning("peer said %s", "\x1b[2J\nAuthorization: Bearer abcdef")
        logging.getLogger("lib").info("not written")
        StandardHandler(log).emit(logging.LogRecord("lib", logging.ERROR, "", 1, "%d %d", (1,), None))
        members = {"run_id": "r", "api_key": "secret", "level": "none", "logger": "none"}
        logging.getLogger("lib").error("with members", extra={"members": members})
    first, second, third = lines(sink.getvalue())
    assert third.pop("time")
    assert third == {
        "event": "with members",
        "level": "error",
        "logger": "lib",
        "run_id": "r",
        "api_key": "[redacted]",
    }
    assert first["event"] == "peer said \\x1b[2J\\x0aAuthorization: [redacted]"
    assert (first["logger"], second["event"]) == ("lib", "%d %d")


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0.0, "1970-01-01T00:00:00.000000Z"), (1_700_000_000.25, "2023-11-14T22:13:20.250000Z")],
)
def test_time_is_utc(seconds: float, written: str) -> None:
    assert timestamp(seconds) == written
