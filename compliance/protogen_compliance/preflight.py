"""Preflight: whether there is anything to test at an address; one sentence instead of a hundred findings where not.

Knows no protocol: a suite says what to ask and how to tell its answer from that of something else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from protogen_compliance.peer.http import parse_url
from protogen_compliance.peer.rpc import MISSING, Reply, RpcPeer
from protogen_compliance.peer.wire import Garbled, TimedOut
from protogen_compliance.plugin import Settings
from protogen_compliance.targets import NoTarget

PATIENCE_SECONDS = 3.0
"""How long the first answer may take; what needs longer is of no use to a suite."""

METHOD_NOT_FOUND = -32601


def endpoint(
    settings: Settings,
    probe: bytes,
    *,
    paths: Sequence[str] = ("/",),
    expects: str,
    wrong: Callable[[Reply], str | None] = lambda reply: None,
    walled: Sequence[int] = (),
) -> str:
    """The address at which the target answers JSON-RPC; raises NoTarget, whose text is the one finding.

    An address with a path is taken as it is; without one, `paths` are tried in turn. `probe` is the body of a request,
    `expects` says what it asks for. `wrong` says why a JSON-RPC response is not one of the protocol, None where it is;
    `walled` are codes that mean that authentication is missing.
    """
    url = parse_url(settings.url)
    peer = RpcPeer(url, headers=settings.headers, patience=min(PATIENCE_SECONDS, settings.timeout))
    said: list[str] = []
    for path in paths if url.path == "/" else (url.path,):
        reply = peer.send(probe, path=path)
        why_not = _why_not(reply, expects, walled) or wrong(reply) or _odd_version(reply)
        if why_not is None:
            peer.close()
            return url.at(path)
        said.append(f"POST {path}: {why_not}")
        if reply.fault is not None or reply.head.status in (401, 403):
            break  # another path of a host that gives no HTTP answer, or wants to know who asks, gives none either
    peer.close()
    raise NoTarget("; ".join(said))


def _why_not(reply: Reply, expects: str, walled: Sequence[int]) -> str | None:
    """Why this is no answer of a JSON-RPC endpoint; None where it is one."""
    fault = reply.fault
    if isinstance(fault, TimedOut):
        return f"it accepts connections and does not answer: {fault}"
    if isinstance(fault, Garbled):
        return f"it is no HTTP server: {fault}"
    if fault is not None:
        return str(fault)
    head = reply.head
    if head.status in (401, 403, 407) or reply.code in walled:
        return "authentication is needed; give --header 'Authorization: Bearer …'"
    if reply.member("jsonrpc") is MISSING and reply.error is None and reply.result is MISSING:
        kind = head.media_type or "no content type"
        if 300 <= head.status < 400:
            return f"HTTP {head.status} to {head.get('location')!r}; give that address"
        page = " (a web page: is this the right address?)" if kind == "text/html" else ""
        return f"HTTP {head.status} with {kind}, no JSON-RPC response to {expects}{page}"
    return None


def _odd_version(reply: Reply) -> str | None:
    version = reply.head.version
    return None if version == "1.1" else f"it answers in HTTP/{version}; expected HTTP/1.1"
