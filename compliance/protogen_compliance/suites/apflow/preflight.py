"""Preflight: whether there is a node at all, and under which path; one finding instead of a hundred where not."""

from __future__ import annotations

import json

import msgspec

from protogen_compliance.peer.http import parse_url
from protogen_compliance.peer.rpc import MISSING, Reply, RpcPeer
from protogen_compliance.plugin import Settings
from protogen_compliance.targets import NoTarget

PATHS = ("/", "/tasks")
"""Where a node may listen, in the order of preference (06-interfaces.md)."""

PROBE = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tasks.list", "params": {"limit": 1}}).encode()


PATIENCE_SECONDS = 3.0
"""How long the first answer may take; a node that needs longer is of no use to a suite."""


def preflight(settings: Settings) -> Settings:
    """The settings with the path at which the node answers; raises NoTarget.

    An address with a path is taken as it is; without one, `/` and `/tasks` are tried.
    """
    url = parse_url(settings.url)
    peer = RpcPeer(url, headers=settings.headers, patience=PATIENCE_SECONDS)
    said: list[str] = []
    for path in PATHS if url.path == "/" else (url.path,):
        reply = peer.send(PROBE, path=path)
        why_not = _why_not(reply)
        if why_not is None:
            return msgspec.structs.replace(settings, url=url.at(path))
        said.append(f"POST {path}: {why_not}")
        if reply.fault is not None:
            break  # another path of a host that gives no HTTP answer gives none either
    raise NoTarget("; ".join(said))


def _why_not(reply: Reply) -> str | None:
    """Why this is no answer of a node; None where it is one."""
    if reply.fault is not None:
        return str(reply.fault)
    if reply.head.status in (401, 403) or reply.code == -32004:
        return "authentication is needed; give --header 'Authorization: Bearer …'"
    if reply.member("jsonrpc") is MISSING:
        return f"HTTP {reply.head.status} with {reply.head.media_type or 'no content type'}, no JSON-RPC response"
    if reply.code == -32601:
        return "it speaks JSON-RPC but has no method tasks.list"
    return None
