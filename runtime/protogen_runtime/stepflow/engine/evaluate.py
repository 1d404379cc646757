"""Expressions as functions: which results they need, and the value they give once those are there.

An expression that needs more only when it is known what some of it gives ($if, $coalesce, the default of a variable)
becomes a choice: a node of the plan of its own, whose stages ask for one thing after another. What is left of an
expression is strict: it needs all it names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from protogen_runtime.stepflow.flow import expressions as ex
from protogen_runtime.stepflow.flow import paths
from protogen_runtime.stepflow.flow.expressions import Expression, Json
from protogen_runtime.stepflow.flow.model import Failed, FlowError, FlowResult, Success

from .dialects import Dialect

Results: TypeAlias = list[FlowResult | None]
"""The results of an item's nodes by their number; None for a node that has none yet."""


class Context:
    """What one item is evaluated in: its input, the variables of the run, and the results so far."""

    __slots__ = ("input", "results", "variables")

    def __init__(self, value: Json, variables: Mapping[str, Json], results: Results) -> None:
        self.input = value
        self.variables = variables
        self.results = results


class Unresolved(Exception):
    """An expression fails, and with it whatever it is a part of."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.error.message)
        self.failed = failed


class ForwardReference(ValueError):
    """A step uses the result of itself or of a later one; the message is the id that it names."""


Evaluate: TypeAlias = Callable[[Context], Json]
"""The value of a strict expression all of whose needs have results. Errors: Unresolved."""


class Strict:
    """A strict expression: the nodes it needs, in the order of its text, and how to get its value from them."""

    __slots__ = ("evaluate", "needs")

    def __init__(self, evaluate: Evaluate, needs: tuple[int, ...]) -> None:
        self.evaluate = evaluate
        self.needs = needs


class Conditional:
    """The choice of a `$if`: its condition first, then one of the branches."""

    __slots__ = ("condition", "otherwise", "then")

    def __init__(self, condition: Strict, then: Strict, otherwise: Strict) -> None:
        self.condition = condition
        self.then = then
        self.otherwise = otherwise


class FirstOf:
    """The choice of a `$coalesce`: one value after another until one is not null."""

    __slots__ = ("values",)

    def __init__(self, values: tuple[Strict, ...]) -> None:
        self.values = values


class Fallback:
    """The choice of a `$variable`: its value, or else the default."""

    __slots__ = ("default", "found")

    def __init__(self, found: Strict, default: Strict) -> None:
        self.found = found
        self.default = default


Choice: TypeAlias = Conditional | FirstOf | Fallback


def first_stage(choice: Choice) -> Strict:
    """What a choice evaluates first."""
    match choice:
        case Conditional(condition=first) | Fallback(found=first):
            return first
        case FirstOf(values=values):
            return values[0]


def next_stage(choice: Choice, stage: int, result: FlowResult) -> Strict | None:
    """What a choice evaluates after a stage gave a result; None where that is the result of the choice."""
    match choice:
        case Conditional() if stage == 0:
            return choice.then if holds(result) else choice.otherwise
        case Fallback() if stage == 0 and isinstance(result, Failed):
            return choice.default
        case FirstOf(values=values) if (
            stage + 1 < len(values) and isinstance(result, Success) and result.result is None
        ):
            return values[stage + 1]
        case _:
            return None


def holds(condition: FlowResult) -> bool:
    """Whether a condition holds: everything does but null, false and what failed (spec section 9, `$if`)."""
    return isinstance(condition, Success) and condition.result is not None and condition.result is not False


NULL: Final = Strict(lambda context: None, ())


class Compiler:
    """Makes the nodes of a plan: choices get the numbers after those of the steps."""

    def __init__(self, step_numbers: Mapping[str, int], dialect: Dialect) -> None:
        self._steps = step_numbers
        self._dialect = dialect
        self._before = 0
        self.choices: list[Choice] = []
        """In the order of their numbers; the first has the number after the last step's."""

    def compile(self, expression: Expression, *, before: int) -> Strict:
        """The strict expression for the input of a step, or for the output, that may use the steps before a number.

        Errors: ForwardReference.
        """
        self._before = before
        return self._strict(expression)

    def _strict(self, expression: Expression) -> Strict:
        """Each choice in the expression becomes a need."""
        needs: dict[int, None] = {}
        constant, evaluate = self._compile(expression, needs)
        return Strict(_constantly(constant) if evaluate is None else evaluate, tuple(needs))

    def _compile(self, expression: Expression, needs: dict[int, None]) -> tuple[Json, Evaluate | None]:
        """Either a constant and None, or the function that gives the value."""
        match expression:
            case ex.Scalar(value) | ex.Literal(value):
                return value, None
            case ex.StepRef(step, path):
                return None, self._step(step, path, needs)
            case ex.InputRef(path):
                return None, self._input(path)
            case ex.VariableRef(path, default):
                return None, self._variable(path, default, needs)
            case ex.Array(items):
                return self._array([self._compile(item, needs) for item in items])
            case ex.Object(fields):
                return self._object([(name, *self._compile(member, needs)) for name, member in fields])
            case ex.If(condition, then, otherwise):
                chosen = NULL if otherwise is None else self._strict(otherwise)
                return None, self._choice(Conditional(self._strict(condition), self._strict(then), chosen), needs)
            case ex.Coalesce(values):
                if not values:
                    return None, None
                return None, self._choice(FirstOf(tuple(self._strict(value) for value in values)), needs)

    def _choice(self, choice: Choice, needs: dict[int, None]) -> Evaluate:
        number = len(self._steps) + len(self.choices)
        self.choices.append(choice)
        needs[number] = None
        return _result_of(number)

    def _step(self, step: str, path: paths.Path, needs: dict[int, None]) -> Evaluate:
        number = self._steps.get(step)
        if number is None:
            return self._fails(self._dialect.unknown_step, f"Unknown step: {step}")
        if number >= self._before:
            raise ForwardReference(step)
        needs[number] = None
        if not path:
            return _result_of(number)
        return _part_of_result(number, path, self._undefined(f"Path {paths.show(path)} not found"))

    def _input(self, path: paths.Path) -> Evaluate:
        if not path:
            return _whole_input
        missing = self._undefined(f"Input path {paths.show(path)} not found")

        def part_of_input(context: Context) -> Json:
            value = paths.walk(context.input, path)
            if value is paths.MISSING:
                raise Unresolved(missing)
            return value

        return part_of_input

    def _variable(self, path: paths.Path, default: Expression | None, needs: dict[int, None]) -> Evaluate:
        if not path:
            return self._fails(self._dialect.internal, "Variable path is empty")
        name = path[0]
        if not isinstance(name, str):
            return self._fails(self._dialect.internal, "Variable name must be a string")
        rest = path[1:]

        missing = self._undefined(f"Undefined variable: {name}")

        def variable(context: Context) -> Json:
            value = context.variables.get(name, paths.MISSING)
            if rest and value is not paths.MISSING:
                value = paths.walk(value, rest)
            if value is paths.MISSING:
                raise Unresolved(missing)
            return value

        if default is None:
            return variable
        return self._choice(Fallback(Strict(variable, ()), self._strict(default)), needs)

    def _array(self, items: list[tuple[Json, Evaluate | None]]) -> tuple[Json, Evaluate | None]:
        constants = [constant for constant, _ in items]
        moving = [(index, evaluate) for index, (_, evaluate) in enumerate(items) if evaluate is not None]
        if not moving:
            return constants, None

        def array(context: Context) -> Json:
            made = constants.copy()
            for index, evaluate in moving:
                made[index] = evaluate(context)
            return made

        return None, array

    def _object(self, members: list[tuple[str, Json, Evaluate | None]]) -> tuple[Json, Evaluate | None]:
        constants = {name: constant for name, constant, _ in members}
        moving = [(name, evaluate) for name, _, evaluate in members if evaluate is not None]
        if not moving:
            return constants, None

        def object_(context: Context) -> Json:
            made = constants.copy()
            for name, evaluate in moving:
                made[name] = evaluate(context)
            return made

        return None, object_

    def _undefined(self, message: str) -> Failed:
        return Failed(FlowError(self._dialect.undefined_field, message))

    def _fails(self, code: int, message: str) -> Evaluate:
        failed = Failed(FlowError(code, message))

        def fails(_: Context) -> Json:
            raise Unresolved(failed)

        return fails


def _constantly(value: Json) -> Evaluate:
    return lambda context: value


def _whole_input(context: Context) -> Json:
    return context.input


def _result_of(number: int) -> Evaluate:
    def result(context: Context) -> Json:
        found: Any = context.results[number]
        if found.__class__ is Failed:
            raise Unresolved(found)
        return found.result

    return result


def _part_of_result(number: int, path: paths.Path, missing: Failed) -> Evaluate:
    def part(context: Context) -> Json:
        found: Any = context.results[number]
        if found.__class__ is Failed:
            raise Unresolved(found)
        if found.result is None:
            return None  # a path into null is null, so that $coalesce works (spec section 9)
        value = paths.walk(found.result, path)
        if value is paths.MISSING:
            raise Unresolved(missing)
        return value

    return part
