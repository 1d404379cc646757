"""Preflight: whether there is a runtime, and whether it finds the kit's worker."""

from __future__ import annotations

import json
import time

import msgspec

from protogen_compliance.peer.http import parse_url
from protogen_compliance.peer.rpc import MISSING, RpcPeer
from protogen_compliance.peer.wire import TimedOut, Unreachable
from protogen_compliance.plugin import Settings, Unmet
from protogen_compliance.suites.stepflow.runtime.stage import Runtime, current, success
from protogen_compliance.targets import START_SECONDS, NoTarget

OWN = ("http", "callbacks", "blobs", "routing", "flows", "runs")
"""Profiles of every runtime of all dialects: the kit is its worker over HTTP, and the configuration leads to it."""

POLL_SECONDS = 0.2

FLOW = json.dumps({"flow": {"name": "kit", "steps": [], "output": {"$input": "$"}}}).encode()


def preflight(settings: Settings) -> Settings:
    """The settings with the address of the API, and the profiles that apply to every runtime; raises NoTarget."""
    url = parse_url(settings.url)
    peer = RpcPeer(url, headers=settings.headers, patience=settings.timeout)
    reply = peer.send(FLOW, path="/api/v1/flows")
    # A runtime that greets its workers when it starts can start only now, when the kit's listens.
    until = time.monotonic() + START_SECONDS
    while settings.options.get("listen") and isinstance(reply.fault, Unreachable) and time.monotonic() < until:
        current().server.wait(POLL_SECONDS)
        reply = peer.send(FLOW, path="/api/v1/flows")
    peer.close()
    if isinstance(reply.fault, TimedOut):
        raise NoTarget(f"it accepts connections and does not answer: {reply.fault}")
    if reply.fault is not None:
        raise NoTarget(str(reply.fault))
    if reply.head.status in (401, 403):
        raise NoTarget("authentication is needed; give --header 'Authorization: Bearer …'")
    if reply.member("flowId") is MISSING:
        raise NoTarget(f"POST /api/v1/flows gave {reply.summary()}; expected the id of a flow")
    settings = msgspec.structs.replace(settings, url=url.at("/"))
    runtime = Runtime(settings, current())
    try:
        outcome = runtime.run(lambda asked: asked.respond(success(asked, "heard")))
    except Unmet as reason:
        raise NoTarget(str(reason)) from None
    finally:
        runtime.peer.close()
    if outcome.result != "heard":
        raise NoTarget(f"a component of the kit's worker was to be executed; the run gave {outcome.summary()}")
    # In S2 blobs are no matter of JSON-RPC.
    own = [name for name in OWN if name != "blobs" or current().dialect == "S1"]
    return msgspec.structs.replace(settings, profiles=tuple(dict.fromkeys([*own, *settings.profiles])))
