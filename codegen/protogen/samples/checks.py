"""Whether a value meets a part of a schema, for whoever makes values.

Knows draft-07 through jsonschema-rs; formats are annotations, nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jsonschema_rs

from protogen.samples.merge import without
from protogen.samples.text import Json

Schema = dict[str, Any] | bool


def validity(schema: Schema, definitions: dict[str, Schema]) -> Callable[[Json], bool]:
    """Whether a value (without Spelled) meets a schema whose references point into `definitions`."""
    if isinstance(schema, dict) and "patterns" in schema:
        also = [{"pattern": pattern} for pattern in schema["patterns"]]
        schema = {**without(schema, "patterns"), "allOf": [*schema.get("allOf", ()), *also]}
    whole = {"allOf": [schema], "definitions": definitions}
    return jsonschema_rs.Draft7Validator(whole, validate_formats=False, retriever=refuse).is_valid


def refuse(uri: str) -> Json:
    """The retriever of every validator here: a schema is whole, nothing is ever fetched."""
    raise LookupError(f"{uri} is outside the schema")
