"""However the bytes of a stream are cut, the same messages come out: lines, WebSocket frames, events over HTTP."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from typing import Any

import httpx
import msgspec
import trio
import wsproto
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from wsproto.connection import Connection, ConnectionType
from wsproto.events import AcceptConnection, BytesMessage, Ping, Request, TextMessage

from protogen_runtime.io.channel import FrameStream
from protogen_runtime.io.client_http import HttpChannel
from protogen_runtime.io.sse import EventSource
from protogen_runtime.io.stdio import pipe_stream
from protogen_runtime.io.websocket_client import WebSocketChannel
from protogen_runtime.jsonrpc import Frame, Success

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
MESSAGES = st.lists(TEXTS.map(lambda text: msgspec.json.encode({"text": text})), min_size=1, max_size=6)
LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        with trio.fail_after(20):
            await scenario()

    trio.run(limited)


def cut(data: bytes, seed: st.DataObject) -> list[bytes]:
    """The data in pieces of any size: whole, byte by byte, or at random places."""
    how = seed.draw(st.sampled_from(["whole", "bytes", "random"]))
    if how == "whole":
        return [data]
    if how == "bytes" and len(data) < 3000:
        return [data[i : i + 1] for i in range(len(data))]
    cuts = sorted(seed.draw(st.lists(st.integers(0, len(data)), max_size=12)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]


async def read_all(stream: FrameStream, count: int) -> list[Frame]:
    frames: list[Frame] = []
    while len(frames) < count and (more := await stream.receive_frames()) is not None:
        frames += more
    return frames


@settings(max_examples=60, deadline=None)
@given(MESSAGES, st.data())
def test_lines(messages: list[bytes], data: st.DataObject) -> None:
    ends = [data.draw(st.sampled_from([b"\n", b"\r\n", b"\n\n \n"])) for _ in messages]
    last = data.draw(st.sampled_from([b"", b"\n"]))
    text = b"".join(message + end for message, end in zip(messages, ends, strict=True)) + b'"last"' + last

    async def scenario() -> None:
        source, sink = os.pipe()
        stream = pipe_stream(source, os.dup(sink))

        async def write() -> None:
            for piece in cut(text, data):
                os.write(sink, piece)
                await trio.lowlevel.checkpoint()
            os.close(sink)
            # The stream's own copy of the writing end.
            stream._close(stream._sink)  # type: ignore[attr-defined]  # the concrete class has both

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            assert await read_all(stream, len(messages) + 2) == [*messages, b'"last"']
        await stream.aclose()

    run(scenario)


# --- WebSocket ------------------------------------------------------------------------------------------


class _Script:
    """A WebSocket server on one end of a socket pair: accepts, then sends what it is told to, cut anyhow."""

    def __init__(self, sock: trio.socket.SocketType) -> None:
        self._stream = trio.SocketStream(sock)
        self._protocol = wsproto.WSConnection(ConnectionType.SERVER)

    async def accept(self, after: bytes, cut_up: Callable[[bytes], list[bytes]]) -> None:
        """Answer the handshake, with more right behind it in the same pieces."""
        asked = False
        while not asked:
            self._protocol.receive_data(bytes(await self._stream.receive_some()))
            asked = any(isinstance(event, Request) for event in self._protocol.events())
        answer = self._protocol.send(AcceptConnection())
        for piece in cut_up(answer + after):
            await self._stream.send_all(piece)
            await trio.lowlevel.checkpoint()


def _frames_of(messages: list[bytes], data: st.DataObject) -> bytes:
    """The messages as WebSocket frames: text or binary, in fragments, with pings between."""
    protocol = Connection(ConnectionType.SERVER)
    out = b""
    for message in messages:
        text = message.decode()
        middle = data.draw(st.integers(0, len(text)))
        if data.draw(st.booleans()):
            out += protocol.send(TextMessage(text[:middle], message_finished=False))
            out += protocol.send(Ping(b"there?"))
            out += protocol.send(TextMessage(text[middle:]))
        else:
            out += protocol.send(BytesMessage(message[:middle], message_finished=False))
            out += protocol.send(BytesMessage(message[middle:]))
    return out


@settings(max_examples=40, deadline=None)
@given(MESSAGES, st.data())
def test_websocket_messages(messages: list[bytes], data: st.DataObject) -> None:
    after = _frames_of(messages, data)

    async def scenario() -> None:
        ours, theirs = trio.socket.socketpair(socket.AF_UNIX)

        class Channel(WebSocketChannel):
            async def _open_stream(self) -> trio.abc.Stream:
                await trio.lowlevel.checkpoint()
                return trio.SocketStream(ours)

        # Closed in any case: drawing the pieces may end an example in the middle.
        with ours, theirs:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_Script(theirs).accept, after, lambda text: cut(text, data))
                stream = await Channel("ws://host/")._connect_socket()
                assert await read_all(stream, len(messages)) == messages
            theirs.close()
            await stream.aclose()

    run(scenario)


# --- events over HTTP -----------------------------------------------------------------------------------


class _Pieces(httpx.AsyncByteStream):
    """A body that comes in pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        for piece in self._pieces:
            await trio.lowlevel.checkpoint()
            yield piece


