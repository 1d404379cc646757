"""Programs of others in environments of their own, made once from their locks: tests drive ours with them, or them.

`requirements/<name>.txt` is the lock of an environment. Two versions of one distribution are two environments.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STOPPED_SECONDS = 60
"""How long a program may take to end when it is told to."""

RUNTIMES = {"0.9": "interop-stepflow-runtime", "0.11": "interop-stepflow-runtime-s2"}
"""The published runtimes of Stepflow by their dialect."""

WORKERS = {"0.9": "interop-stepflow-s1", "0.11": "interop-stepflow-s2"}
"""The published SDKs for workers of Stepflow by their dialect."""


def environment(root: Path, name: str) -> Path:
    """The python of the environment with what a lock lists; made where it is not there yet."""
    lock = root / "requirements" / f"{name}.txt"
    digest = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = root / ".interop_cache" / f"{name}-{digest}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        # Our own pip fills it, and nothing is compiled that is not run: together half of the time.
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        install = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "install"]
        locked = ["--quiet", "--no-compile", "--require-hashes", "--no-deps", "-r", str(lock)]
        subprocess.run([*install, *locked], check=True)
        (folder / "complete").touch()
    return python


def runtime_program(root: Path, dialect: str) -> Path:
    """The program of the published runtime that speaks a dialect."""
    python = environment(root, RUNTIMES[dialect])
    (program,) = python.parent.parent.rglob("stepflow_orchestrator/bin/stepflow-server")
    return program


@contextmanager
def announced(command: list[str], **options: Any) -> Generator[int]:
    """The port that a program announces on its output, among other lines; it is ended with the context."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, **options) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith(b'{"port":'):
                    break
            else:
                raise AssertionError(f"{command[0]} ended without announcing a port")
            yield json.loads(line)["port"]
        finally:
            process.terminate()
            process.communicate(timeout=STOPPED_SECONDS)
