"""validators.py of an SDK: fastjsonschema's generator classes, made to emit typed functions that return a bool.

fastjsonschema supplies the walk: which definitions are needed, the order of keywords, how `$ref` rules out its
neighbours. What it emits is replaced, because its own text imports fastjsonschema, is untyped, builds messages that
nobody reads here, and differs from JSON Schema in places (`$` before a final line feed, 1 and true in uniqueItems).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, Final

from fastjsonschema.draft07 import CodeGeneratorDraft07

from protogen.naming import Claim, settle, snake
from protogen.targets.python.layout import WIDTH, Call, assign, json_literal, text_literal
from protogen.targets.python.names import KEYWORDS
from protogen.targets.python.patterns import UnsupportedPattern, translate

Schema = dict[str, Any]

_PYTHON_KINDS: Final = {
    "null": "NoneType",
    "boolean": "bool",
    "string": "str",
    "array": "list",
    "object": "dict",
}

_OBJECT: Final = frozenset(
    "required properties patternProperties additionalProperties propertyNames minProperties maxProperties"
    " dependencies dependentRequired dependentSchemas".split()
)
_ARRAY: Final = frozenset("items additionalItems minItems maxItems uniqueItems contains".split())
_STRING: Final = frozenset("minLength maxLength pattern".split())
_NUMBER: Final = frozenset("minimum maximum exclusiveMinimum exclusiveMaximum multipleOf".split())
_BY_KIND: Final = {
    **dict.fromkeys(_OBJECT, "dict"),
    **dict.fromkeys(_ARRAY, "list"),
    **dict.fromkeys(_STRING, "str"),
}
_NEEDS_KIND: Final = _OBJECT | _ARRAY | _STRING | _NUMBER | {"type", "enum", "const"}

_MAX_INDENT: Final = 24
"""Columns of indentation after which a nested schema becomes a function of its own."""

_MAX_INLINE_TEXT: Final = 48
"""Longer string literals become constants, so that no line has to be broken."""

RESERVED: Final = KEYWORDS | frozenset(
    "value int float str bool list dict len frozenset set range any all type re Check Final Json MISSING Mapping"
    " NoneType SchemaReader is_multiple one_of same unique annotations Rules SCHEMA".split()
)


class _Check:
    """Where the last check stands in the code, what it asks, and the lines that return its outcome instead."""

    __slots__ = ("as_result", "bad", "end", "good", "indent", "start")

    def __init__(self, start: int, end: int, indent: int, good: str, bad: str, as_result: list[str]) -> None:
        self.start = start
        self.end = end
        self.indent = indent
        self.good = good
        self.bad = bad
        self.as_result = as_result


class Validators:
    """The parts of validators.py as final text."""

    __slots__ = ("constants", "functions", "imports", "patterns", "table", "unsupported")

    def __init__(self) -> None:
        self.imports: set[str] = set()
        self.constants: list[str] = []
        self.patterns: list[str] = []
        self.functions: list[str] = []
        self.table: list[tuple[str, str]] = []
        self.unsupported: list[tuple[str, str, str]] = []
        """Definition, pattern, and why Python cannot say it."""


def generate(schema: Schema, names: list[str]) -> Validators:
    """A function for each definition of a lowered document, in the order of `names`."""
    generator = BooleanGenerator(schema, names)
    return generator.validators()


def branching(definitions: Schema) -> set[str]:
    """Definitions with two alternatives that both lead back to them: twice the work at each level of a value."""
    refs = {name: _references(schema) for name, schema in definitions.items()}
    combined = {name for name, schema in definitions.items() if any(_combinations(schema))}
    reach: dict[str, set[str]] = {}
    for name in combined:
        seen: set[str] = set()
        waiting = list(refs[name])
        while waiting:
            other = waiting.pop()
            if other not in seen and other in refs:
                seen.add(other)
                waiting.extend(refs[other])
        reach[name] = seen
    recursive = {name for name in combined if name in reach[name]}
    found: set[str] = set()
    for name in recursive:
        circle = {other for other in reach[name] if name in _reached(other, refs)}
        for parts in _combinations(definitions[name]):
            if sum(1 for part in parts if _references(part) & circle) > 1:
                found.add(name)
    return found


def _reached(start: str, refs: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        for other in refs.get(name, ()):
            if other not in seen:
                seen.add(other)
                waiting.append(other)
    return seen


def _references(schema: Any) -> set[str]:
    found: set[str] = set()
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            target = node.get("$ref")
            if isinstance(target, str):
                found.add(_Definitions.name(target))
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
    return found


def _combinations(schema: Any) -> Iterator[list[Any]]:
    """The alternatives of every combination below a schema that has more than one."""
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            for keyword in ("anyOf", "oneOf", "allOf"):
                parts = node.get(keyword)
                if isinstance(parts, list) and len(parts) > 1:
                    yield parts
            if "if" in node:
                yield [node[keyword] for keyword in ("if", "then", "else") if keyword in node]
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


class _Definitions:
    """The part of fastjsonschema's resolver that a lowered document needs: every reference names a definition."""

    def __init__(self, schema: Schema, functions: dict[str, str]) -> None:
        self.definitions = schema["definitions"]
        self.functions = functions
        self.uri = ""

    @contextmanager
    def in_scope(self, scope: str) -> Generator[None]:
        before, self.uri = self.uri, scope
        yield
        self.uri = before

    @contextmanager
    def resolving(self, ref: str) -> Generator[Any]:
        with self.in_scope(ref):
            yield self.definitions[self.name(ref)]

    def get_uri(self) -> str:
        return self.uri

    def get_scope_name(self) -> str:
        return self.functions[self.name(self.uri)] if self.uri else ""

    @staticmethod
    def name(ref: str) -> str:
        return ref.removeprefix("#/definitions/").replace("~1", "/").replace("~0", "~")

    @staticmethod
    def reference(name: str) -> str:
        return "#/definitions/" + name.replace("~", "~0").replace("/", "~1")


