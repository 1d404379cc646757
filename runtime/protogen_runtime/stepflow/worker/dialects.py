"""What a runtime speaks: where its blobs are, and which of its numbers mean which of our errors (spec, section 4).

Knows no messages: the handshake says which dialect it is. Components and their handler know the errors of 0.9 alone.
"""

from __future__ import annotations

from typing import Final

import msgspec
from stepflow_protocol.errors import (
    BlobNotFoundError,
    ExecutionFailedError,
    ExecutionTimeoutError,
    ExpressionFailedError,
    InvalidValueError,
    NotFoundError,
    PermissionDeniedError,
    ResourceUnavailableError,
    ServerError,
    SessionExpiredError,
)
from stepflow_protocol.rpc.errors import RpcError, TypedError
from stepflow_v011_protocol import errors as later

from protogen_runtime.stepflow.plugins.contract import DialectName


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """The runtime that shook hands last, or what the app expects of one that does not.

    `blob_api_url` is None where it offers none; members of outputs whose text is above `blob_threshold` bytes go there,
    0 for none.
    """

    dialect: DialectName = "0.9"
    blob_api_url: str | None = None
    blob_threshold: int = 0


_CODES_IN_011: Final[dict[int, int]] = {
    ours.CODE: theirs.CODE
    for ours, theirs in (
        (ServerError, later.WorkerFailedError),
        (ExecutionFailedError, later.ExecutionFailedError),
        (ResourceUnavailableError, later.ResourceUnavailableError),
        # It has no code for these; what they have in common is that the component ran.
        (ExecutionTimeoutError, later.ExecutionFailedError),
        (PermissionDeniedError, later.ExecutionFailedError),
        (BlobNotFoundError, later.NotFoundError),
        (ExpressionFailedError, later.ValueFailedError),
        (SessionExpiredError, later.WorkerFailedError),
        (InvalidValueError, later.ValueFailedError),
        (NotFoundError, later.NotFoundError),
    )
}

_ERRORS_OF_011: Final[dict[int, type[TypedError]]] = {
    later.InvalidValueError.CODE: InvalidValueError,
    later.NotFoundError.CODE: NotFoundError,
    later.EntityNotFoundError.CODE: NotFoundError,
    later.WorkerFailedError.CODE: ServerError,
}


def told(error: RpcError, dialect: DialectName) -> RpcError:
    """An error of ours as the runtime is told it; codes that a component chose itself stay."""
    if dialect == "0.9" or not isinstance(error, TypedError):
        return error
    code = _CODES_IN_011.get(error.code, error.code)
    return error if code == error.code else RpcError(code, error.message, error.data)


def understood(error: RpcError, dialect: DialectName) -> RpcError:
    """What a runtime answered to a call of ours, as one of our errors, where there is one that means the same."""
    if dialect == "0.9":
        return error
    kind = _ERRORS_OF_011.get(error.code)
    return RpcError(error.code, error.message, error.data) if kind is None else kind(error.data, message=error.message)
