"""Flows run from the command line: one flow once, or the test cases of many, in a runtime that ends with the command.

Prints nothing: what happens is told to whoever called, and what cannot be is CannotServe or BadFlow.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar, cast

import msgspec
import trio

from protogen_runtime.io.http.server import CannotServe
from protogen_runtime.stepflow.flow import canonical, reading
from protogen_runtime.stepflow.flow.faults import Fault, show
from protogen_runtime.stepflow.flow.model import Flow, FlowResult, TestCase
from protogen_runtime.stepflow.plugins.config import BadConfig, Config, load_config, parse_config
from protogen_runtime.stepflow.plugins.contract import DialectName, Json, is_array, is_object
from protogen_runtime.stepflow.runs.contract import ItemResult, RunEvent, RunService, RunSummary, SubmitRun
from protogen_runtime.stepflow.runs.contract import Refused as RunRefused

from .configured import CONFIG_NAMES, find_config, read_config
from .runtime import REASONS, open_runtime, why

TEST_CONFIG_NAMES: Final = tuple(
    f"{stem}.test.{suffix}" for stem in ("stepflow-config", "stepflow_config") for suffix in ("yml", "yaml")
)
"""Beside a flow, these go before its ordinary configuration when it is tested."""

FLOW_SUFFIXES: Final = (".yaml", ".yml", ".json")


T = TypeVar("T")


class BadFlow(Exception):
    """A flow cannot be run; the message has a line for each reason."""


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run."""

    summary: RunSummary
    items: Sequence[ItemResult]


class Mismatch(msgspec.Struct, frozen=True):
    """A place at which a result is not what was expected; `seen` is UNSET where there is nothing."""

    path: str
    expected: Json
    seen: Json


class CaseResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a test case: nothing wrong, differences, or an `error` that kept it from being run."""

    file: str
    name: str
    seconds: float = 0.0
    mismatches: tuple[Mismatch, ...] = ()
    expected: Json = None
    seen: Json = None
    error: str | None = None

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return self.error is None and not self.mismatches


# --- flows ------------------------------------------------------------------------------------------------


def read_flow(file: Path) -> Flow:
    """The flow in a file. Errors: BadFlow."""
    try:
        text = file.read_bytes()
    except OSError as reason:
        raise BadFlow(f"{file}: cannot be read: {reason.strerror}; name a flow document") from None
    flow, faults = reading.read(text, "json" if file.suffix == ".json" else None)
    if flow is None:
        raise BadFlow("\n".join(_line(file, fault) for fault in faults))
    return flow


def _line(file: Path, fault: Fault) -> str:
    at = show(fault.at)
    return f"{file}:{fault.line}:{fault.column}: {at + ': ' if at else ''}{fault.what}; {fault.fix}"


def _tree(flow: Flow) -> Json:
    return msgspec.json.decode(canonical.flow_text(flow))


async def store(runs: RunService, flow: Flow, name: str) -> str:
    """Store a flow; its id. Errors: BadFlow."""
    try:
        result = await runs.store_flow(_tree(flow))
    except RunRefused as reason:
        raise BadFlow(f"{name}: {reason}") from None
    if result.flow_id is None:
        fatal = [it for it in result.diagnostics if it.level == "fatal"]
        raise BadFlow("\n".join(f"{name}: {it.formatted}" for it in fatal))
    return result.flow_id


# --- one run ----------------------------------------------------------------------------------------------


def run_flow(
    file: Path,
    inputs: Sequence[Json],
    *,
    config: Path | None = None,
    database: str = "memory:",
    dialect: DialectName | None = None,
    variables: Mapping[str, Json] | None = None,
    overrides: Json = None,
    max_concurrency: int | None = None,
    on_event: Callable[[RunEvent], None] | None = None,
) -> Ran:
    """Run a flow on each of the inputs, and wait for the end. Without `config`, one beside the flow, or here, is used.

    Errors: BadFlow, CannotServe.
    """
    flow = read_flow(file)
    chosen = config or find_config(file.parent, Path())
    settings = read_config(None if chosen is None else str(chosen), dialect=dialect)
    request = SubmitRun(
        flow_id="",
        inputs=inputs,
        variables=variables or {},
        overrides=overrides,
        max_concurrency=max_concurrency,
    )

    async def main() -> Ran:
        async with open_runtime(settings, database) as runs:
            return await _run(runs, flow, str(file), request, on_event)

    return _in_trio(main)


async def _run(
    runs: RunService, flow: Flow, name: str, request: SubmitRun, on_event: Callable[[RunEvent], None] | None
) -> Ran:
    flow_id = await store(runs, flow, name)
    try:
        run_id = await runs.submit(msgspec.structs.replace(request, flow_id=flow_id))
    except RunRefused as reason:
        raise BadFlow(f"{name}: {reason}") from None
    if on_event is not None:
        async for event in await runs.events(run_id):
            on_event(event)
    summary = await runs.wait(run_id)
    return Ran(summary=summary, items=await runs.items(run_id))


def _in_trio(main: Callable[[], Awaitable[T]]) -> T:
    try:
        return trio.run(main)
    except (*REASONS, BaseExceptionGroup) as error:
        reason = why(error)
        if reason is not None:
            raise reason from None
        bad = _only(error, BadFlow)
        if bad is not None:
            raise bad from None
        interrupted = _only(error, KeyboardInterrupt)
        if interrupted is not None:
            raise KeyboardInterrupt from None
        raise


def _only(error: BaseException, kind: type[BaseException]) -> BaseException | None:
    """The one exception in a group where it is of this kind."""
    while isinstance(error, BaseExceptionGroup):
        parts = cast("BaseExceptionGroup[BaseException]", error).exceptions
        if len(parts) != 1:
            return None
        error = parts[0]
    return error if isinstance(error, kind) else None


# --- test cases -------------------------------------------------------------------------------------------


def find_flows(paths: Iterable[Path]) -> list[Path]:
    """The files named, and in folders whatever has test cases. Errors: BadFlow for what is not there."""
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found.update({file: None for file in sorted(path.rglob("*")) if _has_cases(file)})
        elif path.is_file():
            found[path] = None
        else:
            raise BadFlow(f"{path}: there is no such file or folder")
    return list(found)


def _has_cases(file: Path) -> bool:
    """Whether a file in a folder is a flow with cases; folders hold configurations and other things, too."""
    if file.suffix not in FLOW_SUFFIXES or not file.is_file():
        return False
    value, faults, _ = reading.read_value(file.read_bytes())
    if faults or not is_object(value):
        return False
    return is_object(value.get("test")) and bool(value["test"].get("cases"))


def run_cases(
    files: Sequence[Path],
    *,
    config: Path | None = None,
    dialect: DialectName | None = None,
    cases: Sequence[str] = (),
    on_result: Callable[[CaseResult], None],
) -> None:
    """Run the cases of all files in this process, those with the same configuration in one runtime.

    `cases` names those to run, all where it is empty. Each result is told as soon as it is there.
    """

    async def main() -> None:
        for group in _grouped(files, config, dialect, on_result):
            await group.run(cases, on_result)

    _in_trio(main)


class _Group:
    """Files that are tested in one runtime."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.flows: list[tuple[Path, Flow]] = []

    async def run(self, cases: Sequence[str], on_result: Callable[[CaseResult], None]) -> None:
        """Run the cases of all files."""
        chosen = [
            (file, flow, case)
            for file, flow in self.flows
            for case in (() if flow.test is None else flow.test.cases)
            if not cases or case.name in cases
        ]
        if not chosen:
            return
        try:
            async with _opened(self.config) as runs:
                for file, flow, case in chosen:
                    on_result(await _test(runs, file, flow, case))
        except CannotServe as reason:
            for file, _, case in chosen:
                on_result(CaseResult(file=str(file), name=case.name, error=f"the runtime does not start: {reason}"))


@asynccontextmanager
async def _opened(config: Config) -> AsyncGenerator[RunService]:
    try:
        async with open_runtime(config) as runs:
            yield runs
    except (*REASONS, BaseExceptionGroup) as error:
        reason = why(error)
        if reason is None:
            raise
        raise reason from None


