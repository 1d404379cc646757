"""The suite: bytes to typed and checked params, beside orjson.loads, which checks nothing, of the same bytes.

A message is a whole call. Ours reads envelope and params in one pass where it can. A member that the schema does not
name is kept, as the protocols ask: that goes the long way, by a parse, the generated validators and a builder.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import apflow_protocol.methods
import apflow_protocol.types
import echo_protocol.methods
import echo_protocol.types
import orjson
import stepflow_protocol.methods
import stepflow_protocol.types
from report import Report, Series, Target

from protogen_runtime.dispatch.direct import call_class, make_reader
from protogen_runtime.jsonrpc import Call, decode

MOST_TIMES = 1.5
TURNS = 50
CALLS_A_TURN = 200

PROTOCOLS: dict[str, tuple[Any, Any]] = {
    "echo": (echo_protocol.methods.PROTOCOL, echo_protocol.types),
    "stepflow": (stepflow_protocol.methods.PROTOCOL, stepflow_protocol.types),
    "apflow": (apflow_protocol.methods.PROTOCOL, apflow_protocol.types),
}

ROWS = [{"id": number, "name": f"row {number}", "score": number / 7, "tags": ["a", "b"]} for number in range(8)]
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "echo": ("echo", {"value": {"component": "/python/udf", "number": 12345}}),
    "stepflow": (
        "components/execute",
        {
            "component": "/python/udf",
            "attempt": 1,
            "input": {"blob_id": "3f786850e387550fdab836ed7e6dc881de23001b" + "0" * 24, "input": {"rows": ROWS}},
            "observability": {
                "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
                "span_id": "00f067aa0ba902b7",
                "run_id": "0f2c1c8e-8a37-4c1b-9a39-3a6e7d9b0c11",
                "flow_id": "a" * 64,
                "step_id": "transform",
            },
        },
    ),
    "apflow": (
        "tasks.create",
        {
            "name": "Fetch the prices",
            "parent_id": "5f0c7e52-6a3c-4d1e-9a39-3a6e7d9b0c11",
            "user_id": "user-17",
            "priority": 1,
            "inputs": {"url": "https://prices.example/api/v1/items", "rows": ROWS[:4], "timeout": 30},
            "schemas": {"method": "rest_executor"},
            "dependencies": [
                {"id": "5f0c7e52-6a3c-4d1e-9a39-3a6e7d9b0c12", "required": True},
                {"id": "5f0c7e52-6a3c-4d1e-9a39-3a6e7d9b0c13", "required": False},
            ],
            "schedule_type": "cron",
            "schedule_expression": "0 7 * * 1-5",
            "schedule_enabled": True,
            "max_runs": 100,
        },
    ),
}
"""A call of each protocol: the benchmark's own, a component with a table as its input, a task with dependencies."""


def frame_of(protocol: str, *, unknown: bool) -> bytes:
    """The call as compact JSON; with a member that no schema names, on request."""
    method, params = CALLS[protocol]
    extra = {"x-note": "kept"} if unknown else {}
    call = {"jsonrpc": "2.0", "id": "5f0c7e52-6a3c-4d1e-9a39-3a6e7d9b0c11", "method": method}
    return json.dumps({**call, "params": {**params, **extra}}, separators=(",", ":")).encode()


def typed_reader(protocol: str) -> Callable[[bytes], Any]:
    """What gives the typed params of a frame, checked: the short way, and the long way where that does not do."""
    info, types = PROTOCOLS[protocol]
    read = make_reader(
        call_class(name, types.TYPES[method.params], None)
        for name, method in info.methods.items()
        if method.kind == "request" and method.params in types.EXACT
    )

    def typed(frame: bytes) -> Any:
        call = read(frame)
        if call is not None:
            return call.params
        message = decode(frame)
        assert isinstance(message, Call)
        return info.codec.decode(info.methods[message.method].params, message.params)

    return typed


def run(repeats: int) -> Report:
    """Measure every message, each reader in turn."""
    taken: dict[str, list[float]] = {}
    sizes: dict[str, int] = {}
    for _ in range(repeats):
        for protocol in PROTOCOLS:
            for unknown in (False, True):
                frame = frame_of(protocol, unknown=unknown)
                name = f"{protocol}, an unknown member" if unknown else protocol
                sizes[name] = len(frame)
                theirs, ours = _microseconds((orjson.loads, typed_reader(protocol)), frame)
                taken.setdefault(f"{name}: orjson.loads", []).append(theirs)
                taken.setdefault(f"{name}: typed", []).append(ours)
    times = {name: min(taken[f"{name}: typed"]) / min(taken[f"{name}: orjson.loads"]) for name in sizes}
    return Report(
        unit="µs a message",
        base="echo: orjson.loads",
        series=tuple(Series(name=name, seconds=tuple(values)) for name, values in taken.items()),
        targets=tuple(
            Target(name=f"{name} ({sizes[name]} bytes): typed by orjson", measured=ratio, most=MOST_TIMES, unit="")
            for name, ratio in times.items()
        ),
        versions={"Python": platform.python_version(), "msgspec": version("msgspec"), "orjson": version("orjson")},
    )


def _microseconds(readers: Sequence[Callable[[bytes], Any]], frame: bytes) -> list[float]:
    """The least time of each reader; they take turns of a millisecond, so that a busy machine is busy for both."""
    best = [float("inf")] * len(readers)
    for read in readers:
        read(frame)
    for _ in range(TURNS):
        for place, read in enumerate(readers):
            started = time.perf_counter()
            for _ in range(CALLS_A_TURN):
                read(frame)
            best[place] = min(best[place], time.perf_counter() - started)
    return [seconds / CALLS_A_TURN * 1e6 for seconds in best]
