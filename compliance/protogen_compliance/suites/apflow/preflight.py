"""Preflight: whether there is a node at all, and under which path."""

from __future__ import annotations

import json

import msgspec

from protogen_compliance.peer.rpc import Reply
from protogen_compliance.plugin import Settings
from protogen_compliance.preflight import METHOD_NOT_FOUND, endpoint

PATHS = ("/", "/tasks")
"""Where a node may listen, in the order of preference (06-interfaces.md)."""

PROBE = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tasks.list", "params": {"limit": 1}}).encode()
UNAUTHORIZED = -32004


def preflight(settings: Settings) -> Settings:
    """The settings with the path at which the node answers; raises NoTarget."""
    url = endpoint(settings, PROBE, paths=PATHS, expects="tasks.list", wrong=_wrong, walled=(UNAUTHORIZED,))
    return msgspec.structs.replace(settings, url=url)


def _wrong(reply: Reply) -> str | None:
    if reply.code == METHOD_NOT_FOUND:
        return "it speaks JSON-RPC but has no method tasks.list"
    return None
