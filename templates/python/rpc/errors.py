"""Why a call gave no result: one exception per reaction.

    CallError                 any of these
    +- RpcError               the other side answered with an error; raised in a handler, it is that answer
    |  +- TypedError          an error that the protocol lists: the generated classes
    +- TransportError         no answer came: the connection failed, or what came was no JSON-RPC
    +- CallTimeoutError       no answer came in time (also a TimeoutError)
    +- InvalidResultError     an answer came whose result breaks the schema

Knows no transport. A value of ours that breaks its schema is a `boundary.ValidationError`, before anything is sent.
"""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import UNSET

from .schema import Issue


class CallError(Exception):
    """Base of all reasons why a call gave no result; never raised itself."""


class RpcError(CallError):
    """The other side answered with an error; `data` is a JSON value, UNSET where the answer had none.

    Raise it in a handler to answer with any code; prefer the protocol's own error classes.
    """

    def __init__(self, code: int, message: str, data: Any = UNSET) -> None:
        super().__init__(code, message, data)
        self.code = code
        self.message = message
        self.data = data

    def __str__(self) -> str:
        return f"{self.message} ({self.code})"


class TypedError(RpcError):
    """An error of the protocol; `DATA` names the type of its data, None where the protocol states none."""

    CODE: ClassVar[int]
    MESSAGE: ClassVar[str]
    DATA: ClassVar[str | None] = None

    def __init__(self, data: Any = UNSET, *, message: str | None = None) -> None:
        super().__init__(self.CODE, self.MESSAGE if message is None else message, data)


class TransportError(CallError):
    """No answer came; `status` is the HTTP status where there was one."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

    @property
    def can_pass(self) -> bool:
        """Whether trying again can help: the connection failed, or the server said that it is overloaded."""
        return self.status is None or self.status in (429, 502, 503, 504)


class CallTimeoutError(CallError, TimeoutError):
    """No answer came in time; the other side was told that the call is abandoned."""

    def __init__(self, method: str, seconds: float) -> None:
        super().__init__(f"{method} was not answered within {seconds:g} s")
        self.method = method
        self.seconds = seconds


class InvalidResultError(CallError):
    """An answer came, but its result (or an event) breaks the schema; `errors` lists every fault with its path."""

    def __init__(self, method: str, errors: tuple[Issue, ...]) -> None:
        listed = "; ".join(f"{issue.path}: {issue.message}" for issue in errors[:5])
        super().__init__(f"the answer to {method} breaks its schema: {listed}")
        self.method = method
        self.errors = errors
