"""From a JSON-RPC message to the handler that serves it and back: typed params in, results and errors out.

Knows no transport and no protocol by name; a `Service` binds a handler to the tables of any generated SDK.
"""

from .context import AnswerEarly, CallContext, Emit, Link
from .direct import DirectCall
from .joined import Joined
from .later import Later, Mapped, Outcome, Telling, Unmade
from .sdk import Channel, Codec, Method, OnEvent, ProtocolInfo, Sdk, sdk_of
from .service import Direct, Explain, Report, Service, finished
from .usage import CANCEL_METHOD, STANDARD, Usage, cancel_request

__all__ = [
    "CANCEL_METHOD",
    "STANDARD",
    "AnswerEarly",
    "CallContext",
    "Channel",
    "Codec",
    "Direct",
    "DirectCall",
    "Emit",
    "Explain",
    "Joined",
    "Later",
    "Link",
    "Mapped",
    "Method",
    "OnEvent",
    "Outcome",
    "ProtocolInfo",
    "Report",
    "Sdk",
    "Service",
    "Telling",
    "Unmade",
    "Usage",
    "cancel_request",
    "finished",
    "sdk_of",
]
