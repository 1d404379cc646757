"""The command line run inside this process, and SDKs of three functions written by hand."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from protogen.cli import main

ROOT = Path(__file__).resolve().parents[2]


class Result(NamedTuple):
    """What a command printed and how it left."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs `protogen` in the repository's root and returns exit code and output; other exceptions fail the test."""

    def invoke(*words: str) -> Result:
        capfd.readouterr()
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(sys, "argv", ["protogen", *words])
        with pytest.raises(SystemExit) as leaving:
            main()
        printed = capfd.readouterr()
        return Result(int(leaving.value.code or 0), printed.out, printed.err)

    return invoke
