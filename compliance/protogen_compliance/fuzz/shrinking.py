"""Shrinking: a program that shows a fault becomes the smallest one that still does.

Steps go first, then members of what is sent. Knows nothing of faults: it asks whether a program still shows one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from protogen_compliance.fuzz.description import Json
from protogen_compliance.fuzz.steps import Program, Step

Shows = Callable[[Program], bool]


class Spent(Exception):
    """The budget is used up; raised by whoever counts it."""


def smallest(program: Program, shows: Shows) -> Program:
    """The smallest program found that `shows` says yes to; `program` itself where the budget ends (Spent) at once."""
    best = program

    def better(steps: Sequence[Step]) -> bool:
        nonlocal best
        candidate = msgspec.structs.replace(program, steps=list(steps))
        if not shows(candidate):
            return False
        best = candidate
        return True

    try:
        _fewer_steps(best.steps, better)
        _smaller_params(lambda: best.steps, better)
    except Spent:
        pass
    return best


def _fewer_steps(steps: list[Step], better: Callable[[Sequence[Step]], bool]) -> None:
    """Leaves out ever smaller parts, from the end: what comes last is least often needed, save the last itself."""
    part = max(1, len(steps) // 2)
    while True:
        at = len(steps) - part
        shrunk = False
        while at > -part:
            begin = max(at, 0)
            rest = [*steps[:begin], *steps[at + part :]]
            if rest and len(rest) < len(steps) and better(rest):
                steps = rest
                shrunk = True
            at -= part
        if part == 1 and not shrunk:
            return
        part = max(1, part // 2)


def _smaller_params(steps: Callable[[], list[Step]], better: Callable[[Sequence[Step]], bool]) -> None:
    """Tries simpler params, step by step, as long as one is simple enough to go on."""
    for at, step in enumerate(steps()):
        shrunk = step.kind in ("call", "notify")  # arguments of actions have a form that actions rely on
        while shrunk:
            shrunk = False
            now = steps()
            for params in simpler(now[at].params):
                changed = [*now[:at], msgspec.structs.replace(now[at], params=params), *now[at + 1 :]]
                if better(changed):
                    shrunk = True
                    break


def simpler(value: Json) -> Iterator[Json]:
    """Yields values that are simpler than `value` in one place, the boldest first."""
    if isinstance(value, dict):
        for name in value:
            yield {key: it for key, it in value.items() if key != name}
        for name, item in value.items():
            for smaller in simpler(item):
                yield {**value, name: smaller}
    elif isinstance(value, list):
        if len(value) > 2:
            yield value[: len(value) // 2]
            yield value[len(value) // 2 :]
        for at, item in enumerate(value):
            yield value[:at] + value[at + 1 :]
            for smaller in simpler(item):
                yield [*value[:at], smaller, *value[at + 1 :]]
    elif isinstance(value, str) and len(value) > 1:
        yield value[: len(value) // 2]
        if len(value) > 8:
            yield value[:-1]
    elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) > 1:
        yield int(value) // 2 if abs(value) < 2**63 else 1


# --- the other way: single changes to a value ------------------------------------------------------


def shortened(value: Json) -> Iterator[Json]:
    """Yields a value with one member of an object left out, wherever one stands."""
    if isinstance(value, dict):
        for name in value:
            yield {key: it for key, it in value.items() if key != name}
        for name, item in value.items():
            for shorter in shortened(item):
                yield {**value, name: shorter}
    elif isinstance(value, list) and value:
        for shorter in shortened(value[0]):
            yield [shorter, *value[1:]]


def grafts(value: Json, other: Json) -> Iterator[Json]:
    """Yields a value with one member taken from another value of the same form, wherever both have objects."""
    if isinstance(value, dict) and isinstance(other, dict):
        for name, item in other.items():
            if name not in value or value[name] != item:
                yield {**value, name: item}
            if name in value:
                for grafted in grafts(value[name], item):
                    yield {**value, name: grafted}
    elif isinstance(value, list) and isinstance(other, list) and value and other:
        for grafted in grafts(value[0], other[0]):
            yield [grafted, *value[1:]]
