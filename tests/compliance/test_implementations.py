"""The table of implementations is what was judged, and what was judged is what the locks hold."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_the_page_is_made_of_the_runs(root: Path) -> None:
    command = [sys.executable, str(root / "tools" / "implementations.py"), "--check"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_what_is_judged_is_what_is_locked(root: Path) -> None:
    rows = json.loads((root / "docs" / "reference" / "implementations.json").read_bytes())["implementations"]
    theirs = {(it["name"], it["version"]) for it in rows if not it["name"].startswith("protogen")}
    locks = "\n".join(file.read_text("utf-8") for file in (root / "requirements").glob("interop-*.txt"))
    node = json.loads((root / "tests/interop/endpoints/node/package.json").read_bytes())["dependencies"]
    module = (root / "tests/interop/endpoints/go/go.mod").read_text("utf-8")
    # apflow is no interop lock: what it needs cannot be resolved together, and bench/apflow pins it.
    pinned = (root / "bench/apflow/nodes.py").read_text("utf-8")
    for name, version in sorted(theirs):
        known = (
            f"{name}=={version}" in locks
            or node.get(name) == version
            or f"{name} v{version}" in module
            or (name == "apflow" and f'APFLOW = "{version}"' in pinned)
        )
        assert known, f"{name} {version} was judged, and no lock has it: run tools/implementations.py"
    assert len(theirs) == 10
    for row in rows:
        assert sum(row["counts"].values()) > 30, row["name"]
        assert row["counts"]["kept"] > 0, row["name"]
