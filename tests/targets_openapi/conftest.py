"""The OpenAPI document of each protocol of this repository."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from protogen import ir

# pytest's importlib mode puts no folder of tests on sys.path; openapi_documents stands here.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from openapi_documents import described, document


@pytest.fixture(scope="session", params=["echo", "stepflow/0.9", "stepflow/0.11", "apflow/1.0", "a2a/1.0", "a2a/0.3"])
def protocol(request: pytest.FixtureRequest) -> ir.Protocol:
    """Each protocol of the repository that has methods."""
    return described(request.param)


@pytest.fixture(scope="session")
def openapi(protocol: ir.Protocol) -> Any:
    """Its document."""
    return document(protocol)
