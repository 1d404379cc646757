"""Preflight: whether there is an agent at all."""

from __future__ import annotations

import json

import msgspec

from protogen_compliance.peer.rpc import Reply
from protogen_compliance.plugin import Settings
from protogen_compliance.preflight import METHOD_NOT_FOUND, endpoint

PROBE = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": "no-such-task"}}).encode()
VERSION = {"a2a-version": "1.0"}


def preflight(settings: Settings) -> Settings:
    """The settings with the address of the agent; raises NoTarget."""
    asked = msgspec.structs.replace(settings, headers={**settings.headers, **VERSION})
    url = endpoint(asked, PROBE, paths=("/", "/a2a", "/a2a/v1"), expects="GetTask", wrong=_wrong)
    return msgspec.structs.replace(settings, url=url)


def _wrong(reply: Reply) -> str | None:
    if reply.code == METHOD_NOT_FOUND:
        return "it speaks JSON-RPC but has no method GetTask of A2A 1.0"
    return None
