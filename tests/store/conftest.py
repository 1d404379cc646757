"""What the tests of the store share: asserts of the contract that show their values."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("protogen_runtime.store.contract")
# pytest's importlib mode puts no folder of tests on sys.path.
sys.path.insert(0, str(Path(__file__).resolve().parent))

MEMORY_DISK = Path("/dev/shm")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for databases, in memory where the system has such a disk: what is tested here needs no slow syncs."""
    with tempfile.TemporaryDirectory(dir=MEMORY_DISK if MEMORY_DISK.is_dir() else None) as name:
        yield Path(name)
