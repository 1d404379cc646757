"""The suite's declaration."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from protogen_compliance.registry import read_clauses
from protogen_compliance.suite import Suite
from protogen_compliance.suites.document.preflight import preflight

HERE = Path(__file__).resolve().parent

SUITES = (
    Suite(
        protocol="document",
        role="server",
        summary="any endpoint, by the document that --schema names",
        folder=HERE,
        clauses=partial(read_clauses, HERE / "clauses.json"),
        preflight=preflight,
        takes=("url", "command", "stdio"),
    ),
)
