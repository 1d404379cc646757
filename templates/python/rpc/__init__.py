"""What every SDK shares: codec, client, dispatcher and transports, the same text whatever the protocol."""

from .asgi import AsgiApp
from .boundary import Boxed, Codec, OpenRecord, Record, UnknownVariant, ValidationError, to_json
from .channel import Channel
from .client import Client, EventStream
from .dispatch import Context, Dispatcher, Link, StreamContext
from .errors import CallError, CallTimeoutError, InvalidResultError, RpcError, TransportError, TypedError
from .http import HttpChannel
from .jsonvalue import Json
from .memory import memory_pair
from .schema import Issue
from .stdio import StdioChannel, serve_stdio
from .table import Method, ProtocolInfo

__all__ = [
    "AsgiApp",
    "Boxed",
    "CallError",
    "CallTimeoutError",
    "Channel",
    "Client",
    "Codec",
    "Context",
    "Dispatcher",
    "EventStream",
    "HttpChannel",
    "InvalidResultError",
    "Issue",
    "Json",
    "Link",
    "Method",
    "OpenRecord",
    "ProtocolInfo",
    "Record",
    "RpcError",
    "StdioChannel",
    "StreamContext",
    "TransportError",
    "TypedError",
    "UnknownVariant",
    "ValidationError",
    "memory_pair",
    "serve_stdio",
    "to_json",
]
