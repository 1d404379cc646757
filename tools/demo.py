"""Demo: build the SDKs, show a client of each language calling a tiny server, and flows on both reference nodes.

Usage: .venv/bin/python tools/demo.py, after `python3 tools/setup.py demo`; `make demo` does both.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOGEN = ROOT / ".venv" / "bin" / "protogen"
EXAMPLES = ROOT / "docs" / "examples" / "echo"
GENERATED = ROOT / "generated"


class Failed(Exception):
    """A step of the demo ended with an error; its output has been shown."""


def main() -> int:
    """Run the demo; returns 0, or 1 where a step fails."""
    try:
        print("$ protogen build", flush=True)
        run([str(PROTOGEN), "build"], ROOT)
        python()
        typescript()
        go()
        apflow()
        stepflow()
    except Failed as failure:
        print(f"demo: {failure}", file=sys.stderr)
        return 1
    print("\nThe programs are in docs/examples; the tutorial is docs/tutorial.md.")
    return 0


def python() -> None:
    """Server and client in one process, on trio and hypercorn."""
    title("Python", "docs/examples/echo/python/demo.py")
    run([sys.executable, str(EXAMPLES / "python" / "demo.py")], ROOT)


def typescript() -> None:
    """The SDK compiled where npm would put it, and the program against it."""
    title("TypeScript", "docs/examples/echo/typescript/demo.ts")
    with folder("typescript") as work:
        run([tool("node"), compile_typescript(work, "echo", EXAMPLES / "typescript" / "demo.ts")], work)


def compile_typescript(work: Path, protocol: str, program: Path) -> str:
    """The program of a protocol, compiled against its SDK."""
    modules = work / "node_modules"
    sdk = modules / "@protogen" / protocol
    shutil.copytree(GENERATED / "typescript" / protocol, sdk, ignore=shutil.ignore_patterns("dist", "node_modules"))
    for name in ("@types", "undici-types"):
        (modules / name).symlink_to(ROOT / "node_modules" / name)
    tsc = str(ROOT / "node_modules" / ".bin" / "tsc")
    run([tsc, "-p", "tsconfig.json"], sdk)
    (work / "package.json").write_text('{"type": "module"}\n')
    shutil.copy(program, work)
    options = "--strict --exactOptionalPropertyTypes --module nodenext --target es2022 --types node --outDir out"
    run([tsc, *options.split(), program.name], work)
    return str(work / "out" / f"{program.stem}.js")


def go() -> None:
    """The program as a module of its own that replaces the SDK's path with the one in the checkout."""
    title("Go", "docs/examples/echo/go/main.go")
    with folder("go") as work:
        run([build_go(work, "echo", EXAMPLES / "go" / "main.go")], work)


def build_go(work: Path, protocol: str, program: Path) -> str:
    """The program of a protocol, built against its SDK."""
    shutil.copy(program, work)
    name, sdk = f"protogen.dev/{protocol}", json.dumps(str(GENERATED / "go" / protocol))
    (work / "go.mod").write_text(f"module demo\n\ngo 1.24\n\nrequire {name} v0.0.0\n\nreplace {name} => {sdk}\n")
    run([tool("go"), "build", "-o", "demo", "."], work, {"GOPROXY": "off", "GOFLAGS": "", "GOTOOLCHAIN": "local"})
    return str(work / "demo")


def apflow() -> None:
    """A flow on the reference node, with its tasks in SQLite."""
    print("\napflow: a node executes a flow of a dozen tasks, two at a time (docs/examples/apflow)", flush=True)
    run([sys.executable, str(ROOT / "docs" / "examples" / "apflow" / "demo.py")], ROOT)


def stepflow() -> None:
    """A flow on the Stepflow runtime, with workers in three languages."""
    print("\nStepflow: a flow with workers in Go, TypeScript and Python (docs/examples/stepflow)", flush=True)
    examples = ROOT / "docs" / "examples" / "stepflow"
    with folder("stepflow-go") as go_work, folder("stepflow-typescript") as typescript_work:
        workers = [
            build_go(go_work, "stepflow", examples / "go" / "main.go"),
            compile_typescript(typescript_work, "stepflow", examples / "typescript" / "worker.ts"),
        ]
        # The runtime finds node on its own PATH.
        path = os.pathsep.join([str(Path(tool("node")).parent), os.environ.get("PATH", os.defpath)])
        run([sys.executable, str(examples / "demo.py"), *workers], ROOT, {"PATH": path})


def title(language: str, path: str) -> None:
    """A heading over what a language's program prints."""
    print(f"\n{language}: a client calls a server made from the generated handler interface ({path})", flush=True)


@contextmanager
def folder(name: str) -> Generator[Path]:
    """An empty folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=f"protogen-demo-{name}-") as path:
        yield Path(path)


def tool(name: str) -> str:
    """The path of a program that tools/setup.py provides where the machine does not."""
    search = os.pathsep.join([str(ROOT / ".venv" / "toolchain" / "bin"), os.environ.get("PATH", os.defpath)])
    found = shutil.which(name, path=search)
    if found is None:
        raise Failed(f"{name} is missing: run `make demo`, which installs it")
    return found


def run(command: list[str], work: Path, more: dict[str, str] | None = None) -> None:
    """Run one step with its output shown. Errors: Failed."""
    environment = {**os.environ, **(more or {})}
    done = subprocess.run(command, cwd=work, env=environment, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise Failed(f"`{' '.join(command)}` ended with {done.returncode}")


if __name__ == "__main__":
    sys.exit(main())
