"""Further runtimes: the command of the user is run again with a configuration that a test needs.

A runtime that does not start with it is a finding of that test, or what BLOCKs it, and never ends the run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import msgspec

from protogen_compliance.peer.rpc import MISSING, Json, Reply
from protogen_compliance.plugin import Lacking, Lost, Settings, Unmet
from protogen_compliance.suites.stepflow.runtime.stage import Component, Runtime, Stage, configured, over_http
from protogen_compliance.targets import NoTarget, opened, parse_target

RUNS = "give a command with {config}: the kit cannot configure a runtime that runs already"


class Launched(Runtime):
    """A runtime that was started for some tests: where it goes away, they alone are not judged."""

    def ask(self, method: str, path: str, value: Json = MISSING, *, patience: float | None = None) -> Reply:
        """As Runtime does; raises Unmet."""
        try:
            return super().ask(method, path, value, patience=patience)
        except Lost as reason:
            raise Unmet((), str(reason)) from None


@contextmanager
def launched(
    settings: Settings,
    template: str,
    stage: Stage,
    plugins: Mapping[str, Json],
    routes: Mapping[str, Json] | None = None,
) -> Generator[Launched, None, None]:
    """Another runtime with these plugins, each below /NAME/ unless `routes` says otherwise; `stage` has its components.

    Raises Lacking where the kit may not start one, and NoTarget where it does not start.
    """
    if not template:
        raise Lacking(RUNS)
    with tempfile.TemporaryDirectory() as folder:
        config = configured(Path(folder), plugins, routes)
        command = template.replace("{config}", str(config)).replace("{worker}", stage.server.url)
        with opened(parse_target(command)) as target:
            runtime = Launched(msgspec.structs.replace(settings, url=target.url), stage)
            try:
                yield runtime
            finally:
                runtime.peer.close()


Answers = Mapping[str, Component]
"""What a worker answers otherwise than is right, by method."""


@contextmanager
def with_workers(
    settings: Settings, template: str, workers: Mapping[str, Answers]
) -> Generator[tuple[Launched, dict[str, Stage]], None, None]:
    """Another runtime with workers over HTTP that answer as each is told, by their names; raises as `launched` does."""
    stages = {name: Stage(answers=answers) for name, answers in workers.items()}
    with ExitStack() as stack:
        for it in stages.values():
            stack.enter_context(it.server)
        plugins = {name: over_http(it) for name, it in stages.items()}
        first = next(iter(stages.values()))
        yield stack.enter_context(launched(settings, template, first, plugins)), stages


@contextmanager
def with_worker(settings: Settings, template: str, answers: Answers) -> Generator[Launched, None, None]:
    """Another runtime with a worker over HTTP that answers as it is told; raises as `launched` does."""
    with with_workers(settings, template, {"kit": answers}) as (runtime, _):
        yield runtime


def path_of(plugin: str, stage: Stage, component: Component) -> str:
    """The path within a flow of a component that a plugin has from now on."""
    return f"/{plugin}/{stage.add(component).rpartition('/')[2]}"


@contextmanager
def or_lacking(what: str, start: AbstractContextManager[Launched]) -> Generator[Launched, None, None]:
    """A runtime that many tests need; raises Lacking where it does not start."""
    with ExitStack() as stack:
        try:
            runtime = stack.enter_context(start)
        except NoTarget as reason:
            raise Lacking(f"no runtime with {what}: {reason}") from None
        yield runtime
