"""A flow from the JSON value of its document.

Knows nothing of text: `reading` turns YAML and JSON into values, and finds the lines of what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from msgspec import UNSET

from . import expressions
from .expressions import Expression
from .faults import Fault, Pointer
from .model import (
    Example,
    Failed,
    Flow,
    FlowError,
    FlowResult,
    OnError,
    OnErrorDefault,
    OnErrorFail,
    OnErrorRetry,
    Schemas,
    Step,
    Success,
    TestCase,
    TestConfig,
)
from .values import Json, is_array, is_object, kind_of

T = TypeVar("T")

MAX_RETRIES: Final = 2**32 - 1
"""`maxRetries` is a u32 in the original."""


def read_flow(value: Json) -> tuple[Flow, list[Fault]]:
    """The flow that a JSON value describes, and all that keeps it from being one (spec section 9).

    A flow with faults is not to be used. Unknown fields are ignored, and null is the same as leaving a field out.
    """
    faults: list[Fault] = []
    deep = too_deep(value)
    if deep is not None:
        return Flow(), [Fault(deep, f"nested deeper than {expressions.MAX_DEPTH} levels", "flatten it")]
    if not is_object(value):
        return Flow(), [Fault((), f"expected a flow as an object, got {kind_of(value)}", "write steps and an output")]
    fields = _Fields(value, (), faults)
    flow = Flow(
        name=fields.text("name"),
        description=fields.text("description"),
        version=fields.text("version"),
        schemas=_schemas(fields),
        steps=tuple(fields.each("steps", read_step)),
        output=fields.expression("output"),
        test=fields.part("test", _test),
        examples=None if value.get("examples") is None else tuple(fields.each("examples", _example)),
        metadata=fields.object("metadata"),
    )
    return flow, faults


def read_step(value: Json, at: Pointer, faults: list[Fault]) -> Step:
    """A step from its JSON value; what is wrong is added to the faults."""
    fields = _Fields.of(value, at, faults, "a step", "write its id and component")
    return Step(
        id=fields.required_text("id", "give the step an id"),
        component=fields.required_text("component", 'name the component, such as "/builtin/eval"'),
        on_error=fields.part("onError", _on_error),
        input=fields.expression("input"),
        must_execute=fields.boolean("mustExecute"),
        metadata=fields.object("metadata"),
    )


def read_result(value: Json, at: Pointer, faults: list[Fault]) -> FlowResult:
    """A FlowResult from its JSON value; what is wrong is added to the faults."""
    fields = _Fields.of(value, at, faults, "a result", 'write "outcome" and "result" or "error"')
    match fields.value.get("outcome"):
        case "success":
            if "result" not in fields.value:
                fields.fault("result", "a successful result needs a value", 'add "result"')
            return Success(fields.value.get("result"))
        case "failed":
            error = fields.part("error", _error)
            if error is None:
                fields.fault("error", "a failed result needs an error", 'add "error" with code and message')
            return Failed(error or FlowError(0, ""))
        case outcome:
            fields.fault("outcome", f"expected success or failed, got {kind_of(outcome)}", "choose one of the two")
            return Success(None)


def _error(value: Json, at: Pointer, faults: list[Fault]) -> FlowError:
    fields = _Fields.of(value, at, faults, "an error", "write its code and message")
    code = fields.value.get("code")
    if isinstance(code, bool) or not isinstance(code, int):
        fields.fault("code", f"expected an integer, got {kind_of(code)}", "give the code of the error")
        code = 0
    return FlowError(code, fields.required_text("message", "say what failed"), fields.value.get("data"))


def _on_error(value: Json, at: Pointer, faults: list[Fault]) -> OnError:
    fields = _Fields.of(value, at, faults, "an action", 'write {"action": "fail"}, "useDefault" or "retry"')
    match fields.value.get("action"):
        case "fail":
            return OnErrorFail()
        case "useDefault":
            return OnErrorDefault(fields.value.get("defaultValue"))
        case "retry":
            return OnErrorRetry(fields.count("maxRetries"))
        case action:
            fields.fault("action", f"expected fail, useDefault or retry, got {kind_of(action)}", "choose one of them")
            return OnErrorFail()


def _schemas(flow: _Fields) -> Schemas:
    """The schemas of a flow, which are written as one JSON Schema whose properties are input, output and so on."""
    fields = flow.part("schemas", _Fields.inside)
    if fields is None:
        return Schemas()
    properties = fields.value.get("properties")
    misplaced: tuple[str, ...] = ()
    if not is_object(properties):
        misplaced = tuple(name for name in ("input", "output", "variables", "steps") if name in fields.value)
        properties = {}
    steps = properties.get("steps")
    of_steps = steps.get("properties") if is_object(steps) else None
    return Schemas(
        defs=fields.object("$defs"),
        input=properties.get("input", UNSET),
        output=properties.get("output", UNSET),
        variables=properties.get("variables", UNSET),
        steps=of_steps if is_object(of_steps) else {},
        misplaced=misplaced,
    )


def _test(value: Json, at: Pointer, faults: list[Fault]) -> TestConfig:
    fields = _Fields.of(value, at, faults, "tests", "list the cases")
    return TestConfig(
        config_file=fields.text("configFile"),
        config=fields.value.get("config"),
        cases=tuple(fields.each("cases", _case)),
    )


def _case(value: Json, at: Pointer, faults: list[Fault]) -> TestCase:
    fields = _Fields.of(value, at, faults, "a case", "write its name and input")
    return TestCase(
        name=fields.required_text("name", "name the case"),
        description=fields.text("description"),
        input=fields.required("input", "give the input of the case"),
        output=fields.part("output", read_result),
    )


def _example(value: Json, at: Pointer, faults: list[Fault]) -> Example:
    fields = _Fields.of(value, at, faults, "an example", "write its name and input")
    return Example(
        name=fields.required_text("name", "name the example"),
        description=fields.text("description"),
        input=fields.required("input", "give the input of the example"),
    )


def too_deep(value: Json) -> Pointer | None:
    """The way to a value below too many levels, None where there is none; not recursive."""
    pending: list[tuple[Pointer, Json]] = [((), value)]
    while pending:
        at, inner = pending.pop()
        members: Iterable[tuple[str | int, Json]] = ()
        if is_object(inner):
            members = inner.items()
        elif is_array(inner):
            members = enumerate(inner)
        if isinstance(inner, dict | list):
            if len(at) >= expressions.MAX_DEPTH:
                return at
            pending += [((*at, key), member) for key, member in members if isinstance(member, dict | list)]
    return None


class _Fields:
    """The members of an object, read one by one; each reader says what is wrong and goes on with nothing."""

    def __init__(self, value: dict[str, Json], at: Pointer, faults: list[Fault]) -> None:
        self.value: Final = value
        self._at = at
        self._faults = faults

    @classmethod
    def of(cls, value: Json, at: Pointer, faults: list[Fault], what: str, fix: str) -> _Fields:
        if is_object(value):
            return cls(value, at, faults)
        faults.append(Fault(at, f"expected {what} as an object, got {kind_of(value)}", fix))
        return cls({}, at, [])  # one fault is enough: what it has no members for is not told

    @classmethod
    def inside(cls, value: Json, at: Pointer, faults: list[Fault]) -> _Fields:
        return cls.of(value, at, faults, "schemas", "write a JSON Schema")

    def fault(self, name: str, what: str, fix: str) -> None:
        at = (*self._at, name) if name in self.value else self._at
        self._faults.append(Fault(at, what if name in self.value else f'"{name}": {what}', fix))

    def text(self, name: str) -> str | None:
        value = self.value.get(name)
        if value is None or isinstance(value, str):
            return value
        what = f"expected a string, got {kind_of(value)}"
        scalar = not isinstance(value, list | dict)
        fix = "put it between quotes" if scalar else "write text"
        self._faults.append(Fault((*self._at, name), what, fix, wants_text=scalar))
        return None

    def required(self, name: str, fix: str) -> Json:
        if name not in self.value:
            self.fault(name, "is missing", fix)
        return self.value.get(name)

    def required_text(self, name: str, fix: str) -> str:
        if self.value.get(name) is None:
            self.fault(name, "expected a string, got null" if name in self.value else "is missing", fix)
        return self.text(name) or ""

    def boolean(self, name: str) -> bool | None:
        value = self.value.get(name)
        if value is None or isinstance(value, bool):
            return value
        self.fault(name, f"expected true or false, got {kind_of(value)}", "choose one of them")
        return None

    def count(self, name: str) -> int | None:
        value = self.value.get(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_RETRIES):
            return value
        self.fault(name, f"expected a whole number from 0 on, got {kind_of(value)}", "count the retries")
        return None

    def object(self, name: str) -> dict[str, Json]:
        value = self.value.get(name)
        if value is None or is_object(value):
            return value or {}
        self.fault(name, f"expected an object, got {kind_of(value)}", "write members, or leave it out")
        return {}

    def expression(self, name: str) -> Expression:
        return expressions.read(self.value.get(name), (*self._at, name), self._faults)

    def part(self, name: str, reader: Callable[[Json, Pointer, list[Fault]], T]) -> T | None:
        value: Any = self.value.get(name)
        return None if value is None else reader(value, (*self._at, name), self._faults)

    def each(self, name: str, reader: Callable[[Json, Pointer, list[Fault]], T]) -> list[T]:
        value = self.value.get(name)
        if value is None:
            return []
        if not is_array(value):
            self.fault(name, f"expected an array, got {kind_of(value)}", "list them")
            return []
        return [reader(item, (*self._at, name, index), self._faults) for index, item in enumerate(value)]
