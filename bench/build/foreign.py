"""The suite on other people's documents: MCP's schema beside quicktype, a large OpenRPC document, and what size costs.

Every run is a new process that finds no output, no record of an earlier build, and Python's bytecode and the compiled
templates in place. Ours and quicktype take turns.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from measure import child_cpu, child_usage
from report import Report, Series, Target

from build import peers
from build.synthetic import document, openrpc

PROTOGEN = Path(sys.executable).parent / "protogen"
MCP = Path(__file__).resolve().parents[3] / "shared" / "reference" / "foreign" / "mcp-2025-06-18.json"
LANGUAGES = ("python", "typescript", "go")

METHODS = 760
"""Of the OpenRPC document: 2.7 MB."""

SIZES = (1_000, 5_000, 20_000)
"""Definitions of made-up protocols; the middle one is where a square would begin to show."""

COLD_SECONDS = 0.35
SHARE_OF_QUICKTYPE = 0.05
PYDANTIC_SECONDS = 0.9
OPENRPC_SECONDS = 3.0
OPENRPC_MIB = 300.0
GROWTH = 1.25
"""How much more a definition may cost among 20,000 than among 1,000, start of the process left out: 1 is linear."""


class DocumentMissing(peers.PeersMissing):
    """A document that is measured is not there; the message says which."""


def run(repeats: int) -> Report:
    """Measure everything; the largest documents only twice, since they take seconds each."""
    if not MCP.is_file():
        raise DocumentMissing(f"{MCP} is missing; it belongs to the folder beside the checkout")
    with tempfile.TemporaryDirectory(prefix="protogen-bench-") as name:
        folder = Path(name)
        taken = _mcp(folder, max(5, repeats))
        large = [_build(folder, _written(folder, "large.json", openrpc(METHODS)), LANGUAGES) for _ in range(3)]
        sizes = {size: _size(folder, size) for size in SIZES}
    series = {name: Series(name=name, seconds=tuple(seconds)) for name, seconds in taken.items()}
    quicktype = sum(entry.least for name, entry in series.items() if name.startswith("quicktype"))
    cold, pydantic = series["MCP, three languages"], series["MCP, three languages and pydantic"]
    each = {size: _each(sizes, size) for size in SIZES[1:]}
    sized = [Series(name=f"{size:,} definitions", seconds=tuple(seconds)) for size, seconds in sizes.items()]
    return Report(
        unit="CPU seconds",
        base=cold.name,
        series=(
            *series.values(),
            Series(name="quicktype's three runs", seconds=(quicktype,)),
            Series(name="OpenRPC, 2.7 MB", seconds=tuple(seconds for seconds, _ in large)),
            *sized,
        ),
        targets=(
            Target(name="MCP, cold", measured=cold.least, most=COLD_SECONDS, unit="s"),
            Target(name="by quicktype's three runs", measured=cold.least / quicktype, most=SHARE_OF_QUICKTYPE, unit=""),
            Target(name="MCP with pydantic", measured=pydantic.least, most=PYDANTIC_SECONDS, unit="s"),
            Target(name="OpenRPC, 2.7 MB", measured=min(large)[0], most=OPENRPC_SECONDS, unit="s"),
            Target(name="its memory", measured=max(mib for _, mib in large), most=OPENRPC_MIB, unit="MiB"),
            *(
                Target(
                    name=f"a definition of {size:,} by one of 5,000",
                    measured=each[size] / each[5_000],
                    most=GROWTH,
                    unit="",
                )
                for size in SIZES[2:]
            ),
        ),
        versions={"Python": platform.python_version(), "quicktype": peers.versions()["quicktype"]},
        notes=(f"{1000 * each[20_000]:.3f} ms for each definition more.",),
    )


def _each(sizes: dict[int, list[float]], size: int) -> float:
    """Seconds for each definition beyond those of the smallest protocol."""
    least = SIZES[0]
    return (min(sizes[size]) - min(sizes[least])) / (size - least)


def _mcp(folder: Path, repeats: int) -> dict[str, list[float]]:
    schema = folder / "mcp.json"
    shutil.copy(MCP, schema)
    definitions = "definitions" if "definitions" in json.loads(MCP.read_text("utf-8")) else "$defs"
    out = folder / "peers"
    out.mkdir()
    theirs = peers.quicktype(schema, out, definitions)
    taken: dict[str, list[float]] = {}
    for turn in range(repeats + 1):
        measured = {
            "MCP, three languages": _build(folder, schema, LANGUAGES)[0],
            "MCP, three languages and pydantic": _build(folder, schema, (*LANGUAGES, "pydantic"))[0],
            **{name: child_cpu(command, cwd=out, environment=_environment(folder)) for name, command in theirs.items()},
        }
        # The first turn fills the caches: bytecode, templates, pages of the disk.
        for name, seconds in measured.items() if turn else ():
            taken.setdefault(name, []).append(seconds)
    return taken


def _size(folder: Path, definitions: int) -> list[float]:
    schema = _written(folder, f"synthetic-{definitions}.json", document(definitions))
    return [_build(folder, schema, LANGUAGES)[0] for _ in range(2)]


def _written(folder: Path, name: str, tree: object) -> Path:
    path = folder / name
    path.write_text(json.dumps(tree), "utf-8")
    return path


def _build(folder: Path, schema: Path, targets: tuple[str, ...]) -> tuple[float, float]:
    """CPU seconds and MiB of one build from nothing."""
    project = folder / "project"
    shutil.rmtree(project, ignore_errors=True)
    project.mkdir()
    shutil.copy(schema, project / schema.name)
    chosen = [word for target in targets for word in ("--target", target)]
    command = [str(PROTOGEN), "build", schema.name, "--out", "out", *chosen]
    return child_usage(command, cwd=project, environment=_environment(folder))


def _environment(folder: Path) -> dict[str, str]:
    environment = {**os.environ, "PROTOGEN_CACHE_DIR": str(folder / "cache")}
    # Bytecode of its own, so that it is there and fresh whatever this environment forbids or an older run left.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    return environment
