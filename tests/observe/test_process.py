"""All instruments around one service: what an operator's settings switch on, and numbers of several processes."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec import Raw
from observe_doubles import Link, Sink
from prometheus_client.parser import text_string_to_metric_families

from protogen_runtime.dispatch import Service
from protogen_runtime.echo import make_service
from protogen_runtime.jsonrpc import Call
from protogen_runtime.observe import Metrics, ObserveSettings, SharedNumbers, get_logger, observing

ECHO = Call(id=1, method="echo", params=Raw(b'{"value":1}'))


def value(body: bytes, name: str) -> float:
    return sum(
        sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
        if sample.name == name
    )


def test_observed_service_answers_as_before_and_is_counted(sink: Sink) -> None:
    service = make_service()
    with observing(ObserveSettings(calls="all"), service, sink=sink) as instruments:
        assert isinstance(instruments.service, Service)
        outcome = instruments.service.start(ECHO, Link({"x-request-id": "r1"}))
        assert outcome == service.start(ECHO, Link())
        assert value(instruments.pages["/metrics"]().body, "protogen_calls_total") == 1
        assert instruments.pages["/health"]().status == 200
        assert instruments.pages["/ready"]().status == 200
    assert [(line["event"], line["request_id"]) for line in sink.lines()] == [("call", "r1")]


def test_failures_that_callers_are_not_told_of_are_logged(sink: Sink) -> None:
    service = make_service()

    def broken(params: object, context: object) -> object:
        raise ZeroDivisionError("inside")

    service._methods["echo"].function = broken
    with observing(ObserveSettings(), service, sink=sink) as instruments:
        instruments.service.start(ECHO, Link({"x-request-id": "r1"}))
    failed, ended = sink.lines()
    assert (failed["event"], failed["exception"], failed["request_id"]) == (
        "the handler failed",
        "ZeroDivisionError: inside",
        "r1",
    )
    assert (ended["event"], ended["code"], ended["request_id"]) == ("call", -32603, "r1")


def test_settings_switch_things_off(sink: Sink) -> None:
    settings = ObserveSettings(calls="none", metrics=False, slow_seconds=0.0)
    with observing(settings, make_service(), sink=sink) as instruments:
        instruments.service.start(ECHO, Link())
        assert set(instruments.pages) == {"/health", "/ready"}
    assert sink.getvalue() == b""


def test_standard_logging_and_structlog_write_to_the_log_meanwhile(sink: Sink) -> None:
    before = list(logging.getLogger().handlers)
    with observing(ObserveSettings(), make_service(), sink=sink):
        logging.getLogger("lib").warning("one")
        get_logger(component="mine").info("two", n=1)
    assert logging.getLogger().handlers == before
    found = [(line["event"], line.get("logger"), line.get("component")) for line in sink.lines()]
    assert found == [("one", "lib", None), ("two", None, "mine")]


def test_log_file_is_added_to(tmp_path: Path) -> None:
    file = tmp_path / "server.log"
    for number in range(2):
        with observing(ObserveSettings(log_file=str(file)), make_service()) as instruments:
            instruments.log.tell("started", number=number)
    assert [json.loads(line)["number"] for line in file.read_text("utf-8").splitlines()] == [0, 1]


def test_log_file_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError),
        observing(ObserveSettings(log_file=str(tmp_path / "no" / "x.log")), make_service()),
    ):
        pass


def test_numbers_of_all_workers_are_summed_and_those_of_the_dead_kept(tmp_path: Path, sink: Sink) -> None:
    with subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.DEVNULL) as ended:
        ended.wait()
    other = Metrics()
    other.expect(["echo"])
    other.count_call("echo", Raw(b"1"), 0.1)
    other.in_flight = 2
    SharedNumbers(tmp_path, str(os.getppid())).publish(other.snapshot())
    SharedNumbers(tmp_path, str(ended.pid)).publish(other.snapshot())
    (tmp_path / "1.json").write_bytes(b"{half a fi")
    with observing(ObserveSettings(shared_folder=str(tmp_path)), make_service(), sink=sink) as instruments:
        instruments.service.start(ECHO, Link())
        instruments.publish(10.0)
        instruments.service.start(ECHO, Link())
        body = instruments.pages["/metrics"]().body
        assert value(body, "protogen_calls_total") == 4
        assert value(body, "protogen_calls_in_flight") == 2
        published = SharedNumbers(tmp_path, "another").others()
        instruments.publish(10.5)
        assert len(SharedNumbers(tmp_path, "another").others()) == len(published) == 3
        assert sum(it.calls["echo"].outcomes["ok"] for it in SharedNumbers(tmp_path, "another").others()) == 3
        instruments.publish(11.0)
        assert sum(it.calls["echo"].outcomes["ok"] for it in SharedNumbers(tmp_path, "another").others()) == 4


def test_starting_to_observe_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from protogen_runtime.observe import ObserveSettings, observing\n"
        "from protogen_runtime.echo import make_service\n"
        "with observing(ObserveSettings(), make_service()):\n"
        "    print({'structlog', 'prometheus_client', 'opentelemetry'} & set(sys.modules))\n"
    )
    found = subprocess.run(
        [sys.executable, "-P", "-c", program], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    assert found.stdout == "set()\n"
