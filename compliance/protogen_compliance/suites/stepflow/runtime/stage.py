"""The stage: a worker whose components are scripts, the configuration that leads a runtime to it, and flows to run.

Every test has components of its own, so that their executions are told apart.
"""

from __future__ import annotations

import itertools
import json
import queue
import tempfile
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from protogen_compliance.peer.http import Exchange, parse_url
from protogen_compliance.peer.rpc import MISSING, Json, Reply, RpcPeer
from protogen_compliance.peer.server import Asked, Server
from protogen_compliance.peer.stdio import Line
from protogen_compliance.peer.wire import Unreachable
from protogen_compliance.plugin import Lost, Settings, Unmet
from protogen_compliance.targets import WrongTarget

PREFIX = "/kit"
CALLBACK_SECONDS = 5.0
INSTANCE = "kit-worker"

Component = Callable[[Asked], None]


class Stage:
    """The kit's worker, between `with` and its end: `asked` has every request of the runtime."""

    def __init__(self, port: int = 0) -> None:
        self._names = itertools.count(1)
        self._ids = itertools.count(1)
        self._components: dict[str, Component] = {}
        self._waiting: dict[str, queue.Queue[Asked]] = {}
        self._lock = threading.Lock()
        self.server = Server(self._answer, port=port)

    @property
    def asked(self) -> list[Asked]:
        """Every request of the runtime, in its order."""
        return list(self.server.asked)

    def add(self, component: Component) -> str:
        """Adds a component; its path within a flow."""
        name = f"/c{next(self._names)}"
        with self._lock:
            self._components[name] = component
        return PREFIX + name

    def executions(self, path: str) -> list[Json]:
        """Params of the executions of a component."""
        name = path.removeprefix(PREFIX)
        found = [it.value.get("params") for it in self.asked if _method(it) == "components/execute"]
        return [it for it in found if isinstance(it, dict) and it.get("component") == name]

    def _answer(self, asked: Asked) -> None:
        value = asked.value
        if asked.method == "GET":
            asked.respond({"status": "healthy", "instanceId": INSTANCE, "service": "kit", "timestamp": ""})
            return
        match _method(asked):
            case "initialize":
                new = "runtimeProtocolVersion" in (value.get("params") or {})
                asked.result({"serverProtocolVersion" if new else "server_protocol_version": 1})
            case "initialized":
                asked.respond(b"", status=202)
            case "components/list":
                asked.result({"components": []})
            case "components/execute":
                name = (value.get("params") or {}).get("component")
                with self._lock:
                    component = self._components.get(str(name))
                if component is None:
                    asked.respond(_error(asked, -32001, "Component not found"))
                else:
                    component(asked)
            case None:
                box = self._waiting.get(json.dumps(asked.id))
                if box is not None:
                    box.put(asked)
                asked.respond(b"", status=202)
            case _:
                asked.respond(_error(asked, -32601, "Method not found"))

    def calling(self, *messages: Json, then: Callable[[list[Asked | None]], Json] | None = None) -> Component:
        """A component that makes callbacks on its stream, and gives what was answered, or what `then` makes of it.

        A message without jsonrpc and id gets both. What is not answered within CALLBACK_SECONDS is None.
        """

        def component(asked: Asked) -> None:
            piece = asked.stream(f"stepflow-instance-id: {INSTANCE}\r\n")
            boxes: list[queue.Queue[Asked]] = []
            for message in messages:
                whole = {"jsonrpc": "2.0", "id": f"callback-{next(self._ids)}", **message}
                box: queue.Queue[Asked] = queue.Queue()
                self._waiting[json.dumps(whole["id"])] = box
                boxes.append(box)
                piece(f"data: {json.dumps(whole)}\n\n".encode())
            answers: list[Asked | None] = []
            for box in boxes:
                try:
                    answers.append(box.get(timeout=CALLBACK_SECONDS))
                except queue.Empty:
                    answers.append(None)
            output = then(answers) if then else [None if it is None else it.value for it in answers]
            piece(f"data: {json.dumps(success(asked, output))}\n\n".encode())
            piece(b"")

        return component


def _method(asked: Asked) -> Json:
    return asked.value.get("method") if isinstance(asked.value, dict) else None


def _error(asked: Asked, code: int, message: str) -> Json:
    return {"jsonrpc": "2.0", "id": asked.id, "error": {"code": code, "message": message}}


