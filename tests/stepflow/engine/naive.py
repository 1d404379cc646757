"""A second evaluator of flows, by recursion and with memory: what the engine must agree with.

It reads the document itself, shares no code with the engine, and calls a component when its result is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Answer = tuple[bool, Any]
"""Whether it worked, and the value, or else the error as (code, message)."""


class Naive:
    """One item of a flow document; `call` gives the answer of a component to an input."""

    def __init__(
        self, document: dict[str, Any], value: Any, variables: dict[str, Any], call: Callable[[str, Any], Answer]
    ) -> None:
        self.steps = {step["id"]: step for step in document["steps"]}
        self.document = document
        self.value = value
        self.variables = variables
        self.call = call
        self.results: dict[str, Answer] = {}
        self.called: set[str] = set()

    def run(self) -> Answer:
        for step in self.document["steps"]:
            if step.get("mustExecute"):
                self.step(step["id"])
        return self.of(self.document["output"])

    def step(self, id_: str) -> Answer:
        if id_ not in self.results:
            step = self.steps[id_]
            worked, value = self.of(step.get("input"))
            if worked:
                self.called.add(id_)
                worked, value = self.call(step["component"], value)
                if not worked and step.get("onError", {}).get("action") == "useDefault":
                    worked, value = True, step["onError"].get("defaultValue")
                elif not worked:
                    value = (500, f'step "{id_}" failed')
            self.results[id_] = worked, value
        return self.results[id_]

    def of(self, expression: Any) -> Answer:
        if isinstance(expression, list):
            answers = [self.of(item) for item in expression]
            return next((answer for answer in answers if not answer[0]), (True, [value for _, value in answers]))
        if not isinstance(expression, dict):
            return True, expression
        if "$literal" in expression:
            return True, expression["$literal"]
        if "$if" in expression:
            worked, condition = self.of(expression["$if"])
            holds = worked and condition is not None and condition is not False
            return self.of(expression["then"] if holds else expression.get("else"))
        if "$coalesce" in expression:
            for item in expression["$coalesce"]:
                worked, value = self.of(item)
                if not worked or value is not None:
                    return worked, value
            return True, None
        if "$step" in expression:
            worked, value = self.step(expression["$step"])
            if not worked or value is None:
                return worked, value
            return self.part(value, expression.get("path", []), "Path")
        if "$input" in expression:
            return self.part(self.value, expression["$input"], "Input path")
        if "$variable" in expression:
            name, *rest = expression["$variable"]
            if name in self.variables:
                worked, value = self.part(self.variables[name], rest, "")
                if worked:
                    return True, value
            if "default" in expression:
                return self.of(expression["default"])
            return False, (1, f"Undefined variable: {name}")
        answers = {key: self.of(value) for key, value in expression.items()}
        failed = next((answer for answer in answers.values() if not answer[0]), None)
        return failed or (True, {key: value for key, (_, value) in answers.items()})

    @staticmethod
    def part(value: Any, path: list[str | int], what: str) -> Answer:
        try:
            for key in path:
                if not isinstance(value, dict if isinstance(key, str) else list):
                    raise KeyError(key)
                value = value[key]
        except (KeyError, IndexError, TypeError):
            return False, (1, f"{what} {text_of(path)} not found")
        return True, value


def text_of(path: list[str | int]) -> str:
    """A path as text; these tests have plain names only."""
    return "$" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)


def written(expression: Any) -> Any:
    """The document of an expression whose paths are lists: the same with paths as text."""
    if isinstance(expression, list):
        return [written(item) for item in expression]
    if not isinstance(expression, dict):
        return expression
    if "$literal" in expression:
        return expression
    for key in ("$input", "$variable"):
        if key in expression:
            return {name: text_of(it) if name == key else written(it) for name, it in expression.items()}
    if "$step" in expression:
        return {name: text_of(it) if name == "path" else it for name, it in expression.items()}
    return {name: written(it) for name, it in expression.items()}
