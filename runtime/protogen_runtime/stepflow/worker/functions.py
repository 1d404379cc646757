"""Components: what the signature of a function says of its input, its output, its path and its context.

Knows no messages and runs nothing.
"""

from __future__ import annotations

import dis
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, get_type_hints

import msgspec

from protogen_runtime.stepflow.plugins.routing import BadPattern, parameters_of, split_pattern

from .context import BlockingContext, Context
from .values import Json, Reader, reader_of


class BadComponent(ValueError):
    """A function that cannot be a component, or not at this path; the message says why, and what to write."""


class BadCapture(ValueError):
    """A part of the path that its parameter does not take."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


InferSchema = Callable[[Json], Json]
"""From the schema of an input to that of the output; either may be None."""


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """One component: the function behind a path, and how its arguments are made."""

    path: str
    description: str | None
    function: Callable[..., Any]
    is_async: bool
    never_waits: bool
    """Whether it is async, and has nothing in it that could wait."""
    input: Reader
    input_name: str | None
    """None where the function takes no input."""
    output_schema: dict[str, Json] | None
    context_name: str | None
    captures: Mapping[str, Any]
    """The parameters of the path, each with its type."""
    seconds: float | None
    infer: InferSchema | None

    def arguments(self, value: Json, captured: Mapping[str, str]) -> dict[str, Any]:
        """What the function is called with, save its context. Errors: DoesNotFit, BadCapture."""
        arguments: dict[str, Any] = {}
        for name, kind in self.captures.items():
            try:
                arguments[name] = msgspec.convert(captured[name], kind, strict=False)
            except msgspec.ValidationError as reason:
                raise BadCapture(name, str(reason)) from None
        if self.input_name is not None:
            arguments[self.input_name] = self.input.read(value)
        return arguments


class Found(msgspec.Struct, frozen=True):
    """The component at a path, and the parts of the path that its parameters take."""

    component: Component
    captured: Mapping[str, str]


class _Pattern(msgspec.Struct, frozen=True):
    kinds: tuple[int, ...]
    """For each segment 0 for a literal, 1 for one parameter, 2 for the rest: patterns are tried in this order."""
    regex: re.Pattern[str]
    component: Component


class Components:
    """The components of an app by path: a literal path first, then patterns, those with earlier literals first."""

    def __init__(self) -> None:
        self._literal: dict[str, Component] = {}
        self._patterns: list[_Pattern] = []

    @property
    def listed(self) -> list[Component]:
        """Those that have one path, in the order in which they came (spec, section 3.3)."""
        return list(self._literal.values())

    @property
    def paths(self) -> list[str]:
        """Every path and pattern."""
        return [*self._literal, *(pattern.component.path for pattern in self._patterns)]

    def add(self, component: Component) -> None:
        """Add one. Errors: BadComponent where its path is taken."""
        if not component.captures:
            if component.path in self._literal:
                raise BadComponent(f"{component.path} is the path of another component; choose another one")
            self._literal[component.path] = component
            return
        kinds, regex = _compiled(component.path)
        same = [it.component.path for it in self._patterns if it.kinds == kinds and _shape(it) == _shape_of(regex)]
        if same:
            raise BadComponent(f"{component.path} means the same as {same[0]}; choose another path")
        self._patterns.append(_Pattern(kinds, regex, component))
        self._patterns.sort(key=lambda pattern: pattern.kinds)

    def find(self, path: str) -> Found | None:
        """What a path means; None for nothing."""
        literal = self._literal.get(path)
        if literal is not None:
            return Found(literal, {})
        for pattern in self._patterns:
            match = pattern.regex.fullmatch(path)
            if match is not None:
                return Found(pattern.component, match.groupdict())
        return None


def _compiled(path: str) -> tuple[tuple[int, ...], re.Pattern[str]]:
    kinds: list[int] = []
    parts: list[str] = []
    for segment in split_pattern(path):
        names = parameters_of(segment)
        if not names:
            kinds.append(0)
            parts.append(re.escape(segment))
        elif segment.startswith("{*"):
            kinds.append(2)
            parts.append(f"(?P<{names[0]}>[^/](?s:.*))")
        else:
            kinds.append(1)
            parts.append(f"(?P<{names[0]}>[^/]+)")
    return tuple(kinds), re.compile("/" + "/".join(parts))


def _shape(pattern: _Pattern) -> str:
    return _shape_of(pattern.regex)


def _shape_of(regex: re.Pattern[str]) -> str:
    return re.sub(r"\?P<\w+>", "", regex.pattern)


# --- from a function to a component ---------------------------------------------------------------


def read_component(
    path: str,
    function: Callable[..., Any],
    *,
    description: str | None = None,
    seconds: float | None = None,
    infer: InferSchema | None = None,
) -> Component:
    """The component that a function is.

    Its context is the parameter annotated as one, or called `context`; parameters named in the path get what stands
    there; the one that is left is the input. Errors: BadComponent.
    """
    where = f"{path}: {getattr(function, '__qualname__', function)}"
    try:
        split_pattern(path)
    except BadPattern as reason:
        raise BadComponent(str(reason)) from None
    names = parameters_of(path)
    if seconds is not None and not seconds > 0:
        raise BadComponent(f"{where}: seconds is a number above 0, got {seconds!r}")
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise BadComponent(f"{where} yields; a component returns its output, whole")
    hints = _hints(function, where)
    context_name, input_name = None, None
    captures: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        name, kind = parameter.name, hints.get(parameter.name, Any)
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise BadComponent(f"{where}: {parameter} cannot be given by name; write plain parameters")
        if name in names:
            captures[name] = str if kind is Any else kind
        elif kind in (Context, BlockingContext) or (name == "context" and kind is Any):
            context_name = name
        elif input_name is None:
            input_name = name
        elif parameter.default is parameter.empty:
            raise BadComponent(
                f"{where} has the parameters {input_name!r} and {name!r}; a component takes one input (a Struct, a "
                f"dataclass, a model or a dict), a context, and the parameters of its path"
            )
    missing = [name for name in names if name not in captures]
    if missing:
        raise BadComponent(f"{where} has no parameter {missing[0]!r}, which its path names; add it")
    is_async = inspect.iscoroutinefunction(function)
    _check_context(hints.get(context_name or "", Any), where, is_async=is_async)
    return Component(
        path=path,
        description=description if description is not None else _first_line(function),
        function=function,
        is_async=is_async,
        never_waits=is_async and _never_waits(function),
        input=_reader(hints.get(input_name or "", Any), f"{where}: its input"),
        input_name=input_name,
        output_schema=_reader(hints.get("return", Any), f"{where}: its output").schema,
        context_name=context_name,
        captures=captures,
        seconds=seconds,
        infer=infer,
    )


_WAITING: Final = frozenset(("GET_AWAITABLE", "SEND", "YIELD_FROM", "YIELD_VALUE"))
"""Instructions of which every `await`, `async for` and `async with` has one."""


def _never_waits(function: Callable[..., Any]) -> bool:
    code = getattr(function, "__code__", None)
    return code is not None and _WAITING.isdisjoint(it.opname for it in dis.get_instructions(code))


def _hints(function: Callable[..., Any], where: str) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except NameError as reason:
        raise BadComponent(f"{where}: {reason}; define the type beside the function, not inside another one") from None
    except TypeError as reason:
        raise BadComponent(f"{where} is no function: {reason}") from None


def _check_context(kind: Any, where: str, *, is_async: bool) -> None:
    wrong = BlockingContext if is_async else Context
    right = Context if is_async else BlockingContext
    if kind is wrong:
        which = "an async function" if is_async else "a function that runs in a thread"
        raise BadComponent(f"{where}: {which} takes {right.__name__}, got {wrong.__name__}")


def _reader(kind: Any, where: str) -> Reader:
    try:
        return reader_of(kind)
    except TypeError as reason:
        raise BadComponent(f"{where}: {kind!r} is not understood: {reason}") from None


def _first_line(function: Callable[..., Any]) -> str | None:
    text = inspect.getdoc(function)
    return text.strip().partition("\n")[0] if text else None
