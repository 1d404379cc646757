"""What is compared: our runtime and worker, and the published ones, each a process that announces its port.

The published ones live in virtual environments of their own, made from the locks of the tests that work with them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from .load import CannotMeasure

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "interop"))

from interop_env import environment, runtime_program  # noqa: E402 - the folder above is on sys.path only now

OURS, OURS_IN_MEMORY, OUR_WORKER = "ours, SQLite", "ours, in memory", "our worker"
THEIRS, THEIRS_IN_MEMORY, THEIR_WORKER = "orchestrator, SQLite", "orchestrator, in memory", "stepflow-py"
DIALECT = "0.9"
BIN = Path(sys.executable).parent
ANSWERED_SECONDS = 60
STOPPED_SECONDS = 20


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A process that serves, and its database where it has one."""

    name: str
    pid: int
    port: int
    database: Path | None = None

    @property
    def runs(self) -> str:
        """Where runs are made, of a runtime."""
        return f"http://127.0.0.1:{self.port}/api/v1/runs"

    def ask(self, path: str, body: Any) -> Any:
        """What the API of a runtime answers to a POST. Errors: CannotMeasure."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=ANSWERED_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise CannotMeasure(f"{self.name}: {path} answered {error.code}: {error.read()[:500]!r}") from None


@contextmanager
def our_worker(folder: Path) -> Generator[Server]:
    """`protogen worker` with the components of the benchmark."""
    command = [str(BIN / "protogen"), "worker", "ours:app", "--port", "0", "--announce"]
    with _running(OUR_WORKER, command, folder, cwd=HERE / "workers") as server:
        yield server


@contextmanager
def their_worker(folder: Path) -> Generator[Server]:
    """The same components on the published SDK."""
    command = [str(environment(ROOT, "interop-stepflow-s1")), "theirs.py"]
    with _running(THEIR_WORKER, command, folder, cwd=HERE / "workers") as server:
        yield server


@contextmanager
def our_runtime(folder: Path, worker: Server | None, *, durable: bool) -> Generator[Server]:
    """`protogen serve stepflow` with its defaults, its database in `folder`."""
    name = OURS if durable else OURS_IN_MEMORY
    database = folder / "ours.db" if durable else None
    config = _configured(folder / f"{name}.json", worker, {})
    address = "memory:" if database is None else f"sqlite:///{database}"
    command = [str(BIN / "protogen"), "serve", "stepflow", "--port", "0", "--announce"]
    command += ["--config", str(config), "--db", address]
    with _running(name, command, folder, database=database) as server:
        yield server


@contextmanager
def their_runtime(folder: Path, worker: Server | None, *, durable: bool) -> Generator[Server]:
    """The published runtime, quiet, with the store that its documentation shows."""
    name = THEIRS if durable else THEIRS_IN_MEMORY
    database = folder / "theirs.db" if durable else None
    store: dict[str, Any] = {"type": "inMemory"}
    if database is not None:
        store = {"type": "sqlite", "databaseUrl": f"sqlite:{database}?mode=rwc", "autoMigrate": True}
        store["maxConnections"] = 10
    config = _configured(folder / f"{name}.json", worker, {"stateStore": store})
    command = [str(runtime_program(ROOT, DIALECT)), "--port", "0", "--config", str(config), "--log-level", "error"]
    with _running(name, command, folder, database=database) as server:
        yield server


def _configured(file: Path, worker: Server | None, more: dict[str, Any]) -> Path:
    plugins: dict[str, Any] = {"builtin": {"type": "builtin"}}
    routes = {"/builtin/{*component}": [{"plugin": "builtin"}]}
    if worker is not None:
        plugins["worker"] = {"type": "stepflow", "url": f"http://127.0.0.1:{worker.port}"}
        routes["/worker/{*component}"] = [{"plugin": "worker"}]
    file.write_text(json.dumps({"plugins": plugins, "routes": routes, **more}), "utf-8")
    return file


@contextmanager
def _running(
    name: str, command: list[str], folder: Path, *, cwd: Path | None = None, database: Path | None = None
) -> Generator[Server]:
    """A program from when it has announced its port until the end of the context. Errors: CannotMeasure."""
    said = folder / f"{name}.log"
    with (
        said.open("wb") as log,
        subprocess.Popen(command, cwd=cwd or folder, stdout=subprocess.PIPE, stderr=log) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith(b'{"port":'):
                    break
            else:
                raise CannotMeasure(f"{name} does not start: {said.read_text('utf-8')[-1000:]}")
            yield Server(name=name, pid=process.pid, port=json.loads(line)["port"], database=database)
        finally:
            process.terminate()
            try:
                process.communicate(timeout=STOPPED_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def their_versions() -> dict[str, str]:
    """Name to version of what the published ones are and stand on."""
    told: dict[str, str] = {}
    for lock, names in (
        ("interop-stepflow-runtime", ("stepflow-orchestrator",)),
        ("interop-stepflow-s1", ("stepflow-py", "fastapi", "uvicorn", "pydantic")),
    ):
        program = f"from importlib.metadata import version; print(*map(version, {names!r}))"
        command = [str(environment(ROOT, lock)), "-c", program]
        versions = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        told.update(zip(names, versions, strict=True))
    return told