def _event(value: Any, end: str, data: st.DataObject, *, name: str | None = None) -> str:
    """A value as one event in one of the many ways there are."""
    text = msgspec.json.encode(value).decode()
    if data.draw(st.booleans()):
        text = msgspec.json.format(text, indent=1)
    space = data.draw(st.sampled_from(["", " "]))
    lines = [f"data:{space}{line}" for line in text.split("\n")]
    if name is not None:
        lines.insert(data.draw(st.integers(0, len(lines))), f"event:{space}{name}")
    if data.draw(st.booleans()):
        lines.insert(0, data.draw(st.sampled_from([": a comment", ":", "unknown: field", "data-: x", "retry: 10"])))
    return end.join([*lines, "", ""])


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS, max_size=4), LINE_ENDS, st.data())
def test_streamed_answers(texts: list[str], end: str, data: st.DataObject) -> None:
    named = data.draw(st.booleans())
    parts = [_event({"text": text}, end, data, name="progress" if named else None) for text in texts]
    answer = _event({"jsonrpc": "2.0", "id": 1, "result": ["\u2028é😀"]}, end, data)
    place = data.draw(st.sampled_from([0, len(parts)]))
    parts.insert(place, answer)
    body = data.draw(st.sampled_from(["", "\ufeff"])) + "".join(parts)

    async def scenario() -> None:
        def answer_with(request: httpx.Request) -> httpx.Response:
            headers = {"content-type": "Text/Event-Stream; charset=utf-8"}
            return httpx.Response(200, headers=headers, stream=_Pieces(cut(body.encode(), data)))

        events: list[Any] = []

        async def on_event(event: Any) -> None:
            await trio.lowlevel.checkpoint()
            events.append(event)

        async with httpx.AsyncClient(transport=httpx.MockTransport(answer_with)) as http:
            got = await HttpChannel("http://host/", http=http).call("any", Raw(b"{}"), on_event)
        assert isinstance(got, Success)
        assert msgspec.json.decode(got.result) == ["\u2028é😀"]
        values = [{"text": text} for text in texts]
        assert events == [{"event": "progress", "data": value} if named else value for value in values]

    run(scenario)


@settings(max_examples=30, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=8), LINE_ENDS, st.data())
def test_a_stream_that_breaks_anywhere_goes_on_from_its_last_whole_event(
    texts: list[str], end: str, data: st.DataObject
) -> None:
    events = [
        f"id: {number}{end}data: {msgspec.json.encode(text).decode()}{end}{end}" for number, text in enumerate(texts)
    ]

    def breaks() -> Iterator[int]:
        while True:
            yield data.draw(st.integers(1, 200))

    broken = breaks()

    async def scenario() -> None:
        asked: list[str | None] = []

        def answer_with(request: httpx.Request) -> httpx.Response:
            last = request.headers.get("last-event-id")
            asked.append(last)
            start = 0 if last is None else int(last) + 1
            if start == len(events):
                return httpx.Response(204)
            body = "".join(["retry: 0\n\n", *events[start:]]).encode()
            # Every connection brings one event at least, so that it comes to an end.
            least = len(f"retry: 0\n\n{events[start]}".encode())
            pieces = cut(body[: least + next(broken)], data)
            return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=_Pieces(pieces))

        async with httpx.AsyncClient(transport=httpx.MockTransport(answer_with)) as http:
            source = EventSource(http, "http://host/")
            got = [msgspec.json.decode(event.data) async for event in source.events()]
        assert got == texts
        assert asked[0] is None

    run(scenario)
