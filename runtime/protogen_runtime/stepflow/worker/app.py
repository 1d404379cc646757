"""A worker: the components that were registered, and its bounds. One object, served over any transport."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, get_args

from protogen_runtime.dispatch import Report, Service
from protogen_runtime.stepflow.plugins.contract import DialectName

from .context import Patience
from .dialects import Peer
from .functions import Components, InferSchema, read_component
from .handler import Handler, WorkerService
from .slots import Slots

Function = TypeVar("Function", bound=Callable[..., Any])

DIALECTS: Final = get_args(DialectName)

EVENTS_PATH: Final = "/runtime/events"
"""Where a runtime of the first dialect opens its session (spec, section 6.2)."""


class App:
    """A worker's components.

    `concurrency` executions run at once, and `backlog` more wait; one more is refused with -32005. `seconds` is the
    deadline of each execution, None for none; a component can have its own. `callback_seconds` and `run_seconds` are
    how long components wait for the runtime, the latter for runs that they wait for. `tells_reasons`: whether the
    text of an exception that no one expected goes to the runtime, or into the worker's log alone. `dialect` and
    `blob_api_url` are for a replica that sees no handshake; each handshake says anew what the runtime speaks and has.
    """

    events_path = EVENTS_PATH

    def __init__(
        self,
        name: str = "worker",
        *,
        concurrency: int = 64,
        backlog: int = 1024,
        seconds: float | None = None,
        callback_seconds: float = 30.0,
        run_seconds: float = 3600.0,
        tells_reasons: bool = True,
        dialect: DialectName = "0.9",
        blob_api_url: str | None = None,
    ) -> None:
        if concurrency < 1 or backlog < 0:
            raise ValueError(f"concurrency is 1 or more and backlog 0 or more, got {concurrency} and {backlog}")
        for option, value in (
            ("seconds", seconds),
            ("callback_seconds", callback_seconds),
            ("run_seconds", run_seconds),
        ):
            if value is not None and not value > 0:
                raise ValueError(f"{option} is a number above 0, got {value!r}")
        self.name = name
        self.components = Components()
        self.concurrency = concurrency
        self.backlog = backlog
        self.seconds = seconds
        self.patience = Patience(callback_seconds=callback_seconds, run_seconds=run_seconds)
        self.tells_reasons = tells_reasons
        if dialect not in DIALECTS:
            raise ValueError(f"dialect is one of {', '.join(DIALECTS)}, got {dialect!r}")
        self.peer = Peer(dialect=dialect, blob_api_url=blob_api_url)

    @property
    def max_executions(self) -> int:
        """How many executions can be under way or wait."""
        return self.concurrency + self.backlog

    def component(
        self,
        path: str,
        *,
        description: str | None = None,
        seconds: float | None = None,
        infer_schema: InferSchema | None = None,
    ) -> Callable[[Function], Function]:
        """Register the decorated function as the component at `path`; the function stays as it is.

        `path` may name parameters: `/convert/{format}` takes one segment, `/files/{*rest}` all that are left. Without
        `description` the first line of the docstring is it. `infer_schema` gives the schema of the output for the
        schema of an input. Errors: BadComponent.
        """

        def register(function: Function) -> Function:
            self.components.add(
                read_component(path, function, description=description, seconds=seconds, infer=infer_schema)
            )
            return function

        return register

    def make_service(self, report: Report | None = None) -> Service:
        """What a transport serves; each has its own slots."""
        handler = Handler(
            self.components,
            peer=self.peer,
            slots=Slots(self.concurrency, self.backlog),
            patience=self.patience,
            seconds=self.seconds,
            tells_reasons=self.tells_reasons,
        )
        return WorkerService(handler, report=report)