def success(asked: Asked, output: Json) -> Json:
    """The response to an execution."""
    return {"jsonrpc": "2.0", "id": asked.id, "result": {"output": output}}


class Outcome(NamedTuple):
    """What came of a run of one item: `result` where it succeeded, `error` where it failed; MISSING where neither."""

    result: Json
    error: Json
    reply: Reply

    @property
    def failed(self) -> bool:
        """Whether the run ended in a failure, and said so."""
        return self.result is MISSING

    def summary(self) -> str:
        """What came, in a few words."""
        if self.result is not MISSING:
            return f"the result {json.dumps(self.result)[:200]}"
        return f"the failure {json.dumps(self.error)[:300]}" if self.error is not MISSING else self.reply.summary()


class Runtime:
    """The runtime under test, as its users reach it: flows and runs over the HTTP API."""

    def __init__(self, settings: Settings, stage: Stage) -> None:
        self.peer = RpcPeer(parse_url(settings.url), headers=settings.headers, patience=settings.timeout)
        self.stage = stage
        self.log: list[Exchange | Line] = []

    def post(self, path: str, value: Json) -> Reply:
        """Posts JSON to a path of the API; raises Lost."""
        reply = self.peer.send(json.dumps(value).encode(), path=f"/api/v1{path}")
        self.log.append(reply.exchange)
        if isinstance(reply.fault, Unreachable):
            raise Lost(f"the runtime went away: {reply.fault}")
        return reply

    def store(self, flow: Json) -> str:
        """Stores a flow as a setup; its id. Raises Unmet."""
        reply = self.post("/flows", {"flow": flow})
        name = reply.member("flowId")
        if not isinstance(name, str):
            raise Unmet((), f"a flow was not stored: {reply.summary()}")
        return name

    def run(self, component: Component, value: Json = None, **step: Json) -> Outcome:
        """Runs a flow of one step that executes a component."""
        return self.run_path(self.stage.add(component), value, **step)

    def run_path(self, path: str, value: Json = None, **step: Json) -> Outcome:
        """Runs a flow of one step with a component that is there."""
        steps = [{"id": "only", "component": path, "input": {"$input": "$"}, **step}]
        flow = self.store({"name": "kit", "steps": steps, "output": {"$step": "only"}})
        reply = self.post("/runs", {"flowId": flow, "input": [value], "wait": True})
        found = reply.member("result")
        results = reply.member("results")
        if not isinstance(found, dict) and isinstance(results, list) and results and isinstance(results[0], dict):
            found = results[0].get("result", MISSING)
        match found:
            case {"outcome": "success", **members}:
                return Outcome(members.get("result"), MISSING, reply)
            case {"outcome": "failed", **members}:
                return Outcome(MISSING, members.get("error", MISSING), reply)
            case _:
                return Outcome(MISSING, MISSING, reply)


_stages: list[Stage] = []


def current() -> Stage:
    """The stage of this run."""
    return _stages[-1]


@contextmanager
def prepared(settings: Settings) -> Generator[Settings, None, None]:
    """Opens the stage and writes the configuration; `{config}` and `{worker}` of a command are replaced."""
    port = settings.options.get("listen", "0")
    if not port.isdigit() or int(port) > 65_535:
        raise WrongTarget(f"--setting listen: expected a port, got {port!r}")
    if settings.target.startswith(("http://", "https://")) and port == "0":
        raise WrongTarget(
            "a runtime that runs already has to know where the kit's worker listens: --setting listen=PORT, and a "
            f'route "{PREFIX}/{{*component}}" to a plugin with url http://127.0.0.1:PORT; '
            "or give a command with {config}"
        )
    stage = Stage(int(port))
    with stage.server, tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "stepflow-config.yml"
        worker = {"type": "stepflow", "url": stage.server.url.rstrip("/")}
        told = {
            "plugins": {"builtin": {"type": "builtin"}, "kit": worker},
            "routes": {
                f"{PREFIX}/{{*component}}": [{"plugin": "kit"}],
                "/builtin/{*component}": [{"plugin": "builtin"}],
            },
        }
        config.write_text(json.dumps(told), "utf-8")  # JSON is YAML
        target = settings.target.replace("{config}", str(config)).replace("{worker}", stage.server.url)
        _stages.append(stage)
        try:
            yield msgspec.structs.replace(settings, target=target)
        finally:
            _stages.remove(stage)
