"""Constraints off on demand: servers and clients of all languages take what has the right types then."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from protogen import build
from protogen.config import for_schema
from protogen.render import Templates

HERE = Path(__file__).parent / "limits"
ROOT = Path(__file__).resolve().parents[2]
ENDED_SECONDS = 120

TAKEN = {"False False": "taken"}
REFUSED_BY_THE_SERVER = {
    "True False": "-32602",
    **{f"{a} {b} type": "-32602" for a in (True, False) for b in (True, False)},
}
REFUSED_BY_THE_CLIENT = {"True True": "refused here", "False True": "refused here"}
EXPECTED = {**TAKEN, **REFUSED_BY_THE_SERVER, **REFUSED_BY_THE_CLIENT}


@pytest.fixture
def sdk(tmp_path: Path) -> Callable[[str], Path]:
    """Builds the SDK of one language; its folder."""

    def make(target: str) -> Path:
        protocol, problems = build.read_protocol(HERE / "protocol.json", root=HERE)
        assert protocol is not None, problems
        entry = for_schema(HERE / "protocol.json", root=HERE).protocols[0]
        product, _ = build.generate(protocol, entry, target, renderer=Templates())
        for file in product.files:
            path = tmp_path / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file.text, "utf-8")
        return tmp_path / target / entry.name

    return make


def run(*command: str, cwd: Path) -> str:
    environment = {**os.environ, "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "GOWORK": "off"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=ENDED_SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_python(sdk: Callable[[str], Path], tmp_path: Path) -> None:
    assert json.loads(run(sys.executable, "-P", str(HERE / "main.py"), str(sdk("python")), cwd=tmp_path)) == EXPECTED


def test_typescript(sdk: Callable[[str], Path], tmp_path: Path, tool: Callable[[str], str]) -> None:
    folder = sdk("typescript")
    (folder / "node_modules").symlink_to(ROOT / "node_modules")
    run(tool("tsc"), "-p", "tsconfig.json", cwd=folder)
    index = folder / "dist" / "esm" / "index.js"
    assert json.loads(run(tool("node"), str(HERE / "main.mjs"), str(index), cwd=tmp_path)) == EXPECTED


def test_go(sdk: Callable[[str], Path], tmp_path: Path, tool: Callable[[str], str]) -> None:
    folder = sdk("go")
    (tmp_path / "main.go").write_text((HERE / "main.go").read_text("utf-8"), "utf-8")
    replace = f"replace protogen.dev/limits => {folder}"
    (tmp_path / "go.mod").write_text(f"module program\n\ngo 1.24\n\nrequire protogen.dev/limits v0.0.0\n\n{replace}\n")
    # A Go client leaves it to the server to check what it sends.
    assert json.loads(run(tool("go"), "run", ".", cwd=tmp_path)) == {**EXPECTED, "True True": "-32602"}
