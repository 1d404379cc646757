"""Import directions: who may import whom, read from the syntax tree of every module, lazy imports included.

The rules are those of docs/ARCHITECTURE.md; each has planted violations below that it must find.
"""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE_ROOTS = ("codegen", "runtime", "compliance", "generated")
OUR_PACKAGES = ("protogen", "protogen_runtime", "protogen_compliance")

# In each row an earlier layer never imports a later one.
LAYERS = (
    ("protogen.problems", "protogen.ir", "protogen.normalise", "protogen.build", "protogen.cli"),
    ("protogen.problems", "protogen.load", "protogen.normalise"),
    ("protogen.load", "protogen.frontends", "protogen.build"),
    ("protogen.ir", "protogen.output", "protogen.targets", "protogen.build"),
    ("protogen.ir", "protogen.described", "protogen.targets"),
    ("protogen.ir", "protogen.links", "protogen.targets"),
    ("protogen.ir", "protogen.samples", "protogen.targets", "protogen.verify", "protogen.cli"),
    ("protogen_runtime.errors", "protogen_runtime.jsonrpc", "protogen_runtime.dispatch", "protogen_runtime.io"),
    (
        *("protogen_runtime.jsonrpc", "protogen_runtime.dispatch", "protogen_runtime.observe", "protogen_runtime.io"),
        "protogen_runtime.echo",
    ),
    ("protogen_runtime.store", "protogen_runtime.observe"),
    ("protogen_runtime.store", "protogen_runtime.echo"),
    ("protogen_runtime.store", "protogen_runtime.stepflow", "protogen_runtime.io"),
    ("protogen_runtime.store", "protogen_runtime.apflow", "protogen_runtime.io"),
    ("protogen_runtime.dispatch", "protogen_runtime.apflow", "protogen_runtime.nodes"),
    ("protogen_runtime.dispatch", "protogen_runtime.stepflow", "protogen_runtime.nodes"),
    ("protogen_runtime.io", "protogen_runtime.nodes"),
    ("protogen_runtime.stepflow.flow", "protogen_runtime.stepflow.engine", "protogen_runtime.stepflow.plugins"),
)
TARGETS_MAY_IMPORT = (
    *("protogen.ir", "protogen.described", "protogen.links"),
    *("protogen.output", "protogen.naming", "protogen.problems"),
)
KIT_MAY_IMPORT = (
    *("protogen_compliance", "protogen.load", "protogen.ir", "protogen.problems", "protogen.resources"),
    # By a document of the user's own it judges with samples of that document's types.
    *("protogen.build.read_protocol", "protogen.samples"),
)
# The core and the rules of the protocols are computed: no clock, no chance, no system, no concurrency.
PURE = (
    "protogen_runtime.jsonrpc",
    "protogen_runtime.dispatch",
    "protogen_runtime.stepflow.flow",
    "protogen_runtime.stepflow.engine",
    "protogen_runtime.apflow.rules",
    "protogen_runtime.apflow.queue",
)
# Arithmetic with dates is pure; tests/apflow/rules asserts that these never ask what time it is.
COMPUTES_WITH_DATES = ("protogen_runtime.apflow.rules.timestamps",)
IMPURE = (
    *("trio", "anyio", "asyncio", "socket", "ssl", "select", "os", "io", "subprocess", "threading"),
    *("time", "datetime", "random", "secrets", "uuid", "sqlite3", "logging", "click", "httpx", "hypercorn"),
)
# Each costs the command tens of milliseconds, so nothing that protogen.cli imports at its start imports one.
HEAVY = (
    *("jinja2", "fastjsonschema", "jsonschema", "jsonschema_rs", "referencing", "datamodel_code_generator", "pydantic"),
    *("schemathesis", "hypothesis", "pytest", "trio", "hypercorn", "httpx", "rich"),
)


class Import(NamedTuple):
    """One imported name: `from a import b` in module m imports "a.b"."""

    importer: str
    imported: str
    lazy: bool = False
    """Inside a function, so it happens only when that is called."""
    relative: bool = False


def imports_of(source: str, module: str, *, is_package: bool = False) -> Iterator[Import]:
    """Yield every import of a module's source: statements, and import_module() or __import__() of a constant."""
    package = module if is_package else module.rpartition(".")[0]
    pending: deque[tuple[ast.AST, bool]] = deque([(ast.parse(source), False)])
    while pending:
        node, lazy = pending.popleft()
        match node:
            case ast.Import(names=names):
                yield from (Import(module, alias.name, lazy) for alias in names)
            case ast.ImportFrom(module=name, names=names, level=level):
                base = package.split(".")[: len(package.split(".")) - level + 1] if level else []
                start = ".".join([*base, *([name] if name else [])])
                yield from (Import(module, f"{start}.{alias.name}", lazy, bool(level)) for alias in names)
            case ast.Call(
                func=ast.Name(id=called) | ast.Attribute(attr=called), args=[ast.Constant(value=str(name)), *_]
            ):
                if called in ("import_module", "__import__"):
                    yield Import(module, name, lazy)
        lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        pending += [(child, lazy) for child in ast.iter_child_nodes(node)]


