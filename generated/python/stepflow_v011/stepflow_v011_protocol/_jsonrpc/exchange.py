"""One frame's worth of work: what a frame asks for, and the one reply it is owed.

Knows no methods and no transport: it says what must be run, is told the outcomes in any order, and hands out
the reply once everything owed is known. Never raises on what the other side sent (RuntimeError is for misuse).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Raw

from .codec import classify, encode, is_text
from .errors import INVALID_REQUEST, PARSE_ERROR
from .messages import BadAnswer, BadRequest, Call, ErrorObject, Failure, Message, Notification, Success, Work

MAX_BATCH: Final = 100
"""Members a batch may have: bounds the work that one frame can start; larger ones are refused unread."""

_split = msgspec.json.Decoder(list[Raw]).decode


class Exchange:
    """What one frame asks for; made by `receive`, from the messages that the frame holds.

    `work` holds calls and notifications in the frame's order, `answers` what answers calls of ours.
    """

    __slots__ = ("_batch", "_open", "_replies", "answers", "work")

    def __init__(self, messages: Iterable[Message], *, batch: bool) -> None:
        work: list[Work] = []
        answers: list[Success | Failure | BadAnswer] = []
        self._batch = batch
        self._replies: list[bytes | None] = []
        self._open: list[tuple[Call, int]] = []
        for message in messages:
            match message:
                case Call():
                    self._open.append((message, len(self._replies)))
                    self._replies.append(None)
                    work.append(message)
                case Notification():
                    work.append(message)
                case BadRequest():
                    self._replies.append(encode(Failure(id=message.id, error=message.error)))
                case Success() | Failure() | BadAnswer():
                    answers.append(message)
        self.work: tuple[Work, ...] = tuple(work)
        self.answers: tuple[Success | Failure | BadAnswer, ...] = tuple(answers)

    @property
    def is_batch(self) -> bool:
        """Whether the frame was an array of messages."""
        return self._batch

    @property
    def is_complete(self) -> bool:
        """Whether no call waits for its outcome any more."""
        return not self._open

    def settle(self, call: Call, outcome: Raw | ErrorObject) -> bytes | None:
        """Note the outcome of one call of `work`; the frame's reply if this was the last one owed, else None."""
        slot = self._close(call)
        if isinstance(outcome, ErrorObject):
            self._replies[slot] = encode(Failure(id=call.id, error=outcome))
        else:
            self._replies[slot] = encode(Success(id=call.id, result=outcome))
        return self.reply()

    def abandon(self, call: Call) -> bytes | None:
        """Note that a call of `work` was cancelled by its caller, who expects no answer; returns as `settle` does."""
        self._close(call)
        return self.reply()

    def reply(self) -> bytes | None:
        """The bytes to send, or None: while calls are open, and where nothing is owed at all."""
        if self._open:
            return None
        replies = [reply for reply in self._replies if reply is not None]
        if not replies:
            return None
        return b"[" + b",".join(replies) + b"]" if self._batch else replies[0]

    def _close(self, call: Call) -> int:
        for index, (known, slot) in enumerate(self._open):
            if known is call:
                del self._open[index]
                return slot
        raise RuntimeError(f"call {call.id!r} of method {call.method!r} is not open in this exchange")


def receive(frame: bytes, *, max_batch: int = MAX_BATCH) -> Exchange:
    """What one frame (a message or a batch, without framing) asks for.

    A frame that cannot be read has no work and its reply is ready: a parse error for what is not JSON, an invalid
    request for an empty or too large batch.
    """
    if not is_text(frame):
        return _refused(PARSE_ERROR)
    if frame.lstrip(b" \t\r\n")[:1] != b"[":
        return Exchange((classify(frame),), batch=False)
    try:
        members = _split(frame)
    except (msgspec.DecodeError, RecursionError):
        return _refused(PARSE_ERROR)
    if not 1 <= len(members) <= max_batch:
        return _refused(INVALID_REQUEST)
    return Exchange(map(classify, members), batch=True)


def _refused(error: ErrorObject) -> Exchange:
    return Exchange((BadRequest(id=None, error=error),), batch=False)
