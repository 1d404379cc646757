"""What these tests share: the rig of the plugins' tests, and programs of others and of ours in other languages."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# pytest's importlib mode puts no folder of tests on sys.path.
sys.path[:0] = [str(HERE), str(HERE.parent / "plugins"), str(HERE.parent / "worker"), str(HERE.parents[1] / "interop")]
