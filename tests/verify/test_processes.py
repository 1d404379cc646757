"""Drivers that die, hang, stop or chatter: each costs its sample, not the run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from protogen import verify
from protogen.output import Options
from protogen.samples import Sample
from protogen.verifiers import PREPARE, Driver, Unbuildable
from protogen.verify import Tally

HEAD = """\
import json, os, sys, time
lines = open(sys.argv[-2]).read().splitlines()[int(sys.argv[-1]):]
for line in lines:
    text = json.loads(line)["text"]
"""
ECHO = '    print(json.dumps({"out": text}), flush=True)\n'
OPTIONS = Options(package="toy", distribution="toy")

Fake = Callable[[str], Callable[[int], Tally]]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """A driver that is a Python program, run over so many valid samples 0, 1, 2 …"""

    def make(program: str) -> Callable[[int], Tally]:
        def prepare(folder: Path, options: Options, scratch: Path, near: Iterable[Path]) -> Driver:
            return Driver(command=(sys.executable, "-c", program), environment=dict(os.environ))

        monkeypatch.setitem(PREPARE, "toy", prepare)
        return lambda count: verify.run(
            "toy", [], OPTIONS, [Sample(type="N", text=str(number), valid=True) for number in range(count)]
        )

    return make


def test_every_sample_is_answered_in_order(fake: Fake) -> None:
    steps: list[int] = []
    fake(HEAD + ECHO)
    samples = [Sample(type="N", text=str(number), valid=True) for number in range(1200)]
    tally = verify.run("toy", [], OPTIONS, samples, progress=steps.append)
    assert (tally.samples, tally.accepted, tally.findings, tally.clean) == (1200, 1200, (), True)
    assert steps == [500, 1000]


def test_a_process_that_dies_costs_one_sample(fake: Fake) -> None:
    tally = fake(HEAD + '    if text in ("2", "5"): print("boom", file=sys.stderr); sys.exit(9)\n' + ECHO)(8)
    assert (tally.samples, tally.accepted, tally.failure) == (8, 6, "")
    assert [(finding.kind, finding.text) for finding in tally.findings] == [("crash", "2"), ("crash", "5")]
    assert tally.findings[0].detail == "ended with exit code 9 before its answer: boom"


def test_a_process_that_stops_early_without_a_word_is_no_success(fake: Fake) -> None:
    tally = fake(HEAD + '    if text == "3": sys.exit(0)\n' + ECHO)(5)
    assert [(finding.kind, finding.text) for finding in tally.findings] == [("crash", "3")]
    assert tally.findings[0].detail == "ended with exit code 0 before its answer: nothing on stderr"


def test_a_process_that_hangs_is_ended(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "_SILENCE_SECONDS", 0.5)
    tally = fake(HEAD + '    if text == "1": time.sleep(60)\n' + ECHO)(3)
    assert (tally.samples, tally.accepted) == (3, 2)
    assert [(finding.text, finding.detail) for finding in tally.findings] == [("1", "no answer in 0 s")]


def test_a_process_that_does_not_leave_is_ended(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "_LEAVE_SECONDS", 0.2)
    tally = fake(HEAD + ECHO + "time.sleep(60)\n")(3)
    assert (tally.samples, tally.accepted, tally.clean) == (3, 3, True)


def test_a_process_that_prints_is_named(fake: Fake) -> None:
    tally = fake(HEAD + '    if text == "1": print("debug", flush=True)\n' + ECHO)(3)
    assert [(finding.text, finding.detail) for finding in tally.findings] == [
        ("1", "wrote to standard output: b'debug\\n'")
    ]


def test_a_driver_that_never_starts_is_given_up(fake: Fake) -> None:
    tally = fake("import no_such_module")(500)
    assert tally.samples == 3
    assert tally.failure.startswith("the process died 3 times, last: ended with exit code 1")
    assert "no_such_module" in tally.failure
    assert not tally.clean


def test_a_driver_that_dies_all_the_time_is_given_up(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "_MOST_DEATHS", 4)
    tally = fake(HEAD + "    if int(text) % 2: sys.exit(1)\n" + ECHO)(500)
    assert (tally.samples, tally.accepted) == (8, 4)
    assert tally.failure.startswith("the process died 4 times")


def test_code_that_does_not_compile_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare(folder: Path, options: Options, scratch: Path, near: Iterable[Path]) -> Driver:
        raise Unbuildable("main.go:1: no")

    monkeypatch.setitem(PREPARE, "toy", prepare)
    tally = verify.run("toy", [], OPTIONS, [Sample(type="N", text="1", valid=True)])
    assert tally == Tally(target="toy", failure="the generated code does not compile:\nmain.go:1: no")
    assert not tally.clean
