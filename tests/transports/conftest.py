"""What the tests of the transports share: servers of every kind in the test's own process, and echo's two roles."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.register_assert_rewrite("protogen_runtime.io.contract")
# pytest's importlib mode puts no folder of tests on sys.path.
sys.path.insert(0, str(Path(__file__).resolve().parent))
