"""The locks: every dependency by version and hash, and no address that would tie them to one registry."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PYTHON_LOCKS = {
    "dev": True,
    "bench": False,
    "toolchains": False,
    "lock": False,
    "pip": False,
    "interop-a2a-v1": False,
    "interop-a2a-v03": False,
    "interop-stepflow-s1": False,
    "interop-stepflow-s2": False,
    "interop-stepflow-runtime": False,
    "interop-stepflow-runtime-s2": False,
    "interop-mcp": False,
}
"""Group of pyproject.toml, and whether the project's own dependencies are locked with it."""
ENTRY = re.compile(r"^([A-Za-z0-9][\w.\-]*)==([^\s;\\]+)", re.MULTILINE)
# In pieces, so that this file names none of them.
REGISTRY_HOSTS = ("py" + "pi.org", "python" + "hosted.org", "npm" + "js.org", "npm" + "js.com", "yarn" + "pkg.com")
MODULE_HOSTS = ("proxy.go" + "lang.org", "sum.go" + "lang.org", "crates" + ".io/api", "maven" + ".org")


def locked(root: Path, group: str) -> dict[str, str]:
    """Return name to version of a lock."""
    return dict(ENTRY.findall((root / "requirements" / f"{group}.txt").read_text("utf-8")))


@pytest.mark.parametrize("group", PYTHON_LOCKS)
def test_every_requirement_is_locked_within_its_bounds(root: Path, group: str) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    wanted = project["dependency-groups"][group] + (project["project"]["dependencies"] if PYTHON_LOCKS[group] else [])
    lock = locked(root, group)
    unmet = []
    for requirement in map(Requirement, wanted):
        name = requirement.name.lower()
        if name not in lock or not requirement.specifier.contains(lock[name]):
            unmet.append(f"{requirement} is locked as {lock.get(name)}; run `make lock`")
    assert unmet == []


@pytest.mark.parametrize("group", PYTHON_LOCKS)
def test_every_locked_version_has_a_hash(root: Path, group: str) -> None:
    text = (root / "requirements" / f"{group}.txt").read_text("utf-8")
    entries = re.split(r"^(?=\S)", text, flags=re.MULTILINE)[1:]
    assert entries
    assert [entry.split()[0] for entry in entries if not re.search(r"--hash=sha256:[0-9a-f]{64}", entry)] == []
    assert "://" not in text


@pytest.mark.parametrize("folder", [".", "bench"])
def test_npm_lock_has_hashes_and_no_addresses(root: Path, folder: str) -> None:
    lock = json.loads((root / folder / "package-lock.json").read_text("utf-8"))
    wanted = json.loads((root / folder / "package.json").read_text("utf-8"))
    assert lock["packages"].pop("")["devDependencies"] == wanted["devDependencies"]
    assert lock["packages"]
    assert [name for name, entry in lock["packages"].items() if "integrity" not in entry or "resolved" in entry] == []
    assert "omit-lockfile-registry-resolved=true" in (root / folder / ".npmrc").read_text("utf-8")


def test_no_file_names_a_registry_host(root: Path, tool: Callable[[str], str]) -> None:
    patterns = [argument for host in (*REGISTRY_HOSTS, *MODULE_HOSTS) for argument in ("-e", host)]
    command = [tool("git"), "grep", "--untracked", "-I", "-n", "-F", *patterns]
    found = subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (1, "", "")
