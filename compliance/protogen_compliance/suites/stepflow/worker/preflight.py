"""Preflight: whether there is a worker at all, over HTTP or stdio."""

from __future__ import annotations

import json

import msgspec

from protogen_compliance.peer.http import parse_url
from protogen_compliance.peer.rpc import Reply, RpcPeer, parse_json
from protogen_compliance.peer.stdio import StdioPeer
from protogen_compliance.peer.wire import Deadline, Garbled, PeerFault, TimedOut
from protogen_compliance.plugin import Settings
from protogen_compliance.preflight import METHOD_NOT_FOUND, endpoint
from protogen_compliance.suites.stepflow.dialects import DIALECTS
from protogen_compliance.suites.stepflow.worker.first import COMPONENTS
from protogen_compliance.targets import NoTarget, parse_target

PROBE = json.dumps({"jsonrpc": "2.0", "id": "probe", "method": "components/list", "params": {}}).encode()


def preflight(settings: Settings) -> Settings:
    """The settings with the profiles that the target's kind brings; raises NoTarget."""
    if settings.command and not settings.url:
        _ask_program(settings)
        own: tuple[str, ...] = ("stdio",)
    else:
        url = endpoint(settings, PROBE, expects="components/list", wrong=_wrong)
        settings = msgspec.structs.replace(settings, url=url)
        own = ("http", "subprocess") if parse_target(settings.target).kind == "command" else ("http",)
        lacks = DIALECTS[settings.dialect].lacks if settings.dialect else {}
        if {"put", "get"} <= (_roles(settings).keys() | settings.executors.keys()) - lacks.keys():
            own = (*own, "callbacks")
    return msgspec.structs.replace(settings, profiles=tuple(dict.fromkeys([*own, *settings.profiles])))


def _wrong(reply: Reply) -> str | None:
    if reply.code == METHOD_NOT_FOUND:
        return "it speaks JSON-RPC but has no method components/list"
    return None


def _roles(settings: Settings) -> dict[str, str]:
    """The listed components that play a role under a name that the kit knows."""
    peer = RpcPeer(parse_url(settings.url), headers=settings.headers, patience=settings.timeout)
    result = peer.send(PROBE).result
    peer.close()
    entries = result.get("components") if isinstance(result, dict) else None
    there = [it.get("component") for it in entries if isinstance(it, dict)] if isinstance(entries, list) else []
    return {role: name for role, names in COMPONENTS.items() for name in reversed(names) if name in there}


def _ask_program(settings: Settings) -> None:
    with StdioPeer(settings.command) as peer:
        deadline = Deadline(settings.timeout)
        try:
            peer.send(PROBE, deadline)
            line = peer.next_line(deadline)
        except TimedOut as reason:
            raise NoTarget(f"it runs and does not answer components/list: {reason}") from None
        except Garbled as reason:
            raise NoTarget(f"{reason}, and answered nothing") from None
        except PeerFault as reason:
            raise NoTarget(str(reason)) from None
        try:
            value = parse_json(line)
        except ValueError:
            raise NoTarget(f"it answered components/list with {line[:80]!r}; expected a line of JSON-RPC") from None
        if not isinstance(value, dict) or ("result" not in value and "error" not in value):
            raise NoTarget(f"it answered components/list with {line[:80]!r}; expected a response of JSON-RPC")
        error = value.get("error")
        if isinstance(error, dict) and error.get("code") == METHOD_NOT_FOUND:
            raise NoTarget("it speaks JSON-RPC but has no method components/list")
