"""Inputs: draft-07 schemas that users send, and whether inputs meet them.

Nothing is fetched, patterns take linear time, and what would take long is refused before it is begun (`costs`). The
faults are in our own words: those of the validator may hold the whole value.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice
from typing import Final

import jsonschema_rs
import msgspec

from protogen_runtime.apflow.rules.faults import FieldFault, Path, shortened

from .contract import Json
from .costs import MAX_DFA_BYTES, MAX_SCHEMA_BYTES, BadSchema, Cost

MAX_PATTERN_BYTES: Final = 320 * 1024
"""Size of one compiled pattern: `^.{1,255}$` has half of that, and compiling takes time in proportion."""
MAX_LISTED_COST: Final = 20_000
"""Evaluations up to which all faults are listed: making one takes a thousand times as long as finding none."""
MAX_FAULTS: Final = 20


class CompiledSchema:
    """A schema, ready to check values. Raises BadSchema."""

    def __init__(self, schema: Json) -> None:
        self._cost = Cost(schema)
        self.held_bytes = self._cost.held_bytes
        try:
            # Formats are annotations; the validator is told of no other document, and gets none.
            self._validator = jsonschema_rs.Draft7Validator(
                schema,
                validate_formats=False,
                retriever=_refuse,
                pattern_options=jsonschema_rs.RegexOptions(size_limit=MAX_PATTERN_BYTES, dfa_size_limit=MAX_DFA_BYTES),
            )
        except jsonschema_rs.ValidationError as reason:
            path = tuple(reason.instance_path)
            if "pattern" in path[-1:] or "patternProperties" in path[-2:]:
                expected = "a regular expression without look-around or back-references, and of moderate size"
                raise BadSchema("Pattern not supported", path, expected=expected) from None
            raise BadSchema("Not a draft-07 schema", path) from None
        except (jsonschema_rs.ReferencingError, ValueError, RecursionError):
            raise BadSchema("Not a draft-07 schema") from None

    def faults(self, value: Json, *, at: Path = ("inputs",)) -> list[FieldFault]:
        """What is wrong with a value, up to MAX_FAULTS; `at` is the path of the value itself."""
        try:
            cost = self._cost.of(value)
            if cost is None:
                return [FieldFault(field=_field(at), reason="Too large to be held to input_schema", path=at)]
            if self._validator.is_valid(value):
                return []
            errors = self._validator.iter_errors(value) if cost <= MAX_LISTED_COST else self._first(value)
            return [_fault(error, at) for error in islice(errors, MAX_FAULTS)]
        except (ValueError, RecursionError, jsonschema_rs.ReferencingError):
            # Numbers of thousands of digits and lone surrogates come to this.
            return [FieldFault(field=_field(at), reason="Cannot be held to input_schema", path=at)]

    def _first(self, value: Json) -> Iterator[jsonschema_rs.ValidationError]:
        try:
            self._validator.validate(value)
        except jsonschema_rs.ValidationError as error:
            yield error


class InputSchemas:
    """Schemas of tasks, compiled once for as long as they are in use. Bad ones are remembered as well."""

    def __init__(self, *, max_schemas: int = 512, max_bytes: int = 64 * 1024 * 1024) -> None:
        self._max_schemas = max_schemas
        self._max_bytes = max_bytes
        self._held_bytes = 0
        self._known: OrderedDict[bytes, CompiledSchema | BadSchema] = OrderedDict()

    def faults(self, schema: Json, inputs: Json, *, at: Path = ()) -> list[FieldFault]:
        """Hold the `inputs` of a task to its `schemas.input_schema`; `at` leads from the params to the task.

        Faults of the schema itself have paths below `schemas`, those of the inputs below `inputs`. Source:
        03-data-model.md, 09-validation.md.
        """
        compiled = self._compiled(schema)
        if isinstance(compiled, BadSchema):
            path = (*at, "schemas", "input_schema", *compiled.path)
            return [FieldFault(field="input_schema", reason=compiled.reason, expected=compiled.expected, path=path)]
        return compiled.faults(inputs, at=(*at, "inputs"))

    def _compiled(self, schema: Json) -> CompiledSchema | BadSchema:
        try:
            text = msgspec.json.encode(schema)
        except (TypeError, ValueError, RecursionError):
            return BadSchema("Not JSON")
        found = self._known.get(text)
        if found is not None:
            self._known.move_to_end(text)
            return found
        try:
            if len(text) > MAX_SCHEMA_BYTES:
                raise BadSchema("Too large", expected=f"at most {MAX_SCHEMA_BYTES} bytes")
            found = CompiledSchema(schema)
        except BadSchema as reason:
            found = reason
        self._known[text] = found
        self._held_bytes += _held(text, found)
        while len(self._known) > self._max_schemas or (self._held_bytes > self._max_bytes and len(self._known) > 1):
            self._held_bytes -= _held(*self._known.popitem(last=False))
        return found


def _held(text: bytes, compiled: CompiledSchema | BadSchema) -> int:
    return len(text) + (compiled.held_bytes if isinstance(compiled, CompiledSchema) else 0)


def _refuse(uri: str) -> Json:
    raise ValueError(f"{uri}: schemas stand alone")


_REASONS: Final = {
    "additionalItems": "Too many items",
    "additionalProperties": "Unknown members",
    "anyOf": "Matches none of the alternatives",
    "const": "Wrong value",
    "contains": "No item matches",
    "dependencies": "Missing",
    "enum": "Not one of the values",
    "exclusiveMaximum": "Value out of range",
    "exclusiveMinimum": "Value out of range",
    "falseSchema": "Not allowed",
    "maxItems": "Too many items",
    "maxLength": "Too long",
    "maxProperties": "Too many members",
    "maximum": "Value out of range",
    "minItems": "Too few items",
    "minLength": "Too short",
    "minProperties": "Too few members",
    "minimum": "Value out of range",
    "multipleOf": "Not a multiple",
    "not": "Not allowed",
    "oneOfMultipleValid": "Matches several alternatives",
    "oneOfNotValid": "Matches none of the alternatives",
    "pattern": "Does not match the pattern",
    "propertyNames": "Name not allowed",
    "required": "Missing",
    "type": "Wrong type",
    "uniqueItems": "Items repeat",
}
_LIMITS: Final = {
    "exclusiveMaximum": "less than",
    "exclusiveMinimum": "more than",
    "maxItems": "at most",
    "maxLength": "at most",
    "maxProperties": "at most",
    "maximum": "at most",
    "minItems": "at least",
    "minLength": "at least",
    "minProperties": "at least",
    "minimum": "at least",
}


def _fault(error: jsonschema_rs.ValidationError, at: Path) -> FieldFault:
    kind, path = error.kind.name, (*at, *error.instance_path)
    details = error.kind.as_dict()
    actual: Json = error.instance
    expected: Json = msgspec.UNSET
    if kind in _LIMITS:
        expected = f"{_LIMITS[kind]} {details['limit']}"
    elif kind == "required":
        path, actual = (*path, details["property"]), msgspec.UNSET
    elif kind == "type":
        expected = " or ".join(sorted(details["types"]))
    elif kind == "enum":
        expected = shortened(details["options"])
    elif kind == "const":
        expected = shortened(details["expected_value"])
    elif kind == "pattern":
        expected = shortened(details["pattern"])
    elif kind == "additionalProperties":
        path, actual = (*path, details["unexpected"][0]), msgspec.UNSET
    reason = _REASONS.get(kind, "Does not meet input_schema")
    return FieldFault(field=_field(path), reason=reason, expected=expected, actual=actual, path=path)


def _field(path: Path) -> str:
    """The name that people look for: the last in the path that is no index."""
    return next((part for part in reversed(path) if isinstance(part, str)), "inputs")
