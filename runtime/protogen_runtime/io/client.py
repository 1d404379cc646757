"""One way to make a client, whatever carries its messages: `connect(target, ServerClient)`.

Knows transports by the scheme of a target alone. Those of others are found by the entry point group
`protogen.transports`, where the name of an entry is the scheme and its value a `Transport`.
"""

from __future__ import annotations

import os
import shlex
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias, TypeVar

import msgspec

from protogen_runtime.dispatch import Service
from protogen_runtime.installed import NotInstalled, function_for, schemes_of

from .channel import Bounds, Channel, adopt
from .tls import trusting

GROUP: Final = "protogen.transports"

Client = TypeVar("Client")


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What to connect to, and what every transport may be told about it.

    `address` is the whole target, its scheme included. `callbacks` serves what the other side calls on us. `headers`
    and `tls` are for transports that have such; `instance_header` is the protocol's, None where it is not known.
    """

    address: str
    callbacks: Service | None = None
    bounds: Bounds = Bounds()
    headers: Mapping[str, str] = {}
    tls: ssl.SSLContext | None = None
    instance_header: str | None = None


Transport: TypeAlias = Callable[[Target], Channel]
"""Makes a channel that is not open yet. Errors: ValueError for an address that it cannot read."""


class UnknownTarget(ValueError):
    """No transport takes this target; the message is one line that says what is wrong and what to do."""


def connect(
    target: str | Sequence[str] | Channel,
    make_client: Callable[..., Client],
    *,
    callbacks: Service | None = None,
    bounds: Bounds | None = None,
    headers: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
    trust: str | os.PathLike[str] | None = None,
    timeout: float | None = 30.0,
    retries: int = 2,
    backoff: float = 0.1,
) -> Client:
    """A client of a generated class for a target; use it as an async context manager.

    - `http://…`, `https://…`: one POST per call, answers as JSON or as an event stream;
    - `sse+http://…`, `sse+https://…`: a session, whose stream of events is at this URL;
    - `ws://…`, `wss://…`: a WebSocket;
    - `stdio:command args`, or a list of the command and its arguments: a child process;
    - `<scheme>:…`: what an installed distribution registers for that scheme;
    - a channel, such as one end of a `memory_pair`.

    `trust` is a file of certificates (PEM): the authorities to trust instead of the system's. `tls` is a context of
    your own, for client certificates and the like. `timeout`, `retries` and `backoff` are the client's (seconds;
    retries are for idempotent methods). Answers and errors are of the SDK's classes.

    Errors: UnknownTarget; ValueError for an address that its transport cannot read, and for a file of `trust` that
    holds no certificates.
    """
    channel = channel_to(target, callbacks=callbacks, bounds=bounds, headers=headers, tls=tls, trust=trust)
    if isinstance(make_client, type):
        channel = adopt(channel, make_client)
    return make_client(channel, timeout=timeout, retries=retries, backoff=backoff)


def channel_to(
    target: str | Sequence[str] | Channel,
    *,
    callbacks: Service | None = None,
    bounds: Bounds | None = None,
    headers: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
    trust: str | os.PathLike[str] | None = None,
) -> Channel:
    """The channel of a target, not open yet, with the runtime's own classes; see `connect`."""
    if trust is not None:
        if tls is not None:
            raise ValueError("give trust= or tls=, not both: a context of your own knows whom it trusts")
        tls = trusting(trust)
    if not isinstance(target, str | Sequence):
        if callbacks is not None:
            raise UnknownTarget("a channel that exists already serves what it was made with; leave callbacks= out")
        return target
    address = target if isinstance(target, str) else f"stdio:{shlex.join(target)}"
    scheme, colon, _ = address.partition(":")
    if not colon:
        raise UnknownTarget(f"{address!r} names no transport; write http://{address or 'HOST:PORT'}/ or stdio:COMMAND")
    transport = _BUILT_IN.get(scheme.lower()) or _registered(scheme.lower())
    return transport(
        Target(
            address=address,
            callbacks=callbacks,
            bounds=bounds or Bounds(),
            headers=headers or {},
            tls=tls,
            instance_header=None if callbacks is None else callbacks.info.instance_header,
        )
    )


def known_schemes() -> list[str]:
    """The schemes that can be connected to here, built in and registered."""
    return schemes_of(GROUP, _BUILT_IN)


def _registered(scheme: str) -> Transport:
    try:
        return function_for(scheme, GROUP, kind="transport", built_in=_BUILT_IN)
    except NotInstalled as reason:
        raise UnknownTarget(str(reason)) from reason


# Imported late: each brings libraries that the others have no use for.


def _http(target: Target) -> Channel:
    from .client_http import HttpChannel

    return HttpChannel(
        target.address,
        callbacks=target.callbacks,
        bounds=target.bounds,
        headers=target.headers,
        tls=target.tls,
        instance_header=target.instance_header,
    )


def _session(target: Target) -> Channel:
    from .session_client import SessionChannel

    return SessionChannel(
        target.address[len("sse+") :],
        callbacks=target.callbacks,
        bounds=target.bounds,
        headers=target.headers,
        tls=target.tls,
    )


def _websocket(target: Target) -> Channel:
    from .websocket_client import WebSocketChannel

    return WebSocketChannel(
        target.address,
        callbacks=target.callbacks,
        bounds=target.bounds,
        headers=target.headers,
        tls=target.tls,
    )


def _stdio(target: Target) -> Channel:
    from .stdio import StdioChannel

    command = shlex.split(target.address.partition(":")[2])
    if not command:
        raise UnknownTarget("stdio: names no command; write stdio:PROGRAM ARGUMENTS")
    return StdioChannel(command, callbacks=target.callbacks, bounds=target.bounds)


_BUILT_IN: Final[dict[str, Transport]] = {
    "http": _http,
    "https": _http,
    "sse+http": _session,
    "sse+https": _session,
    "ws": _websocket,
    "wss": _websocket,
    "stdio": _stdio,
}