def _grouped(
    files: Sequence[Path],
    config: Path | None,
    dialect: DialectName | None,
    on_result: Callable[[CaseResult], None],
) -> Iterator[_Group]:
    groups: dict[str, _Group] = {}
    for file in files:
        try:
            flow = read_flow(file)
            key, settings = _config_for(file, flow, config)
        except (BadFlow, CannotServe) as reason:
            on_result(CaseResult(file=str(file), name="(file)", error=str(reason)))
            continue
        if dialect is not None:
            settings = msgspec.structs.replace(settings, dialect=dialect)
        groups.setdefault(key, _Group(settings)).flows.append((file, flow))
    yield from groups.values()


def _config_for(file: Path, flow: Flow, config: Path | None) -> tuple[str, Config]:
    """The configuration that a flow is tested with, and a name for it.

    The one that is named; that in the flow's `test`; a file for tests beside it; the ordinary one beside it, or here.
    Errors: CannotServe.
    """
    folder = file.parent
    if config is not None:
        return str(config.resolve()), read_config(str(config))
    test = flow.test
    if test is not None and is_object(test.config):
        text = msgspec.json.encode(test.config).decode()
        try:
            return f"{folder.resolve()}\n{text}", parse_config(text, name=f"{file}: test.config", folder=folder)
        except BadConfig as reason:
            raise CannotServe(str(reason)) from None
    if test is not None and test.config_file is not None:
        named = folder / test.config_file
        try:
            return str(named.resolve()), load_config(named)
        except BadConfig as reason:
            raise CannotServe(str(reason)) from None
    beside = next((folder / name for name in (*TEST_CONFIG_NAMES, *CONFIG_NAMES) if (folder / name).is_file()), None)
    chosen = beside or find_config(Path())
    return str(None if chosen is None else chosen.resolve()), read_config(None if chosen is None else str(chosen))


async def _test(runs: RunService, file: Path, flow: Flow, case: TestCase) -> CaseResult:
    started = trio.current_time()
    try:
        ran = await _run(runs, flow, str(file), SubmitRun(flow_id="", inputs=[case.input]), None)
    except BadFlow as reason:
        return CaseResult(file=str(file), name=case.name, error=str(reason))
    seconds = trio.current_time() - started
    (item,) = ran.items
    seen = result_json(item)
    if case.output is None:
        return CaseResult(file=str(file), name=case.name, seconds=seconds, seen=seen)
    expected = canonical.result_wire(case.output)
    return CaseResult(
        file=str(file),
        name=case.name,
        seconds=seconds,
        mismatches=tuple(differences(expected, seen)),
        expected=expected,
        seen=seen,
    )


def result_json(item: ItemResult) -> Json:
    """What came of an item, as JSON; one that was cancelled has no result."""
    result: FlowResult | msgspec.UnsetType = item.result
    return {"outcome": item.status} if result is msgspec.UNSET else canonical.result_wire(result)


IGNORED: Final = frozenset({"backtrace"})
"""Members of what is expected that are not looked at: they differ with each build of the original."""

ANY_TEXT: Final = frozenset({"run_id", "runId"})
"""Members that are different each time: that they are texts is all that is expected."""


def differences(expected: Json, seen: Json, path: str = "$", name: str | None = None) -> Iterator[Mismatch]:
    """Where a value is not what is expected of it; members of objects that nobody expects are let be."""
    if name in ANY_TEXT and isinstance(expected, str) and isinstance(seen, str):
        return
    if is_object(expected) and is_object(seen):
        for key, value in expected.items():
            if key in IGNORED:
                continue
            at = show((key,)).removeprefix("$")
            if key in seen:
                yield from differences(value, seen[key], path + at, key)
            else:
                yield Mismatch(path + at, value, msgspec.UNSET)
    elif is_array(expected) and is_array(seen) and len(expected) == len(seen):
        for index, (value, found) in enumerate(zip(expected, seen, strict=True)):
            yield from differences(value, found, f"{path}[{index}]")
    elif expected != seen or isinstance(expected, bool) != isinstance(seen, bool):
        yield Mismatch(path, expected, seen)


def part_of(seen: Json, expected: Json) -> Json:
    """What a value has of the members that are expected, in their order: the part that is worth comparing."""
    if is_object(expected) and is_object(seen):
        return {key: part_of(seen[key], value) for key, value in expected.items() if key in seen and key not in IGNORED}
    if is_array(expected) and is_array(seen):
        known = [part_of(found, value) for found, value in zip(seen, expected, strict=False)]
        return [*known, *seen[len(known) :]]
    return seen
