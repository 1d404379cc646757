"""The rules of lint: one table, each with a code, a category and a level, and the function that finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal

import msgspec

from protogen.problems import Level

from . import documentation, examples, messages, naming, structure, unions
from .findings import Finding
from .subject import Subject

Category = Literal["structure", "unions", "methods", "errors", "naming", "docs", "examples"]
CATEGORIES: Final[tuple[Category, ...]] = (
    *("structure", "unions", "methods", "errors"),
    *("naming", "docs", "examples"),
)


Check = Callable[[Subject], Iterator[Finding]]


class Rule(msgspec.Struct, frozen=True):
    """One rule; `on` unless it has to be selected. Its text stands in the catalogue under its code."""

    code: str
    name: str
    category: Category
    level: Level
    check: Check
    on: bool = True
    mends: bool = False


RULES: Final = (
    Rule("PG401", "unused-definition", "structure", "warning", structure.unused_definitions),
    Rule("PG402", "equal-definitions", "structure", "warning", structure.equal_definitions, on=False),
    Rule("PG403", "idle-keyword", "structure", "warning", structure.idle_keywords, mends=True),
    Rule("PG404", "undescribed-member", "structure", "warning", structure.undescribed_members),
    Rule("PG405", "nothing-fits", "structure", "error", structure.contradictions),
    Rule("PG411", "null-in-two-alternatives", "unions", "error", unions.null_twice),
    Rule("PG412", "overlapping-alternatives", "unions", "warning", unions.overlaps),
    Rule("PG413", "open-enum-unmarked", "unions", "warning", unions.unmarked_open_enums),
    Rule("PG421", "request-without-result", "methods", "warning", messages.without_result),
    Rule("PG423", "reserved-method", "methods", "error", messages.reserved_methods),
    Rule("PG424", "params-not-an-object", "methods", "warning", messages.params_not_objects),
    Rule("PG431", "reserved-error-code", "errors", "error", messages.reserved_codes),
    Rule("PG432", "unused-error", "errors", "warning", messages.unused_errors),
    Rule("PG441", "type-name-style", "naming", "warning", naming.types),
    Rule("PG442", "member-name-style", "naming", "warning", naming.members),
    Rule("PG443", "method-name-style", "naming", "warning", naming.methods),
    Rule("PG444", "value-style", "naming", "warning", naming.values),
    Rule("PG451", "undocumented-type", "docs", "warning", documentation.types),
    Rule("PG452", "undocumented-member", "docs", "warning", documentation.members, on=False),
    Rule("PG453", "undocumented-error", "docs", "warning", documentation.errors, on=False),
    Rule("PG454", "summary-form", "docs", "warning", documentation.summaries),
    Rule("PG461", "failing-example", "examples", "error", examples.failing),
    Rule("PG462", "method-without-example", "examples", "warning", examples.missing, on=False),
    Rule("PG463", "failing-value", "examples", "error", examples.failing_values),
)
"""All rules by code."""
