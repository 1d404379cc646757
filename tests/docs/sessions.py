"""Console sessions of a page, run in a shell of their own and compared with what the page shows.

A page's blocks are one session in one folder. The folder is empty, or a copy of the checkout where the page says
`<!-- session: checkout -->`. A block with a title is a file that the reader writes, one with an excerpt shows lines of
a file that is there. A console block is commands with their output, where `...` stands for any text within a line and a
line `...` for any lines. A command that fails fails the test, unless the page shows the exit code (`; echo $?`). Port
8000 of the page is a free port here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from doc_pages import Fence, Step, fences, steps

CHECKOUT = "<!-- session: checkout -->"
PORT = "8000"
"""The port that pages use; never the one that is used here."""
PATIENCE = 300
"""Seconds that a session may take: the first Go build of a machine compiles the standard library."""
SERVER_PATIENCE = 30
"""Seconds until a server that was started must take connections."""
END = "protogen-docs-end-of-command"


class Differs(AssertionError):
    """A command of a page printed something else, or ended otherwise, than the page says."""


def run_page(page: Path, *, root: Path, folder: Path) -> int:
    """Run all sessions of a page below `folder`; returns the number of commands. Raises Differs."""
    text = page.read_text("utf-8")
    work = folder / "work"
    work.mkdir()
    if CHECKOUT in text:
        copy_checkout(root, work)
    count = 0
    with shell(work, environment(root, folder)) as process:
        port = free_port()
        for fence in fences(text):
            if fence.title is not None:
                write(work, fence, port)
            elif fence.excerpt is not None:
                look_up(work, fence, page)
            elif fence.language == "sh":
                stand_in(root, work, fence)
            elif fence.language == "console":
                for step in steps(fence):
                    perform(process, step, port, work, page)
                    count += 1
    return count


def write(work: Path, fence: Fence, port: str) -> None:
    """Write the file that a block shows; the page must name it in the text before, where readers see it."""
    title = fence.title or ""
    if f"`{title}`" not in fence.before:
        raise Differs(f"line {fence.line}: the text before the block does not name `{title}`")
    path = work / title
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(fence.text.replace(PORT, port), "utf-8")


def perform(process: subprocess.Popen[str], step: Step, port: str, work: Path, page: Path) -> None:
    """Run one command in the session's shell and compare its output."""
    assert process.stdin is not None
    assert process.stdout is not None
    if re.search(r"&\s*$", step.command):
        command = step.command.replace(PORT, port).rstrip("& ")
        process.stdin.write(f"{command} >server.log 2>&1 </dev/null &\n")
        process.stdin.flush()
        wait_for_port(port, work / "server.log")
        return
    # Braces keep the command in the shell itself, so that `cd` and variables last; its output is one stream.
    process.stdin.write(f"{{ {step.command.replace(PORT, port)}\n}} 2>&1 </dev/null\nprintf '\\n%s %s\\n' {END} $?\n")
    process.stdin.flush()
    printed: list[str] = []
    for line in process.stdout:
        if line.startswith(END):
            code = int(line.split()[1])
            break
        printed.append(line.rstrip("\n").replace(port, PORT))
    else:
        raise Differs(f"{page.name}:{step.line}: the shell ended during: {step.command}")
    if printed and not printed[-1]:
        printed.pop()
    shown, wanted = "\n".join(printed), "\n".join(step.output)
    if not matches(step.output, printed):
        raise Differs(
            f"{page.name}:{step.line}: $ {step.command}\n--- the page says\n{wanted}\n--- it printed\n{shown}"
        )
    if code:
        raise Differs(
            f"{page.name}:{step.line}: $ {step.command}\nleft with {code}, which the page does not show:\n{shown}"
        )


def stand_in(root: Path, work: Path, fence: Fence) -> None:
    """Do without network what `npm install` in a block that is not run would do: link what the checkout has."""
    if "npm install" not in fence.text:
        return
    modules = work / "node_modules"
    for folder in ("@types", ".bin"):
        (modules / folder).mkdir(parents=True)
    (modules / ".bin" / "tsc").symlink_to(root / "node_modules" / ".bin" / "tsc")
    (modules / "typescript").symlink_to(root / "node_modules" / "typescript")
    (modules / "@types" / "node").symlink_to(root / "node_modules" / "@types" / "node")
    for name, place in json.loads((work / "package.json").read_text("utf-8"))["dependencies"].items():
        (modules / name).parent.mkdir(exist_ok=True)
        (modules / name).symlink_to(work / place.removeprefix("file:"))


