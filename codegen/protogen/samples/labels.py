"""The verdict on a value: jsonschema-rs says it, the jsonschema package confirms it.

Knows the lowered schema (draft-07, formats are annotations). Both validators refuse to fetch anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

from protogen.samples.checks import refuse
from protogen.samples.patterns import UnreadPattern, to_python
from protogen.samples.references import definition_name, reference_to, requoted
from protogen.samples.text import Json


class Judge:
    """Labels values of one schema document's definitions; validators are compiled when first asked for."""

    def __init__(self, definitions: dict[str, Any]) -> None:
        self._definitions = requoted(definitions)
        self._first: dict[str, Callable[[Json], bool]] = {}
        self._second: dict[str, Callable[[Json], bool]] = {}
        self._confirm: tuple[Any, dict[tuple[str, int], bool]] | None = None

    def label(self, name: str, value: Json) -> bool:
        """Whether a value is valid for a definition, as jsonschema-rs has it; a lone surrogate never is."""
        check = self._first.get(name)
        if check is None:
            import jsonschema_rs

            schema = {"$ref": reference_to(name), "definitions": self._definitions}
            check = jsonschema_rs.Draft7Validator(schema, validate_formats=False, retriever=refuse).is_valid
            self._first[name] = check
        try:
            return check(value)
        except UnicodeEncodeError:
            return False

    def confirm(self, name: str, value: Json) -> bool | None:
        """Whether a value is valid for a definition, as the jsonschema package has it; None where it cannot say.

        Patterns are translated so that they mean what ECMA-262 says, which Python's `$` and `\\d` do not.
        """
        check = self._second.get(name)
        if check is None:
            check = self._second[name] = self._confirming(name)
        try:
            return check(value)
        except RecursionError:
            return None  # a reference that leads back to itself without a step into the value

    def _confirming(self, name: str) -> Callable[[Json], bool]:
        if self._confirm is None:
            self._confirm = _confirming_class(self._definitions)
        validator, seen = self._confirm
        whole = validator({"$ref": reference_to(name)})

        def check(value: Json) -> bool:
            seen.clear()
            return bool(whole.is_valid(value))

        return check


def _confirming_class(definitions: dict[str, Any]) -> tuple[Any, dict[tuple[str, int], bool]]:
    """A draft-07 validator class whose references lead only into `definitions`, and what it remembers of one value.

    Verdicts on (reference, part of the value) are remembered, or unions of recursive types would take exponential time.
    """
    import jsonschema

    translated: dict[str, re.Pattern[str] | None] = {}
    seen: dict[tuple[str, int], bool] = {}

    def matches(pattern: str, text: str) -> bool:
        if pattern not in translated:
            try:
                translated[pattern] = re.compile(to_python(pattern))
            except (UnreadPattern, re.error):
                translated[pattern] = None
        compiled = translated[pattern]
        return compiled is not None and compiled.search(text) is not None

    def reference(validator: Any, ref: str, instance: Json, _: Json) -> Iterator[Any]:
        key = (ref, id(instance))
        if key not in seen:
            seen[key] = validator.evolve(schema=definitions[definition_name(ref)]).is_valid(instance)
        if not seen[key]:
            yield jsonschema.ValidationError(f"does not meet {ref}")

    def pattern(_: Any, pattern: str, instance: Json, _schema: Json) -> Iterator[Any]:
        if isinstance(instance, str) and not matches(pattern, instance):
            yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")

    def pattern_properties(validator: Any, table: dict[str, Any], instance: Json, _: Json) -> Iterator[Any]:
        if not isinstance(instance, dict):
            return
        for pattern, member in table.items():
            for key, value in instance.items():
                if matches(pattern, key):
                    yield from validator.descend(value, member, path=key, schema_path=pattern)

    def additional_properties(validator: Any, extra: Json, instance: Json, schema: dict[str, Any]) -> Iterator[Any]:
        if not isinstance(instance, dict):
            return
        known, expressions = schema.get("properties", {}), schema.get("patternProperties", {})
        for key, value in instance.items():
            if key not in known and not any(matches(pattern, key) for pattern in expressions):
                yield from validator.descend(value, extra, path=key)

    def multiple_of(_: Any, step: int | float, instance: Json, _schema: Json) -> Iterator[Any]:
        # As decimals, exactly: binary fractions make 0.3 no multiple of 0.1, and 2^53 one of 3.5.
        if isinstance(instance, bool) or not isinstance(instance, int | float | Decimal):
            return
        exact = Fraction(repr(instance) if isinstance(instance, float) else instance)
        if exact % Fraction(repr(step)):
            yield jsonschema.ValidationError(f"{instance!r} is not a multiple of {step!r}")

    def additional_items(validator: Any, extra: Json, instance: Json, schema: dict[str, Any]) -> Iterator[Any]:
        items = schema.get("items")
        if isinstance(items, list) and isinstance(instance, list):
            for at, value in enumerate(instance[len(items) :], start=len(items)):
                yield from validator.descend(value, extra, path=at)

    keywords = {
        "$ref": reference,
        "pattern": pattern,
        "patternProperties": pattern_properties,
        "additionalItems": additional_items,
        "multipleOf": multiple_of,
        "additionalProperties": additional_properties,
    }
    extended = jsonschema.validators.extend(jsonschema.Draft7Validator, keywords)  # type: ignore[no-untyped-call]  # the stubs leave it bare
    return extended, seen
