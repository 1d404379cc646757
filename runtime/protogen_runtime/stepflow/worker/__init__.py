"""Workers: components written as annotated functions, and what a runtime calls on them.

Knows no transport: `protogen worker MODULE:APP` serves an App over HTTP, in sessions, and over stdio.
"""

from stepflow_protocol.errors import (
    BlobNotFoundError,
    ExecutionFailedError,
    ExecutionTimeoutError,
    ExpressionFailedError,
    InvalidInputSchemaError,
    InvalidValueError,
    NotFoundError,
    PermissionDeniedError,
    ResourceUnavailableError,
    ServerError,
)
from stepflow_protocol.rpc.errors import RpcError

from .app import App
from .context import BlockingContext, Context
from .functions import BadComponent

__all__ = [
    "App",
    "BadComponent",
    "BlobNotFoundError",
    "BlockingContext",
    "Context",
    "ExecutionFailedError",
    "ExecutionTimeoutError",
    "ExpressionFailedError",
    "InvalidInputSchemaError",
    "InvalidValueError",
    "NotFoundError",
    "PermissionDeniedError",
    "ResourceUnavailableError",
    "RpcError",
    "ServerError",
]
