"""Messages of JSON-RPC 2.0 as frozen data: calls, notifications, answers, error objects.

Knows neither bytes nor transports. Parameters, results and error data stay raw JSON here, because only
the method's table says what they are.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec
from msgspec import UNSET, Raw, UnsetType

RequestId: TypeAlias = "str | int | float | None"
"""What identifies a call; integers of any size are kept exactly. Booleans and containers are no ids.

Ours are never a `float`: those of others that have a fraction or an exponent are, where one holds it exactly.
"""


class ErrorObject(msgspec.Struct, frozen=True):
    """The `error` member of an answer; `data` is raw JSON, UNSET where it is absent."""

    code: int
    message: str
    data: Raw | UnsetType = UNSET


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is owed exactly one answer; `params` is an object, an array, or empty where absent."""

    id: RequestId
    method: str
    params: Raw = Raw()


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is never answered, whatever happens."""

    method: str
    params: Raw = Raw()


class Success(msgspec.Struct, frozen=True, kw_only=True):
    """An answer with a result."""

    id: RequestId
    result: Raw


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """An answer with an error; the id is None where the other side could not read ours."""

    id: RequestId
    error: ErrorObject


class BadAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A message that is an answer by its members, but not a valid one: both or ill-formed `result` and `error`.

    It is never answered, lest two peers send each other errors for ever. `id` is None where it could not be read.
    """

    id: RequestId
    reason: str


class BadRequest(msgspec.Struct, frozen=True, kw_only=True):
    """JSON that is no message at all; it is owed an answer with this error, under `id` where that could be read."""

    id: RequestId
    error: ErrorObject


Work: TypeAlias = "Call | Notification"
Answer: TypeAlias = "Success | Failure"
Message: TypeAlias = "Call | Notification | Success | Failure | BadAnswer | BadRequest"
