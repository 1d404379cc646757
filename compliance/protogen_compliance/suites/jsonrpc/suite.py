"""The suites' declaration."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import msgspec

from protogen_compliance.registry import Clause, clauses
from protogen_compliance.suite import Suite
from protogen_compliance.suites.jsonrpc.server.preflight import preflight as server_preflight

HERE = Path(__file__).resolve().parent

SERVER_PROFILES = {
    "methods": "--method NAME or NAME=PARAMS of a method that succeeds, or rpc.discover (chosen by itself then)",
    "batch": "an endpoint that takes batches (chosen by itself where one is answered by an array)",
}
NOT_OF_SERVERS = {
    "JR-CONV-003": "only a protocol with calls in both directions can show it",
    "JR-NOTIF-004": "a method with an effect that another one shows cannot be known of any endpoint",
}
NEEDS_A_METHOD = (
    *("JR-REQ-011", "JR-PARAM-005", "JR-PARAM-006", "JR-PARAM-007", "JR-RESP-004", "JR-RESP-007", "JR-ERR-011"),
    *("JR-RESP-014", "JR-ERR-012"),
)
"""Clauses that are seen only where a method is known that succeeds."""


def of_role(role: str, excluded: Mapping[str, str]) -> dict[str, Clause]:
    """The clauses that bind a role, or both; those of `excluded` with their reason."""
    return {
        name: msgspec.structs.replace(
            it,
            excluded=excluded.get(name, it.excluded),
            profile="methods" if role == "server" and name in NEEDS_A_METHOD else it.profile,
        )
        for name, it in clauses("jsonrpc").items()
        if it.role in (role, "both")
    }


SUITES = (
    Suite(
        protocol="jsonrpc",
        role="server",
        summary="any JSON-RPC 2.0 endpoint, over HTTP or stdio",
        folder=HERE / "server",
        clauses=partial(of_role, "server", NOT_OF_SERVERS),
        preflight=server_preflight,
        profiles=SERVER_PROFILES,
        takes=("url", "command", "stdio"),
    ),
)
