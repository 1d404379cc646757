"""Numbers as JSON Schema has them: no text or boolean is one, and 1.0 is an integer."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Strict


def _whole(value: object) -> object:
    """A float without a fraction as the integer it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _fraction(value: object) -> object:
    """Only a float is one here: an integer beside it in a union keeps its own type and all its digits."""
    if isinstance(value, float):
        return value
    raise ValueError("expected a number with a fraction")


StrictInt = Annotated[int, Strict(), BeforeValidator(_whole)]
StrictFloat = Annotated[float, Strict(), BeforeValidator(_fraction)]
