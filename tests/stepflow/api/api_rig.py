"""A runtime in memory whose runs do what a test says, the API served over it, and a client that checks all it sees."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID, uuid4

import httpx
import jsonschema
import trio
from msgspec import UNSET

from protogen_runtime.io.http import server
from protogen_runtime.io.http.access import Access
from protogen_runtime.io.http.limits import Limits
from protogen_runtime.io.http.shell import Shell
from protogen_runtime.nodes.stepflow.routes import make_routes
from protogen_runtime.stepflow.api.handlers import Api
from protogen_runtime.stepflow.api.operations import PREFIX
from protogen_runtime.stepflow.api.serving import Serving, uncalled
from protogen_runtime.stepflow.flow import canonical, documents, model, validation
from protogen_runtime.stepflow.flow.model import Failed, FlowError, FlowResult, Success
from protogen_runtime.stepflow.plugins.contract import ComponentInfo, DialectName
from protogen_runtime.stepflow.runs.contract import (
    BlobInfo,
    Conflict,
    FlowVariable,
    Invalid,
    ItemCounts,
    ItemResult,
    NotFound,
    RunDetails,
    RunEvent,
    RunFilter,
    RunSummary,
    StepInfo,
    StepState,
    StoredBlob,
    StoredFlow,
    StoreResult,
    SubmitRun,
)

TEST_SECONDS: Final = 30
NOW: Final = "2026-01-02T03:04:05.678Z"
DIALECTS: Final[tuple[DialectName, ...]] = ("0.9", "0.11")
REFERENCE: Final = Path(__file__).resolve().parents[4] / "shared" / "reference" / "stepflow-openapi-0.9.json"

FLOW: Final = {
    "name": "greeting",
    "description": "d",
    "schemas": {
        "type": "object",
        "properties": {
            "variables": {
                "type": "object",
                "properties": {"who": {"type": "string", "env_var": "WHO"}, "n": {"type": "integer", "default": 1}},
                "required": ["who"],
            }
        },
    },
    "steps": [{"id": "greet", "component": "/greet", "input": {"$input": "$"}}],
    "output": {"$step": "greet"},
    "examples": [{"name": "plain", "input": {"name": "Ann"}}],
}


class FakeFeed:
    """Events that are there, then the end, or nothing more for ever."""

    def __init__(self, events: Sequence[RunEvent], *, ends: bool) -> None:
        self._events = list(events)
        self._ends = ends
        self.dropped = False

    def __aiter__(self) -> AsyncIterator[RunEvent]:
        return self

    async def __anext__(self) -> RunEvent:
        await trio.lowlevel.checkpoint()
        if self._events:
            return self._events.pop(0)
        if not self._ends:
            await trio.sleep_forever()
        raise StopAsyncIteration


class FakeReader:
    """The bytes of a blob, in pieces of a thousand."""

    def __init__(self, info: BlobInfo, data: bytes) -> None:
        self.info = info
        self._pieces = [data[start : start + 1000] for start in range(0, len(data), 1000)]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        await trio.lowlevel.checkpoint()
        if not self._pieces:
            raise StopAsyncIteration
        return self._pieces.pop(0)


class FakeRun:
    """A run; `done` is set when it has ended."""

    def __init__(self, run_id: str, request: SubmitRun, flow: dict[str, Any]) -> None:
        self.run_id = run_id
        self.request = request
        self.flow = flow
        self.done = trio.Event()
        self.results: list[FlowResult] = []
        self.cancelled = False

    @property
    def status(self) -> Literal["running", "completed", "failed", "cancelled"]:
        if self.cancelled:
            return "cancelled"
        if not self.done.is_set():
            return "running"
        return "failed" if any(isinstance(result, Failed) for result in self.results) else "completed"


class FakeRuns:
    """A RunService. `compute` gives the result of an item; while `holds`, runs stay running. `raises` fails all.

    Items come in pages of `page`; `pages` counts those that were asked for.
    """

    page = 256

    def __init__(self) -> None:
        self.pages = 0
        self.flows: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, FakeRun] = {}
        self.blobs: dict[str, tuple[BlobInfo, bytes]] = {}
        self.holds = False
        self.raises: Exception | None = None
        self.filters: list[RunFilter] = []
        self.compute: Callable[[Any], FlowResult] = lambda value: (
            Failed(FlowError(500, "no", {"why": value})) if value == "bad" else Success({"seen": value})
        )

    async def _enter(self) -> None:
        await trio.lowlevel.checkpoint()
        if self.raises is not None:
            raise self.raises

    def _flow(self, flow_id: str) -> dict[str, Any]:
        if flow_id not in self.flows:
            raise NotFound("flow", flow_id)
        return self.flows[flow_id]

    def _run(self, run_id: str) -> FakeRun:
        if run_id not in self.runs:
            raise NotFound("run", run_id)
        return self.runs[run_id]

    async def store_flow(self, tree: Any, *, dry_run: bool = False) -> StoreResult:
        await self._enter()
        flow, wrong = documents.read_flow(tree)
        if wrong:
            raise Invalid(wrong[0].what)
        found = validation.diagnose(flow)
        if validation.blocks(found):
            return StoreResult(flow_id=None, stored=False, diagnostics=found)
        flow_id = canonical.flow_id(flow)
        if not dry_run:
            self.flows[flow_id] = json.loads(canonical.flow_text(flow))
        return StoreResult(flow_id=flow_id, stored=not dry_run, diagnostics=found)

    async def flow(self, flow_id: str) -> StoredFlow:
        await self._enter()
        tree = self._flow(flow_id)
        flow, _ = documents.read_flow(tree)
        examples = [
            {name: value for name, value in (("name", it.name), ("input", it.input)) if value is not None}
            for it in model.all_examples(flow)
        ]
        return StoredFlow(flow=tree, flow_id=flow_id, all_examples=examples)

    async def flow_variables(self, flow_id: str) -> Mapping[str, FlowVariable]:
        await self._enter()
        schema = self._flow(flow_id)["schemas"]["properties"]["variables"]
        return {
            name: FlowVariable(schema=it, required=name in schema["required"], default=it.get("default", UNSET))
            for name, it in schema["properties"].items()
        }

    async def delete_flow(self, flow_id: str) -> None:
        await self._enter()
        self._flow(flow_id)
        if any(run.status == "running" and run.request.flow_id == flow_id for run in self.runs.values()):
            raise Conflict(f"Flow {flow_id} is in use")
        del self.flows[flow_id]

    def run_nowait(self, request: SubmitRun) -> None:
        """Runs are submitted, and waited for."""

    async def submit(self, request: SubmitRun) -> str:
        await self._enter()
        run = FakeRun(str(uuid4()), request, self._flow(request.flow_id))
        if "nope" in (request.overrides or {}):
            raise Invalid("overrides: there is no step 'nope'")
        self.runs[run.run_id] = run
        run.results = [self.compute(value) for value in request.inputs]
        if not self.holds:
            run.done.set()
        return run.run_id

    async def wait(self, run_id: str, seconds: float | None = None) -> RunSummary:
        await self._enter()
        with trio.move_on_after(seconds if seconds is not None else 3600):
            await self._run(run_id).done.wait()
        return await self.summary(run_id)

    async def summary(self, run_id: str) -> RunSummary:
        await self._enter()
        run = self._run(run_id)
        failed = sum(isinstance(result, Failed) for result in run.results)
        ended, total = run.done.is_set(), len(run.results)
        return RunSummary(
            run_id=run_id,
            flow_id=run.request.flow_id,
            flow_name=run.flow.get("name"),
            status=run.status,
            items=ItemCounts(
                total=total,
                completed=total - failed if ended else 0,
                failed=failed if ended else 0,
                running=0 if ended else total,
            ),
            created_at=NOW,
            completed_at=NOW if ended else None,
            root_run_id=run_id,
        )

    async def details(self, run_id: str) -> RunDetails:
        await self._enter()
        request = self._run(run_id).request
        return RunDetails(
            inputs=request.inputs, overrides=request.overrides or UNSET, variables=request.variables or UNSET
        )

    async def list_runs(self, which: RunFilter) -> Sequence[RunSummary]:
        await self._enter()
        self.filters.append(which)
        found = [await self.summary(run_id) for run_id in reversed(self.runs)]
        return found[which.offset : which.offset + which.limit]

    async def items(
        self, run_id: str, *, order: str = "by_index", limit: int | None = None, offset: int = 0
    ) -> Sequence[ItemResult]:
        await self._enter()
        run = self._run(run_id)
        found = [
            ItemResult(
                item_index=index,
                status="running" if not run.done.is_set() else "failed" if isinstance(result, Failed) else "completed",
                result=result if run.done.is_set() else UNSET,
                completed_at=NOW if run.done.is_set() else UNSET,
            )
            for index, result in enumerate(run.results)
        ]
        if order == "by_completion":
            found.reverse()
        return found[offset:][:limit]

    async def item_pages(
        self, run_id: str, *, order: str = "by_index", limit: int | None = None, offset: int = 0
    ) -> AsyncGenerator[Sequence[ItemResult]]:
        items = await self.items(run_id, order=order, limit=limit, offset=offset)
        for start in range(0, len(items), self.page):
            self.pages += 1
            yield items[start : start + self.page]

    async def steps(self, run_id: str, item: int = 0) -> Sequence[StepInfo]:
        await self._enter()
        run = self._run(run_id)
        if item >= len(run.results):
            raise NotFound("item", str(item))
        state: StepState = (
            ("failed" if isinstance(run.results[item], Failed) else "completed") if run.done.is_set() else "running"
        )
        return [
            StepInfo(step_id=step["id"], component=step["component"], status=state, attempt=1)
            for step in run.flow["steps"]
        ]

    async def run_flow(self, run_id: str) -> StoredFlow:
        await self._enter()
        run = self._run(run_id)
        return StoredFlow(flow=run.flow, flow_id=run.request.flow_id)

    async def cancel(self, run_id: str) -> RunSummary:
        await self._enter()
        run = self._run(run_id)
        if run.status != "running":
            raise Conflict(f"Run {run_id} has ended: it is {run.status}")
        run.cancelled = True
        run.done.set()
        return await self.summary(run_id)

    async def delete_run(self, run_id: str) -> None:
        await self._enter()
        if self._run(run_id).status == "running":
            raise Conflict(f"Run {run_id} is running: cancel it first")
        del self.runs[run_id]

    async def events(self, run_id: str, *, after: int = 0) -> FakeFeed:
        await self._enter()
        run = self._run(run_id)
        told = [
            RunEvent(sequence=1, kind="run_started", run_id=run_id, at=NOW),
            RunEvent(sequence=2, kind="step_started", run_id=run_id, at=NOW, item_index=0, step_id="greet", attempt=1),
        ]
        if run.done.is_set():
            told.append(RunEvent(sequence=3, kind="run_completed", run_id=run_id, at=NOW))
        return FakeFeed(told[after:], ends=run.done.is_set())

    async def put_blob(self, data: Any, blob_type: Literal["data", "flow"], *, filename: str | None = None) -> str:
        await self._enter()
        if blob_type == "flow" and documents.read_flow(data)[1]:
            raise Invalid("the blob is no flow")
        text = canonical.value_text(data)
        blob_id = canonical.blob_id(text)
        self.blobs[blob_id] = (BlobInfo(blob_id=blob_id, blob_type=blob_type, size=len(text), filename=filename), text)
        return blob_id

    async def get_blob(self, blob_id: str) -> StoredBlob:
        await self._enter()
        raise NotImplementedError("the API streams blobs")

    async def put_bytes(self, source: bytes | AsyncIterable[bytes], *, filename: str | None = None) -> BlobInfo:
        await self._enter()
        data = source if isinstance(source, bytes) else b"".join([piece async for piece in source])
        blob_id = canonical.blob_id(data)
        info = BlobInfo(blob_id=blob_id, blob_type="binary", size=len(data), filename=filename)
        self.blobs[blob_id] = (info, data)
        return info

    @asynccontextmanager
    async def open_bytes(self, blob_id: str) -> AsyncGenerator[FakeReader]:
        await self._enter()
        if blob_id not in self.blobs:
            raise NotFound("blob", blob_id)
        yield FakeReader(*self.blobs[blob_id])

    async def components(self, *, include_schemas: bool = True) -> Sequence[ComponentInfo]:
        await self._enter()
        schema = {"type": "object"} if include_schemas else None
        return [ComponentInfo(component="/greet", description="Greets.", input_schema=schema, output_schema=schema)]

    async def collect_garbage(self) -> int:
        await self._enter()
        return 0


class CheckedClient:
    """Asks the API, and holds each answer against the document that the API serves; `seen` are (name, status)."""

    def __init__(
        self, http: httpx.AsyncClient, base: str, document: dict[str, Any], shutdown: Callable[[], None]
    ) -> None:
        self.http = http
        self.base = base
        self.document = document
        self.shutdown = shutdown
        self.seen: set[tuple[str, int]] = set()

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request; `path` is behind the prefix."""
        answer = await self.http.request(method, self.base + path, **more)
        self.check(method, path, answer)
        return answer

    def check(self, method: str, path: str, answer: httpx.Response) -> None:
        """Hold an answer against the document."""
        operation = self._operation(method, path.partition("?")[0])
        self.seen.add((operation["operationId"], answer.status_code))
        told = operation["responses"].get(str(answer.status_code))
        assert told is not None, f"{method} {path} answers {answer.status_code}, which is not in the document"
        content = told.get("content")
        if content is None:
            assert answer.content == b""
            return
        kind = answer.headers["content-type"]
        assert kind in content
        if kind == "application/json":
            schema = {**content[kind]["schema"], "components": self.document["components"]}
            jsonschema.validate(answer.json(), schema, jsonschema.Draft202012Validator)

    def _operation(self, method: str, path: str) -> dict[str, Any]:
        parts = path.split("/")
        for known, methods in self.document["paths"].items():
            pattern = known.split("/")
            fits = len(pattern) == len(parts) and all(
                a == b or a[:1] == "{" for a, b in zip(pattern, parts, strict=True)
            )
            if fits and method.lower() in methods:
                found: dict[str, Any] = methods[method.lower()]
                return found
        raise AssertionError(f"{method} {path} is not in the document")

    async def store(self, flow: Any = FLOW) -> str:
        """Store a flow; its id."""
        answer = await self.ask("POST", "/flows", json={"flow": flow})
        assert answer.json()["stored"], answer.text
        return str(answer.json()["flowId"])

    async def run(self, flow_id: str, *inputs: Any, **more: Any) -> Any:
        """Make a run; the answer."""
        answer = await self.ask("POST", "/runs", json={"flowId": flow_id, "input": list(inputs), **more})
        assert answer.status_code in (200, 202), answer.text
        UUID(answer.json()["runId"])
        return answer.json()