def within(module: str, *packages: str) -> bool:
    """Whether a dotted name is one of the packages or something in one."""
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def breaks_layers(it: Import) -> bool:
    """An earlier layer of LAYERS imports a later one."""
    for row in LAYERS:
        importer = next((i for i, layer in enumerate(row) if within(it.importer, layer)), len(row))
        imported = next((i for i, layer in enumerate(row) if within(it.imported, layer)), -1)
        if importer < imported:
            return True
    return False


def breaks_target(it: Import) -> bool:
    """A target sees the protocol as data, and an engine of its own name if it has one; never another target."""
    own = ".".join(it.importer.split(".")[:3])
    engine = own.replace(".targets.", ".")
    inside = within(it.importer, "protogen.targets") and own != "protogen.targets"
    return inside and within(it.imported, "protogen") and not within(it.imported, own, engine, *TARGETS_MAY_IMPORT)


def breaks_kit(it: Import) -> bool:
    """The kit needs schemas; whatever else it shared with what it judges, it would share the bugs of."""
    return (
        within(it.importer, "protogen_compliance")
        and within(it.imported, *OUR_PACKAGES)
        and not within(it.imported, *KIT_MAY_IMPORT)
    )


def breaks_packages(it: Import) -> bool:
    """Neither protogen nor the runtime imports another of the three packages, save protogen.cli inside a command."""
    own = it.importer.partition(".")[0]
    others = [package for package in OUR_PACKAGES if package != own]
    if own not in ("protogen", "protogen_runtime") or not within(it.imported, *others):
        return False
    return not (it.lazy and within(it.importer, "protogen.cli"))


def breaks_protocols(it: Import) -> bool:
    """Generated code is used by its own protocol's part of the runtime alone, and the protocols do not meet."""
    if within(it.importer, "protogen_runtime.stepflow") and within(it.imported, "protogen_runtime.apflow"):
        return True
    if within(it.importer, "protogen_runtime.apflow") and within(it.imported, "protogen_runtime.stepflow"):
        return True
    protocol = it.imported.partition(".")[0].removesuffix("_protocol")
    # A node of tasks is an agent, too: the dialects of A2A are that part's.
    protocol = {"a2a": "apflow.a2a", "a2a_v03": "apflow.a2a", "stepflow_v011": "stepflow"}.get(protocol, protocol)
    generated = it.imported.partition(".")[0].endswith("_protocol") and within(it.importer, *OUR_PACKAGES)
    return generated and not within(it.importer, f"protogen_runtime.{protocol}")


def breaks_purity(it: Import) -> bool:
    """PURE modules import nothing that acts on the world."""
    package = it.imported.partition(".")[0]
    if package == "datetime" and it.importer in COMPUTES_WITH_DATES:
        return False
    return within(it.importer, *PURE) and package in IMPURE


def breaks_copy(it: Import) -> bool:
    """The core is copied into every SDK, where only its own relative imports hold."""
    inside = within(it.importer, "protogen_runtime.jsonrpc") and within(it.imported, *OUR_PACKAGES)
    return inside and not (it.relative and within(it.imported, "protogen_runtime.jsonrpc"))


def breaks_roots(it: Import) -> bool:
    """`codegen.protogen` would be a second copy of every class: source roots are not packages."""
    return it.imported.partition(".")[0] in SOURCE_ROOTS


RULES: dict[str, Callable[[Import], bool]] = {
    "layers": breaks_layers,
    "target": breaks_target,
    "kit": breaks_kit,
    "packages": breaks_packages,
    "protocols": breaks_protocols,
    "purity": breaks_purity,
    "copy": breaks_copy,
    "roots": breaks_roots,
}


def violations(imports: Iterable[Import]) -> list[str]:
    """Return one line for every import and every rule that it breaks."""
    return [
        f"{rule}: {it.importer} imports {it.imported}" for it in imports for rule, broken in RULES.items() if broken(it)
    ]


