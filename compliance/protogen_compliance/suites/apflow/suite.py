"""The suite's declaration."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from protogen_compliance.registry import clauses
from protogen_compliance.suite import Suite
from protogen_compliance.suites.apflow.dialects import DIALECTS
from protogen_compliance.suites.apflow.preflight import preflight

SUITES = (
    Suite(
        protocol="apflow",
        role="node",
        summary="a node of tasks of the AI Partner Up Flow Protocol 1.0",
        folder=Path(__file__).resolve().parent,
        clauses=partial(clauses, "apflow"),
        preflight=preflight,
        profiles={
            "streaming": "a node that may send callbacks to 127.0.0.1",
            "scheduling": "a node that triggers schedules",
            "durability": "--restart COMMAND, which restarts the node",
            "auth": "--header for one user and --other-header for a second one",
        },
        dialects=DIALECTS,
    ),
)
