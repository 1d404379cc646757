"""The models of the Stepflow Protocol: a runtime's blobs and runs, and a worker's components."""

from __future__ import annotations

import random
import uuid
from typing import ClassVar

from protogen_compliance.fuzz.checks import Fault
from protogen_compliance.fuzz.description import Json
from protogen_compliance.fuzz.endpoint import Answer
from protogen_compliance.fuzz.steps import Session
from protogen_compliance.peer.rpc import MISSING

ENDED = ("completed", "failed", "cancelled")
MOST_ITEMS = 5


class _Asking:
    """What both models do with a session."""

    def __init__(self, session: Session, options: dict[str, str]) -> None:
        del options
        self.session = session

    @staticmethod
    def tour() -> tuple[()]:
        """Nothing: walks meet every action soon."""
        return ()

    def wrong(self, check: str, method: str, text: str, answer: Answer | None = None) -> None:
        """A fault; raises Found."""
        code = answer.code if answer is not None and isinstance(answer.code, int) else None
        self.session.fault(Fault(check=check, method=method, code=code, text=text))

    def ask(self, method: str, params: Json, what: str) -> Json:
        """The result of a call that has to succeed."""
        answer = self.session.call(method, params)
        if answer.result is MISSING:
            self.wrong("refused", method, f"{what} was to succeed and got {answer.summary()}", answer)
        return answer.result

    def refused(self, method: str, params: Json, what: str) -> None:
        """A call that has to fail."""
        answer = self.session.call(method, params)
        if answer.result is not MISSING:
            self.wrong(f"accepted: {what}", method, f"{what} was accepted: {answer.summary()}")


VALUES: tuple[Json, ...] = (
    *(None, True, 0, -1, 2**53, 1.5, "", "text", "\u00e9\u4e2d\U0001f600", [], [1, [2]], {}),
    *({"a": {"b": [None, False]}}, {"$from": "x"}, {"": 0, " ": ""}),
)


