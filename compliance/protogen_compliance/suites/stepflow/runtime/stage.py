"""The stage: a worker whose components are scripts, the configuration that leads a runtime to it, and flows to run.

Every test has components of its own, so that their executions are told apart.
"""

from __future__ import annotations

import itertools
import json
import queue
import tempfile
import threading
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

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
RAW = "put raw JSON here"
TALK_SECONDS = 30.0
"""How long a run may take in which a component makes callbacks one after the other."""

Component = Callable[[Asked], None]
Said = TypeVar("Said")


class Stage:
    """The kit's worker, between `with` and its end: `asked` has every request of the runtime."""

    def __init__(self, port: int = 0, *, template: str = "", answers: Mapping[str, Component] | None = None) -> None:
        self.template = template
        """The command that starts another runtime, with {config} in it; empty where there is none."""
        self.answers = dict(answers or {})
        """What is answered otherwise than is right, by method; `GET` is the check of health."""
        self._names = itertools.count(1)
        self._ids = itertools.count(1)
        self._components: dict[str, Component] = {}
        self._waiting: dict[str, queue.Queue[Asked]] = {}
        self._lock = threading.Lock()
        self.dialect = "S1"
        """What the runtime speaks, as its `initialize` told: S1 or S2."""
        self.told: list[tuple[dict[str, Json], Json]] = []
        """The callbacks of conversations with their answers, None where there was none."""
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
        """Params of the executions of a component, under whatever route it is named."""
        name = _own(path)
        found = [it.value.get("params") for it in self.asked if _method(it) == "components/execute"]
        return [it for it in found if isinstance(it, dict) and _own(it.get("component")) == name]

    def _answer(self, asked: Asked) -> None:
        value = asked.value
        other = self.answers.get("GET" if asked.method == "GET" else str(_method(asked)))
        if other is not None:
            other(asked)
            return
        if asked.method == "GET":
            asked.respond({"status": "healthy", "instanceId": INSTANCE, "service": "kit", "timestamp": ""})
            return
        match _method(asked):
            case "initialize":
                # A runtime that sends both names speaks both dialects, and is judged by the one that has all clauses.
                new = "runtime_protocol_version" not in (value.get("params") or {})
                self.dialect = "S2" if new else "S1"
                asked.result({"serverProtocolVersion" if new else "server_protocol_version": 1})
            case "initialized":
                asked.respond(b"", status=202)
            case "components/list":
                asked.result({"components": []})
            case "components/execute":
                name = _own((value.get("params") or {}).get("component"))
                with self._lock:
                    component = self._components.get(name)
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
                whole, box = self.waiting(message)
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

    def waiting(self, message: dict[str, Json]) -> tuple[dict[str, Json], queue.Queue[Asked]]:
        """A callback with jsonrpc and an id, and where its answer will be."""
        whole = {"jsonrpc": "2.0", "id": f"callback-{next(self._ids)}", **message}
        box: queue.Queue[Asked] = queue.Queue()
        self._waiting[json.dumps(whole["id"])] = box
        if not isinstance(whole["id"], str) and type(whole["id"]) is not int:
            self._waiting["null"] = box  # what is no id may be answered under null
        return whole, box


class Pending:
    """A callback that was made."""

    def __init__(self, stage: Stage, message: dict[str, Json], box: queue.Queue[Asked]) -> None:
        self._stage = stage
        self._message = message
        self._box = box

    def answer(self, seconds: float = CALLBACK_SECONDS) -> Json:
        """The answer, None where none came in time."""
        try:
            value = self._box.get(timeout=seconds).value
        except queue.Empty:
            value = None
        self._stage.told.append((self._message, value))
        return value


class Conversation:
    """What a component asks of the runtime while it executes, one thing after the other."""

    def __init__(self, stage: Stage, send: Callable[[bytes], None]) -> None:
        self._stage = stage
        self._send = send

    def begin(self, message: dict[str, Json], *, raw: str = "") -> Pending:
        """Makes a callback and does not wait; raises Unmet where the runtime dropped the stream.

        `raw` is sent in place of the value RAW: JSON that Python would write in another way.
        """
        whole, box = self._stage.waiting(message)
        text = json.dumps(whole).replace(json.dumps(RAW), raw) if raw else json.dumps(whole)
        try:
            self._send(f"data: {text}\n\n".encode())
        except OSError as gone:
            raise Unmet((), f"the runtime dropped the stream of an execution: {gone}") from None
        return Pending(self._stage, whole, box)

    def ask(self, message: dict[str, Json]) -> Json:
        """The answer to a callback, None where none came within CALLBACK_SECONDS."""
        return self.begin(message).answer()


