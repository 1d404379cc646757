"""What the tests of a node share: `node_rig`, importable from every test file below this folder."""

from __future__ import annotations

import sys
from pathlib import Path

# pytest's importlib mode puts no folder of tests on sys.path.
sys.path.insert(0, str(Path(__file__).resolve().parent))
