"""Many generated SDKs through the compilers at once; what does not compile is told by document.

Each SDK brings the same library of its language: it stands once in a batch, since compiling it is most of the work.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from protogen.output import GeneratedFile

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
LANGUAGES = ("python", "typescript", "go")
_SECONDS = 1800

Sdks = Mapping[str, Sequence[GeneratedFile]]
"""Name of a document to the files of its SDK in one language, paths relative to the SDK."""

Faults = dict[str, str]
"""Name of a document to what a compiler said of its SDK."""


def compiled(language: str, sdks: Sdks, folder: Path, tool: Callable[[str], str]) -> Faults:
    """Compiles the SDKs of one language in `folder`, which is empty."""
    folder.mkdir(parents=True, exist_ok=True)
    run = {"python": _python, "typescript": _typescript, "go": _go}[language]
    return run(sdks, folder, tool) if sdks else {}


def _written(sdks: Sdks, folder: Path, libraries: Callable[[str], Iterable[str]]) -> None:
    """Writes all files; the library folders of an SDK are links to those of the first one."""
    first: dict[str, Path] = {}
    for name, files in sdks.items():
        shared = tuple(libraries(name))
        for library in shared:
            link = folder / name / library
            first.setdefault(Path(library).name, link)
        for file in files:
            inside = next((each for each in shared if file.path.startswith(f"{each}/")), None)
            if inside is not None and first[Path(inside).name] != folder / name / inside:
                continue
            path = folder / name / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file.text, "utf-8")
        for library in shared:
            link = folder / name / library
            if first[Path(library).name] != link:
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(os.path.relpath(first[Path(library).name], link.parent), target_is_directory=True)


# --- Python ---------------------------------------------------------------------------------------


def _python(sdks: Sdks, folder: Path, tool: Callable[[str], str]) -> Faults:
    del tool
    packages = {name: _package(files) for name, files in sdks.items()}
    _written(sdks, folder, lambda name: (f"{packages[name]}/rpc", f"{packages[name]}/_jsonrpc"))
    (folder / "packages.json").write_text(json.dumps(packages), "utf-8")
    command = [sys.executable, "-P", "-W", "error", str(HERE / "import_sdks.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    faults: Faults = json.loads(done.stdout)
    return faults


def _package(files: Sequence[GeneratedFile]) -> str:
    return next(file.path.partition("/")[0] for file in files if file.path.endswith("/types.py"))


# --- TypeScript -----------------------------------------------------------------------------------


def _typescript(sdks: Sdks, folder: Path, tool: Callable[[str], str]) -> Faults:
    _written(sdks, folder, lambda name: ("src/rpc",))
    (folder / "node_modules").symlink_to(ROOT / "node_modules", target_is_directory=True)
    options = next(iter(sdks.values()))
    text = next(file.text for file in options if file.path == "tsconfig.json")
    config = json.loads("\n".join(line for line in text.splitlines() if not line.startswith("//")))
    config["compilerOptions"] |= {"noEmit": True, "rootDir": ".", "declaration": False}
    (folder / "package.json").write_text('{"type": "module"}', "utf-8")

    def said(names: Sequence[str]) -> tuple[int, str]:
        config["include"] = [f"{name}/src" for name in names]
        (folder / "tsconfig.json").write_text(json.dumps(config), "utf-8")
        command = [
            tool("node"),
            "--max-old-space-size=3500",
            str(_tsc(tool)),
            "-p",
            "tsconfig.json",
            "--pretty",
            "false",
        ]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False)
        return done.returncode, done.stdout + done.stderr

    return _sifted(list(sdks), said, re.compile(r"^(?P<name>[^/\s(]+)/[^\n]*"))


def _tsc(tool: Callable[[str], str]) -> Path:
    return Path(tool("tsc")).resolve()


# --- Go -------------------------------------------------------------------------------------------


def _go(sdks: Sdks, folder: Path, tool: Callable[[str], str]) -> Faults:
    (folder / "go.mod").write_text("module protogen.dev\n\ngo 1.24\n", "utf-8")
    shared = {
        name: [
            # One library for all: each would be compiled otherwise.
            GeneratedFile(path=file.path, text=file.text.replace(f'"protogen.dev/{name}/rpc"', '"protogen.dev/rpc"'))
            for file in files
            if file.path.endswith(".go") and not file.path.startswith("rpc/")
        ]
        for name, files in sdks.items()
    }
    library = [file for file in next(iter(sdks.values())) if file.path.startswith("rpc/")]
    _written(shared, folder, lambda name: ())
    _written({".": library}, folder, lambda name: ())
    environment = {**os.environ, "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "GOWORK": "off"}

    def said(names: Sequence[str]) -> tuple[int, str]:
        command = [tool("go"), "vet", *(f"./{name}" for name in names)]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
        return done.returncode, done.stdout + done.stderr

    faults = _sifted(list(sdks), said, re.compile(r"^(?:vet: )?(?:\./)?(?P<name>[^/\s:#]+)/[^\n]*:[0-9]+[^\n]*"))
    command = [tool("gofmt"), "-l", *(name for name in sdks if name not in faults)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False)
    for line in (done.stdout + done.stderr).splitlines():
        faults.setdefault(line.partition("/")[0], f"gofmt would change {line}")
    return faults


# --- telling which --------------------------------------------------------------------------------


def _sifted(names: list[str], said: Callable[[Sequence[str]], tuple[int, str]], line: re.Pattern[str]) -> Faults:
    """What is said of each; where a compiler names none, halves of the batch are tried until one is left."""
    faults: Faults = {}
    left = names
    while left:
        code, output = said(left)
        if code == 0:
            break
        named: dict[str, list[str]] = {}
        for each in output.splitlines():
            found = line.match(each)
            if found is not None and found["name"] in left:
                named.setdefault(found["name"], []).append(each)
        if not named:
            if len(left) == 1:
                faults[left[0]] = output[:2000]
            else:
                middle = len(left) // 2
                faults |= _sifted(left[:middle], said, line) | _sifted(left[middle:], said, line)
            break
        faults |= {name: "\n".join(lines[:6]) for name, lines in named.items()}
        left = [name for name in left if name not in faults]
    return faults


def emptied(folder: Path) -> None:
    """Removes what a batch left."""
    shutil.rmtree(folder, ignore_errors=True)
