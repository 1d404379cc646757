"""What these tests share: `sdk_programs`, which compiles programs on the generated SDKs."""

from __future__ import annotations

import sys
from pathlib import Path

# pytest's importlib mode puts no folder of tests on sys.path.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "interop"))
