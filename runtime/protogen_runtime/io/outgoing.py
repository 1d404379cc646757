"""The headers that tie a request of ours to what it is for: its id, and the trace that it belongs to.

Knows no transport.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from protogen_runtime.dispatch.channels import attempts
from protogen_runtime.observe import outgoing_headers, request_ids


def request_headers(own: Mapping[str, str]) -> dict[str, str]:
    """`own` (names in lower case) with `x-request-id`, `traceparent` and `tracestate` where it has none itself.

    In a handler, the id and the trace are those of the call that it serves. Elsewhere the id is a new one, which the
    attempts of one call share, and the trace is that of the current span of OpenTelemetry, if there is one.
    """
    found = about_request(own)
    found.update(own)
    return found


def about_request(own: Mapping[str, str]) -> dict[str, str]:
    """What `request_headers` has beside `own`, which goes before it."""
    found = dict(outgoing_headers())
    if request_ids.HEADER not in found and request_ids.HEADER not in own:
        found[request_ids.HEADER] = _request_id()
    for name in _TIES:
        if name in own:
            found.pop(name, None)
    return found


_TIES: Final = (request_ids.HEADER, "traceparent", "tracestate")


def _request_id() -> str:
    shared = attempts.get()
    if shared is None:
        return request_ids.accept(None)
    if shared.request_id is None:
        shared.request_id = request_ids.accept(None)
    return shared.request_id
