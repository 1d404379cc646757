"""What the models stand on: numbers as JSON Schema has them, and a check of what types cannot say.

Knows nothing of the protocol; `rules` has the definitions that decide and the classes they decide on.
"""

from __future__ import annotations

import functools
from typing import Annotated, Any, Generic, TypeAlias, TypeVar
from urllib.parse import quote

import pydantic

from . import rules

Root = TypeVar("Root")


def _whole(value: object) -> object:
    """A float without a fraction as the integer it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _fraction(value: object) -> object:
    """Only a float is one here: an integer beside it in a union keeps its own type and all its digits."""
    if isinstance(value, float):
        return value
    raise ValueError("expected a number with a fraction")


StrictInt = Annotated[int, pydantic.Strict(), pydantic.BeforeValidator(_whole)]
StrictFloat = Annotated[float, pydantic.Strict(), pydantic.BeforeValidator(_fraction)]


class BaseModel(pydantic.BaseModel):
    """An object; where `rules` names the class, its schema is checked before its fields."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _meets_its_schema(cls, value: Any) -> Any:
        return _checked(cls.__name__, value)


class RootModel(pydantic.RootModel[Root], Generic[Root]):
    """A value that is no object with fields; checked as BaseModel is."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _meets_its_schema(cls, value: Any) -> Any:
        return _checked(cls.__name__, value)


def _checked(name: str, value: Any) -> Any:
    """The value unchanged. Errors: ValueError with the first fault that its schema finds."""
    if name in rules.CHECKED and not isinstance(value, pydantic.BaseModel):
        fault = next(_validator(name).iter_errors(_plain(value)), None)
        if fault is not None:
            raise ValueError(fault.message)
    return value


@functools.cache
def _validator(name: str) -> Any:
    import jsonschema_rs

    schema = {"$ref": f"#/definitions/{quote(name)}", "definitions": rules.DEFINITIONS}
    return jsonschema_rs.Draft7Validator(schema, validate_formats=False, offline=True)


Plain: TypeAlias = dict[str, "Plain"] | list["Plain"] | pydantic.BaseModel | str | int | float | None
"""A JSON value that may have models in it."""


def _plain(value: Plain) -> Any:
    """The value as JSON has it, models in it written out."""
    if isinstance(value, pydantic.BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
