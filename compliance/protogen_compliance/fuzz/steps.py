"""Programs: short sequences of requests, as data, that can be kept, played again and made smaller.

A step says what is sent, and names what it takes from answers before it: identifiers differ from run to run.
"""

from __future__ import annotations

import base64
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from protogen_compliance.fuzz import checks, raw
from protogen_compliance.fuzz.checks import Away, Fault
from protogen_compliance.fuzz.description import Description, Json, at_pointer
from protogen_compliance.fuzz.endpoint import Answer, Endpoint
from protogen_compliance.peer.http import Exchange
from protogen_compliance.peer.rpc import MISSING
from protogen_compliance.peer.wire import TimedOut

UNKNOWN_MEMBER = "x_protogen_fuzz"
SILENT_ANSWERS = 3
"""Answers in a row that did not come in time, after which the target is asked whether it still is there."""
NO_METHOD = "rpc.protogen.nothing"


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of a program.

    `call` sends `params`, `bytes` sends `body` in their place, `notify` waits for no response, `raw` sends `body` as
    the whole request, and `act` is an action of the protocol's model with `params` as its arguments.
    """

    kind: Literal["call", "bytes", "notify", "raw", "act"] = "call"
    name: str = ""
    """By which later steps refer to the result."""
    method: str = ""
    params: Json = None
    bare: bool = False
    """Whether params are left out."""
    uses: dict[str, str] = {}
    """Members of params to take from results: `NAME#/pointer`."""
    body: str = ""
    """Bytes in base64."""
    headers: dict[str, str | None] = {}
    expect: str = ""
    other: bool = False
    """Whether the second identity sends it."""
    secret: bool = False
    """Whether what it asks for belongs to the first identity: no result may come."""
    like: str = ""
    """The step that this one differs from in an unknown member alone: where that was accepted, this has to be."""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """Steps that are played in their order. `origin` says where they come from, for people."""

    origin: str
    steps: list[Step]


class Found(Exception):
    """A fault that ends a program."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.text)
        self.fault = fault


class Model(Protocol):
    """What the fuzzer knows of a protocol beyond its document; see `models/`."""

    def draw(self, chance: random.Random) -> tuple[str, dict[str, Json]]:
        """The next action and its arguments."""
        ...

    def play(self, action: str, arguments: dict[str, Json]) -> None:
        """Does one action and judges what came of it; raises Found. An action that makes no sense now does nothing."""
        ...


