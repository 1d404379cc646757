"""Preflight: whether anything answers JSON-RPC at all, and what can be asked of it."""

from __future__ import annotations

import json

import msgspec

from protogen_compliance.peer.link import Seen
from protogen_compliance.peer.rpc import MISSING, Json
from protogen_compliance.peer.wire import Garbled, PeerFault
from protogen_compliance.plugin import Settings
from protogen_compliance.preflight import endpoint
from protogen_compliance.suites.jsonrpc.server.endpoint import (
    NO_SUCH_METHOD,
    Endpoint,
    Known,
    described,
    open_link,
    wanted,
)
from protogen_compliance.targets import NoTarget, WrongTarget

PROBE = json.dumps({"jsonrpc": "2.0", "id": 1, "method": NO_SUCH_METHOD}).encode()
PATHS = ("/", "/rpc", "/jsonrpc", "/api")
BATCH_SECONDS = 3.0


def preflight(settings: Settings) -> Settings:
    """The settings with the address, the methods that succeed, and the profiles that follow; raises NoTarget."""
    try:
        named = wanted(settings)
    except ValueError as reason:
        raise WrongTarget(str(reason)) from None
    if settings.url:
        url = endpoint(settings, PROBE, paths=PATHS, expects=f"the unknown method {NO_SUCH_METHOD}")
        settings = msgspec.structs.replace(settings, url=url)
    seen = Seen()
    try:
        link = open_link(settings, seen)
    except PeerFault as reason:
        raise NoTarget(str(reason)) from None
    try:
        return _look(settings, Endpoint(link, seen), named)
    finally:
        link.close()


def _look(settings: Settings, target: Endpoint, named: list[Known]) -> Settings:
    link = target.link
    answer = link.exchange(PROBE)
    if not isinstance(answer.value, dict) or ("result" not in answer.value and "error" not in answer.value):
        said = str(answer.fault) if answer.fault else f"{answer.body[:80]!r}"
        ended = ", and answered nothing" if isinstance(answer.fault, Garbled) else "; expected a response of JSON-RPC"
        raise NoTarget(f"{said}{ended}")
    found = named
    if not found:
        discovered = link.exchange(json.dumps(target.message("rpc.discover", {})).encode())
        found = described(discovered.result)
    good = [it for it in found if _succeeds(target, it)]
    if named and not good:
        one = named[0]
        told = link.exchange(json.dumps(target.message(one.method, one.params)).encode())
        raise NoTarget(f"{one.method} was named with --method and does not succeed: {told.summary()}")
    profiles = [*settings.profiles]
    if good:
        profiles.append("methods")
    batch = json.dumps([target.message(NO_SUCH_METHOD), target.message(NO_SUCH_METHOD)]).encode()
    if isinstance(link.exchange(batch, patience=BATCH_SECONDS).value, list):
        profiles.append("batch")
    kept = [it.method if it.params is MISSING else f"{it.method}={json.dumps(it.params)}" for it in good]
    required = {f"required:{it.method}": " ".join(it.required) for it in good if it.required}
    return msgspec.structs.replace(
        settings,
        methods=tuple(kept),
        profiles=tuple(dict.fromkeys(profiles)),
        options={**required, **settings.options},
    )


def _succeeds(target: Endpoint, known: Known) -> bool:
    answer = target.link.exchange(json.dumps(target.message(known.method, known.params)).encode())
    value: Json = answer.result
    return value is not MISSING
