"""How generated code of each language is made to decode and encode samples in a process of its own.

Knows toolchains and the SDKs' `decode` and `encode`; what the answers mean is `protogen.verify`'s business. A driver
reads lines `{"type", "text"}` from the file named by its first argument, skips as many as its second argument says,
and answers each with one line on stdout: `{"out": <text>}`, `{"refused": <why>}` or `{"crashed": <how>}`. Where the
variable of the environment that WITHOUT names is set, the SDK is told to leave constraints out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from protogen.config import Refusal
from protogen.output import Options

_HERE = Path(__file__).resolve().parent

_COMPILE_SECONDS = 600
"""A compiler that has not finished by then hangs: the slowest real one, a cold `go build`, takes tens of seconds."""


class Driver(msgspec.Struct, frozen=True, kw_only=True):
    """A command that answers samples, and the environment to run it in."""

    command: tuple[str, ...]
    environment: Mapping[str, str]


class Unbuildable(Exception):
    """The generated code does not compile; the message is what the compiler said."""


Prepare = Callable[[Path, Options, Path, Iterable[Path]], Driver]


def _python(folder: Path, options: Options, scratch: Path, near: Iterable[Path]) -> Driver:
    del scratch, near
    return _interpreter("python_driver.py", folder, options.package)


def _pydantic(folder: Path, options: Options, scratch: Path, near: Iterable[Path]) -> Driver:
    del options, scratch, near
    return _interpreter("pydantic_driver.py", folder.parent, folder.name)


def _interpreter(script: str, folder: Path, module: str) -> Driver:
    command = (sys.executable, "-B", str(_HERE / script), str(folder), module)
    return Driver(command=command, environment=dict(os.environ))


def _typescript(folder: Path, options: Options, scratch: Path, near: Iterable[Path]) -> Driver:
    """Compiles a copy of the SDK with the compiler of the nearest `node_modules`, else that on PATH."""
    del options
    node = _tool("node", "install Node.js 20 or later")
    modules = next((path for path in _module_folders(near) if (path / ".bin" / "tsc").exists()), None)
    if modules is not None:
        tsc = str(modules / ".bin" / "tsc")
    else:
        tsc = _tool("tsc", "run `npm install typescript @types/node` in the project, or put tsc on PATH")
        modules = _modules_of(Path(tsc))
    copy = scratch / "sdk"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("node_modules", "dist"))
    if modules is not None:
        (copy / "node_modules").symlink_to(modules, target_is_directory=True)
    environment = dict(os.environ)
    _compile((tsc, "-p", str(copy / "tsconfig.json"), "--outDir", str(scratch / "js")), copy, environment)
    shutil.copy(copy / "package.json", scratch / "js" / "package.json")
    shutil.copy(_HERE / "node_driver.mjs", scratch / "node_driver.mjs")
    written = (scratch / "js").rglob("index.js")
    entry = next((path for path in written if path.parent.name in ("js", "src", "esm")), None)
    if entry is None:
        raise Unbuildable("tsc wrote no index.js")
    return Driver(command=(node, str(scratch / "node_driver.mjs"), str(entry)), environment=environment)


def _go(folder: Path, options: Options, scratch: Path, near: Iterable[Path]) -> Driver:
    """Builds a program beside the SDK's module, without network and with the Go that is installed."""
    del near
    go = _tool("go", "install Go 1.24 or later")
    module = options.package
    scratch.joinpath("go.mod").write_text(
        f"module verify\n\ngo 1.24\n\nrequire {module} v0.0.0\n\nreplace {module} => {folder}\n", "utf-8"
    )
    text = (_HERE / "go_driver.go.txt").read_text("utf-8")
    scratch.joinpath("main.go").write_text(text.replace("PROTOCOL_MODULE", module), "utf-8")
    environment = {**os.environ, "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "GOWORK": "off"}
    binary = scratch / "driver"
    _compile((go, "build", "-o", str(binary), "."), scratch, environment)
    return Driver(command=(str(binary),), environment=environment)


PREPARE: dict[str, Prepare] = {"python": _python, "pydantic": _pydantic, "typescript": _typescript, "go": _go}
"""The targets whose code can be run, and how it is made ready."""

LOOSE = ("python", "typescript", "go")
"""Those whose code can leave constraints unchecked."""

WITHOUT = "PROTOGEN_WITHOUT_CONSTRAINTS"
"""The variable of the environment by which a driver is told to have them left unchecked."""


def _tool(name: str, how: str) -> str:
    # Beside the interpreter stand the tools that the repository's set-up installs where a machine has none.
    places = os.pathsep.join((os.environ.get("PATH", os.defpath), str(Path(sys.prefix) / "toolchain" / "bin")))
    found = shutil.which(name, path=places)
    if found is None:
        raise Refusal("PG204", f"{name} is not on PATH", fix=f"{how}, or leave its language out with --target")
    return found


def _module_folders(near: Iterable[Path]) -> Iterable[Path]:
    for start in near:
        for folder in (start, *start.parents):
            yield folder / "node_modules"


def _modules_of(tsc: Path) -> Path | None:
    """The `node_modules` that a `tsc` on PATH belongs to, for the types of Node beside it."""
    return next((folder for folder in tsc.resolve().parents if folder.name == "node_modules"), None)


def _compile(command: tuple[str, ...], folder: Path, environment: Mapping[str, str]) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, timeout=_COMPILE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unbuildable(f"{Path(command[0]).name} did not finish in {_COMPILE_SECONDS} s") from None
    if done.returncode:
        raise Unbuildable((done.stdout + done.stderr).decode(errors="replace").strip())
