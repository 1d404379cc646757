"""The suite's declaration."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from protogen_compliance.registry import clauses
from protogen_compliance.suite import Suite
from protogen_compliance.suites.a2a.preflight import preflight

SUITES = (
    Suite(
        protocol="a2a",
        role="agent",
        summary="an agent of A2A 1.0 over JSON-RPC",
        folder=Path(__file__).resolve().parent,
        clauses=partial(clauses, "a2a"),
        preflight=preflight,
        profiles={"push": "an agent that may send to 127.0.0.1"},
    ),
)
