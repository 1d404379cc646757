"""Retries: whether a failed execution is tried again, and when. Opt-in: by a task, or for all tasks of a node.

A task asks for it in `params.retry`: `{"max_attempts": 3, "initial_seconds": 1, "factor": 2, "max_seconds": 300}`, of
which each member may be left out. The task stays in progress between attempts. Pure.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from apflow_protocol import Task
from msgspec import Meta

LONGEST_SECONDS: Final = 86_400.0
"""A pause of more than a day wants a schedule."""


class Retry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often a failed execution is tried in all, and the pauses between: each `factor` times the one before."""

    max_attempts: Annotated[int, Meta(ge=1, le=100)] = 3
    initial_seconds: Annotated[float, Meta(ge=0, le=LONGEST_SECONDS)] = 1.0
    factor: Annotated[float, Meta(ge=1, le=100)] = 2.0
    max_seconds: Annotated[float, Meta(ge=0, le=LONGEST_SECONDS)] = 300.0

    def pause_after(self, attempt: int) -> float | None:
        """Seconds to wait after the failed attempt of this number, from 1; None where it was the last."""
        if attempt >= self.max_attempts:
            return None
        try:
            pause = self.initial_seconds * self.factor ** (attempt - 1)
        except OverflowError:
            pause = self.max_seconds
        return min(pause, self.max_seconds)


NEVER: Final = Retry(max_attempts=1)


class BadRetry(ValueError):
    """`params.retry` is malformed; the text says how."""


def retry_of(task: Task, default: Retry = NEVER) -> Retry:
    """What a task asks for, or the default. Errors: BadRetry."""
    asked = task.params.get("retry") if task.params else None
    if asked is None:
        return default
    try:
        return msgspec.convert(asked, Retry)
    except msgspec.ValidationError as error:
        raise BadRetry(
            f"params.retry: {error}; expected max_attempts 1 to 100, initial_seconds, factor from 1, and max_seconds"
        ) from None
