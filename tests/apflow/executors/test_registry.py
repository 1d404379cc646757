"""The registry: what it takes, what it finds, and what it says of mistakes."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import trio
from executor_rig import execution, registry

from protogen_runtime import installed
from protogen_runtime.apflow.executors import (
    CannotRegister,
    Execution,
    ExecutorRegistry,
    ExecutorSettings,
    executor,
    run,
)
from protogen_runtime.apflow.executors import registry as registry_module
from protogen_runtime.apflow.executors.builtin import make_registry


class Doubler:
    async def execute(self, inputs: dict[str, Any], execution: Execution) -> dict[str, Any]:
        return {"twice": inputs["n"] * 2}

    def get_input_schema(self) -> dict[str, Any]:
        return {"type": "object", "required": ["n"]}


async def awaited(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"got": inputs}


async def awaited_with_execution(inputs: dict[str, Any], execution: Execution) -> dict[str, Any]:
    return {"task": execution.task_id}


def blocking(inputs: dict[str, Any], execution: Execution, *, option: int = 1) -> dict[str, Any]:
    execution.report_progress(0.5)
    return {"option": option}


@pytest.mark.parametrize(
    ("work", "result"),
    [
        (Doubler, {"twice": 4}),
        (Doubler(), {"twice": 4}),
        (awaited, {"got": {"n": 2}}),
        (awaited_with_execution, {"task": "a"}),
        (blocking, {"option": 1}),
        (lambda inputs: inputs, {"n": 2}),
    ],
)
def test_objects_classes_and_functions_are_executors(work: Any, result: dict[str, Any]) -> None:
    registered = ExecutorRegistry().register("x", work)
    assert trio.run(run, registered, {"n": 2}, execution()) == result


def test_progress_comes_out_of_threads() -> None:
    seen: list[float] = []
    trio.run(run, ExecutorRegistry().register("x", blocking), {}, execution(report=seen.append))
    assert seen == [0.5]


def no_argument() -> dict[str, Any]:
    return {}


class NeedsArgument(Doubler):
    def __init__(self, url: str) -> None:
        self.url = url


class Blocks:
    def execute(self, inputs: dict[str, Any], execution: Execution) -> dict[str, Any]:
        return inputs


class BadlyDescribed(Doubler):
    def get_input_schema(self) -> dict[str, Any]:
        return {"type": "no such type"}


@pytest.mark.parametrize(
    ("name", "work", "said"),
    [
        ("", awaited, "identifier is not empty"),
        ("taken", awaited, "'taken' is registered already"),
        ("x", 5, "5 is neither a function nor has it `execute`"),
        ("x", no_argument, "no_argument takes 0 arguments; write (inputs) or (inputs, execution)"),
        ("x", NeedsArgument, "NeedsArgument() cannot be called"),
        ("x", Blocks, "execute must be `async def execute(self, inputs, execution)`"),
        ("x", BadlyDescribed, "its input schema/type: Not a draft-07 schema"),
    ],
)
def test_mistakes_are_one_line(name: str, work: Any, said: str) -> None:
    found = ExecutorRegistry()
    found.register("taken", awaited)
    with pytest.raises(CannotRegister) as caught:
        found.register(name, work)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert found.known() == ["taken"]


def test_concurrency_is_at_least_one() -> None:
    with pytest.raises(CannotRegister, match="at least 1, not 0"):
        ExecutorRegistry().register("x", awaited, concurrency=0)


def test_aliases_find_what_they_are_for() -> None:
    found = ExecutorRegistry()
    registered = found.register("x", awaited, concurrency=3, idempotent=True)
    found.alias("y", "x")
    assert found.find("y") is registered
    assert found.find("z") is None
    assert found.find("") is None
    for alias, target in (("x", "x"), ("y", "x"), ("w", "z")):
        with pytest.raises(CannotRegister):
            found.alias(alias, target)


def test_identifiers_of_the_reference_implementation_work() -> None:
    found = registry()
    for alias, name in {
        "system_info_executor": "system_info",
        "command_executor": "command",
        "rest_executor": "http",
        "aggregate_results_executor": "aggregate_results",
    }.items():
        assert found.find(alias) is found.find(name)
        assert found.find(name) is not None


def test_the_closest_identifier_is_suggested() -> None:
    assert registry().suggestion("ehco") == "echo"
    assert registry().suggestion("zzzzzz") is None


@executor("declared", concurrency=2, idempotent=True)
async def declared(inputs: dict[str, Any]) -> dict[str, Any]:
    return inputs


@executor("declared-class")
class Declared(Doubler):
    pass


class Inherits(Declared):
    pass


def test_what_is_declared_is_registered_as_declared() -> None:
    found = ExecutorRegistry()
    registered = found.add(declared)
    assert (registered.id, registered.concurrency, registered.idempotent) == ("declared", 2, True)
    found.add(Declared)
    assert found.known() == ["declared", "declared-class"]
    for work in (awaited, Inherits):
        with pytest.raises(CannotRegister, match="is not decorated"):
            found.add(work)


def test_modules_give_what_they_define() -> None:
    found = ExecutorRegistry()
    module = ModuleType("somewhere")
    module.own = type("Own", (Doubler,), {"__module__": "somewhere"})  # type: ignore[attr-defined]  # made here
    executor("own")(module.own)
    module.declared = declared  # type: ignore[attr-defined]  # imported from elsewhere
    found.add_module(module)
    assert found.known() == ["own"]
    with pytest.raises(CannotRegister, match="has nothing decorated"):
        found.add_module(sys)


def offer(monkeypatch: pytest.MonkeyPatch, **entries: str) -> ExecutorRegistry:
    points = [EntryPoint(name, value, registry_module.GROUP) for name, value in entries.items()]
    monkeypatch.setattr(installed, "entry_points", lambda group: points if group == registry_module.GROUP else [])
    return ExecutorRegistry()


def test_installed_distributions_offer_executors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "offered", sys.modules[__name__])
    found = offer(monkeypatch, twice="offered:Doubler", plain="offered:awaited", other="offered:declared")
    found.add_installed()
    assert found.known() == ["other", "plain", "twice"]
    other = found.find("other")
    assert other is not None
    assert (other.concurrency, other.idempotent) == (2, True)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("no_such_module:x", "cannot be imported: No module named 'no_such_module'; reinstall or update"),
        ("sys:no_such_name", "cannot be imported"),
        ("sys:maxsize", "is neither a function nor has it `execute`"),
    ],
)
def test_broken_distributions_are_named(monkeypatch: pytest.MonkeyPatch, value: str, said: str) -> None:
    with pytest.raises(CannotRegister) as caught:
        offer(monkeypatch, broken=value).add_installed()
    assert said in str(caught.value)
    assert f"({value} of an unknown distribution)" in str(caught.value)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name, module in sys.modules.items() if is_below(module, tmp_path)]:
        del sys.modules[name]


def is_below(module: ModuleType, folder: Path) -> bool:
    return str(getattr(module, "__file__", None) or "").startswith(str(folder))


MODULE = """
from protogen_runtime.apflow.executors import executor

