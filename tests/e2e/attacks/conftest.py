"""What the attacks share is in attack_rig, and in the rig of the HTTP server's tests."""

from __future__ import annotations

import sys
from pathlib import Path

# pytest's importlib mode puts no folder of tests on sys.path.
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).resolve().parents[2] / "runtime_http")]
