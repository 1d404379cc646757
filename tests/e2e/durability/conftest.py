"""What these tests share is in durable_flows, and with those of a whole node in `serving`."""

from __future__ import annotations

import sys
from pathlib import Path

# pytest's importlib mode puts no folder of tests on sys.path.
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).resolve().parents[2] / "apflow" / "node")]