class RuntimeModel(_Asking):
    """Blobs that were put are got back as they were; runs that were submitted are as their inputs say."""

    methods: ClassVar[frozenset[str]] = frozenset({"blobs/put", "blobs/get", "runs/submit", "runs/get"})

    def __init__(self, session: Session, options: dict[str, str]) -> None:
        super().__init__(session, options)
        self.blobs: dict[str, tuple[str, Json, str]] = {}
        """By name: the id, the data and the type."""
        self.runs: dict[str, tuple[str, str, int]] = {}
        """By name: the id, the flow and the number of items."""

    def draw(self, chance: random.Random) -> tuple[str, dict[str, Json]]:
        """The next action."""
        flows = [name for name, (_, _, kind) in self.blobs.items() if kind == "flow"]
        weights = {"put": 4, "flow": 3, "unknown": 2, "bad_flow": 1}
        weights |= {"get": 4, "put_again": 2} if self.blobs else {}
        weights |= {"submit": 5} if flows else {}
        weights |= {"run": 4} if self.runs else {}
        action = chance.choices(list(weights), list(weights.values()))[0]
        name = f"{action[0]}{len(self.blobs) + len(self.runs) + 1}"
        match action:
            case "put":
                return action, {"as": name, "data": chance.choice(VALUES)}
            case "flow":
                output = chance.choice(({"$from": {"workflow": "input"}, "path": "$"}, {"a": 1}, "text"))
                return action, {"as": name, "output": output}
            case "get" | "put_again":
                return action, {"blob": chance.choice(list(self.blobs))}
            case "submit":
                inputs = [chance.choice(VALUES) for _ in range(chance.randrange(1, MOST_ITEMS))]
                return action, {
                    "as": name,
                    "flow": chance.choice(flows),
                    "inputs": inputs,
                    "wait": chance.random() < 0.6,
                }
            case "run":
                order = chance.choice((None, "by_index", "by_completion"))
                return action, {"run": chance.choice(list(self.runs)), "results": chance.random() < 0.5, "order": order}
            case _:
                return action, {"method": chance.choice(("blobs/get", "runs/get", "runs/submit"))}

    def play(self, action: str, arguments: dict[str, Json]) -> None:
        """Does an action where what it names is there."""
        blobs = [arguments[key] for key in ("blob", "flow") if key in arguments]
        runs = [arguments["run"]] if "run" in arguments else []
        if self.blobs.keys() >= set(blobs) and self.runs.keys() >= set(runs):
            getattr(self, f"do_{action}")(arguments)

    def do_put(self, arguments: dict[str, Json]) -> None:
        """Stores data."""
        self._put(arguments["as"], arguments["data"], "data")

    def do_flow(self, arguments: dict[str, Json]) -> None:
        """Stores a flow without steps: it gives its output."""
        self._put(arguments["as"], {"name": arguments["as"], "steps": [], "output": arguments["output"]}, "flow")

    def _put(self, name: str, data: Json, kind: str) -> None:
        result = self.ask("blobs/put", {"data": data, "blob_type": kind}, f"storing {kind}")
        self.blobs[name] = (result["blob_id"], data, kind)

    def do_put_again(self, arguments: dict[str, Json]) -> None:
        """The same data has the same id."""
        blob_id, data, kind = self.blobs[arguments["blob"]]
        result = self.ask("blobs/put", {"data": data, "blob_type": kind}, "storing the same again")
        if result["blob_id"] != blob_id:
            self.wrong("blob-id", "blobs/put", f"the same data got the id {result['blob_id']!r}; it had {blob_id!r}")

    def do_get(self, arguments: dict[str, Json]) -> None:
        """What was stored comes back."""
        blob_id, data, kind = self.blobs[arguments["blob"]]
        result = self.ask("blobs/get", {"blob_id": blob_id}, "reading a blob")
        if result["blob_type"] != kind:
            self.wrong("blob-type", "blobs/get", f"the type is {result['blob_type']!r}; expected {kind!r}")
        if kind == "data" and result["data"] != data:
            self.wrong("blob-data", "blobs/get", f"the data is {result['data']!r:.200}; expected {data!r:.200}")

    def do_unknown(self, arguments: dict[str, Json]) -> None:
        """What nobody stored is not found."""
        missing = "0" * 64
        params: dict[str, Json] = {
            "blobs/get": {"blob_id": missing},
            "runs/get": {"runId": str(uuid.uuid4())},
            "runs/submit": {"flowId": missing, "inputs": [1], "subflowKey": str(uuid.uuid4())},
        }
        self.refused(arguments["method"], params[arguments["method"]], "what does not exist")

    def do_bad_flow(self, arguments: dict[str, Json]) -> None:
        """Data that is no flow is not stored as one."""
        self.refused("blobs/put", {"data": 7, "blob_type": "flow"}, "a flow that is a number")

    def do_submit(self, arguments: dict[str, Json]) -> None:
        """A run has an item for each input; one that was waited for has ended, with results in order."""
        flow_id, _, kind = self.blobs[arguments["flow"]]
        if kind != "flow":
            return
        inputs, wait = arguments["inputs"], arguments["wait"]
        params = {"flowId": flow_id, "inputs": inputs, "wait": wait, "subflowKey": str(uuid.uuid4())}
        run = self.ask("runs/submit", params, "submitting a run")
        self.runs[arguments["as"]] = (run["runId"], flow_id, len(inputs))
        self._check(run, arguments["as"], "runs/submit", ended=wait)
        if wait and [it["itemIndex"] for it in run.get("results", ())] != list(range(len(inputs))):
            self.wrong(
                "run-results", "runs/submit", f"the results are {run.get('results')!r:.200}; expected one an input"
            )

    def do_run(self, arguments: dict[str, Json]) -> None:
        """A run is found by its id, with results where they are asked for."""
        run_id, _, count = self.runs[arguments["run"]]
        params = {"runId": run_id, "wait": True, "includeResults": arguments["results"]}
        params |= {"resultOrder": arguments["order"]} if arguments.get("order") else {}
        run = self.ask("runs/get", params, "reading a run")
        self._check(run, arguments["run"], "runs/get", ended=True)
        indexes = sorted(it["itemIndex"] for it in run.get("results") or ())
        if arguments["results"] and indexes != list(range(count)):
            self.wrong("run-results", "runs/get", f"there are results for the items {indexes}; expected {count} items")

    def _check(self, run: Json, name: str, method: str, *, ended: bool) -> None:
        run_id, flow_id, count = self.runs[name]
        for member, expected in (("runId", run_id), ("flowId", flow_id)):
            if run[member] != expected:
                self.wrong(f"run-{member}", method, f"{member} is {run[member]!r}; expected {expected!r}")
        items = run["items"]
        if items["total"] != count:
            self.wrong("run-items", method, f"items.total is {items['total']}; expected {count}")
        if sum(items[it] for it in ("completed", "running", "failed", "cancelled")) > count:
            self.wrong("run-items", method, f"the items are {items!r}; they are {count}")
        if ended and run["status"] not in ENDED:
            self.wrong("run-status", method, f"the status is {run['status']!r} after waiting for the end")


