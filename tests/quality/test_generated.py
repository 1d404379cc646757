"""What is committed in generated/ is what the schemas and templates give."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path


def test_generated_files_are_fresh(root: Path) -> None:
    protogen = Path(sysconfig.get_path("scripts")) / "protogen"
    command = [str(protogen), "build", "--check"]
    done = subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


def test_generated_files_are_committed(root: Path) -> None:
    """Nothing that the build wrote is left untracked: an ignored or forgotten file would be missing in a clone."""
    command = ["git", "ls-files", "--others", "--", "generated"]
    done = subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    caches = ("__pycache__", "node_modules", "dist", ".mypy_cache", ".ruff_cache", ".pytest_cache")
    left = [name for name in done.stdout.splitlines() if not set(Path(name).parts).intersection(caches)]
    assert left == []