@executor("named")
async def named(inputs):
    return {"named": True}
"""


@pytest.mark.parametrize("name", ["{folder}/named_executors.py", "named_executors"])
def test_settings_name_modules_and_files(folder: Path, name: str) -> None:
    (folder / "named_executors.py").write_text(MODULE, "utf-8")
    found = make_registry(ExecutorSettings(modules=(name.format(folder=folder),)))
    registered = found.find("named")
    assert registered is not None
    assert trio.run(run, registered, {}, execution()) == {"named": True}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("missing.py", None, "missing.py cannot be imported: ImportError: there is no such file"),
        ("no_such_module", None, "no_such_module cannot be imported: ModuleNotFoundError"),
        ("faulty_executors.py", "1/0", "cannot be imported: ZeroDivisionError: division by zero"),
        ("broken_executors.py", "def", "cannot be imported: SyntaxError"),
        ("json.py", MODULE, "the name json is that of another module; rename the file"),
        ("empty_executors.py", "", "has nothing decorated with @executor"),
        ("echo_executors.py", MODULE.replace('"named"', '"echo"'), "'echo' is registered already"),
    ],
)
def test_modules_that_cannot_be_used_are_one_line(folder: Path, name: str, text: str | None, said: str) -> None:
    if text is not None:
        (folder / name).write_text(text, "utf-8")
    with pytest.raises(CannotRegister) as caught:
        make_registry(ExecutorSettings(modules=(str(folder / name) if name.endswith(".py") else name,)))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_networks_that_are_none_are_one_line() -> None:
    with pytest.raises(
        CannotRegister, match=r"allowed_networks: .* has host bits set; write the network's first address"
    ):
        make_registry(ExecutorSettings(allowed_networks=("10.0.0.1/8",)))