def eager_graph(imports: Iterable[Import], modules: Iterable[str]) -> dict[str, set[str]]:
    """Return for every module the names it imports at start: of known modules the module, of others the package."""
    known = frozenset(modules)
    graph: dict[str, set[str]] = {module: set() for module in known}
    for it in imports:
        if it.importer in known and not it.lazy:
            names = (it.imported, it.imported.rpartition(".")[0], it.imported.partition(".")[0])
            graph[it.importer].add(next((name for name in names if name in known), names[2]))
    return graph


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """Return the modules of one circle of imports; empty where there is none."""
    try:
        tuple(TopologicalSorter({module: names - {module} for module, names in graph.items()}).static_order())
    except CycleError as found:
        return list(found.args[1])
    return []


def reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    """Return everything that importing `start` imports, the packages that modules stand in included."""
    found: set[str] = set()
    pending = [start]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += graph.get(name, ())
            pending += [name.rpartition(".")[0]] if "." in name else []
    return found


def modules_below(*folders: Path) -> dict[str, Path]:
    """Return every module below source roots: dotted name to file."""
    found = {}
    for folder in folders:
        for file in sorted(folder.rglob("*.py")):
            parts = file.relative_to(folder).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def read(modules: dict[str, Path]) -> list[Import]:
    """Return the imports of modules on disk."""
    return [
        it
        for name, file in modules.items()
        for it in imports_of(file.read_text("utf-8"), name, is_package=file.name == "__init__.py")
    ]


# --- the tree -------------------------------------------------------------------------------------


def test_every_import_keeps_the_directions() -> None:
    modules = modules_below(*(ROOT / name for name in ("codegen", "runtime", "compliance")))
    assert {"protogen.ir", "protogen_runtime"} <= modules.keys()
    found = violations(read(modules))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("folder", ["codegen", "runtime", "compliance"])
def test_no_module_is_imported_in_a_circle(folder: str) -> None:
    modules = modules_below(ROOT / folder)
    assert cycle(eager_graph(read(modules), modules)) == []


def test_the_command_starts_without_heavy_libraries() -> None:
    modules = modules_below(ROOT / "codegen")
    graph = eager_graph(read(modules), modules)
    assert "click" in reachable(graph, "protogen.cli")
    assert reachable(graph, "protogen.cli").intersection(HEAVY) == set()


@pytest.mark.parametrize("folder", ["tests", "tools", "bench"])
def test_scripts_and_tests_never_import_a_second_copy(folder: str) -> None:
    assert [line for line in violations(read(modules_below(ROOT / folder))) if line.startswith("roots:")] == []


# --- the rules themselves -------------------------------------------------------------------------