class BooleanGenerator(CodeGeneratorDraft07):
    """Emits `def is_task(value: Json) -> bool` per definition; every check that fails returns False."""

    # fastjsonschema is untyped; these two are None between schemas only.
    _definition: Any
    _variable: Any

    def __init__(self, schema: Schema, names: list[str]) -> None:
        functions = settle(
            [Claim(name, f"is_{snake(name) or 'value'}") for name in names], lambda name: name, reserved=RESERVED
        )
        resolver = _Definitions(schema, functions)
        # fastjsonschema has no types.
        base: Any = super()
        base.__init__(schema, resolver=resolver, use_default=False, use_formats=False, detailed_exceptions=False)
        self._needed_validation_functions.clear()
        self._names = names
        self._functions = functions
        self._out = Validators()
        self._constant_names: dict[str, str] = {}
        self._pattern_names: dict[str, str] = {}
        self._pending: list[tuple[str, Any]] = []
        self._serial = 0
        self._function = ""
        self._current = ""
        self._kind = ""
        self._known_kind: str | None = None
        self._helpers: dict[str, int] = {}
        self._last_check: _Check | None = None
        self._branching = {functions[name] for name in branching(resolver.definitions)}
        if self._branching:
            self._out.imports.add("memoized")
        table = self._json_keywords_to_function
        table.clear()
        table.update(self._keywords())

    def _keywords(self) -> dict[str, Callable[[], None]]:
        """What is called for each keyword, in this order: cheap checks first, as fastjsonschema orders them."""
        return {
            "type": self.generate_type,
            "const": self.generate_const,
            "enum": self.generate_enum,
            "minLength": self.generate_min_length,
            "maxLength": self.generate_max_length,
            "pattern": self.generate_pattern,
            "minimum": self.generate_minimum,
            "maximum": self.generate_maximum,
            "exclusiveMinimum": self.generate_exclusive_minimum,
            "exclusiveMaximum": self.generate_exclusive_maximum,
            "multipleOf": self.generate_multiple_of,
            "minItems": self.generate_min_items,
            "maxItems": self.generate_max_items,
            "uniqueItems": self.generate_unique_items,
            "items": self.generate_items,
            "contains": self.generate_contains,
            "minProperties": self.generate_min_properties,
            "maxProperties": self.generate_max_properties,
            "required": self.generate_required,
            "propertyNames": self.generate_property_names,
            "dependencies": self.generate_dependencies,
            "dependentRequired": self.generate_dependent_required,
            "dependentSchemas": self.generate_dependent_schemas,
            "properties": self.generate_properties,
            "allOf": self.generate_all_of,
            "anyOf": self.generate_any_of,
            "oneOf": self.generate_one_of,
            "not": self.generate_not,
            "if": self.generate_if_then_else,
        }

    def validators(self) -> Validators:
        """Runs the generator; the parts of the module."""
        for name in reversed(self._names):
            self._needed_validation_functions[_Definitions.reference(name)] = self._functions[name]
        while self._needed_validation_functions:
            uri, name = self._needed_validation_functions.popitem()
            self.generate_validation_function(uri, name)
        self._out.table = [(text_literal(name), self._functions[name]) for name in self._names]
        return self._out

    # --- functions --------------------------------------------------------------------------------

    def generate_validation_function(self, uri: str, name: str) -> None:
        """One definition: its function, then the helpers that its nested schemas became."""
        self._validation_functions_done.add(uri)
        self._current = _Definitions.name(uri)
        with self._resolver.resolving(uri) as definition:
            self._emit_function(name, definition)
            while self._pending:
                self._emit_function(*self._pending.pop(0))

    def _emit_function(self, name: str, definition: Any) -> None:
        self._code = ["@memoized"] if name in self._branching else []
        self._code.append(f"def {name}({'_value' if definition in (True, False, {}) else 'value'}: Json) -> bool:")
        self._indent = 1
        self._function = name
        self._serial = 0
        self._forget_check()
        self._block(definition, "value")
        last = self._last_check
        if last is not None and last.end == len(self._code) and last.indent == 1:
            # A function that ends in a check returns its outcome.
            del self._code[last.start :]
            self._code += last.as_result
        elif self._code[-1] != "    return False":
            self.line("return True")
        self._out.functions.append("\n".join(self._code))

    def _helper(self, definition: Any) -> str:
        """A function for a nested schema, to be emitted after the current one; its name."""
        stem = f"_{self._function.lstrip('_')}"
        self._helpers[stem] = self._helpers.get(stem, 0) + 1
        name = f"{stem}_{self._helpers[stem]}"
        self._pending.append((name, definition))
        return name

    def line(self, text: str) -> None:
        """A line at the current indentation."""
        self._code.append("    " * self._indent + text)

    @contextmanager
    def block(self, head: str) -> Generator[None]:
        """A line that opens a block; nothing where the block stays empty."""
        start = len(self._code)
        self.line(head)
        self._indent += 1
        yield
        self._indent -= 1
        if len(self._code) == start + 1:
            self._code.pop()

    @contextmanager
    def only_if(self, condition: str, otherwise: str) -> Generator[None]:
        """Checks under a condition, whose opposite is `otherwise`; a single check is joined with it."""
        start = len(self._code)
        self._forget_check()
        with self.block(f"if {condition}:"):
            yield
        check = self._last_check
        if check is None or check.start != start + 1 or check.end != len(self._code):
            return
        good = f"({check.good})" if " and " in check.good else check.good
        bad = f"({check.bad})" if " or " in check.bad and not check.bad.startswith("not (") else check.bad
        joined = f"{condition} and {bad}"
        del self._code[start + 1 :]
        if len(joined) + self._indent * 4 + len("if :") <= WIDTH:
            self._code.pop()
            self.require(f"{otherwise} or {good}", joined)
            return
        # One `if` directly in another is what linters object to.
        self._indent += 1
        holds = self._variable_name_for("holds")
        call = self._assign(holds, check.good)
        self.require(call, f"not {call}")
        self._indent -= 1
        self._forget_check()

    def _forget_check(self) -> None:
        self._last_check = None

    @contextmanager
    def each(self, names: str, items: str) -> Generator[None]:
        """Checks on every one of `items`; a single check becomes one expression."""
        start = len(self._code)
        self._forget_check()
        with self.block(f"for {names} in {items}:"):
            yield
        check = self._last_check
        if check is None or check.start != start + 1 or check.end != len(self._code):
            return
        call = f"all({check.good} for {names} in {items})"
        if len(call) + self._indent * 4 + len("if not :") <= WIDTH:
            del self._code[start:]
            self.require(call, f"not {call}")

    def _assign(self, name: str, good: str) -> str:
        self._code += assign(name, _as_bool(good), indent=self._indent * 4).split("\n")
        return name

    def require(self, good: str, bad: str) -> None:
        """A check, as the condition that holds and as its opposite."""
        start = len(self._code)
        self.line(f"if {bad}:")
        self.line("    return False")
        self._last_check = _Check(start, len(self._code), self._indent, good, bad, [f"    return {_as_bool(good)}"])

    def require_call(self, call: str) -> None:
        """A check that is a call."""
        self.require(call, _not(call))

    def refuse_call(self, call: str) -> None:
        """A check that is a call that must not hold."""
        self.require(_not(call), call)

    def _variable_name_for(self, stem: str) -> str:
        self._serial += 1
        return f"{stem}{self._serial}"

    # --- schemas ----------------------------------------------------------------------------------

    def _block(self, definition: Any, variable: str) -> None:
        """The checks of one schema on one variable."""
        if definition is True or definition == {}:
            return
        if definition is False:
            self.line("return False")
            return
        if self._indent * 4 > _MAX_INDENT and "$ref" not in definition:
            self.require_call(f"{self._helper(definition)}({variable})")
            return
        backup = self._definition, self._variable, self._kind, self._known_kind
        self._definition, self._variable, self._kind, self._known_kind = definition, variable, "", None
        walk: Any = self._generate_func_code_block
        walk(definition)
        self._definition, self._variable, self._kind, self._known_kind = backup

    def run_generate_functions(self, definition: Schema) -> int:
        """The checks of all keywords, in the order of the table."""
        if "unevaluatedProperties" in definition or "unevaluatedItems" in definition:
            self._generate_interpreted(definition)
            return 1
        if not _NEEDS_KIND.isdisjoint(definition):
            self._kind = "kind" if self._variable == "value" else f"kind_{self._variable}"
            self.line(f"{self._kind} = {self._variable}.__class__")
        start = len(self._code)
        if (
            "additionalProperties" in definition or "patternProperties" in definition
        ) and "properties" not in definition:
            definition = {**definition, "properties": {}}
        if "additionalItems" in definition and type(definition.get("items")) is not list:
            definition = {key: value for key, value in definition.items() if key != "additionalItems"}
        count = self._run_all(definition)
        if self._kind and not re.search(rf"\b{self._kind}\b", "\n".join(self._code[start:])):
            del self._code[start - 1]
            if self._last_check is not None and self._last_check.start >= start:
                self._last_check.start -= 1
                self._last_check.end -= 1
        return count

    def _run_all(self, definition: Schema) -> int:
        base: Any = super()
        return int(base.run_generate_functions(definition))

    def generate_ref(self) -> None:
        """A reference rules out its neighbours (draft-07)."""
        self.require_call(self._call(self._definition, self._variable))

    def _call(self, definition: Any, variable: str) -> str:
        """An expression that says whether `variable` matches."""
        if definition is True or definition == {}:
            return "True"
        if definition is False:
            return "False"
        if "$ref" in definition:
            return f"{self._functions[_Definitions.name(definition['$ref'])]}({variable})"
        kind = definition.get("type")
        if len(definition) == 1 and isinstance(kind, str) and kind in _PYTHON_KINDS:
            return f"{variable} is None" if kind == "null" else f"type({variable}) is {_PYTHON_KINDS[kind]}"
        return f"{self._helper(definition)}({variable})"

    def _generate_interpreted(self, definition: Schema) -> None:
        self._out.imports.update(("reader", "json"))
        text = self._constant(Call("json.loads", (json_literal(definition),)))
        for pattern in _patterns_in(definition):
            self._regex(pattern)
        self.require_call(f"_reader().is_valid({text}, {self._variable})")

    # --- constants --------------------------------------------------------------------------------

    def _constant(self, expr: Call | str) -> str:
        text = repr(expr)
        name = self._constant_names.get(text)
        if name is None:
            name = f"_C{len(self._constant_names) + 1}"
            self._constant_names[text] = name
            self._out.constants.append(assign(f"{name}: Final", expr))
        return name

    def _text(self, text: str) -> str:
        shown = text_literal(text)
        return shown if len(shown) <= _MAX_INLINE_TEXT else self._constant(shown)

    def _names_constant(self, names: list[str]) -> str:
        return self._constant(Call("frozenset", (Call("", tuple(map(text_literal, names)), "{}"),)))

    def _regex(self, pattern: str) -> str | None:
        name = self._pattern_names.get(pattern)
        if name is None:
            try:
                translated = translate(pattern)
            except UnsupportedPattern as reason:
                self._out.unsupported.append((self._current, pattern, str(reason)))
                return None
            name = f"_P{len(self._pattern_names) + 1}"
            self._pattern_names[pattern] = name
            self._out.imports.add("re")
            self._out.constants.append(assign(f"{name}: Final", Call("re.compile", (text_literal(translated),))))
            self._out.patterns.append(f"{text_literal(pattern)}: {name}")
        return name

    # --- keywords for any kind --------------------------------------------------------------------

    def generate_type(self) -> None:
        """`1.0` is an integer, true is no number."""
        types = self._definition["type"]
        names: list[str] = [types] if isinstance(types, str) else list(types)
        kinds = [_PYTHON_KINDS[name] for name in names if name in _PYTHON_KINDS]
        if "number" in names:
            kinds += ["int", "float"]
        elif "integer" in names:
            kinds += ["int"]
        if "NoneType" in kinds:
            self._out.imports.add("NoneType")
        if len(kinds) == 1:
            good, bad = f"{self._kind} is {kinds[0]}", f"{self._kind} is not {kinds[0]}"
        else:
            listed = ", ".join(kinds)
            good, bad = f"{self._kind} in ({listed})", f"{self._kind} not in ({listed})"
        if "integer" in names and "number" not in names:
            whole = f"({self._kind} is float and {self._variable}.is_integer())"
            good, bad = f"{good} or {whole}", f"{bad} and not {whole}"
        self.require(good, bad)
        if len(kinds) == 1 and "integer" not in names:
            self._known_kind = kinds[0]
        elif names in (["number"], ["integer"]):
            self._known_kind = "number"

    @contextmanager
    def _when(self, kind: str) -> Generator[None]:
        """Only for values of that kind, unless `type` has already seen to it."""
        if self._known_kind == kind:
            yield
        elif self._known_kind is not None:
            # The type excludes what this keyword speaks of.
            length = len(self._code)
            yield
            del self._code[length:]
        else:
            numbers = kind == "number"
            test = f"{self._kind} in (int, float)" if numbers else f"{self._kind} is {kind}"
            other = f"{self._kind} not in (int, float)" if numbers else f"{self._kind} is not {kind}"
            with self.only_if(test, other):
                yield

    def generate_const(self) -> None:
        """Equal as JSON values."""
        self._refuse_other_than([self._definition["const"]])

    def generate_enum(self) -> None:
        """Equal to one of the values as JSON values."""
        self._refuse_other_than(list(self._definition["enum"]))

    def _refuse_other_than(self, values: list[Any]) -> None:
        variable, kind = self._variable, self._kind
        if not values:
            self.line("return False")
        elif all(isinstance(value, str) for value in values):
            known = self._known_kind == "str"
            if len(values) == 1:
                # A string equals nothing but a string.
                text = self._text(values[0])
                self.require(f"{variable} == {text}", f"{variable} != {text}")
            else:
                constant = self._names_constant(list(dict.fromkeys(values)))
                good, bad = f"{variable} in {constant}", f"{variable} not in {constant}"
                self.require(
                    good if known else f"{kind} is str and {good}", bad if known else f"{kind} is not str or {bad}"
                )
        elif len(values) == 1 and (values[0] is None or isinstance(values[0], bool)):
            self.require(f"{variable} is {values[0]!r}", f"{variable} is not {values[0]!r}")
        elif len(values) == 1 and isinstance(values[0], int | float):
            self.require(
                f"{kind} in (int, float) and {variable} == {values[0]!r}",
                f"{kind} not in (int, float) or {variable} != {values[0]!r}",
            )
        else:
            self._out.imports.update(("one_of", "json"))
            constant = self._constant(Call("json.loads", (json_literal(values),)))
            self.require_call(f"one_of({variable}, {constant})")

    def generate_all_of(self) -> None:
        """Every part."""
        for part in self._definition["allOf"]:
            self._same_value(part)

    def _same_value(self, definition: Any) -> None:
        if definition is True or definition == {}:
            return
        if definition is False:
            self.line("return False")
            return
        self.require_call(self._call(definition, self._variable))

    def generate_any_of(self) -> None:
        """At least one part."""
        calls = [self._call(part, self._variable) for part in self._definition["anyOf"]]
        if "True" in calls:
            return
        if len(calls) == 1:
            self.require_call(calls[0])
            return
        either = " or ".join(calls)
        # As a condition and as a result, the line needs at most this much beside it.
        if self._indent * 4 + len(either) + len("if not ():") <= WIDTH:
            self.require(either, f"not ({either})")
            return
        start = len(self._code)
        listed = [f"    {'or ' if index else ''}{call}" for index, call in enumerate(calls)]
        for text in ("if not (", *listed, "):", "    return False"):
            self.line(text)
        result = [f"    {text}" for text in ("return (", *listed, ")")]
        if len(f"    return {either}") <= WIDTH:
            result = [f"    return {either}"]
        self._last_check = _Check(start, len(self._code), self._indent, either, f"not ({either})", result)

    def generate_one_of(self) -> None:
        """Exactly one part."""
        calls = [self._call(part, self._variable) for part in self._definition["oneOf"]]
        counted = f"[{', '.join(calls)}].count(True)"
        if self._indent * 4 + len(counted) + len("if  != 1:") > WIDTH:
            matches = self._variable_name_for("matches")
            self.line(f"{matches} = [")
            for call in calls:
                self.line(f"    {call},")
            self.line("]")
            counted = f"{matches}.count(True)"
        self.require(f"{counted} == 1", f"{counted} != 1")

    def generate_not(self) -> None:
        """Not that."""
        self.refuse_call(self._call(self._definition["not"], self._variable))

    def generate_if_then_else(self) -> None:
        """One of two branches."""
        condition = self._call(self._definition["if"], self._variable)
        if "then" in self._definition:
            call = self._call(self._definition["then"], self._variable)
            if call != "True":
                self.require(f"{_not(condition)} or {call}", f"{condition} and {_not(call)}")
        if "else" in self._definition:
            call = self._call(self._definition["else"], self._variable)
            if call != "True":
                self.require(f"{condition} or {call}", f"{_not(condition)} and {_not(call)}")

    # --- strings and numbers ----------------------------------------------------------------------

    def generate_min_length(self) -> None:
        """Code points."""
        with self._when("str"):
            self._length("<", "minLength")

    def generate_max_length(self) -> None:
        """Code points."""
        with self._when("str"):
            self._length(">", "maxLength")

    def generate_pattern(self) -> None:
        """ECMA meaning; a pattern that Python cannot say is reported and not checked."""
        regex = self._regex(self._definition["pattern"])
        if regex is not None:
            with self._when("str"):
                self.require(f"{regex}.search({self._variable}) is not None", f"not {regex}.search({self._variable})")

    def _length(self, operator: str, keyword: str) -> None:
        bound = _whole(self._definition[keyword])
        self.require(
            f"len({self._variable}) {_OPPOSITE[operator]} {bound}", f"len({self._variable}) {operator} {bound}"
        )

    def _compare(self, operator: str, keyword: str) -> None:
        with self._when("number"):
            bound = repr(self._definition[keyword])
            self.require(f"{self._variable} {_OPPOSITE[operator]} {bound}", f"{self._variable} {operator} {bound}")

    def generate_minimum(self) -> None:
        """At least."""
        self._compare("<", "minimum")

    def generate_maximum(self) -> None:
        """At most."""
        self._compare(">", "maximum")

    def generate_exclusive_minimum(self) -> None:
        """More than."""
        self._compare("<=", "exclusiveMinimum")

    def generate_exclusive_maximum(self) -> None:
        """Less than."""
        self._compare(">=", "exclusiveMaximum")

    def generate_multiple_of(self) -> None:
        """Exact in decimal."""
        self._out.imports.add("is_multiple")
        with self._when("number"):
            self.require_call(f"is_multiple({self._variable}, {self._definition['multipleOf']!r})")

    # --- arrays -----------------------------------------------------------------------------------

    def generate_min_items(self) -> None:
        """Length."""
        with self._when("list"):
            self._length("<", "minItems")

    def generate_max_items(self) -> None:
        """Length."""
        with self._when("list"):
            self._length(">", "maxItems")

    def generate_unique_items(self) -> None:
        """No two equal as JSON values."""
        if self._definition["uniqueItems"]:
            self._out.imports.add("unique")
            with self._when("list"):
                self.require_call(f"unique({self._variable})")

    def generate_items(self) -> None:
        """One schema for all items, or one for each of the first."""
        items = self._definition["items"]
        with self._when("list"):
            if isinstance(items, list):
                self._generate_positions(items)
            else:
                self._each_item(items, self._variable)

    def _generate_positions(self, items: list[Any]) -> None:
        for index, item in enumerate(items):
            call = self._call(item, f"{self._variable}[{index}]")
            if call != "True":
                self.require(
                    f"len({self._variable}) <= {index} or {call}", f"len({self._variable}) > {index} and {_not(call)}"
                )
        rest = self._definition.get("additionalItems", True)
        if rest is False:
            self.require(f"len({self._variable}) <= {len(items)}", f"len({self._variable}) > {len(items)}")
        else:
            self._each_item(rest, f"{self._variable}[{len(items)}:]")

    def _each_item(self, definition: Any, items: str) -> None:
        if definition is True or definition == {}:
            return
        if definition is False:
            self.require(f"len({items}) == 0", f"len({items}) > 0")
            return
        if "$ref" in definition:
            function = self._functions[_Definitions.name(definition["$ref"])]
            self.require_call(f"all(map({function}, {items}))")
            return
        item = self._variable_name_for("item")
        with self.each(item, items):
            self._block(definition, item)

    def generate_contains(self) -> None:
        """Between minContains and maxContains items."""
        definition = self._definition["contains"]
        least = _whole(self._definition.get("minContains", 1))
        most = self._definition.get("maxContains")
        with self._when("list"):
            call = self._call(definition, "item")
            if least == 1 and most is None:
                self.require_call(f"any({call} for item in {self._variable})")
                return
            matches = self._variable_name_for("matches")
            self.line(f"{matches} = sum({call} for item in {self._variable})")
            if most is None:
                self.require(f"{matches} >= {least}", f"{matches} < {least}")
            else:
                between = f"{least} <= {matches} <= {_whole(most)}"
                self.require(between, f"not {between}")

    # --- objects ----------------------------------------------------------------------------------

    def generate_min_properties(self) -> None:
        """Members."""
        with self._when("dict"):
            self._length("<", "minProperties")

    def generate_max_properties(self) -> None:
        """Members."""
        with self._when("dict"):
            self._length(">", "maxProperties")

    def generate_required(self) -> None:
        """All present."""
        names = list(dict.fromkeys(self._definition["required"]))
        with self._when("dict"):
            self._require(names)

    def _require(self, names: list[str]) -> None:
        if len(names) == 1:
            self.require(
                f"{self._text(names[0])} in {self._variable}", f"{self._text(names[0])} not in {self._variable}"
            )
        elif names:
            self.require_call(f"{self._variable}.keys() >= {self._names_constant(names)}")

    def generate_property_names(self) -> None:
        """Every name as a string."""
        definition = self._definition["propertyNames"]
        with self._when("dict"):
            if definition is False:
                self.require(f"len({self._variable}) == 0", f"len({self._variable}) > 0")
                return
            call = self._call(definition, "name")
            if call != "True":
                self.require_call(f"all({call} for name in {self._variable})")

    def generate_dependencies(self) -> None:
        """Names or a schema, where a member is present."""
        for name, needed in self._definition["dependencies"].items():
            self._depend(name, needed)

    def generate_dependent_required(self) -> None:
        """Names, where a member is present."""
        for name, needed in self._definition["dependentRequired"].items():
            self._depend(name, needed)

    def generate_dependent_schemas(self) -> None:
        """A schema, where a member is present."""
        for name, needed in self._definition["dependentSchemas"].items():
            self._depend(name, needed)

    def _depend(self, name: str, needed: Any) -> None:
        key = self._text(name)
        with self._when("dict"), self.only_if(f"{key} in {self._variable}", f"{key} not in {self._variable}"):
            if isinstance(needed, list):
                self._require(list(dict.fromkeys(needed)))
            else:
                self._same_value(needed)

    def generate_properties(self) -> None:
        """Known members, then those that match a pattern, then all others."""
        definition, variable = self._definition, self._variable
        properties: Schema = definition.get("properties", {})
        required = set(definition.get("required", ()))
        with self._when("dict"):
            for name, member_schema in properties.items():
                self._generate_member(name, member_schema, required=name in required)
            patterns: Schema = definition.get("patternProperties", {})
            others = definition.get("additionalProperties", True)
            if patterns:
                self._generate_patterned(patterns, list(properties), others)
            elif others is False:
                if properties:
                    self.require_call(f"{variable}.keys() <= {self._names_constant(list(properties))}")
                else:
                    self.require(f"len({variable}) == 0", f"len({variable}) > 0")
            elif others is not True and others != {}:
                self._generate_others(list(properties), others)

    def _generate_member(self, name: str, definition: Any, *, required: bool) -> None:
        if definition is True or definition == {}:
            return
        key = self._text(name)
        if definition is False:
            self.require(f"{key} not in {self._variable}", f"{key} in {self._variable}")
            return
        if required:
            # Refused above where it is absent.
            if "$ref" in definition:
                self.require_call(self._call(definition, f"{self._variable}[{key}]"))
                return
            member = self._variable_name_for("member")
            self.line(f"{member} = {self._variable}[{key}]")
            self._block(definition, member)
            return
        member = self._variable_name_for("member")
        self._out.imports.add("MISSING")
        self.line(f"{member} = {self._variable}.get({key}, MISSING)")
        if "$ref" in definition:
            call = self._call(definition, member)
            self.require(f"{member} is MISSING or {call}", f"{member} is not MISSING and {_not(call)}")
            return
        length = len(self._code)
        with self.only_if(f"{member} is not MISSING", f"{member} is MISSING"):
            self._block(definition, member)
        if len(self._code) == length:
            # No keyword in it says anything.
            self._code.pop()

    def _generate_others(self, known: list[str], definition: Any) -> None:
        name, member = self._variable_name_for("name"), self._variable_name_for("member")
        if not known and "$ref" in definition:
            function = self._functions[_Definitions.name(definition["$ref"])]
            self.require_call(f"all(map({function}, {self._variable}.values()))")
            return
        if not known:
            with self.each(member, f"{self._variable}.values()"):
                self._block(definition, member)
            return
        constant = self._names_constant(known)
        with self.each(f"{name}, {member}", f"{self._variable}.items()"):
            call = self._call(definition, member)
            self.require(f"{name} in {constant} or {call}", f"{name} not in {constant} and {_not(call)}")

    def _generate_patterned(self, patterns: Schema, known: list[str], others: Any) -> None:
        name, member = self._variable_name_for("name"), self._variable_name_for("member")
        tests: list[str] = []
        with self.each(f"{name}, {member}", f"{self._variable}.items()"):
            for pattern, definition in patterns.items():
                regex = self._regex(pattern)
                if regex is None:
                    continue
                test = f"{regex}.search({name})"
                tests.append(test)
                call = self._call(definition, member)
                if call != "True":
                    self.require(f"not {test} or {call}", f"{test} and {_not(call)}")
            if others is True or others == {}:
                return
            matched = self._variable_name_for("matched")
            listed = [f"{name} in {self._names_constant(known)}"] if known else []
            unions = " or ".join([*listed, *tests]) or "False"
            self.line(f"{matched} = bool({unions})")
            call = self._call(others, member)
            if call == "False":
                self.require_call(matched)
            else:
                self.require(f"{matched} or {call}", f"not {matched} and {_not(call)}")


def _not(call: str) -> str:
    """The opposite of a call, or of a comparison by identity."""
    return call.replace(" is ", " is not ") if _IDENTITY.fullmatch(call) else f"not {call}"


_IDENTITY: Final = re.compile(r"(type\(.+\)|[^()]+) is \w+")
_COMPARES: Final = re.compile(r"[=<>]|is_integer")


def _as_bool(condition: str) -> str:
    """A condition as a bool: comparing members of JSON values gives Any to a type checker."""
    return f"bool({condition})" if _COMPARES.search(condition) else condition


def _whole(number: float) -> int:
    """`2.0` as a length is 2."""
    return int(number)


_OPPOSITE: Final = {"<": ">=", ">": "<=", "<=": ">", ">=": "<"}


def _patterns_in(schema: Any) -> Iterator[str]:
    """Every pattern below a schema; a member that only looks like one does no harm."""
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        if isinstance(schema.get("patternProperties"), dict):
            yield from schema["patternProperties"]
        for member in schema.values():
            yield from _patterns_in(member)
    elif isinstance(schema, list):
        for item in schema:
            yield from _patterns_in(item)
