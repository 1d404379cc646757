"""The reference of each protocol of this repository, and of a hostile one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from protogen import ir

# pytest's importlib mode puts no folder of tests on sys.path; references and page_reader stand here.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from references import described, generated, hostile_protocol


@pytest.fixture(
    scope="session", params=["echo", "stepflow/0.9", "stepflow/0.11", "apflow/1.0", "a2a/1.0", "a2a/0.3", "jsonrpc"]
)
def protocol(request: pytest.FixtureRequest) -> ir.Protocol:
    """Each protocol of the repository."""
    return described(request.param)


@pytest.fixture(scope="session")
def site(protocol: ir.Protocol) -> dict[str, str]:
    """The files of its reference."""
    return generated(protocol)


@pytest.fixture(scope="session")
def hostile() -> ir.Protocol:
    """A protocol whose every name and text is hostile."""
    return hostile_protocol()
