"""Random flows whose paths are lists, with inputs and variables, for Hypothesis."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st

NAMES = ("a", "b", "c")
COMPONENTS = ("/echo", "/echo", "/echo", "/null", "/fail", "/wrap", "/false")

values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=6,
)
paths = st.lists(st.sampled_from(NAMES) | st.integers(0, 2), max_size=2)


def ids(count: int) -> list[str]:
    """The ids of the first so many steps."""
    return [f"s{number}" for number in range(count)]


@cache
def expressions(count: int, depth: int = 3) -> st.SearchStrategy[Any]:
    """Expressions over the first so many steps; kept, since Hypothesis checks each new strategy at length."""
    steps = ids(count)
    leaves = [values.map(lambda value: {"$literal": value}), st.none() | st.booleans() | st.integers(0, 2)]
    leaves.append(paths.map(lambda path: {"$input": path}))
    leaves.append(st.tuples(st.sampled_from(NAMES), paths).map(lambda it: {"$variable": [it[0], *it[1]]}))
    if steps:
        one = st.sampled_from(steps)
        leaves += [one.map(lambda step: {"$step": step})] * 3
        leaves.append(st.tuples(one, paths).map(lambda it: {"$step": it[0], "path": it[1]}))
    if not depth:
        return st.one_of(leaves)
    inner = expressions(count, depth - 1)
    return st.one_of(
        *leaves,
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
        st.lists(inner, max_size=3).map(lambda items: {"$coalesce": items}),
        st.tuples(inner, inner).map(lambda it: {"$if": it[0], "then": it[1]}),
        st.tuples(inner, inner, inner).map(lambda it: {"$if": it[0], "then": it[1], "else": it[2]}),
        st.tuples(st.sampled_from(NAMES), inner).map(lambda it: {"$variable": [it[0]], "default": it[1]}),
    )


@st.composite
def documents(draw: st.DrawFn, max_steps: int = 6) -> dict[str, Any]:
    """A flow of some steps; each may use those before it."""
    count = draw(st.integers(0, max_steps))
    steps: list[dict[str, Any]] = []
    for position, id_ in enumerate(ids(count)):
        step: dict[str, Any] = {"id": id_, "component": draw(st.sampled_from(COMPONENTS))}
        step["input"] = draw(expressions(position, 2))
        if draw(st.integers(0, 3)) == 0:
            step["mustExecute"] = True
        match draw(st.integers(0, 5)):
            case 0:
                step["onError"] = {"action": "useDefault", "defaultValue": draw(values)}
            case 1:
                step["onError"] = {"action": "retry", "maxRetries": draw(st.integers(0, 2))}
        steps.append(step)
    return {"steps": steps, "output": draw(expressions(count))}


variables = st.dictionaries(st.sampled_from(NAMES), values, max_size=2)
