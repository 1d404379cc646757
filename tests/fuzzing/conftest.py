"""Documents and servers to fuzz."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from protogen.build import read_protocol
from protogen.cli.fuzz import document_of
from protogen_compliance.fuzz.engine import Run, Settings, run

HERE = Path(__file__).resolve().parent
# pytest's importlib mode puts no folder of tests on sys.path; notes_node stands here.
sys.path.insert(0, str(HERE))

NOTES = HERE / "notes" / "protocol.json"


def openapi(schema: Path) -> Any:
    """The OpenAPI document of a protocol."""
    protocol, problems = read_protocol(schema, root=schema.parent)
    assert protocol is not None, problems
    return document_of(protocol)


@pytest.fixture(scope="session")
def notes() -> Any:
    """The document of the protocol `notes`."""
    return openapi(NOTES)


@pytest.fixture(scope="session")
def apflow(root: Path) -> Any:
    """The document of the protocol that the reference node speaks."""
    return openapi(root / "schemas" / "apflow" / "1.0" / "protocol.json")


@pytest.fixture(scope="session")
def reference(root: Path) -> ModuleType:
    """tests/compliance/reference_node.py as a module."""
    file = root / "tests" / "compliance" / "reference_node.py"
    spec = importlib.util.spec_from_file_location("protogen_tests_fuzzed_reference_node", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def fuzzed(notes: Any) -> Callable[..., Run]:
    """Fuzzes a server of `notes` with the systematic requests and as many rounds as are asked for."""

    def fuzz(url: str, *, rounds: int = 0, **more: Any) -> Run:
        settings = {"seconds": 120.0, "timeout": 5.0, **more}
        return run(Settings(url=url, protocol="notes", rounds=rounds, **settings), notes)

    return fuzz
