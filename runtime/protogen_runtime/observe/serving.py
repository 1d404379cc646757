"""A service with an observer around it, for any transport: it is served in the service's place.

Runs under trio, whose clock tells a passed deadline from a caller that has gone.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

import trio
from msgspec import Raw

from protogen_runtime.dispatch import Direct, Link, Outcome, ProtocolInfo, Service, Telling, Unmade, finished
from protogen_runtime.jsonrpc import ErrorObject, Work

from .calls import Observation, Observer


class Observed(Service):
    """Serves as `service` does, and tells `observer` of each call. What cannot be told to callers goes to the log."""

    def __init__(self, service: Service, observer: Observer) -> None:
        # A service in every respect: its tables are shared, its methods are not bound anew.
        vars(self).update(vars(service))
        self.info = service.info
        self._start = service.start
        self._service = service
        self._observer = observer
        observer.expect(self.info.methods, codes_of(self.info))

    def direct(self, frame: bytes, link: Link) -> Direct | None:
        """See Service."""
        call = self._service.read(frame)
        if call is None:
            return None
        observer = self._observer
        observation = observer.begin(call, link)
        served = call.bound.serve(call, link)
        if isinstance(served, bytes | ErrorObject):
            observer.end(observation, served)
            return finished(call, served)
        observer.suspend(observation)
        if isinstance(served, Telling):
            return finished(call, _Told(observer, observation, served))
        return finished(call, _Running(observer, observation, served))

    def start(self, work: Work, link: Link) -> Outcome | Coroutine[Any, Any, Outcome]:
        """See Service."""
        observer = self._observer
        observation = observer.begin(work, link)
        outcome = self._start(work, link)
        if isinstance(outcome, Raw | ErrorObject):
            observer.end(observation, outcome)
            return outcome
        observer.suspend(observation)
        return _Running(observer, observation, outcome)


def codes_of(info: ProtocolInfo) -> Iterable[int]:
    """The error codes that a protocol declares; none for tables that have no errors."""
    families: Mapping[Any, Mapping[int, object]] = getattr(info, "errors", {})
    return {code for errors in families.values() for code in errors}


class _Running(Unmade):
    """A handler that waits. Closed before it ran, it ends its observation and the handler's coroutine, too."""

    __slots__ = ("_inner", "_observation", "_observer")

    def __init__(self, observer: Observer, observation: Observation, inner: Coroutine[Any, Any, Outcome]) -> None:
        super().__init__()
        self._observer = observer
        self._observation = observation
        self._inner = inner

    async def _make(self) -> Outcome:
        observer, observation = self._observer, self._observation
        deadline = observation.link.deadline
        observer.resume(observation)
        try:
            outcome = await self._inner
        except BaseException:
            # Only cancellation comes here: a service turns every exception into an error.
            is_late = deadline is not None and trio.current_time() >= deadline and not observation.link.has_answered
            observer.end(observation, "deadline" if is_late else "cancelled")
            raise
        observer.end(observation, outcome)
        return outcome

    def _discard(self) -> None:
        self._inner.close()
        self._observer.end(self._observation, "refused")


class _Told(_Running, Telling):
    """A handler whose outcome can be told. Closed while it is waited for, it counts as cancelled."""

    __slots__ = ("_is_awaited", "_telling")

    def __init__(self, observer: Observer, observation: Observation, inner: Telling) -> None:
        super().__init__(observer, observation, inner)
        self._telling = inner
        self._is_awaited = False

    def tell(self, listener: Callable[[Outcome], None] | None) -> None:
        """See Telling."""
        self._is_awaited = True
        if listener is None:
            self._telling.tell(None)
            return

        def end(outcome: Outcome) -> None:
            self._observer.resume(self._observation)
            self._observer.end(self._observation, outcome)
            listener(outcome)

        self._telling.tell(end)

    def _discard(self) -> None:
        self._inner.close()
        self._observer.end(self._observation, "cancelled" if self._is_awaited else "refused")
