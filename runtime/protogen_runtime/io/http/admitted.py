"""A service as one WebSocket may use it: its calls are bounded like requests, which each of them is.

Knows no sockets; see `Endpoint` for the requests of HTTP.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final

from msgspec import Raw

from protogen_runtime.dispatch import Link, Outcome, Service
from protogen_runtime.jsonrpc import INTERNAL_ERROR, ErrorObject, Work

from .endpoint import Endpoint
from .messages import Request

TOO_MANY_CALLS: Final = ErrorObject(INTERNAL_ERROR.code, "Too many calls under way")
TOO_MANY_REQUESTS: Final = ErrorObject(INTERNAL_ERROR.code, "Too many requests")


class Admitted(Service):
    """Serves as the endpoint's service does, for the client of one handshake."""

    def __init__(self, endpoint: Endpoint, request: Request) -> None:
        # A service in every respect: its tables are shared, its methods are not bound anew.
        vars(self).update(vars(endpoint.service))
        self._endpoint = endpoint
        self._request = request

    def direct(self, frame: bytes, link: Link) -> None:
        """See Service; each call goes by `start`, which counts it."""

    def start(self, work: Work, link: Link) -> Outcome | Coroutine[Any, Any, Outcome]:
        """See Service."""
        endpoint = self._endpoint
        if not endpoint.guard.may_ask(self._request):
            return TOO_MANY_REQUESTS
        outcome = endpoint.service.start(work, link)
        if isinstance(outcome, Raw | ErrorObject):
            return outcome
        if endpoint.in_flight >= endpoint.limits.max_in_flight:
            outcome.close()
            return TOO_MANY_CALLS
        endpoint.in_flight += 1
        return self._counted(outcome)

    async def _counted(self, running: Coroutine[Any, Any, Outcome]) -> Outcome:
        try:
            return await running
        finally:
            self._endpoint.in_flight -= 1