class WorkerModel(_Asking):
    """Components that are listed are described, and executing any value is answered."""

    methods: ClassVar[frozenset[str]] = frozenset(
        {"initialize", "components/list", "components/info", "components/execute"}
    )

    def __init__(self, session: Session, options: dict[str, str]) -> None:
        super().__init__(session, options)
        self.components: list[Json] = []

    def draw(self, chance: random.Random) -> tuple[str, dict[str, Json]]:
        """The next action; initialisation comes first."""
        if not self.components:
            return "begin", {}
        action = chance.choice(("list", "info", "execute", "execute", "execute", "unknown", "begin"))
        at = chance.randrange(len(self.components))
        return action, {"at": at, "input": chance.choice((*VALUES, {"value": 1}, {"input": {}})), "attempt": 1}

    def play(self, action: str, arguments: dict[str, Json]) -> None:
        """Does an action."""
        if action == "begin":
            versions = {"runtime_protocol_version": 1, "runtimeProtocolVersion": 1}
            self.ask("initialize", versions, "initialising")
            self.session.notify("initialized", {})
            self.components = self._listed()
        elif self.components:
            component = self.components[arguments["at"] % len(self.components)]
            getattr(self, f"do_{action}")(component, arguments)

    def _listed(self) -> list[Json]:
        found: list[Json] = self.ask("components/list", {}, "listing components")["components"]
        return found

    def do_list(self, component: Json, arguments: dict[str, Json]) -> None:
        """The same components are listed each time."""
        names = sorted(it["component"] for it in self._listed())
        if names != sorted(it["component"] for it in self.components):
            self.wrong("components", "components/list", f"the components changed to {names}")

    def do_info(self, component: Json, arguments: dict[str, Json]) -> None:
        """A listed component is described as it was listed."""
        info = self.ask("components/info", {"component": component["component"]}, "describing a listed component")[
            "info"
        ]
        if {**component, **info} != {**info, **component}:
            self.wrong("component-info", "components/info", f"the component is {info!r:.200}; it was listed otherwise")

    def do_execute(self, component: Json, arguments: dict[str, Json]) -> None:
        """Any input gets a result or an error of the protocol."""
        params = {"component": component["component"], "input": arguments["input"], "attempt": 1, "observability": {}}
        self.session.call("components/execute", params)

    def do_unknown(self, component: Json, arguments: dict[str, Json]) -> None:
        """A component that nobody listed is not found."""
        self.refused("components/info", {"component": f"/none/{uuid.uuid4()}"}, "a component that does not exist")


MODELS = (RuntimeModel, WorkerModel)

DEPARTURES = frozenset({"no version", "null params", "no batches"})
"""Sections 2 and 14: jsonrpc may be missing from a request, null stands for no params, and there are no batches."""
