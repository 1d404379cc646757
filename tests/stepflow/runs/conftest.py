"""What these tests share: `runs_rig`, and the raw workers of the plugins' tests, importable from every file here."""

from __future__ import annotations

import sys
from pathlib import Path

# pytest's importlib mode puts no folder of tests on sys.path.
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "plugins"), str(HERE.parent / "engine")]
