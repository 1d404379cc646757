"""The suites' declaration."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import msgspec

from protogen_compliance.registry import Clause, clauses, read_clauses
from protogen_compliance.suite import Suite
from protogen_compliance.suites.jsonrpc.client.preflight import preflight as client_preflight
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


NOT_OF_CLIENTS = {
    "JR-CONV-003": "only a protocol with calls in both directions can show it",
    "JR-REQ-006": "what a client may leave out is its choice",
    "JR-REQ-013": "the client makes one call at a time",
    "JR-PARAM-003": "the client is given params by name",
    "JR-BATCH-001": "the client makes one call at a time",
    "JR-BATCH-007": "the client makes one call at a time",
}


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


def of_clients() -> dict[str, Clause]:
    """The clauses on clients: those of JSON-RPC, and those on answers that are late, odd or broken."""
    return {**of_role("client", NOT_OF_CLIENTS), **read_clauses(HERE / "client" / "clauses.json")}


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
    Suite(
        protocol="jsonrpc",
        role="client",
        summary="any client of JSON-RPC over HTTP (--client COMMAND)",
        folder=HERE / "client",
        clauses=of_clients,
        preflight=client_preflight,
        profiles={"slow": "a minute", "batch": "a client of batches"},
        takes=("stdio",),
    ),
)
