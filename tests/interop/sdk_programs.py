"""Programs in TypeScript and Go on the generated SDKs, compiled where they would be installed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ROOT / "generated"
STRICT = "--strict --exactOptionalPropertyTypes --noUncheckedIndexedAccess --noPropertyAccessFromIndexSignature"
"""What the SDK's own compilation asks for."""

Tool = Callable[[str], str]


def typescript(
    tool: Tool, folder: Path, sources: Sequence[Path], *, protocols: Sequence[str] = ("stepflow",)
) -> dict[str, str]:
    """Compile programs in `folder` against the SDKs of protocols: what node runs, by their names without `.ts`."""
    packages = [folder / "node_modules" / "@protogen" / protocol for protocol in protocols]
    for protocol, package in zip(protocols, packages, strict=True):
        copy(GENERATED / "typescript" / protocol, package)
    modules = ROOT / "node_modules"
    (folder / "node_modules" / "@types").symlink_to(modules / "@types")
    if (modules / "undici-types").is_dir():
        (folder / "node_modules" / "undici-types").symlink_to(modules / "undici-types")
    for package in packages:
        run([tool("tsc"), "-p", "tsconfig.json"], package)
    (folder / "package.json").write_text('{"type": "module"}\n')
    for source in sources:
        (folder / source.name).write_bytes(source.read_bytes())
    options = f"{STRICT} --module nodenext --target es2022 --types node --skipLibCheck --outDir out".split()
    run([tool("tsc"), *options, *(source.name for source in sources)], folder)
    return {source.stem: str(folder / "out" / f"{source.stem}.js") for source in sources}


def go(tool: Tool, folder: Path, source: Path, *, protocols: Sequence[str] = ("stepflow",)) -> Path:
    """Compile the commands below a folder of sources against the SDKs of protocols: the folder with the programs."""
    copy(source, folder)
    lines = ["module programs", "go 1.24"]
    lines += [f"require protogen.dev/{protocol} v0.0.0" for protocol in protocols]
    lines += [f"replace protogen.dev/{name} => {json.dumps(str(GENERATED / 'go' / name))}" for name in protocols]
    (folder / "go.mod").write_text("".join(f"{line}\n" for line in lines))
    environment = {**os.environ, "GOFLAGS": "", "GOPROXY": "off", "GOTOOLCHAIN": "local"}
    run([tool("go"), "vet", "./..."], folder, environment)
    run([tool("go"), "build", "-o", "bin/", "./..."], folder, environment)
    return folder / "bin"


def copy(source: Path, target: Path) -> None:
    """Copy files, and nothing that was installed or compiled among them."""
    for path in sorted(source.rglob("*")):
        if path.is_file() and not {"node_modules", "dist", "__pycache__"} & set(path.relative_to(source).parts):
            to = target / path.relative_to(source)
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(path.read_bytes())


def run(command: Sequence[str], folder: Path, environment: dict[str, str] | None = None) -> None:
    """Run a compiler; what it complains of fails the test."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