PLANTED = [
    # module, source, the rules it breaks
    ("protogen.ir", "from protogen.normalise import normalise", ["layers"]),
    ("protogen.ir", "def f():\n    from protogen import build", ["layers"]),
    ("protogen.problems", "from . import ir", ["layers"]),
    ("protogen.load", "import protogen.normalise", ["layers"]),
    ("protogen.output", "from protogen.targets import python", ["layers"]),
    ("protogen.build", "import protogen.cli", ["layers"]),
    ("protogen_runtime.jsonrpc.codec", "from protogen_runtime.io import http", ["layers", "copy"]),
    ("protogen_runtime.store.sqlite", "from protogen_runtime.apflow import tasks", ["layers"]),
    ("protogen_runtime.apflow.tasks", "import protogen_runtime.io", ["layers"]),
    ("protogen_runtime.dispatch", "from protogen_runtime.observe import current", ["layers"]),
    ("protogen_runtime.io.http", "from protogen_runtime.nodes import apflow", ["layers"]),
    ("protogen_runtime.stepflow.flow.paths", "from protogen_runtime.stepflow import engine", ["layers"]),
    ("protogen_runtime.stepflow.engine.run", "from ..plugins import contract", ["layers"]),
    ("protogen_runtime.apflow.handler", "from protogen_runtime.nodes import apflow", ["layers"]),
    ("protogen_runtime.observe.calls", "from protogen_runtime.io import channel", ["layers"]),
    ("protogen_runtime.store.sqlite", "from protogen_runtime.observe import Log", ["layers"]),
    ("protogen_runtime.io.stdio", "from protogen_runtime import echo", ["layers"]),
    ("protogen.targets.go.view", "from protogen.targets.python import names", ["target"]),
    ("protogen.targets.go.view", "from ..python import names", ["target"]),
    ("protogen.targets.go", "from protogen import load", ["target"]),
    ("protogen.targets.go.target", "from protogen.samples import make", ["target"]),
    ("protogen.samples.text", "from protogen.targets.samples import target", ["layers"]),
    ("protogen_compliance.suites", "import protogen.build", ["kit"]),
    ("protogen_compliance.peer", "from protogen_runtime import jsonrpc", ["kit"]),
    ("protogen_compliance.peer", "import stepflow_protocol", ["protocols"]),
    ("protogen.build", "def f():\n    import protogen_runtime", ["packages"]),
    ("protogen.cli", "import protogen_compliance", ["packages"]),
    ("protogen_runtime.io.http", "def f():\n    from protogen import ir", ["packages"]),
    ("protogen_runtime.dispatch", "import protogen_compliance.fuzz", ["packages"]),
    ("protogen_runtime.stepflow.runs", "from protogen_runtime.apflow import tasks", ["protocols"]),
    ("protogen_runtime.apflow.runs", "from ..stepflow import flow", ["protocols"]),
    ("protogen_runtime.apflow.runs", "from stepflow_protocol.types import Flow", ["protocols"]),
    ("protogen_runtime.io.http", "import apflow_protocol", ["protocols"]),
    ("protogen_runtime.apflow.manager", "import a2a_protocol", ["protocols"]),
    ("protogen_runtime.stepflow.runs", "import a2a_v03_protocol", ["protocols"]),
    ("protogen_runtime.apflow.runs", "import stepflow_v011_protocol", ["protocols"]),
    ("protogen.build", "import echo_protocol", ["protocols"]),
    ("protogen_runtime.jsonrpc.codec", "import time", ["purity"]),
    ("protogen_runtime.jsonrpc", "def f():\n    from os import path", ["purity"]),
    ("protogen_runtime.dispatch", "import importlib\nimportlib.import_module('trio')", ["purity"]),
    ("protogen_runtime.stepflow.flow.paths", "from random import random", ["purity"]),
    ("protogen_runtime.apflow.rules.schedules", "from datetime import datetime", ["purity"]),
    ("protogen_runtime.apflow.rules.timestamps", "import time", ["purity"]),
    ("protogen_runtime.jsonrpc.codec", "from protogen_runtime.jsonrpc import messages", ["copy"]),
    ("protogen_runtime.jsonrpc.codec", "from ..errors import RpcError", ["copy"]),
    ("protogen.build", "from codegen.protogen import ir", ["roots"]),
    ("protogen_runtime.io", "import runtime.protogen_runtime", ["roots"]),
]
CLEAN = [
    ("protogen.cli.test", "def f():\n    from protogen_compliance import suites"),
    ("protogen.build", "from protogen.targets import registry\nfrom protogen import load, normalise"),
    ("protogen.targets.go.view", "from protogen import ir\nfrom . import names\nfrom protogen.naming import words"),
    ("protogen.targets.samples.target", "from protogen.samples import make"),
    ("protogen_compliance.suites", "from protogen.load import load\nimport pytest"),
    ("protogen_runtime.jsonrpc.codec", "import json\nfrom .messages import Call"),
    ("protogen_runtime.io.http", "import trio\nfrom protogen_runtime import dispatch, errors, jsonrpc"),
    ("protogen_runtime.stepflow.worker", "import stepflow_v011_protocol"),
    ("protogen_runtime.stepflow.runs", "import stepflow_protocol\nfrom protogen_runtime.store import Store"),
    ("protogen_runtime.apflow.rules.timestamps", "from datetime import datetime"),
]


@pytest.mark.parametrize(("module", "source", "expected"), PLANTED)
def test_planted_violation_is_found(module: str, source: str, expected: list[str]) -> None:
    assert [line.partition(":")[0] for line in violations(imports_of(source, module))] == expected


@pytest.mark.parametrize(("module", "source"), CLEAN)
def test_allowed_import_is_not_reported(module: str, source: str) -> None:
    assert violations(imports_of(source, module)) == []


def test_every_rule_has_a_planted_violation() -> None:
    assert {rule for _, _, rules in PLANTED for rule in rules} == RULES.keys()


def test_relative_import_in_a_package_starts_at_the_package() -> None:
    found = list(imports_of("from . import view\nfrom ..python import names", "protogen.targets.go", is_package=True))
    assert [it.imported for it in found] == ["protogen.targets.go.view", "protogen.targets.python.names"]


def test_planted_cycle_is_found_unless_it_is_lazy() -> None:
    there, back = Import("p.a", "p.b.name"), Import("p.b", "p.a")
    assert sorted(set(cycle(eager_graph([there, back], ["p.a", "p.b"])))) == ["p.a", "p.b"]
    assert cycle(eager_graph([there, back._replace(lazy=True)], ["p.a", "p.b"])) == []


def test_planted_heavy_import_is_reached_through_a_package_unless_it_is_lazy() -> None:
    modules = ["p", "p.cli", "p.view", "p.view.text"]
    steps = [Import("p.cli", "p.view.text.wrap"), Import("p.view", "jinja2.Environment")]
    assert "jinja2" in reachable(eager_graph(steps, modules), "p.cli")
    assert "jinja2" not in reachable(eager_graph([steps[0]._replace(lazy=True), steps[1]], modules), "p.cli")
