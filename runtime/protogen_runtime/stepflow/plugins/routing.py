"""From the component that a step names to the plugin that executes it (spec section 11, Routing).

Pure: patterns, conditions and names in, a plugin's name and its component out. A trie of path segments chooses the
pattern: a literal segment beats `{x}` (one segment), which beats `{*x}` (the rest, at least one segment).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Final

import msgspec

from protogen_runtime.stepflow.flow import paths

from .contract import INTERNAL, Json, StepFailed, is_array, is_object

CAPTURED: Final = "component"
"""The parameter of a pattern that is the component where a rule has no template."""

MAX_KNOWN: Final = 1_024
"""Components whose target is remembered."""

_PARAMETER: Final = re.compile(r"\{(\*?)([A-Za-z_][A-Za-z0-9_]*)\}")


class Condition(msgspec.Struct, frozen=True):
    """The value at `path` of the step's input, which is resolved by then, equals `value`."""

    path: paths.Path
    value: Json


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Where a pattern leads: to the plugin, if all conditions hold, and the component is allowed and not denied.

    `component` is a template of the name that the plugin gets. `allow` is None for all.
    """

    plugin: str
    component: str | None = None
    conditions: tuple[Condition, ...] = ()
    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] = ()


class Target(msgspec.Struct, frozen=True):
    """What executes a component: the plugin, and the name by which it knows the component."""

    plugin: str
    component: str


class BadPattern(ValueError):
    """A pattern that cannot be in a table of routes; the message says why, and what to write."""


class _Node:
    """One segment of the patterns that begin alike."""

    __slots__ = ("literals", "one", "rest", "route")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.one: _Node | None = None
        self.rest: _Route | None = None
        self.route: _Route | None = None


class _Route(msgspec.Struct, frozen=True):
    pattern: str
    names: tuple[str, ...]
    rules: tuple[Rule, ...]


class Routes:
    """A table of routes. Errors: BadPattern for a pattern that is none, or means the same as another one."""

    def __init__(self, routes: Mapping[str, Sequence[Rule]]) -> None:
        self._root = _Node()
        self._patterns: list[str] = []
        self._known: dict[str, Target] = {}
        for pattern, rules in routes.items():
            self.add(pattern, rules)

    def add(self, pattern: str, rules: Sequence[Rule]) -> None:
        """Add a pattern with the rules that are tried in order. Errors: BadPattern."""
        self._known.clear()
        node = self._root
        names: list[str] = []
        segments = split_pattern(pattern)
        for segment in segments:
            parameter = _PARAMETER.fullmatch(segment)
            if parameter is None:
                node = node.literals.setdefault(segment, _Node())
                continue
            names.append(parameter[2])
            if parameter[1]:
                if node.rest is not None:
                    raise BadPattern(f"{pattern!r} means the same as {node.rest.pattern!r}; leave one of them out")
                node.rest = _Route(pattern, tuple(names), tuple(rules))
                self._patterns.append(pattern)
                return
            node.one = node.one or _Node()
            node = node.one
        if node.route is not None:
            raise BadPattern(f"{pattern!r} means the same as {node.route.pattern!r}; leave one of them out")
        node.route = _Route(pattern, tuple(names), tuple(rules))
        self._patterns.append(pattern)

    def find(self, component: str, value: Json) -> Target:
        """Who executes a component for an input.

        Errors: StepFailed of kind `routing` where no pattern or no rule takes it, and where a condition asks for a
        part of the input that is missing.
        """
        known = self._known.get(component)
        if known is not None:
            return known
        segments = component.removeprefix("/").split("/")
        found = _match(self._root, segments, 0, ()) if component.startswith("/") else None
        if found is None:
            raise _refused(f"No matching rule found for component: {component}{self._hint(component)}")
        route, captured = found
        reasons: list[str] = []
        for rule in route.rules:
            if not _applies(rule, value, component):
                reasons.append(f"a condition for {rule.plugin} does not hold")
                continue
            name = component_name(rule, dict(zip(route.names, captured, strict=True)), route.pattern)
            if rule.allow is not None and name not in rule.allow:
                reasons.append(f"{rule.plugin} does not allow {name}")
            elif name in rule.deny:
                reasons.append(f"{rule.plugin} denies {name}")
            else:
                target = Target(rule.plugin, name)
                if not any(it.conditions for it in route.rules) and len(self._known) < MAX_KNOWN:
                    # Whatever the input: most steps are asked for again and again.
                    self._known[component] = target
                return target
        told = "; ".join(reasons) or "it has no rules"
        raise _refused(f"No matching rule found for component: {component} (route {route.pattern}: {told})")

    def _hint(self, component: str) -> str:
        if not self._patterns:
            return "; the configuration has no routes"
        near = get_close_matches(component, self._patterns, n=1)
        return f"; did you mean a component of {near[0]}?" if near else f"; the routes are {', '.join(self._patterns)}"


def split_pattern(pattern: str) -> list[str]:
    """The segments of a pattern. Errors: BadPattern."""
    if not pattern.startswith("/") or pattern == "/":
        raise BadPattern(f'a route is a path such as "/python/{{*component}}", got {pattern!r}')
    segments = pattern[1:].split("/")
    names: list[str] = []
    for position, segment in enumerate(segments):
        if not segment:
            raise BadPattern(f"{pattern!r} has an empty segment; write one slash between segments")
        parameter = _PARAMETER.fullmatch(segment)
        if parameter is None:
            if "{" in segment or "}" in segment:
                raise BadPattern(f"{segment!r} of {pattern!r} is no parameter; write {{name}} or {{*name}} alone")
            continue
        if parameter[1] and position != len(segments) - 1:
            raise BadPattern(f"{segment} takes the rest of the path, so nothing can follow it in {pattern!r}")
        names.append(parameter[2])
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise BadPattern(f"{pattern!r} has the parameter {doubled[0]!r} twice; names must differ")
    return segments


def parameters_of(text: str) -> tuple[str, ...]:
    """The names of the parameters in a pattern or a template, in order."""
    return tuple(match[2] for match in _PARAMETER.finditer(text))


def component_name(rule: Rule, captured: Mapping[str, str], pattern: str) -> str:
    """The name of a component as the plugin of the rule gets it. Errors: StepFailed for a parameter that is missing."""
    if rule.component is None:
        if CAPTURED not in captured:
            raise _refused(
                f"The route {pattern} has no parameter {{{CAPTURED}}} and its rule for {rule.plugin} no component"
            )
        return f"/{captured[CAPTURED]}"
    missing = [name for name in parameters_of(rule.component) if name not in captured]
    if missing:
        raise _refused(f"The route {pattern} has no parameter {{{missing[0]}}}, which {rule.component} asks for")
    return _PARAMETER.sub(lambda match: captured[match[2]], rule.component)


def _match(
    node: _Node, segments: Sequence[str], at: int, captured: tuple[str, ...]
) -> tuple[_Route, tuple[str, ...]] | None:
    if at == len(segments):
        return None if node.route is None else (node.route, captured)
    segment = segments[at]
    literal = node.literals.get(segment)
    if literal is not None:
        found = _match(literal, segments, at + 1, captured)
        if found is not None:
            return found
    if not segment:
        return None
    if node.one is not None:
        found = _match(node.one, segments, at + 1, (*captured, segment))
        if found is not None:
            return found
    if node.rest is not None:
        return node.rest, (*captured, "/".join(segments[at:]))
    return None


def _applies(rule: Rule, value: Json, component: str) -> bool:
    for condition in rule.conditions:
        found = paths.walk(value, condition.path)
        if found is paths.MISSING:
            where = paths.show(condition.path)
            raise _refused(
                f"The input of {component} has nothing at {where}, which a condition for {rule.plugin} asks for"
            )
        if not same_json(found, condition.value):
            return False
    return True


def same_json(left: Json, right: Json) -> bool:
    """Whether two values are the same JSON: 1 is 1.0 and is not true, the order of members does not count."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if is_object(left) and is_object(right):
        return left.keys() == right.keys() and all(same_json(left[name], right[name]) for name in left)
    if is_array(left) and is_array(right):
        return len(left) == len(right) and all(map(same_json, left, right))
    return bool(left == right)


def _refused(message: str) -> StepFailed:
    return StepFailed(INTERNAL, message, kind="routing")
