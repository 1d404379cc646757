"""The suites' declaration."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import msgspec

from protogen_compliance.registry import Clause, clauses
from protogen_compliance.suite import Suite
from protogen_compliance.suites.stepflow.dialects import DIALECTS
from protogen_compliance.suites.stepflow.runtime.preflight import OWN as RUNTIME_OWN
from protogen_compliance.suites.stepflow.runtime.preflight import preflight as runtime_preflight
from protogen_compliance.suites.stepflow.runtime.stage import prepared
from protogen_compliance.suites.stepflow.worker.preflight import preflight as worker_preflight

HERE = Path(__file__).resolve().parent

WORKER_PROFILES = {
    "http": "an address, or a command that prints its port (chosen by itself)",
    "stdio": "stdio:COMMAND (chosen by itself)",
    "subprocess": "a command that prints its port (chosen by itself)",
    "callbacks": "components for --executor put=/NAME and get=/NAME (chosen by itself where they are listed)",
    "session-sse": "a worker that offers sessions at /runtime/events",
    "dialects": "a worker of several dialects",
    "slow": "minutes",
    "blobs": "",
}

NOT_OF_WORKERS = {
    "SF-BLOB-007": "a worker only passes on what the runtime answers",
    "SF-SSE-011": "how long a worker waits is its own setting, up to an hour",
    "SF-STDIO-002": "what a worker writes there only the runtime could misread",
    "SF-SESS-008": "keep-alive events are told apart from silence only after minutes",
}
"""Clauses on both sides, or on time, which a worker's suite does not judge, with why."""


RUNTIME_PROFILES = {
    **dict.fromkeys(RUNTIME_OWN, "chosen by itself"),
    "stdio": "a runtime whose configuration takes a worker with transport: stdio and a command",
    "subprocess": "a runtime whose configuration takes a worker with a command, which prints its port",
    "session-sse": "a runtime whose configuration takes a worker with transport: session and a url",
    "dialects": "a runtime of several dialects",
    "http-api": "a runtime whose API cancels and deletes runs",
    "slow": "minutes",
}


def of_role(role: str, excluded: Mapping[str, str]) -> dict[str, Clause]:
    """The clauses that bind a role, or both; those of `excluded` with their reason."""
    return {
        name: msgspec.structs.replace(it, excluded=excluded.get(name, it.excluded))
        for name, it in clauses("stepflow").items()
        if it.role in (role, "both")
    }


SUITES = (
    Suite(
        protocol="stepflow",
        role="worker",
        summary="a worker of Stepflow, by address, by command, or over stdio",
        folder=HERE / "worker",
        clauses=partial(of_role, "worker", NOT_OF_WORKERS),
        preflight=worker_preflight,
        profiles=WORKER_PROFILES,
        dialects=DIALECTS,
        takes=("url", "command", "stdio"),
    ),
    Suite(
        protocol="stepflow",
        role="runtime",
        summary="a runtime of Stepflow, by a command with {config}; the kit is its worker",
        folder=HERE / "runtime",
        clauses=partial(of_role, "runtime", {}),
        preflight=runtime_preflight,
        profiles=RUNTIME_PROFILES,
        prepare=prepared,
    ),
)
