"""The distribution: what pyproject lists, what the wheel holds, and that every kind of install finds its data.

Every install here is offline: the backend and the dependencies are those of the environment that runs the tests.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "node_modules", "__pycache__", ".*_cache", ".hypothesis", "dist")
SOURCE_ROOTS = ("codegen", "runtime", "compliance", "generated/python/*")
SAY = """
import json, protogen.resources as resources
root = resources.data_root()
print(json.dumps([resources.__file__, str(root), sorted(p.name for p in (root / "templates").iterdir())]))
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a program and return what it prints; what it says fails the test where it fails."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def pip(*arguments: str | Path, cwd: Path, into: Path | None = None) -> None:
    """Run pip without any index; `into` is another environment's python."""
    other = ("--python", into) if into else ()
    run(sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *other, *arguments, cwd=cwd)


def listed(root: Path) -> list[str]:
    """The package folders that pyproject.toml lists."""
    with (root / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


def files_below(folder: Path) -> set[str]:
    """The files of a folder that belong to it, by path relative to it."""
    files = (file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return {file.relative_to(folder).as_posix() for file in files}


@pytest.fixture(scope="module")
def checkout(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, in a folder with a space in its name."""
    return Path(shutil.copytree(root, tmp_path_factory.mktemp("a checkout") / "protogen", ignore=LEFT_OUT))


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built once."""
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, ".", cwd=checkout)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """The python of an empty environment that borrows our dependencies, but none of our packages.

    A `.pth` file of the borrowed folder is not read, so the editable install of the checkout is not seen.
    """
    folder = tmp_path / "another place"
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=tmp_path)
    python = folder / "bin" / "python"
    own = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip()
    (Path(own) / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    return python


def test_pyproject_lists_every_package_on_disk_and_no_other(root: Path) -> None:
    found = [init.parent for pattern in SOURCE_ROOTS for init in root.glob(f"{pattern}/*/__init__.py")]
    assert sorted(listed(root)) == sorted(folder.relative_to(root).as_posix() for folder in found)


def test_wheel_holds_what_the_disk_holds(checkout: Path, wheel: Path) -> None:
    expected = {f"{Path(name).name}/{file}" for name in listed(checkout) for file in files_below(checkout / name)}
    for data in ("templates", "schemas"):
        expected |= {f"protogen/_data/{data}/{file}" for file in files_below(checkout / data)}
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == expected


def test_source_distribution_gives_the_same_wheel(checkout: Path, wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path, cwd=checkout)
    (source,) = tmp_path.glob("*.tar.gz")
    pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", tmp_path, source, cwd=tmp_path)
    with zipfile.ZipFile(wheel) as ours, zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as theirs:
        assert {item.filename: item.CRC for item in theirs.infolist()} == {
            item.filename: item.CRC for item in ours.infolist()
        }


def test_wheel_installed_elsewhere_finds_its_data(wheel: Path, environment: Path, tmp_path: Path) -> None:
    pip("install", "--no-deps", "--no-index", wheel, cwd=tmp_path, into=environment)
    assert_finds_packaged_data(environment, tmp_path)


def test_pip_install_of_the_checkout_finds_its_data(checkout: Path, environment: Path, tmp_path: Path) -> None:
    pip("install", "--no-deps", "--no-build-isolation", "--no-index", checkout, cwd=tmp_path, into=environment)
    assert_finds_packaged_data(environment, tmp_path)


def assert_finds_packaged_data(python: Path, cwd: Path) -> None:
    """The modules and the data come from the environment itself, and the command runs there."""
    module, data, folders = json.loads(run(python, "-c", SAY, cwd=cwd))
    home = python.parent.parent
    assert Path(module).is_relative_to(home)
    assert Path(data) == Path(module).parent / "_data"
    assert "python" in folders
    assert_builds_the_same(python, cwd)


def assert_builds_the_same(python: Path, cwd: Path) -> None:
    """The command builds a protocol in a folder of its own, and writes what the checkout's command writes."""
    trees: list[dict[str, bytes]] = []
    for name, protogen in (
        ("here", Path(sysconfig.get_path("scripts")) / "protogen"),
        ("there", python.parent / "protogen"),
    ):
        project = cwd / name
        project.mkdir()
        shutil.copy(ROOT / "schemas" / "echo" / "protocol.json", project / "echo.json")
        chosen = [argument for target in ("python", "typescript", "go") for argument in ("--target", target)]
        run(protogen, "build", "echo.json", "--out", "sdk", *chosen, cwd=project)
        trees.append({file: (project / "sdk" / file).read_bytes() for file in files_below(project / "sdk")})
    assert trees[0].keys() == trees[1].keys()
    assert len(trees[0]) > 30
    assert [file for file in trees[0] if trees[0][file] != trees[1][file]] == []


def test_editable_install_reads_the_templates_of_the_checkout(
    checkout: Path, environment: Path, tmp_path: Path
) -> None:
    arguments = ("--no-deps", "--no-build-isolation", "--no-index", "-e", checkout)
    pip("install", *arguments, cwd=tmp_path, into=environment)
    added = checkout / "templates" / "later"
    added.mkdir()
    try:
        module, data, folders = json.loads(run(environment, "-c", SAY, cwd=tmp_path))
    finally:
        added.rmdir()
    assert Path(module).is_relative_to(checkout)
    assert Path(data) == checkout
    assert "later" in folders
    assert_builds_the_same(environment, tmp_path)


def test_checkout_has_no_packaged_copy_of_the_data(root: Path) -> None:
    assert not (root / "codegen" / "protogen" / "_data").exists()
