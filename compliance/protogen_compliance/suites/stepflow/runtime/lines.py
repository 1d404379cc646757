"""The kit's worker over stdio: components are scripts, as on the stage; what each process was sent is kept."""

from __future__ import annotations

import itertools
import json
import queue
import threading
from collections.abc import Callable

from protogen_compliance.peer.rpc import MISSING, Json, parse_json
from protogen_compliance.suites.stepflow.runtime.programs import Program, Programs
from protogen_compliance.suites.stepflow.runtime.stage import CALLBACK_SECONDS

NAME = "kit-stdio"

Script = Callable[["Call"], None]


class LineWorker:
    """A worker that the runtime starts and speaks to in lines, between `with` and its end.

    `at_start` is called with each process before anything is read from it. `heard` has all messages with the process
    that they were sent to, `strays` the responses that nobody had asked for.
    """

    def __init__(self) -> None:
        self.programs = Programs(self._play)
        self.at_start: Callable[[Program], None] = lambda _: None
        self.heard: list[tuple[Program, Json]] = []
        self.calls: list[Call] = []
        self.strays: list[Json] = []
        self._scripts: dict[str, Script] = {}
        self._waiting: dict[str, queue.Queue[Json]] = {}
        self._ids = itertools.count(1)

    def __enter__(self) -> LineWorker:
        self.programs.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self.programs.__exit__(*exc)

    @property
    def plugin(self) -> Json:
        """What a configuration says of it."""
        command, *words = self.programs.command
        return {"type": "stepflow", "transport": "stdio", "command": command, "args": words}

    def add(self, script: Script) -> str:
        """Adds a component; its path within a flow."""
        name = f"/c{next(self._ids)}"
        self._scripts[name] = script
        return f"/{NAME}{name}"

    def executions(self, path: str) -> list[Call]:
        """The executions of a component."""
        return [it for it in self.calls if it.params.get("component") == path.removeprefix(f"/{NAME}")]

    def messages(self, program: Program) -> list[Json]:
        """What one process was sent."""
        return [value for it, value in list(self.heard) if it is program]

    def _play(self, program: Program) -> None:
        self.at_start(program)
        for line in program.lines():
            try:
                value = parse_json(line)
            except (ValueError, RecursionError):
                continue  # the line is kept, and judged by a test of its own
            self.heard.append((program, value))
            if not isinstance(value, dict):
                continue
            if "method" not in value:
                box = self._waiting.get(json.dumps(value.get("id")))
                if box is None:
                    self.strays.append(value)
                else:
                    box.put(value)
            else:
                threading.Thread(target=self._serve, args=(Call(self, program, value),), daemon=True).start()

    def _serve(self, call: Call) -> None:
        match call.value.get("method"):
            case "initialize":
                new = "runtime_protocol_version" not in call.params
                call.respond(result={"serverProtocolVersion" if new else "server_protocol_version": 1})
            case "initialized":
                return
            case "components/list":
                call.respond(result={"components": []})
            case "components/execute":
                self.calls.append(call)
                script = self._scripts.get(f"/{str(call.params.get('component')).rpartition('/')[2]}")
                if script is None:
                    call.error(-32001, "Component not found")
                else:
                    script(call)
            case _:
                call.error(-32601, "Method not found")

    def ask(self, program: Program, message: dict[str, Json], seconds: float = CALLBACK_SECONDS) -> Json:
        """The answer to a callback, None where none came in time; jsonrpc and an id are added."""
        whole = {"jsonrpc": "2.0", "id": f"line-{next(self._ids)}", **message}
        box: queue.Queue[Json] = queue.Queue()
        self._waiting[json.dumps(whole["id"])] = box
        program.write(json.dumps(whole).encode() + b"\n")
        try:
            return box.get(timeout=seconds)
        except queue.Empty:
            return None


class Call:
    """One request of the runtime to a process."""

    def __init__(self, worker: LineWorker, program: Program, value: dict[str, Json]) -> None:
        self.worker = worker
        self.program = program
        self.value = value

    @property
    def params(self) -> dict[str, Json]:
        """The params; empty where they are no object."""
        given = self.value.get("params")
        return given if isinstance(given, dict) else {}

    @property
    def attempt(self) -> Json:
        """Which attempt the execution is; MISSING where it does not say."""
        return self.params.get("attempt", MISSING)

    def respond(self, **members: Json) -> None:
        """Sends the response, with jsonrpc and the id."""
        self.program.write(json.dumps({"jsonrpc": "2.0", "id": self.value.get("id"), **members}).encode() + b"\n")

    def output(self, value: Json) -> None:
        """Ends the execution well."""
        self.respond(result={"output": value})

    def error(self, code: int, message: str) -> None:
        """Ends it with an error."""
        self.respond(error={"code": code, "message": message})

    def ask(self, message: dict[str, Json]) -> Json:
        """The answer to a callback; None where none came."""
        return self.worker.ask(self.program, message)