@asynccontextmanager
async def serving(
    runs: Any, dialect: DialectName, *, limits: Limits | None = None, access: Access | None = None, **more: Any
) -> AsyncGenerator[CheckedClient]:
    """The API over a runtime, and a client of it."""
    api = Serving(Api(runs, dialect=dialect, version="1.2.3"), version="1.2.3", **more)
    settings = server.Settings(port=0, limits=limits or Limits())
    sock = server.bind(settings)
    sock.listen(128)
    shell = Shell(uncalled(), limits=settings.limits, access=access, routes=make_routes(api))
    stop = trio.Event()

    async def until() -> None:
        await stop.wait()
        api.end()

    async def run(task_status: Any) -> None:
        await server.serve(shell, settings, sock, until=until, task_status=task_status)

    async with trio.open_nursery() as nursery:
        (url,) = await nursery.start(run)
        try:
            async with httpx.AsyncClient(timeout=TEST_SECONDS, verify=False) as http:
                document = (await http.get(f"{url}{PREFIX}/openapi.json")).json()
                yield CheckedClient(http, url + PREFIX, document, stop.set)
        finally:
            stop.set()


def run(test: Callable[[], Any]) -> None:
    """Run an asynchronous test within TEST_SECONDS."""

    async def bounded() -> None:
        with trio.fail_after(TEST_SECONDS):
            await test()

    trio.run(bounded)
