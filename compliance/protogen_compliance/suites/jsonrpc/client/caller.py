"""A client under test: a command that makes one call and says on its standard output what came of it."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Sequence
from typing import NamedTuple

from protogen_compliance.peer.http import Exchange
from protogen_compliance.peer.rpc import MISSING, Json
from protogen_compliance.peer.server import Asked, Script, Server
from protogen_compliance.peer.stdio import Line
from protogen_compliance.plugin import Lost

METHOD = "echo"
PARAMS: Json = {"value": {"text": "ü", "list": [1, None]}}


class Outcome(NamedTuple):
    """What a client said: exactly one of `result` and `error`, or neither, where its call failed in another way."""

    result: Json
    error: Json
    code: int
    said: str
    seconds: float
    asked: list[Asked]

    @property
    def failed(self) -> bool:
        """Whether the call failed without an answer that counts."""
        return self.result is MISSING and self.error is MISSING

    def summary(self) -> str:
        """What the client said, in a few words."""
        if self.result is not MISSING:
            return f"the result {json.dumps(self.result)[:120]}"
        if self.error is not MISSING:
            return f"the error {json.dumps(self.error)[:120]}"
        return f"a failure (exit {self.code}, {self.said.strip().splitlines()[-1:]})"


class Caller:
    """Runs the client's command; the address, the method and the params are put in its place, or at its end."""

    def __init__(self, command: Sequence[str], *, patience: float) -> None:
        self._command = list(command)
        self._patience = patience
        self.log: list[Exchange | Line] = []

    def words(self, url: str) -> list[str]:
        """The command line for one call."""
        places = {"{url}": url, "{method}": METHOD, "{params}": json.dumps(PARAMS)}
        if any(place in word for word in self._command for place in places):
            made = []
            for word in self._command:
                for place, text in places.items():
                    word = word.replace(place, text)  # noqa: PLW2901 - each place in turn
                made.append(word)
            return made
        return [*self._command, *places.values()]

    def against(self, script: Script, *, patience: float | None = None) -> Outcome:
        """One call of the client to a server that answers by a script; raises Lost where the command is none."""
        seconds = patience or self._patience
        with Server(script) as server:
            start = time.monotonic()
            words = self.words(server.url)
            try:
                done = subprocess.run(
                    words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, check=False
                )
            except OSError as reason:
                raise Lost(f"{shlex.join(words)} cannot be started: {reason}") from None
            except subprocess.TimeoutExpired:
                raise AssertionError(f"the client neither succeeded nor failed within {seconds:g} s") from None
            took = time.monotonic() - start
            asked = list(server.asked)
        for it in asked:
            self.log.append(Line(it.body, done.stdout.encode(), took))
        result, error = said(done.stdout)
        return Outcome(result, error, done.returncode, done.stderr or done.stdout, took, asked)


def said(text: str) -> tuple[Json, Json]:
    """Result and error of the last line of JSON that a client printed; MISSING for what it did not."""
    for line in reversed(text.splitlines()):
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict) and ("result" in value or "error" in value):
            return value.get("result", MISSING), value.get("error", MISSING)
    return MISSING, MISSING
