"""What these tests share: `worker_rig`, and the rig of the plugins' tests: the runtime's side of a worker."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# pytest's importlib mode puts no folder of tests on sys.path.
sys.path[:0] = [str(HERE), str(HERE.parent / "plugins"), str(HERE.parents[1] / "interop")]