def _own(component: Json) -> str:
    """The name of a component on the stage, also where the runtime left the route before it."""
    return f"/{str(component).rpartition('/')[2]}"


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

    def ask(self, method: str, path: str, value: Json = MISSING, *, patience: float | None = None) -> Reply:
        """Asks the API for a path, with JSON where there is any; raises Lost."""
        body = b"" if value is MISSING else json.dumps(value).encode()
        reply = self.peer.send(body, path=f"/api/v1{path}", method=method, patience=patience)
        self.log.append(reply.exchange)
        if isinstance(reply.fault, Unreachable):
            raise Lost(f"the runtime went away: {reply.fault}")
        return reply

    def post(self, path: str, value: Json) -> Reply:
        """Posts JSON to a path of the API; raises Lost."""
        return self.ask("POST", path, value)

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
        return self.run_flow(flow_of(path, **step), value)

    def run_flow(self, flow: Json, value: Json = None, *, patience: float | None = None) -> Outcome:
        """Runs a flow once, with one input."""
        asked = {"flowId": self.store(flow), "input": [value], "wait": True}
        reply = self.ask("POST", "/runs", asked, patience=patience)
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

    def talk(self, script: Callable[[Conversation], Said]) -> Said:
        """What a script said that a component runs while it executes; raises what it raised, and Unmet."""
        end: Future[Said] = Future()

        def component(asked: Asked) -> None:
            piece = asked.stream(f"stepflow-instance-id: {INSTANCE}\r\n")
            if not end.done():  # a runtime may execute it again
                try:
                    end.set_result(script(Conversation(self.stage, piece)))
                except Exception as raised:  # noqa: BLE001 - what a script raises belongs to the test that waits for it
                    end.set_exception(raised)
            piece(f"data: {json.dumps(success(asked, None))}\n\n".encode())
            piece(b"")

        outcome = self.run_flow(flow_of(self.stage.add(component)), patience=TALK_SECONDS)
        if wait([end], CALLBACK_SECONDS).not_done:
            raise Unmet((), f"an execution with callbacks did not end: {outcome.summary()}")
        return end.result()


def flow_of(path: str, **step: Json) -> Json:
    """A flow of one step, which gives the run's input to a component."""
    steps = [{"id": "only", "component": path, "input": {"$input": "$"}, **step}]
    return {"name": "kit", "steps": steps, "output": {"$step": "only"}}


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
    try:
        stage = Stage(int(port), template=settings.target if "{config}" in settings.target else "")
    except OSError as reason:
        raise WrongTarget(f"--setting listen={port}: the kit cannot listen there: {reason.strerror}") from None
    with stage.server, tempfile.TemporaryDirectory() as folder:
        config = configured(Path(folder), {"kit": over_http(stage)})
        target = settings.target.replace("{config}", str(config)).replace("{worker}", stage.server.url)
        _stages.append(stage)
        try:
            yield msgspec.structs.replace(settings, target=target)
        finally:
            _stages.remove(stage)


def over_http(stage: Stage) -> Json:
    """What a configuration says of a worker at an address."""
    return {"type": "stepflow", "url": stage.server.url.rstrip("/")}


def configured(folder: Path, plugins: Mapping[str, Json], routes: Mapping[str, Json] | None = None) -> Path:
    """A configuration in a file: each plugin has its components below /NAME/, unless `routes` says otherwise."""
    told = {
        "plugins": {"builtin": {"type": "builtin"}, **plugins},
        "routes": {
            **{f"/{name}/{{*component}}": [{"plugin": name}] for name in ("builtin", *plugins)},
            **(routes or {}),
        },
    }
    config = folder / "stepflow-config.yml"
    config.write_text(json.dumps(told), "utf-8")  # JSON is YAML
    return config
