"""Registry: which executor runs the tasks that name an identifier.

Knows nothing of what executors do. Identifiers come from calls to `register`, from the decorator `executor`, and from
the entry point group `protogen.executors` of installed distributions.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable, Iterable
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Final, TypeAlias, TypeVar, cast

import msgspec
import trio

from protogen_runtime.installed import NotInstalled, entries_of, load, owner_of

from .contract import Execution, Executor, JsonObject
from .costs import BadSchema
from .functions import AsyncFunction, ThreadFunction
from .inputs import CompiledSchema
from .processes import ProcessFunction
from .settings import ExecutorSettings

GROUP: Final = "protogen.executors"
_MARK: Final = "__protogen_executor__"

Work: TypeAlias = Executor | type[Executor] | Callable[..., JsonObject] | Callable[..., Awaitable[JsonObject]]
T = TypeVar("T", bound=Work)


class CannotRegister(Exception):
    """An identifier or an executor that a registry cannot take; the text says what to do."""


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """What `@executor` says of a function or class."""

    id: str
    concurrency: int | None = None
    idempotent: bool = False
    process: bool = False


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """An executor under its identifier.

    `concurrency`: how many executions may run at once, None for no bound of its own; `idempotent`: whether an
    execution that a crash interrupted may simply be run again; `input_schema`: what its get_input_schema says.
    """

    id: str
    executor: Executor
    concurrency: int | None = None
    idempotent: bool = False
    input_schema: CompiledSchema | None = None
    execute_now: Callable[[JsonObject, Execution], JsonObject] | None = None
    """What an executor has that is idempotent and never waits."""


class ExecutorRegistry:
    """Executors by identifier. Filled before the node starts, read afterwards."""

    def __init__(self, settings: ExecutorSettings | None = None) -> None:
        self.settings = settings or ExecutorSettings()
        self._registered: dict[str, Registered] = {}
        self._aliases: dict[str, str] = {}
        self._threads = trio.CapacityLimiter(self.settings.threads)
        self._processes = trio.CapacityLimiter(self.settings.processes)

    def register(
        self,
        executor_id: str,
        work: Work,
        *,
        concurrency: int | None = None,
        idempotent: bool = False,
        process: bool = False,
    ) -> Registered:
        """Register an executor: an object or class with `execute`, an async function, or a function for a thread.

        A function takes `(inputs)` or `(inputs, execution)`; a class is called once without arguments. With `process`
        each execution of a function has a process of its own. Raises CannotRegister where the identifier is empty or
        taken, or `work` is none of these.
        """
        self._check_free(executor_id)
        if concurrency is not None and concurrency < 1:
            raise CannotRegister(
                f"executor {executor_id!r}: concurrency is at least 1, not {concurrency}; None sets no bound"
            )
        try:
            executor = self._executor(work, process=process)
            input_schema = _input_schema(executor)
        except (ValueError, BadSchema) as reason:
            raise CannotRegister(f"executor {executor_id!r}: {reason}") from None
        found = Registered(
            id=executor_id,
            executor=executor,
            concurrency=concurrency,
            idempotent=idempotent,
            input_schema=input_schema,
            execute_now=getattr(executor, "execute_now", None) if idempotent else None,
        )
        self._registered[executor_id] = found
        return found

    def alias(self, alias: str, executor_id: str) -> None:
        """Let tasks name a registered executor by one more identifier. Raises CannotRegister."""
        self._check_free(alias)
        if executor_id not in self._registered:
            raise CannotRegister(f"alias {alias!r}: no executor {executor_id!r} is registered; register it first")
        self._aliases[alias] = executor_id

    def add(self, work: Work) -> Registered:
        """Register what is decorated with `@executor`, under the identifier given there. Raises CannotRegister."""
        declared = _declared(work)
        if declared is None:
            raise CannotRegister(f"{_name(work)} is not decorated; write @executor('its-id') above it")
        return self._register_declared(declared.id, work, declared)

    def add_module(self, module: ModuleType) -> list[Registered]:
        """Register all that is decorated and defined in a module. Raises CannotRegister, also where there is none."""
        found = [work for work in vars(module).values() if _declared(work) and work.__module__ == module.__name__]
        if not found:
            raise CannotRegister(f"module {module.__name__} has nothing decorated with @executor('its-id')")
        return [self.add(work) for work in found]

    def add_named(self, name: str) -> list[Registered]:
        """Import a module, "package.module" or "folder/file.py"; register what it declares. Raises CannotRegister."""
        try:
            module = _import_file(Path(name)) if name.endswith(".py") else import_module(name)
        except Exception as reason:  # a module of others may fail in any way while it is imported
            raise CannotRegister(f"{name} cannot be imported: {type(reason).__name__}: {reason}") from reason
        return self.add_module(module)

    def add_installed(self) -> list[Registered]:
        """Register what installed distributions offer: entry points of `protogen.executors`, whose name is the
        identifier and whose value is what `register` takes. Raises CannotRegister, naming the distribution.
        """
        return [self._add_entry(entry) for entry in entries_of(GROUP)]

    def find(self, executor_id: str) -> Registered | None:
        """Find an executor by its identifier or an alias of it."""
        return self._registered.get(executor_id) or self._registered.get(self._aliases.get(executor_id, ""))

    def known(self) -> list[str]:
        """All identifiers and aliases, sorted."""
        return sorted({*self._registered, *self._aliases})

    def suggestion(self, executor_id: str) -> str | None:
        """The known identifier closest to an unknown one, if one is close."""
        return next(iter(get_close_matches(executor_id, self.known(), n=1)), None)

    def _check_free(self, executor_id: str) -> None:
        if not executor_id:
            raise CannotRegister("an executor's identifier is not empty")
        if self.find(executor_id) is not None:
            raise CannotRegister(f"executor {executor_id!r} is registered already; choose another identifier")

    def _executor(self, work: Work, *, process: bool) -> Executor:
        found = _instance(work) if inspect.isclass(work) else work
        if hasattr(found, "execute"):
            if process:
                raise ValueError("only a function can have a process of its own, not an object with `execute`")
            executor = cast(Executor, found)
            if not inspect.iscoroutinefunction(executor.execute):
                raise ValueError("execute must be `async def execute(self, inputs, execution)`")
            return executor
        if not callable(work):
            raise ValueError(f"{work!r} is neither a function nor has it `execute`")
        takes_execution = _takes_execution(work)
        if process:
            return ProcessFunction(
                work,
                takes_execution=takes_execution,
                processes=self._processes,
                max_bytes=self.settings.result_max_bytes,
            )
        if inspect.iscoroutinefunction(work):
            return AsyncFunction(work, takes_execution=takes_execution)
        return ThreadFunction(
            cast("Callable[..., JsonObject]", work), takes_execution=takes_execution, threads=self._threads
        )

    def _register_declared(self, executor_id: str, work: Work, declared: Declared) -> Registered:
        return self.register(
            executor_id,
            work,
            concurrency=declared.concurrency,
            idempotent=declared.idempotent,
            process=declared.process,
        )

    def _add_entry(self, entry: EntryPoint) -> Registered:
        try:
            work = load(entry, f"executor {entry.name!r}")
        except NotInstalled as reason:
            raise CannotRegister(str(reason)) from reason
        declared = _declared(work) or Declared(id=entry.name)
        try:
            return self._register_declared(entry.name, work, declared)
        except CannotRegister as reason:
            raise CannotRegister(f"{reason} ({entry.value} of {owner_of(entry)})") from None


def executor(
    executor_id: str, *, concurrency: int | None = None, idempotent: bool = False, process: bool = False
) -> Callable[[T], T]:
    """Declare a function or class an executor; `ExecutorRegistry.add` and `add_module` register what is declared."""
    declared = Declared(id=executor_id, concurrency=concurrency, idempotent=idempotent, process=process)

    def mark(work: T) -> T:
        setattr(work, _MARK, declared)
        return work

    return mark


def _import_file(file: Path) -> ModuleType:
    # By its name and not by its path, so that the processes of its functions can import it, too.
    if not file.is_file():
        raise ImportError("there is no such file")
    folder = str(file.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module = import_module(file.stem)
    if module.__file__ is None or not file.samefile(module.__file__):
        raise ImportError(f"the name {file.stem} is that of another module; rename the file")
    return module


def _declared(work: object) -> Declared | None:
    # Looked up in the object itself: a class that inherits from a declared one is not declared by that.
    found = vars(work).get(_MARK) if hasattr(work, "__dict__") else None
    return found if isinstance(found, Declared) else None


def _input_schema(executor: Executor) -> CompiledSchema | None:
    get_input_schema = getattr(executor, "get_input_schema", None)
    schema = get_input_schema() if get_input_schema is not None else None
    return None if schema is None else CompiledSchema(schema)


def _instance(work: Callable[[], object]) -> object:
    try:
        return work()
    except TypeError as reason:
        raise ValueError(f"{_name(work)}() cannot be called ({reason}); register an instance") from None


def _takes_execution(work: Callable[..., object]) -> bool:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters: Iterable[inspect.Parameter] = inspect.signature(work).parameters.values()
    count = sum(it.kind in kinds and it.default is it.empty for it in parameters)
    if count not in (1, 2):
        raise ValueError(f"{_name(work)} takes {count} arguments; write (inputs) or (inputs, execution)")
    return count == 2


def _name(work: object) -> str:
    return getattr(work, "__qualname__", None) or repr(work)
