"""The suite: cold builds, builds with nothing to do, peers on the same schema, and warm rendering.

All contenders take turns within one run, so that a slow spell of the machine hits all of them. CPU time is that of the
child process, user and system, with Python's bytecode and the compiled templates in place.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import child_cpu, own_cpu
from report import Report, Series, Target

from build import peers
from build.synthetic import document

ROOT = Path(__file__).resolve().parents[2]
PROTOGEN = Path(sys.executable).parent / "protogen"
SCHEMA = Path("schemas") / "stepflow" / "0.9" / "protocol.json"
FOREIGN = ROOT.parent / "shared" / "reference" / "foreign" / "mcp-2025-06-18.json"
LANGUAGES = ("python", "typescript", "go")
DEFINITIONS = 150

COLD_SECONDS = 0.35
UNCHANGED_SECONDS = 0.15
WARM_SECONDS = 0.060
SHARE_OF_PEERS = 0.1

PROJECT = f"""\
[project]
targets = {json.dumps(LANGUAGES)}

[protocols.stepflow]
schema = "{SCHEMA.as_posix()}"
"""


def run(repeats: int) -> Report:
    """Measure everything; the warm renders are repeated four times as often, since they are short."""
    with tempfile.TemporaryDirectory(prefix="protogen-bench-") as name:
        folder = Path(name)
        seconds = _children(folder, repeats)
        warm = {
            f"warm render, {DEFINITIONS} definitions": _warm(_synthetic(folder), folder, repeats=4 * repeats),
            **(
                {f"warm render, {FOREIGN.stem}": _warm(FOREIGN, FOREIGN.parent, repeats=4 * repeats)}
                if FOREIGN.exists()
                else {}
            ),
        }
    series = {name: Series(name=name, seconds=tuple(taken)) for name, taken in {**seconds, **warm}.items()}
    of_peers = sum(entry.least for name, entry in series.items() if name.startswith(("quicktype", "datamodel")))
    cold, unchanged = series["protogen build, cold"], series["protogen build, nothing changed"]
    targets = [
        Target(name="cold build", measured=cold.least, most=COLD_SECONDS, unit="s"),
        Target(name="cold build by the peers' sum", measured=cold.least / of_peers, most=SHARE_OF_PEERS, unit=""),
        Target(name="nothing changed", measured=unchanged.least, most=UNCHANGED_SECONDS, unit="s"),
        *(Target(name=name, measured=series[name].least, most=WARM_SECONDS, unit="s") for name in warm),
    ]
    return Report(
        unit="CPU seconds",
        base="protogen build, cold",
        series=(*series.values(), Series(name="peers' sum", seconds=(of_peers,))),
        targets=tuple(targets),
        versions={"Python": platform.python_version(), "Node": _node(), **peers.versions()},
        notes=peers.NOTES,
    )


def _children(folder: Path, repeats: int) -> dict[str, list[float]]:
    project, out = folder / "project", folder / "peers"
    shutil.copytree(ROOT / "schemas", project / "schemas")
    (project / "protogen.toml").write_text(PROJECT, "utf-8")
    out.mkdir()
    input_ = out / "stepflow.json"
    input_.write_text(json.dumps(peers.readable(json.loads((ROOT / SCHEMA).read_text("utf-8")))), "utf-8")
    environment = {**os.environ, "PROTOGEN_CACHE_DIR": str(folder / "cache")}
    # Bytecode of its own, so that it is there and fresh whatever this environment forbids or an older run left.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    ours = [str(PROTOGEN), "build"]
    theirs = peers.commands(input_, out)
    taken: dict[str, list[float]] = {
        "protogen build, cold": [],
        "protogen build, nothing changed": [],
        **{name: [] for name in theirs},
    }
    for turn in range(repeats + 1):
        for remains in (project / "generated", project / ".protogen"):
            shutil.rmtree(remains, ignore_errors=True)
        measured = {
            "protogen build, cold": child_cpu(ours, cwd=project, environment=environment),
            "protogen build, nothing changed": child_cpu(ours, cwd=project, environment=environment),
            **{name: child_cpu(command, cwd=out, environment=environment) for name, command in theirs.items()},
        }
        if turn == 0:
            # The first turn fills the caches: bytecode, templates, pages of the disk.
            continue
        for name, seconds in measured.items():
            taken[name].append(seconds)
    return taken


def _synthetic(folder: Path) -> Path:
    schema = folder / "synthetic.json"
    schema.write_text(json.dumps(document(DEFINITIONS)), "utf-8")
    return schema


def _warm(schema: Path, root: Path, *, repeats: int) -> tuple[float, ...]:
    """CPU seconds to make all files of the three languages from a protocol that is in memory."""
    from protogen.build import generate, read_protocol
    from protogen.config import for_schema
    from protogen.render import Templates

    protocol, problems = read_protocol(schema, root=root.resolve(), name="bench")
    if protocol is None:
        raise ValueError(f"{schema}: {'; '.join(map(str, problems))}")
    entry = for_schema(schema, root=root).protocols[0]
    renderer = Templates()

    def render() -> None:
        for language in LANGUAGES:
            generate(protocol, entry, language, renderer=renderer)

    return own_cpu(render, repeats=repeats)


def _node() -> str:
    answer = subprocess.run(["node", "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    return answer.stdout.strip().removeprefix("v")
