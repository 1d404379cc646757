"""The stored text of values and flows, byte for byte, and the ids that are hashes of it.

Knows no store. Where the original's text is random or loses something, ours differs; docs/decisions has the list.
"""

from __future__ import annotations

import json
import math
import re
from hashlib import sha256
from typing import Final, NoReturn

import msgspec
from msgspec import UNSET

from . import expressions
from .expressions import NULL
from .model import (
    Example,
    Failed,
    Flow,
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
from .values import Json

SMALLEST_INTEGER, LARGEST_INTEGER = -(2**63), 2**64 - 1
"""The integers that keep their digits: those of i64 and u64. Others are floating-point numbers (spec section 8)."""

_UNUSUAL: Final = re.compile(rb"[0-9]e[-+]?[0-9]|[0-9]{19}")
"""Text that may hold a number which is written otherwise than msgspec does: an exponent, or an integer so long."""

_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?')

_NEGATIVE_ZERO_OR_LONG: Final = re.compile(rb"-0(?![0-9.eE])|[0-9]{19}")


def value_text(value: Json) -> bytes:
    """A JSON value as UTF-8: compact, members in their order, numbers as serde_json prints them (spec section 8)."""
    text = msgspec.json.encode(value)
    return _TOKEN.sub(_number, text) if _UNUSUAL.search(text) else text


def _number(token: re.Match[bytes]) -> bytes:
    text = token[0]
    if text.startswith(b'"'):
        return text
    if b"." not in text and b"e" not in text and not SMALLEST_INTEGER <= int(text) <= LARGEST_INTEGER:
        text = msgspec.json.encode(float(int(text)))
    mantissa, exponent, power = text.partition(b"e")
    return mantissa + (b"e+" + power if exponent and power[:1] not in b"+-" else exponent + power)


def read_value(text: bytes | str) -> Json:
    """The value of a JSON text, with the numbers that the original reads from it.

    An integer outside i64 and u64 is a float, and so is `-0`. The last of duplicate members counts, in the place of the
    first. Errors: ValueError for what is no JSON, a byte order mark, a lone surrogate, a number beyond every float.
    """
    raw = text.encode() if isinstance(text, str) else text
    try:
        value = msgspec.json.decode(raw)
        if _NEGATIVE_ZERO_OR_LONG.search(raw):
            value = json.loads(raw, parse_int=_integer, parse_constant=_refuse)
    except msgspec.MsgspecError as reason:
        raise ValueError(str(reason)) from None
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
    return value


def _integer(digits: str) -> int | float:
    if digits == "-0":
        return -0.0
    if len(digits) < 19:
        return int(digits)
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"the number {digits[:20]}… is out of range")
    if len(digits) > 20:  # the longest integers that keep their digits have 20 characters
        return value
    number = int(digits)
    return number if SMALLEST_INTEGER <= number <= LARGEST_INTEGER else value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def blob_id(text: bytes) -> str:
    """The id of a blob: SHA-256 of its stored text, 64 lower-case hex digits without a prefix."""
    return sha256(text).hexdigest()


def value_id(value: Json) -> str:
    """The id of a value: that of its text."""
    return blob_id(value_text(value))


def flow_text(flow: Flow) -> bytes:
    """A flow as it is stored."""
    return value_text(wire(flow))


def flow_id(flow: Flow) -> str:
    """The id of a flow: that of its stored text, whatever order its document had."""
    return blob_id(flow_text(flow))


# --- the stored form of each part, fields in its order ----------------------------------------------


def wire(flow: Flow) -> dict[str, Json]:
    """A flow as JSON in its stored form: what is absent, null or empty is left out (spec section 8)."""
    return _present(
        name=flow.name,
        description=flow.description,
        version=flow.version,
        schemas=schemas_wire(flow.schemas),
        steps=[step_wire(step) for step in flow.steps] or None,
        output=None if flow.output == NULL else expressions.write(flow.output),
        test=None if flow.test is None else _test(flow.test),
        examples=None if flow.examples is None else [_example(example) for example in flow.examples],
        metadata=flow.metadata or None,
    )


def step_wire(step: Step) -> dict[str, Json]:
    """A step as JSON in its stored form."""
    return _present(
        id=step.id,
        component=step.component,
        onError=None if step.on_error is None else _on_error(step.on_error),
        input=None if step.input == NULL else expressions.write(step.input),
        mustExecute=step.must_execute,
        metadata=step.metadata or None,
    )


def schemas_wire(schemas: Schemas) -> dict[str, Json] | None:
    """The schemas of a flow as one JSON Schema, None where there is none."""
    steps = {"type": "object", "properties": schemas.steps} if schemas.steps else UNSET
    named = {"input": schemas.input, "output": schemas.output, "variables": schemas.variables, "steps": steps}
    properties = {name: schema for name, schema in named.items() if schema is not UNSET}
    if not properties and not schemas.defs:
        return None
    return (
        {"type": "object"} | ({"$defs": schemas.defs} if schemas.defs else {}) | _present(properties=properties or None)
    )


def result_wire(result: FlowResult) -> dict[str, Json]:
    """A FlowResult as JSON."""
    match result:
        case Success(value):
            return {"outcome": "success", "result": value}
        case Failed(error):
            return {"outcome": "failed", "error": _present(code=error.code, message=error.message, data=error.data)}


def _on_error(action: OnError) -> dict[str, Json]:
    match action:
        case OnErrorFail():
            return {"action": "fail"}
        case OnErrorDefault(value):
            return {"action": "useDefault"} | _present(defaultValue=value)
        case OnErrorRetry(max_retries):
            return {"action": "retry"} | _present(maxRetries=max_retries)


def _test(test: TestConfig) -> dict[str, Json]:
    return _present(configFile=test.config_file, config=test.config, cases=[_case(case) for case in test.cases] or None)


def _case(case: TestCase) -> dict[str, Json]:
    written = _present(name=case.name, description=case.description) | {"input": case.input}
    return written if case.output is None else written | {"output": result_wire(case.output)}


def _example(example: Example) -> dict[str, Json]:
    return _present(name=example.name, description=example.description) | {"input": example.input}


def _present(**fields: Json) -> dict[str, Json]:
    return {name: value for name, value in fields.items() if value is not None}
