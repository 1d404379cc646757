"""Workers with a session: a stream of events from the worker, POSTs with answers to it (spec section 6.2, S0).

Knows no events; `contract.Channels` makes the channels. Each runtime has a session of its own.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

import trio

from protogen_runtime.dispatch import Service
from protogen_runtime.dispatch.channels import TransportError

from .contract import NO_CONNECTION, Channels, StepFailed
from .lenient import reader
from .links import Connect, Link, no

EVENTS: Final = "/runtime/events"
"""Where the stream is, below the URL of the worker."""


def connect_session(url: str, channels: Channels, *, name: str, lenient: bool) -> Connect:
    """How a session with the worker at a URL is begun; another one is, when the stream of events is lost."""
    stream_url = events_url(url)

    @asynccontextmanager
    async def connect(callbacks: Service, nursery: trio.Nursery) -> AsyncGenerator[Link]:
        del nursery
        channel = channels.session(stream_url, callbacks=callbacks, read=reader(lenient=lenient))

        async def lost() -> str:
            await channel.ended.wait()
            return "the session has ended"

        try:
            await channel.open()
        except TransportError as error:
            raise StepFailed(NO_CONNECTION, f"worker {name}: {error}", kind="transport") from None
        try:
            yield Link(channel, lost, _unknown, channel.ended.is_set, no)
        finally:
            await channel.aclose()

    return connect


def events_url(url: str) -> str:
    """The URL of the stream of events, where the URL of the worker is given; that of a stream is left as it is."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    return url if path.endswith("/events") else parts._replace(path=path + EVENTS).geturl()


async def _unknown() -> None:
    await trio.lowlevel.checkpoint()
