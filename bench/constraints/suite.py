"""The suite: a text of 200 orders decoded by the SDK of each language, with constraints and without."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from report import Report, Series, Target

from protogen import build
from protogen.config import for_schema
from protogen.render import Templates

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ROUNDS = 60
ORDERS = 200
OFFLINE = {"GOPROXY": "off", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "GOWORK": "off"}


def sample() -> str:
    """Orders that are valid, each with five lines and five tags."""
    lines = [{"article": f"article-{at}", "count": at + 1, "price": 0.25 * at} for at in range(5)]
    tags = [f"tag-{at}" for at in range(5)]
    orders = [
        {"id": f"ABC-{at:06}", "note": "Leave it at the door.", "tags": tags, "lines": lines} for at in range(ORDERS)
    ]
    return json.dumps(orders)


def run(repeats: int) -> Report:
    """Decode in each language, each as often as `repeats` says."""
    with tempfile.TemporaryDirectory(prefix="protogen-bench-") as name:
        folder = Path(name)
        (folder / "sample.json").write_text(sample(), "utf-8")
        commands = {target: prepared(target, folder) for target in ("python", "typescript", "go")}
        times: dict[str, list[float]] = {}
        for _ in range(repeats):
            for target, command in commands.items():
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                for label, nanoseconds in zip(("with", "without"), done.stdout.split(), strict=True):
                    times.setdefault(f"{target}, {label}", []).append(int(nanoseconds) / 1e9)
    targets = [
        Target(
            name=f"{target}: without by with",
            measured=min(times[f"{target}, without"]) / min(times[f"{target}, with"]),
            most=1.0,
            unit="",
        )
        for target in commands
    ]
    return Report(
        unit=f"s for {ORDERS} orders",
        base="python, with",
        series=tuple(Series(name=name, seconds=tuple(values)) for name, values in times.items()),
        targets=tuple(targets),
        versions={"Python": platform.python_version(), "msgspec": version("msgspec")},
    )


def prepared(target: str, folder: Path) -> list[str]:
    """Builds the SDK and the program of a language; the command that runs it."""
    protocol, problems = build.read_protocol(HERE / "schema.json", root=HERE, name="orders")
    if protocol is None:
        raise ValueError(str(problems[0]))
    (entry,) = for_schema(folder / "orders.json", root=folder).protocols
    product, _ = build.generate(protocol, entry, target, renderer=Templates())
    for file in product.files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text, "utf-8")
    sdk, text = folder / target / entry.name, str(folder / "sample.json")
    if target == "python":
        return [sys.executable, str(HERE / "main.py"), str(sdk), text, str(ROUNDS)]
    if target == "typescript":
        (sdk / "node_modules").symlink_to(ROOT / "node_modules")
        subprocess.run([str(ROOT / "node_modules" / ".bin" / "tsc"), "-p", "tsconfig.json"], cwd=sdk, check=True)
        return ["node", str(HERE / "main.mjs"), str(sdk / "dist" / "esm" / "index.js"), text, str(ROUNDS)]
    program = folder / "program"
    program.mkdir()
    (program / "main.go").write_text((HERE / "main.go.txt").read_text("utf-8"), "utf-8")
    module = "module program\n\ngo 1.24\n\nrequire protogen.dev/orders v0.0.0\n\nreplace protogen.dev/orders => "
    (program / "go.mod").write_text(f"{module}{sdk}\n", "utf-8")
    subprocess.run(["go", "build", "-o", "decode", "."], cwd=program, env={**os.environ, **OFFLINE}, check=True)
    return [str(program / "decode"), text, str(ROUNDS)]
