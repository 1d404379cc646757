"""What these tests share: `api_rig`, importable from every test file of this folder."""

from __future__ import annotations

import sys
from pathlib import Path

# pytest's importlib mode puts no folder of tests on sys.path.
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "interop")]
