"""Lock: resolve pyproject.toml's dependency groups and the package.json files into lock files.

Usage: .venv/bin/python tools/lock.py. A lock holds versions and hashes for every platform and for each Python
that the project supports, and no index or registry address, so that it installs from whatever mirror a machine has.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GROUPS = {
    "dev": ["pyproject.toml"],
    "bench": [],
    "toolchains": [],
    "lock": [],
    "pip": [],
    "interop-a2a-v1": [],
    "interop-a2a-v03": [],
    "interop-stepflow-s1": [],
    "interop-stepflow-s2": [],
    "interop-stepflow-runtime": [],
    "interop-stepflow-runtime-s2": [],
    "interop-mcp": [],
    "interop-jsonrpc": [],
}
"""Per group the file whose own dependencies are locked with it: `dev` installs the project too."""


def main() -> None:
    """Write requirements/*.txt and package-lock.json anew, each at the newest versions allowed."""
    with tempfile.TemporaryDirectory() as folder:
        resolver = Path(folder) / "bin" / "uv"
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        lock = ["--require-hashes", "--no-deps", "-r", "requirements/lock.txt"]
        pip = [str(Path(folder) / "bin" / "python"), "-m", "pip", "install", "--quiet", *lock]
        subprocess.run(pip, check=True, cwd=ROOT)
        for group, sources in GROUPS.items():
            print(f"lock: requirements/{group}.txt", flush=True)
            subprocess.run(resolve_command(resolver, group, sources), check=True, cwd=ROOT)
    npm = shutil.which("npm", path=f"{ROOT / '.venv/toolchain/bin'}{os.pathsep}{os.environ['PATH']}")
    if npm is None:
        sys.exit("lock: npm not found; run `make lock`, which provides it")
    for package in (ROOT, ROOT / "bench", ROOT / "tests" / "interop" / "endpoints" / "node"):
        print(f"lock: {(package / 'package-lock.json').relative_to(ROOT)}", flush=True)
        (package / "package-lock.json").unlink(missing_ok=True)
        subprocess.run([npm, "install", "--package-lock-only", "--loglevel=error"], check=True, cwd=package)


def resolve_command(resolver: Path, group: str, sources: list[str]) -> list[str]:
    """Return the resolver's command for one group."""
    return [
        *(str(resolver), "pip", "compile", "--quiet", "--upgrade", "--universal", "--python-version", "3.11"),
        *("--generate-hashes", "--no-annotate", "--no-header"),
        *("--group", group, *sources, "--output-file", f"requirements/{group}.txt"),
        # Installed into the same environment, so what both need has one version.
        *(("--constraints", "requirements/dev.txt") if group == "bench" else ()),
    ]


if __name__ == "__main__":
    main()
