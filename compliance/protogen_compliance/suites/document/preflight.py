"""Preflight: whether the document is one, and whether anything answers JSON-RPC."""

from __future__ import annotations

import json

import msgspec

from protogen_compliance.peer.stdio import StdioPeer
from protogen_compliance.peer.wire import Deadline, Garbled, PeerFault
from protogen_compliance.plugin import Settings
from protogen_compliance.preflight import endpoint
from protogen_compliance.suites.document.described import Described, NoProtocol
from protogen_compliance.targets import NoTarget, WrongTarget

NO_SUCH_METHOD = "kit.no-such-method"
PROBE = json.dumps({"jsonrpc": "2.0", "id": 1, "method": NO_SUCH_METHOD, "params": {}}).encode()


def preflight(settings: Settings) -> Settings:
    """The settings with the address; raises NoTarget, and WrongTarget where the document is none."""
    if settings.schema is None:
        raise WrongTarget("name the protocol document with --schema FILE")
    try:
        described = Described(settings.schema, settings.options.get("role"))
    except NoProtocol as reason:
        raise WrongTarget(str(reason)) from None
    if settings.url:
        paths = tuple(dict.fromkeys([described.protocol.http.path, "/"]))
        url = endpoint(settings, PROBE, paths=paths, expects=f"the unknown method {NO_SUCH_METHOD}")
        return msgspec.structs.replace(settings, url=url)
    try:
        with StdioPeer(settings.command) as peer:
            deadline = Deadline(settings.timeout)
            peer.send(PROBE, deadline)
            line = peer.next_line(deadline)
    except Garbled as reason:
        raise NoTarget(f"{reason}, and answered nothing") from None
    except PeerFault as reason:
        raise NoTarget(str(reason)) from None
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    if not isinstance(value, dict) or ("result" not in value and "error" not in value):
        raise NoTarget(f"it answered an unknown method with {line[:80]!r}; expected a response of JSON-RPC")
    return settings