def look_up(work: Path, fence: Fence, page: Path) -> None:
    """Find the lines that a block shows in the file that it says they are from."""
    text = (work / (fence.excerpt or "")).read_text("utf-8")
    if re.search(f"^{pattern(fence.text.splitlines())}", text, re.MULTILINE) is None:
        raise Differs(f"{page.name}:{fence.line}: {fence.excerpt} has no such lines; it says\n{text}")


def matches(shown: tuple[str, ...], printed: list[str]) -> bool:
    """Whether the output is the one shown, elisions and spaces at line ends apart."""
    return re.fullmatch(pattern(shown), "".join(f"{line.rstrip()}\n" for line in printed)) is not None


def pattern(shown: Iterable[str]) -> str:
    """A regular expression for the lines shown, elisions included."""
    lines = []
    for line in shown:
        if line.strip() == "...":
            lines.append(r"(?:.*\n)*?")
        else:
            lines.append(r"[^\n]*?".join(re.escape(part) for part in line.rstrip().split("...")) + r"\n")
    return "".join(lines)


@contextmanager
def shell(work: Path, variables: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A shell in `work` whose whole process group is gone afterwards."""
    process = subprocess.Popen(
        ["timeout", "--foreground", str(PATIENCE), "bash", "--noprofile", "--norc"],
        cwd=work,
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            stream.close()


def environment(root: Path, folder: Path) -> dict[str, str]:
    """Variables of a user who has protogen, Go, Node and TypeScript installed, and a Python environment activated."""
    scripts = virtual_environment(folder / "venv")
    path = [scripts, sysconfig.get_path("scripts"), root / "node_modules" / ".bin", os.environ.get("PATH", os.defpath)]
    kept = {
        key: os.environ[key] for key in ("HOME", "GOCACHE", "GOPATH", "XDG_CACHE_HOME", "TMPDIR") if key in os.environ
    }
    return {
        **kept,
        "PATH": os.pathsep.join(map(str, path)),
        "LANG": "C.UTF-8",
        "COLUMNS": "80",
        "GOTOOLCHAIN": "local",
        "GOPROXY": "off",
        "GOFLAGS": "-mod=mod",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_QUIET": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "npm_config_userconfig": os.devnull,
        "npm_config_offline": "true",
        "npm_config_update_notifier": "false",
        "npm_config_audit": "false",
        "npm_config_fund": "false",
    }


def virtual_environment(place: Path) -> Path:
    """An environment that sees what is installed here and takes what a page installs; returns its scripts' folder."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    packages = place / Path(sysconfig.get_path("purelib")).relative_to(sys.prefix)
    (packages / "outer.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n", "utf-8")
    pip = place / "bin" / "pip"
    pip.write_text('#!/bin/sh\nexec "$(dirname "$0")/python" -m pip "$@"\n', "utf-8")
    pip.chmod(0o755)
    return place / "bin"


def copy_checkout(root: Path, work: Path) -> None:
    """What pages show and their commands read of the checkout."""
    for name in ("schemas", "generated", "docs/examples", "tests/e2e/nodes"):
        if (root / name).is_dir():
            shutil.copytree(
                root / name, work / name, ignore=shutil.ignore_patterns("node_modules", "dist", "__pycache__")
            )
    for name in ("protogen.toml", "Makefile"):
        shutil.copy(root / name, work / name)


def free_port() -> str:
    """A port that nobody listens on, and that is not the one that pages show."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


def wait_for_port(port: str, log: Path) -> None:
    """Wait until a server that was just started takes connections; Differs, with its log, where it does not."""
    until = time.monotonic() + SERVER_PATIENCE
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", int(port)), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise Differs(f"no server came up on port {port} within {SERVER_PATIENCE} s:\n{log.read_text('utf-8')}")