class Session:
    """Plays programs against one target. Not for two threads at once."""

    def __init__(
        self,
        description: Description,
        ours: Endpoint,
        theirs: Endpoint | None,
        new_model: Callable[[Session], Model] | None,
    ) -> None:
        self.description = description
        self.ours = ours
        self.theirs = theirs
        self.requests = 0
        self.met: Counter[tuple[str, int]] = Counter()
        self.warnings: list[tuple[Fault, list[Exchange]]] = []
        self.memory: dict[str, Json] = {}
        """What a model found out about the target and need not ask again."""
        self._new_model = new_model
        self._silent = 0
        self._exchanges: list[Exchange] = []

    @property
    def exchanges(self) -> list[Exchange]:
        """What passed since the last program began."""
        return list(self._exchanges)

    def begin(self) -> None:
        """Starts afresh: no exchange, no names."""
        self.ours.forget()
        if self.theirs is not None:
            self.theirs.forget()
        self._exchanges = []

    def new_model(self) -> Model | None:
        """A model that knows nothing yet; None where the protocol has none."""
        return self._new_model(self) if self._new_model is not None else None

    def play(self, program: Program) -> Fault | None:
        """Plays all steps from the start; returns the first fault that a MUST forbids. Raises Away."""
        self.begin()
        model = self.new_model() if any(step.kind == "act" for step in program.steps) else None
        answers: dict[str, Answer] = {}
        try:
            for step in program.steps:
                if step.kind == "act":
                    if model is not None:
                        model.play(step.method, step.params)
                    continue
                answer = self._send(step, answers)
                if answer is not None and step.name:
                    answers[step.name] = answer
        except Found as found:
            return found.fault
        return None

    def call(self, method: str, params: Json = MISSING, *, other: bool = False, **members: Json) -> Answer:
        """One call; raises Found where the answer breaks what must hold of any."""
        endpoint = self.theirs if other and self.theirs is not None else self.ours
        return self._judged(endpoint.call(method, params, other=other, **members))

    def notify(self, method: str, params: Json) -> None:
        """One notification; raises Found where it is answered."""
        self._judged(self.ours.notify(method, params))

    def fault(self, fault: Fault) -> None:
        """Raises Found for what a MUST forbids, keeps the rest as a warning."""
        if fault.level == "must":
            raise Found(fault)
        self.warnings.append((fault, self.exchanges[-2:]))

    def note(self, answer: Answer) -> Answer:
        """Counts an answer; raises Away where the target stopped answering."""
        self.requests += 1
        self._exchanges.append(answer.exchange)
        if answer.sent.method:
            self.met[answer.sent.method, answer.status] += 1
        self._silent = self._silent + 1 if isinstance(answer.fault, TimedOut) else 0
        if self._silent >= SILENT_ANSWERS:
            self._silent = 0
            if isinstance(self.ours.call(NO_METHOD).fault, TimedOut):
                raise Away(f"{answer.fault}, {SILENT_ANSWERS} times in a row, nor for a method that nobody has")
        return answer

    def _judged(self, answer: Answer) -> Answer:
        self.note(answer)
        for fault in checks.judge(answer, self.description):
            self.fault(fault)
        return answer

    def _send(self, step: Step, answers: dict[str, Answer]) -> Answer | None:
        endpoint = self.theirs if step.other else self.ours
        if endpoint is None:
            return None
        match step.kind:
            case "raw":
                sent = base64.b64decode(step.body)
                answer = self.note(endpoint.raw(sent, step.headers or None))
                for fault in raw.judge(answer, sent, step.expect, self.description):
                    self.fault(fault)
                return answer
            case "bytes":
                answer = self.note(endpoint.call_with(step.method, base64.b64decode(step.body)))
                for fault in raw.judge(answer, answer.exchange.sent, "any", self.description):
                    self.fault(fault)
                return answer
            case "notify":
                return self._judged(endpoint.notify(step.method, step.params))
            case _:
                pass
        params = _resolved(step, answers)
        if params is _LOST:
            return None
        answer = self._judged(endpoint.call(step.method, MISSING if step.bare else params, other=step.other))
        if step.secret and answer.result is not MISSING and self._tells(answer, _secrets(step, answers)):
            text = f"the second identity got what belongs to the first: {answer.summary()}"
            self.fault(Fault(check="identity", method=step.method, text=text))
        before = answers.get(step.like)
        if before is not None and before.result is not MISSING and answer.code == checks.INVALID_PARAMS:
            text = f"an unknown member that the schema allows was refused: {answer.summary()}"
            self.fault(Fault(check="unknown-member", method=step.method, text=text))
        return answer

    def _tells(self, answer: Answer, secrets: list[Json]) -> bool:
        """Whether a result shows something secret, or says that it was changed; an empty list shows nothing."""
        text = json.dumps(answer.result)
        operation = self.description.operations.get(answer.sent.method)
        changes = operation is not None and not operation.idempotent
        return changes or any(json.dumps(secret) in text for secret in secrets)


_LOST: Json = object()


def _resolved(step: Step, answers: dict[str, Answer]) -> Json:
    """The params with what they take from answers; _LOST where an answer has it no longer."""
    if not step.uses or not isinstance(step.params, dict):
        return step.params
    params = dict(step.params)
    for member, source in step.uses.items():
        value = _taken(source, answers)
        if value is _LOST:
            return _LOST
        params[member] = value
    return params


def _taken(source: str, answers: dict[str, Answer]) -> Json:
    name, _, pointer = source.partition("#")
    if name not in answers:
        return _LOST
    try:
        return at_pointer(answers[name].result, pointer)
    except (LookupError, TypeError):
        return _LOST


def _secrets(step: Step, answers: dict[str, Answer]) -> list[Json]:
    return [value for source in step.uses.values() if isinstance(value := _taken(source, answers), str)]


def call(method: str, params: Json, **more: Json) -> Step:
    """A step that calls a method."""
    return Step(method=method, params=params, **more)


def raw_step(body: bytes, expect: str, headers: dict[str, str | None] | None = None) -> Step:
    """A step that sends any bytes."""
    return Step(kind="raw", body=base64.b64encode(body).decode(), expect=expect, headers=headers or {})
