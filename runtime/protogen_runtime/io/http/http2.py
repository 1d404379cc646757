"""HTTP/2 as hypercorn speaks it, made to hold where a stream ends before both of its sides have.

Knows hypercorn's H2Protocol. Stock 0.18 ends the whole connection, with all of its streams, when data comes for a
stream that has been answered; a client whose answer breaks off is never told; and a stream of small pieces to a client
that opens no window fills memory.
"""

from __future__ import annotations

from typing import Any, Final

import h2.errors
import h2.events
import h2.exceptions
from hypercorn.protocol.events import EndBody, StreamClosed
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h2 import H2Protocol

MAX_LATE_BYTES: Final = 1024 * 1024
"""What a client may go on sending to streams that were answered, as a body that was refused does; then it is told to
stop."""

NEEDED: Final = ("_handle_events", "_flush", "_send_data", "stream_send")
"""What must be there of the class whose place this takes."""


class Http2(H2Protocol):
    """One connection."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._late_bytes = 0
        self._ended: set[int] = set()
        self.connection.local_settings.enable_connect_protocol = 0

    async def stream_send(self, event: StreamEvent) -> None:
        """Send a piece of an answer. A stream that closes without an end has broken off, and the client is told so."""
        number = event.stream_id
        was_open = number in self.streams
        await super().stream_send(event)
        if isinstance(event, EndBody):
            # Returned, and not cancelled: all of it has been sent.
            self._ended.add(number)
        if isinstance(event, StreamClosed):
            if was_open and number not in self._ended:
                await self._break_off(number)
            self._ended.discard(number)

    async def _send_data(self, stream_id: int) -> None:
        # Stock takes nothing out of the buffer then, and lets its writer go on as if it had: small pieces without end
        # would be kept for a client that opens no window.
        if self._is_shut(stream_id):
            self.priority.block(stream_id)
        else:
            await super()._send_data(stream_id)

    def _is_shut(self, number: int) -> bool:
        """Whether there is something to send on a stream whose window takes nothing."""
        buffer = self.stream_buffers.get(number)
        if buffer is None or not buffer.buffer:
            return False
        try:
            return self.connection.local_flow_control_window(number) <= 0
        except h2.exceptions.ProtocolError:
            # It has been closed, which stock deals with.
            return False

    async def _break_off(self, number: int) -> None:
        try:
            self.connection.reset_stream(number, h2.errors.ErrorCodes.INTERNAL_ERROR)
        except h2.exceptions.ProtocolError:
            # The client has reset it itself.
            return
        buffer = self.stream_buffers.get(number)
        if buffer is not None:
            # The task that sends finds it closed, and forgets it.
            await buffer.close()
            self.priority.unblock(number)
            await self.has_data.set()
        await self._flush()

    async def _handle_events(self, events: list[h2.events.Event]) -> None:
        for event in events:
            if isinstance(event, h2.events.DataReceived) and event.stream_id not in self.streams:
                self._drop(event)
            elif isinstance(event, h2.events.RequestReceived) and (b":method", b"CONNECT") in event.headers:
                # WebSocket within HTTP/2 (RFC 8441): a second way to the same thing, with bounds of its own to keep.
                assert event.stream_id is not None
                self.connection.reset_stream(event.stream_id, h2.errors.ErrorCodes.REFUSED_STREAM)
            else:
                # One by one: the first may begin the stream of the second.
                await super()._handle_events([event])
        await self._flush()

    def _drop(self, event: h2.events.DataReceived) -> None:
        """Data of a stream that has been answered: taken, so that the window stays open for the others."""
        size, number = event.flow_controlled_length or 0, event.stream_id
        assert number is not None
        try:
            self.connection.acknowledge_received_data(size, number)
            self._late_bytes += size
            if self._late_bytes > MAX_LATE_BYTES and number not in self.stream_buffers:
                self.connection.reset_stream(number, h2.errors.ErrorCodes.NO_ERROR)
        except h2.exceptions.ProtocolError:
            # It has ended on both sides in the meantime.
            return
