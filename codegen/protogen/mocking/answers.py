"""Answers of a mock: an example where one fits, else what the types allow; the same request gives the same answer."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec

from protogen import ir

from .values import Values

Json = Any


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a request is answered with: events, then the result or the error (`code`, `message`, perhaps `data`)."""

    events: tuple[Json, ...] = ()
    result: Json = None
    error: dict[str, Json] | None = None


class Answers:
    """Answers the methods of a protocol. `seed` chooses among values; `errors` is the share of requests that fail."""

    def __init__(self, protocol: ir.Protocol, *, seed: int = 0, errors: float = 0.0) -> None:
        self.values = Values(protocol)
        self._protocol = protocol
        self._seed = seed
        self._share = errors
        self._errors = {code.name: code for code in protocol.errors}
        self._examples: dict[str, list[ir.Example]] = {}
        for example in protocol.examples:
            if example.method is not None and isinstance(example.response, dict) and isinstance(example.request, dict):
                self._examples.setdefault(example.method, []).append(example)

    def answer(self, method: ir.Method, params: Json) -> Answer:
        """The answer to a request whose params are valid (None for none)."""
        for example in self._examples.get(method.name, ()):
            if _same(_params(example), params):
                return _shown(example)
        chance = random.Random(f"{self._seed} {method.name} {_text(params)}")
        failing = [self._errors[name] for name in method.errors]
        if failing and chance.random() < self._share:
            return Answer(error=self._error(chance.choice(failing), chance))
        events = tuple(self._made(method.events, params, chance) for _ in range(chance.randint(1, 3)))
        shown = [
            example
            for example in self._examples.get(method.name, ())
            if example.valid and isinstance(example.response, dict) and "result" in example.response
        ]
        if shown:
            example = chance.choice(shown)
            assert isinstance(example.response, dict)
            result = self._repeated(method.result, example.response["result"], params)
            return Answer(events=example.events or (events if method.events is not None else ()), result=result)
        return Answer(
            events=events if method.events is not None else (), result=self._made(method.result, params, chance)
        )

    def _made(self, type_: ir.Type | None, params: Json, chance: random.Random) -> Json:
        if not isinstance(type_, ir.NamedType):
            return None
        return self._repeated(type_, self.values.value(type_.name, chance), params)

    def _repeated(self, type_: ir.Type | None, value: Json, params: Json) -> Json:
        """The value with what the request said in members of the same name, as far as it stays valid."""
        if not isinstance(value, dict) or not isinstance(params, dict) or not isinstance(type_, ir.NamedType):
            return value
        for name in value.keys() & params.keys():
            changed = {**value, name: params[name]}
            if self.values.accepts(type_.name, changed):
                value = changed
        return value

    def _error(self, code: ir.ErrorCode, chance: random.Random) -> dict[str, Json]:
        said: dict[str, Json] = {"code": code.code, "message": code.message}
        if isinstance(code.data, ir.NamedType):
            said["data"] = self.values.value(code.data.name, chance)
        return said


def _params(example: ir.Example) -> Json:
    return example.request.get("params") if isinstance(example.request, dict) else None


def _shown(example: ir.Example) -> Answer:
    response: dict[str, Json] = example.response if isinstance(example.response, dict) else {}
    if "error" in response:
        return Answer(events=example.events, error=response["error"])
    return Answer(events=example.events, result=response.get("result"))


def _same(one: Json, other: Json) -> bool:
    return _text(one) == _text(other)


def _text(value: Json) -> str:
    return json.dumps(value, sort_keys=True)
