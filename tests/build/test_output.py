"""The files of every target: the same bytes wherever and however they are made, and targets of other distributions."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from protogen.catalogue import CATALOGUE

PROTOGEN = [sys.executable, "-P", "-c", "from protogen.cli import main; main()"]


def tree(folder: Path) -> dict[str, str]:
    """Digest of every file below `folder` by its path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def build(root: Path, out: Path, *, seed: str, locale: str, folder: Path) -> dict[str, str]:
    """What a fresh process writes for every protocol and target."""
    environment = {**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": locale, "LANG": locale}
    words = [*PROTOGEN, "build", "--config", str(root / "protogen.toml"), "--out", str(out)]
    subprocess.run(words, cwd=folder, env=environment, check=True, capture_output=True)
    return tree(out)


def test_the_same_bytes_under_any_hash_seed_locale_and_folder(root: Path, tmp_path: Path) -> None:
    project = tmp_path / "elsewhere with a space"
    project.mkdir()
    shutil.copytree(root / "schemas", project / "schemas")
    shutil.copy(root / "protogen.toml", project)
    made = [
        build(root, tmp_path / "a", seed="0", locale="C", folder=root),
        build(root, tmp_path / "b", seed="1", locale="C.UTF-8", folder=tmp_path),
        build(project, tmp_path / "c", seed="2", locale="tr_TR.UTF-8", folder=project),
        build(project, tmp_path / "d", seed="3", locale="POSIX", folder=root),
    ]
    assert len(made[0]) > 300
    assert made[1:] == made[:1] * 3


TARGET = """
from protogen import ir
from protogen.output import GeneratedFile, Options, Renderer, header_lines
from protogen.problems import Problem


class Listing:
    name = "listing"
    summary = "the names of all definitions, one a line"

    def generate(
        self, protocol: ir.Protocol, options: Options, renderer: Renderer
    ) -> tuple[list[GeneratedFile], list[Problem]]:
        lines = [f"# {line}" for line in header_lines(protocol)]
        lines += [definition.name for definition in protocol.definitions]
        return [GeneratedFile(path="names.txt", text="\\n".join(lines) + "\\n")], []


TARGET = Listing()
"""


def test_another_distribution_adds_a_target_by_entry_point(tmp_path: Path) -> None:
    site = tmp_path / "site"
    info = site / "acme_listing-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "acme_listing.py").write_text(TARGET)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-listing\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[protogen.targets]\nlisting = acme_listing:TARGET\n")
    (tmp_path / "order.json").write_text('{"$defs": {"Order": {"type": "object"}, "Item": {"type": "string"}}}')
    environment = {**os.environ, "PYTHONPATH": str(site)}

    def protogen(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROTOGEN, *words], cwd=tmp_path, env=environment, check=False, capture_output=True, text=True
        )

    assert "listing     the names of all definitions, one a line" in protogen("targets").stdout
    assert protogen("build", "order.json", "--target", "listing").returncode == 0
    written = (tmp_path / "generated" / "listing" / "order" / "names.txt").read_text()
    assert written.splitlines()[-2:] == ["Order", "Item"]
    (site / "acme_listing.py").write_text("import a_module_that_is_missing\n")
    broken = protogen("build", "order.json", "--target", "listing")
    assert (broken.returncode, broken.stderr.count("\n")) == (2, 1)
    assert "cannot be loaded" in broken.stderr


def test_every_finding_is_explained_and_every_explanation_is_used(root: Path) -> None:
    sources = [*(root / "codegen").rglob("*.py"), *(root / "runtime").rglob("*.py")]
    used = {
        code
        for path in sources
        if path.name != "catalogue.py"
        for code in re.findall(r"\bPG\d{3}\b", path.read_text("utf-8"))
    }
    assert used == set(CATALOGUE)


@pytest.mark.soak
@pytest.mark.parametrize("seed", ["1", "2", "3"])
@pytest.mark.parametrize("protocol", ["echo", "stepflow", "apflow"])
def test_generated_code_agrees_with_the_schema_on_many_samples(root: Path, protocol: str, seed: str) -> None:
    words = ["verify", protocol, "--count", "40000", "--seed", seed, "--config", str(root / "protogen.toml")]
    done = subprocess.run([*PROTOGEN, *words], cwd=root, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
