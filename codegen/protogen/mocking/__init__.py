"""Mocks: a protocol answered without an implementation, from its examples and types.

`Values` makes likely values of types, `Answers` answers methods with them. Knows no transport: a command serves them.
"""

from .answers import Answer, Answers
from .values import Values

__all__ = ["Answer", "Answers", "Values"]
