"""The sans-I/O core of JSON-RPC 2.0: bytes of one frame in, work and one reply out.

Does no I/O, starts no task, reads no clock and makes no id. A build copies this package verbatim into every
Python SDK, so it imports only the standard library, msgspec and itself (relatively).
"""

from .codec import ABSENT, decode, encode
from .errors import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    RESERVED_CODES,
    STANDARD_ERRORS,
)
from .exchange import MAX_BATCH, Exchange, receive
from .framing import MAX_FRAME_BYTES, Frame, FrameTooLong, LineFramer, encode_line
from .messages import (
    Answer,
    BadAnswer,
    BadRequest,
    Call,
    ErrorObject,
    Failure,
    Message,
    Notification,
    RequestId,
    Success,
    Work,
)
from .pending import Pending, PendingClosed, Stray
from .sse import MAX_EVENT_BYTES, ServerSentEvent, SseParser, encode_comment, encode_event

__all__ = [
    "ABSENT",
    "INTERNAL_ERROR",
    "INVALID_PARAMS",
    "INVALID_REQUEST",
    "MAX_BATCH",
    "MAX_EVENT_BYTES",
    "MAX_FRAME_BYTES",
    "METHOD_NOT_FOUND",
    "PARSE_ERROR",
    "RESERVED_CODES",
    "STANDARD_ERRORS",
    "Answer",
    "BadAnswer",
    "BadRequest",
    "Call",
    "ErrorObject",
    "Exchange",
    "Failure",
    "Frame",
    "FrameTooLong",
    "LineFramer",
    "Message",
    "Notification",
    "Pending",
    "PendingClosed",
    "RequestId",
    "ServerSentEvent",
    "SseParser",
    "Stray",
    "Success",
    "Work",
    "decode",
    "encode",
    "encode_comment",
    "encode_event",
    "encode_line",
    "receive",
]
