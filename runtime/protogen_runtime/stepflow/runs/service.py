"""Runs: the runtime. Takes runs, executes their steps, keeps what comes of them, and goes on after whatever end.

`open_runs` makes one. Knows neither transports nor which store it has.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Callable,
    Collection,
    Coroutine,
    Generator,
    Mapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, contextmanager
from functools import wraps
from typing import Any, Final, Literal, NamedTuple, TypeVar, cast

import trio
from msgspec import UNSET

from protogen_runtime.stepflow.engine import (
    Dialect,
    NotRunnable,
    Outcome,
    ResultOrder,
    Run,
    RunState,
    StartStep,
    StepState,
    journal,
)
from protogen_runtime.stepflow.flow import canonical
from protogen_runtime.stepflow.flow.overrides import unwrap
from protogen_runtime.stepflow.flow.values import Json
from protogen_runtime.stepflow.plugins.contract import ComponentInfo, StepContext
from protogen_runtime.store import (
    Compare,
    Condition,
    Delete,
    DropJournals,
    Equal,
    Insert,
    Patch,
    Record,
    Select,
    Store,
    StoreError,
    Update,
    each,
    remove_all,
)

from .blobs import Blobs
from .clock import Clock
from .contract import (
    BlobInfo,
    BlobReader,
    Busy,
    Conflict,
    Ended,
    FlowVariable,
    Invalid,
    ItemResult,
    NotFound,
    Refused,
    RunDetails,
    RunFilter,
    RunSummary,
    StepInfo,
    StoredBlob,
    StoredFlow,
    StoreResult,
    SubmitRun,
    TooLarge,
    Unavailable,
)
from .endings import LiveEnding
from .execution import Components, Execution
from .feeds import Feed
from .flows import Flows, Planned
from .identifiers import new_id
from .journaling import LAZY_FROM, begun_of
from .ledger import Ledger, journal_of
from .limits import Limits
from .live import Live, Tree, subrun_key
from .paging import ITEMS_AT_ONCE, pages
from .records import (
    ITEMS,
    REFERENCES,
    REMOVALS,
    RUNS,
    Header,
    ended_fields,
    header_of,
    name_field,
    read_document,
    stored_summary,
    summary_of,
)
from .telling import ItemSteps, Past, Story, story_of

F = TypeVar("F", bound=Callable[..., Coroutine[Any, Any, Any]])

MAX_RECENT: Final = 1_000
"""Runs that have ended and are still in memory: whoever waits for one asks for its results next."""

MAX_LISTED: Final = 1_000
"""Runs on a page."""

AHEAD_SECONDS: Final = 0.1
"""Between this and twice as long a run may be ahead of the disk while its submitter waits for its end: a short run is
then one commit, and whoever looks for it among all runs finds it soon."""

_logger = logging.getLogger(__name__)


class _Recent(NamedTuple):
    """A run that ended a moment ago; results are None where they are to be read."""

    header: Header
    status: RunState
    succeeded: int
    failed: int
    ended: int | None
    results: Sequence[ItemResult] | None

    def summary(self) -> RunSummary:
        """The run."""
        return summary_of(self.header, self.status, succeeded=self.succeeded, failed=self.failed, ended=self.ended)


def _kept(method: F) -> F:
    """What the store cannot do is Unavailable."""

    @wraps(method)
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return await method(*args, **kwargs)
        except StoreError as error:
            raise Unavailable(f"the store cannot do it now: {error}") from error

    return cast("F", guarded)


class Runs:
    """The runtime of one store; see contract.RunService for what callers use."""

    def __init__(
        self, store: Store, dialect: Dialect, *, limits: Limits | None = None, clock: Clock | None = None
    ) -> None:
        self._store = store
        self._dialect = dialect
        self.limits: Final = limits or Limits()
        self.clock: Final = clock or Clock()
        self._blobs = Blobs(store, self.clock, self.limits)
        self._flows = Flows(self._blobs, dialect, self.limits)
        self._ledger = Ledger(store, self._stop_waiting)
        self._live: dict[str, Live] = {}
        self._active = 0
        self._queue: deque[Live] = deque()
        self._room = trio.Event()
        self._loading = trio.Lock()
        self._recent: OrderedDict[str, _Recent] = OrderedDict()
        self._ahead: dict[Live, None] = {}
        self._has_ahead = trio.Event()
        self._execution: Execution | None = None

    # --- flows --------------------------------------------------------------------------------------

    @_kept
    async def store_flow(self, tree: Json, *, dry_run: bool = False) -> StoreResult:
        """See RunService."""
        return await self._flows.store(tree, dry_run=dry_run)

    @_kept
    async def flow(self, flow_id: str) -> StoredFlow:
        """See RunService."""
        return await self._flows.find(flow_id)

    @_kept
    async def flow_variables(self, flow_id: str) -> Mapping[str, FlowVariable]:
        """See RunService."""
        return await self._flows.variables(flow_id)

    @_kept
    async def delete_flow(self, flow_id: str) -> None:
        """See RunService."""
        users = [live.run_id for live in self._live.values() if live.header.flow_id == flow_id]
        if users:
            raise Conflict(f"flow {flow_id} is being run by {users[0]}; wait for it, or cancel it")
        self._flows.forget(flow_id)
        await self._blobs.release_flow(flow_id)
        # Whoever asked meanwhile may have got it again.
        self._flows.forget(flow_id)

    # --- runs ---------------------------------------------------------------------------------------

    @_kept
    async def submit(self, request: SubmitRun) -> str:
        """See RunService."""
        return (await self._submit(request, None, None)).run_id

    def run_nowait(self, request: SubmitRun) -> LiveEnding | None:
        """See RunService."""
        planned = self._flows.plan_nowait(request.flow_id)
        if planned is None:
            return None
        return LiveEnding(self._make(planned, request, None, None, is_awaited=True), self._ended)

    def _ended(self, live: Live) -> Ended:
        if live.refusal is not None:
            raise Unavailable(f"the run was not kept: {live.refusal}")
        if live.status == "running" and live.ended.is_set():
            self._check_open()
        return Ended(run_id=live.run_id, status=live.status, items=live.header.total, results=live.results)

    async def submit_within(self, request: SubmitRun, caller: StepContext | None, key: str | None) -> str:
        """Make a run for a step; one that the step has made under the same key is found, unless it failed."""
        parent = None if caller is None else await self._kept_live(caller.run_id)
        if caller is None or parent is None:
            return await self.submit(request)
        name = None if key is None else subrun_key(caller.item, caller.step_id, key)
        known = None if name is None else parent.subruns.get(name)
        if known is not None and await self._is_good(known):
            return known
        if name is not None and parent.subruns.get(name) != known:
            return parent.subruns[name]
        return await self._start_within(request, parent, name)

    @_kept
    async def _start_within(self, request: SubmitRun, parent: Live, name: str | None) -> str:
        return (await self._submit(request, parent, name)).run_id

    async def _is_good(self, run_id: str) -> bool:
        try:
            return (await self.summary(run_id)).status in ("running", "completed")
        except NotFound:
            return False

    async def _kept_live(self, run_id: str) -> Live | None:
        """A run that has not ended, once it is kept."""
        live = self._live.get(run_id)
        if live is not None and not live.accepted.is_set():
            live.keep()
            await live.accepted.wait()
            return self._live.get(run_id)
        return live

    async def _submit(self, request: SubmitRun, parent: Live | None, name: str | None) -> Live:
        planned = self._flows.plan_nowait(request.flow_id) or await self._flows.plan(request.flow_id)
        live = self._make(planned, request, parent, name)
        await live.accepted.wait()
        if live.refusal is not None:
            raise Unavailable(f"the run was not kept: {live.refusal}")
        return live

    def _make(
        self,
        planned: Planned,
        request: SubmitRun,
        parent: Live | None,
        name: str | None,
        *,
        is_awaited: bool = False,
    ) -> Live:
        """Begin a run; without a wait, so that all checks hold until it is there."""
        self._check_open()
        waits = parent is None and (self._active >= self.limits.active_runs or bool(self._queue))
        self._check_room(parent, waits=waits)
        begun, engine = self._engine(planned, request)
        now = self.clock.micros()
        run_id = new_id(now / 1_000_000)
        header = Header(
            run_id=run_id,
            flow_id=request.flow_id,
            flow_name=name_field(planned.plan.flow.name),
            root=run_id if parent is None else parent.header.root,
            parent=None if parent is None else parent.run_id,
            depth=0 if parent is None else parent.header.depth + 1,
            subflow=name,
            created=now,
            total=len(request.inputs),
        )
        tree = Tree(request.max_concurrency) if parent is None else parent.tree
        live = self._enter(header, tree, parent, is_awaited=is_awaited)
        live.begin(engine, begun, planned.refers_to, goes_on=not waits)
        if live.is_ahead:
            self._ahead[live] = None
            if len(self._ahead) == 1:
                self._has_ahead.set()
        if waits:
            self._queue.append(live)
        else:
            self._active += parent is None
        return live

    def _check_open(self) -> None:
        if self._ledger.fault is not None:
            raise Unavailable(f"nothing can be kept any more: {self._ledger.fault}; restart when that is mended")
        if self._ledger.is_full:
            raise Unavailable("the store is full; make space")

    def _check_room(self, parent: Live | None, *, waits: bool) -> None:
        limits = self.limits
        if parent is not None:
            if not parent.is_running:
                raise Conflict(f"run {parent.run_id} has ended; its steps start no more runs")
            if parent.header.depth >= limits.max_depth:
                raise Invalid(f"runs are nested {limits.max_depth} deep; does the flow run itself?")
            if parent.tree.runs >= limits.runs_per_tree:
                raise Busy(f"{limits.runs_per_tree} runs are under way below run {parent.header.root}; wait for some")
        elif waits and len(self._queue) >= limits.queued_runs:
            raise Busy(f"{limits.queued_runs} runs are waiting for their turn; try again later")

    def _engine(self, planned: Planned, request: SubmitRun) -> tuple[bytes, Run]:
        """The first entry of a run, and its engine. Errors: Invalid, TooLarge."""
        limits, plan = self.limits, planned.plan
        count = len(request.inputs)
        if count > limits.max_items:
            raise TooLarge(f"the run has {count} inputs; at most {limits.max_items} are taken")
        most = request.max_concurrency
        if most is None:
            most = limits.steps_per_run if plan.dialect.parallel else max(1, count)
        most = min(most, limits.steps_per_run)
        try:
            begun = journal.begun(
                request.flow_id,
                request.inputs,
                variables=request.variables,
                overrides=request.overrides,
                max_concurrency=most,
                dialect=plan.dialect,
            )
        except (TypeError, ValueError, RecursionError, OverflowError) as error:
            raise Invalid(f"the inputs are no JSON: {error}") from None
        if len(begun) > limits.max_run_bytes:
            told = f"inputs, variables and overrides have {len(begun)} bytes as JSON"
            raise TooLarge(f"{told}; at most {limits.max_run_bytes} are taken: put large values into blobs")
        try:
            engine = Run(
                plan,
                begun_of(begun).inputs if count >= LAZY_FROM else request.inputs,
                variables=request.variables,
                overrides=request.overrides,
                max_concurrency=most,
                dialect=plan.dialect,
                keeps_results=False,
            )
        except NotRunnable as reason:
            raise Invalid(str(reason)) from None
        return begun, engine

    def _enter(self, header: Header, tree: Tree, parent: Live | None, *, is_awaited: bool = False) -> Live:
        live = Live(self, header, tree, parent, is_awaited=is_awaited)
        self._live[live.run_id] = live
        tree.runs += 1
        if parent is not None:
            parent.children.add(live)
            if header.subflow is not None:
                parent.subruns[header.subflow] = live.run_id
        return live

    def _leave(self, live: Live) -> None:
        del self._live[live.run_id]
        live.tree.runs -= 1
        if live.parent is not None:
            live.parent.children.discard(live)
        elif live.engine is not None:
            self._active -= 1
            self._room.set()

    @_kept
    async def wait(self, run_id: str, seconds: float | None = None) -> RunSummary:
        """See RunService."""
        live = self._live.get(run_id)
        if live is None:
            return await self._summary(run_id)
        if seconds is None:
            await live.ended.wait()
        else:
            with trio.move_on_after(max(0.0, seconds)):
                await live.ended.wait()
        if live.refusal is not None:
            raise NotFound("run", run_id)
        if live.status == "running" and live.ended.is_set():
            self._check_open()
        await self._kept_live(run_id)
        return live.summary()

    @_kept
    async def summary(self, run_id: str) -> RunSummary:
        """See RunService."""
        return await self._summary(run_id)

    async def _summary(self, run_id: str) -> RunSummary:
        live = self._live.get(run_id)
        if live is not None and live.is_ahead:
            live = await self._kept_live(run_id)
        # Without a turn of the event loop: whoever asks has waited, for the request or for the run.
        if live is not None and live.accepted.is_set():
            return live.summary()
        recent = self._recent.get(run_id)
        if recent is not None:
            return recent.summary()
        return stored_summary(await self._record(run_id, documents=False))

    async def _record(self, run_id: str, *, documents: bool = True) -> Record:
        if not _is_name(run_id):
            raise NotFound("run", run_id)
        page = await self._store.read(Select(RUNS, [Equal("key", run_id)], documents=documents))
        if not page.records:
            raise NotFound("run", run_id)
        return page.records[0]

    @_kept
    async def details(self, run_id: str) -> RunDetails:
        """See RunService."""
        begun = begun_of(read_document(await self._record(run_id)).begun)
        return RunDetails(
            inputs=list(begun.inputs),
            overrides=begun.overrides if unwrap(begun.overrides) else UNSET,
            variables=begun.variables or UNSET,
        )

    @_kept
    async def list_runs(self, which: RunFilter) -> Sequence[RunSummary]:
        """See RunService."""
        if not 0 <= which.limit <= MAX_LISTED or which.offset < 0:
            raise Invalid(f"limit is 0 to {MAX_LISTED} and offset at least 0, got {which.limit} and {which.offset}")
        where: list[Condition] = []
        named = {
            "status": which.status,
            "flow": which.flow_id,
            "flow_name": name_field(which.flow_name),
            "root": which.root_run_id,
            "parent": which.parent_run_id,
        }
        for field, value in named.items():
            if value is not None:
                if not _is_name(value):
                    return []
                where.append(Equal(field, value))
        if which.roots_only and which.parent_run_id is None:
            where.append(Equal("parent", None))
        if which.max_depth is not None:
            where.append(Compare("depth", "<=", which.max_depth))
        query = Select(
            RUNS, where, order=["-arrival"], limit=which.limit, offset=min(which.offset, 2**62), documents=False
        )
        page = await self._store.read(query)
        return [self._shown(record) for record in page.records]

    def _shown(self, record: Record) -> RunSummary:
        live = self._live.get(record.key)
        return stored_summary(record) if live is None else live.summary()

    @_kept
    async def items(
        self, run_id: str, *, order: ResultOrder = "by_index", limit: int | None = None, offset: int = 0
    ) -> Sequence[ItemResult]:
        """See RunService."""
        recent = self._recent.get(run_id)
        if recent is not None and recent.results is not None and offset >= 0 and (limit is None or limit >= 0):
            return recent.results[offset : None if limit is None else offset + limit]
        found: list[ItemResult] = []
        async for page in self.item_pages(run_id, order=order, limit=limit, offset=offset):
            found += page
        return found

    async def item_pages(
        self, run_id: str, *, order: ResultOrder = "by_index", limit: int | None = None, offset: int = 0
    ) -> AsyncGenerator[Sequence[ItemResult]]:
        """See RunService."""
        if (limit is not None and limit < 0) or offset < 0:
            raise Invalid(f"limit and offset are at least 0, got {limit} and {offset}")
        recent = self._recent.get(run_id)
        if recent is not None and recent.results is not None:
            results = recent.results[offset : None if limit is None else offset + limit]
            for start in range(0, len(results), ITEMS_AT_ONCE):
                yield results[start : start + ITEMS_AT_ONCE]
            return
        try:
            # Before the items: what ends meanwhile is then there, and counted as under way at worst.
            summary = await self._summary(run_id)
            total = summary.items.total
            end = total if limit is None else min(total, offset + limit)
            record = await self._record(run_id)
            async with aclosing(pages(self._store, record, summary, order, offset=offset, end=end)) as found:
                async for page in found:
                    yield page
        except StoreError as error:
            raise Unavailable(f"the store cannot do it now: {error}") from error

    @_kept
    async def steps(self, run_id: str, item: int = 0) -> Sequence[StepInfo]:
        """See RunService."""
        await self._summary(run_id)
        record = await self._record(run_id)
        begun = begun_of(read_document(record).begun)
        if not 0 <= item < len(begun.inputs):
            raise NotFound("item", str(item))
        planned = await self._flows.plan(header_of(record).flow_id, dialect=begun.dialect, even_released=True)
        steps = ItemSteps(planned.plan, begun, item)
        story = Story.entries(self._store, record)
        async for entries in story:
            steps.tell(entries)
        live = self._live.get(run_id)
        states: Mapping[str, StepState] = {}
        if live is not None and live.engine is not None:
            states = live.engine.step_states(item)
        return steps.told(states)

    @_kept
    async def run_flow(self, run_id: str) -> StoredFlow:
        """See RunService."""
        summary = await self._summary(run_id)
        return await self._flows.find(summary.flow_id, even_released=True)

    @_kept
    async def cancel(self, run_id: str) -> RunSummary:
        """See RunService."""
        live = self._live.get(run_id)
        if live is None:
            raise Conflict(f"run {run_id} has ended: it is {(await self._summary(run_id)).status}")
        await self._kept_live(run_id)
        if live.refusal is not None:
            raise NotFound("run", run_id)
        within: list[Live] = []
        if not await self._cancel(live, within):
            await live.ended.wait()
            raise Conflict(f"run {run_id} has ended: it is {live.status}")
        for one in within:
            await one.ended.wait()
        if live.status == "running":
            self._check_open()
        return live.summary()

    async def _cancel(self, live: Live, cancelled: list[Live]) -> bool:
        """Cancel a run and what it started, as far as that has not ended; adds them to `cancelled`."""
        await live.accepted.wait()
        if live.refusal is None:
            await self._load(live)
        if not live.cancel():
            return False
        cancelled.append(live)
        for child in list(live.children):
            await self._cancel(child, cancelled)
        return True

    @_kept
    async def delete_run(self, run_id: str) -> None:
        """See RunService."""
        await self._summary(run_id)
        ids = [run_id]
        for one in ids:
            if one in self._live:
                raise Conflict(f"run {one} has not ended; cancel it first")
            ids += [record.key async for record in each(self._store, RUNS, [Equal("parent", one)], documents=False)]
        for one in ids:
            self._recent.pop(one, None)
            await self._store.write_all(
                [
                    Delete(RUNS, [Equal("key", one)]),
                    Delete(REFERENCES, [Equal("source", one)]),
                    Insert(REMOVALS, [Record(one, b"")], existing="keep"),
                ]
            )
            self._recent.pop(one, None)
        for one in ids:
            await self._remove(one)

    async def _remove(self, run_id: str) -> None:
        """Remove what is left of a run whose record is gone."""
        await remove_all(self._store, ITEMS, [Equal("run", run_id)])
        await self._store.write_all([DropJournals([journal_of(run_id)]), Delete(REMOVALS, [Equal("key", run_id)])])

    @_kept
    async def events(self, run_id: str, *, after: int = 0) -> Feed:
        """See RunService."""
        if after < 0:
            raise Invalid(f"after is at least 0, got {after}")
        await self._summary(run_id)
        record = await self._record(run_id)
        story = await story_of(self._store, self._flows, record)
        # From here to the end without a wait: what happens next is published, or stands in the journal.
        live = self._live.get(run_id)
        upto = None if live is None else live.told
        feed = Feed(
            Past(story, after=after, upto=upto), after=max(after, upto or 0), max_behind=self.limits.feed_events
        )
        if live is None:
            feed.end()
        else:
            live.follow(feed)
        return feed

    # --- blobs --------------------------------------------------------------------------------------

    @_kept
    async def put_blob(
        self, data: Json, blob_type: Literal["data", "flow"], *, filename: str | None = None, run_id: str | None = None
    ) -> str:
        """See RunService; `run_id` is the run that refers to it from now on."""
        source = None if run_id is None or await self._kept_live(run_id) is None else run_id
        if blob_type == "flow":
            return await self._flows.put(data, source=source)
        try:
            text = canonical.value_text(data)
        except (TypeError, ValueError, RecursionError, OverflowError) as error:
            raise Invalid(f"the value is no JSON: {error}") from None
        return await self._blobs.put_text(text, "data", source=source, filename=filename)

    @_kept
    async def get_blob(self, blob_id: str) -> StoredBlob:
        """See RunService."""
        kept = await self._blobs.find(blob_id)
        if kept.kind == "binary":
            raise Invalid(f"blob {blob_id} is binary: it has no value; read its bytes")
        value = canonical.read_value(await self._blobs.text(kept))
        return StoredBlob(data=value, blob_type="data" if kept.kind == "data" else "flow")

    @_kept
    async def put_bytes(self, source: bytes | AsyncIterable[bytes], *, filename: str | None = None) -> BlobInfo:
        """See RunService."""
        return await self._blobs.put_bytes(source, filename)

    def open_bytes(self, blob_id: str) -> AbstractAsyncContextManager[BlobReader]:
        """See RunService."""
        return self._blobs.open(blob_id)

    @_kept
    async def components(self, *, include_schemas: bool = True) -> Sequence[ComponentInfo]:
        """See RunService."""
        found = await self._execution_now.components.components()
        if include_schemas:
            return found
        return [ComponentInfo(component=it.component, description=it.description) for it in found]

    @_kept
    async def collect_garbage(self) -> int:
        """See RunService."""
        async for record in each(self._store, REMOVALS):
            await self._remove(record.key)
        before = self.clock.micros() - round(self.limits.grace_seconds * 1_000_000)
        lost: list[Planned] = []
        users = self._live

        def is_live(blob_id: str) -> bool:
            # In another thread: a copy in one step, which nothing can come into.
            return any(live.header.flow_id == blob_id for live in list(users.values()))

        def dropped(ids: Collection[str]) -> None:
            for blob_id in ids:
                planned = self._flows.forget(blob_id)
                if planned is not None and is_live(blob_id):
                    lost.append(planned)

        count = 0
        # What a blob that went referred to may go, too.
        while some := await self._blobs.collect(before, is_live, dropped):
            count += some
        for planned in lost:
            # A run took it from memory at the moment when it went.
            await self._blobs.put_text(planned.text, "flow")
        return count - len(lost)

    # --- what live runs need --------------------------------------------------------------------------

    def execute_nowait(self, start: StartStep) -> Outcome | None:
        """See live.Host."""
        return self._execution_now.execute_nowait(start)

    def launch(self, live: Live, start: StartStep) -> None:
        """See live.Host."""
        self._execution_now.launch(live, start)

    @contextmanager
    def lending(self, caller: StepContext | None) -> Generator[None]:
        """While a step waits for a run, its room is for others: the steps of that run may need it."""
        live = None if caller is None else self._live.get(caller.run_id)
        if live is None or caller is None:
            yield
            return
        with self._execution_now.lending(live, caller.item, caller.step_id):
            yield

    def mark(self, live: Live) -> None:
        """See live.Host."""
        self._ahead.pop(live, None)
        self._ledger.add(live)

    def ended(self, live: Live) -> None:
        """See live.Host."""
        self._leave(live)
        results = live.results if live.is_small else None
        self._recent[live.run_id] = _Recent(live.header, live.status, *live.kept_counts, results)
        if len(self._recent) > MAX_RECENT:
            self._recent.popitem(last=False)

    def withdrawn(self, live: Live) -> None:
        """See live.Host."""
        self._leave(live)
        if live in self._queue:
            self._queue.remove(live)
        if live.parent is not None and live.header.subflow is not None:
            live.parent.subruns.pop(live.header.subflow, None)

    def _stop_waiting(self, reason: str) -> None:
        """Nothing can be kept any more: nobody shall wait for what cannot come."""
        del reason
        for live in tuple(self._live.values()):
            live.give_up()

    @property
    def _execution_now(self) -> Execution:
        assert self._execution is not None, "runs are executed within running()"
        return self._execution

    # --- going on -----------------------------------------------------------------------------------

    @asynccontextmanager
    async def running(self, components: Components) -> AsyncGenerator[None]:
        """Execute runs as long as the context lasts; those that have not ended go on first."""
        async with trio.open_nursery() as ledger:
            ledger.start_soon(self._ledger.run)
            try:
                async with trio.open_nursery() as nursery:
                    self._execution = Execution(components, nursery, self.limits.steps)
                    await self._recover()
                    nursery.start_soon(self._start_queued)
                    nursery.start_soon(self._sweep)
                    nursery.start_soon(self._keep_late)
                    try:
                        yield
                    finally:
                        self._execution.close()
                        nursery.cancel_scope.cancel()
            finally:
                for live in tuple(self._ahead):
                    live.keep()
                self._ledger.close()

    async def _recover(self) -> None:
        """Go on with what has not ended: as many runs as may be active, and the runs within them."""
        async for record in each(self._store, RUNS, [Equal("status", "running")], documents=False):
            header = header_of(record)
            parent = None if header.parent is None else self._live.get(header.parent)
            tree = await self._tree_of(header)
            live = self._enter(header, tree, parent)
            live.restored()
        for live in list(self._live.values()):
            await self._find_subruns(live)
        for live in list(self._live.values()):
            if live.header.parent is None and self._active >= self.limits.active_runs:
                self._queue.append(live)
            else:
                await self._load(live)

    async def _tree_of(self, header: Header) -> Tree:
        root = self._live.get(header.root)
        if root is not None:
            return root.tree
        for live in self._live.values():
            if live.header.root == header.root:
                return live.tree
        return Tree(None)

    async def _find_subruns(self, live: Live) -> None:
        """Runs that steps have started before; a later one of the same name counts."""
        async for record in each(self._store, RUNS, [Equal("parent", live.run_id)], documents=False):
            name = header_of(record).subflow
            if name is not None:
                live.subruns[name] = record.key

    async def _start_queued(self) -> None:
        """Start runs that wait on the disk when there is room for them."""
        while True:
            while self._queue and self._active < self.limits.active_runs:
                live = self._queue.popleft()
                await live.accepted.wait()
                if live.refusal is None:
                    await self._load(live)
            self._room = trio.Event()
            await self._room.wait()

    async def _load(self, live: Live) -> None:
        """Bring a run into memory, and let it go on."""
        async with self._loading:
            if live.engine is not None or live.status != "running":
                return
            try:
                record = await self._record(live.run_id)
                story = await story_of(self._store, self._flows, record)
                told = 0
                while (batch := await story.next()) is not None:
                    told += len(batch[1])
            except (Refused, NotRunnable, journal.JournalDamaged) as error:
                await self._give_up(live, str(error))
                return
            if live.parent is None:
                self._active += 1
            if story.has_begun:
                live.restore(story.replay, told, (story.succeeded, story.failed))
            else:
                live.restart(story.replay)

    async def _give_up(self, live: Live, reason: str) -> None:
        """A run that cannot go on has failed."""
        _logger.error("run %s cannot go on, and has failed: %s", live.run_id, reason)
        fields = ended_fields("failed", succeeded=0, failed=live.header.total, at=self.clock.micros())
        await self._store.write(Update(RUNS, [Patch(key=live.run_id, fields=fields)]))
        live.status = "failed"
        self._leave(live)
        live.give_up()

    async def _keep_late(self) -> None:
        """Keep runs that have been ahead of the disk for long enough."""
        while True:
            while not self._ahead:
                self._has_ahead = trio.Event()
                await self._has_ahead.wait()
            ahead = tuple(self._ahead)
            await trio.sleep(AHEAD_SECONDS)
            for live in ahead:
                live.keep()

    async def _sweep(self) -> None:
        """Collect garbage now and then."""
        while True:
            await trio.sleep(self.limits.collect_seconds)
            try:
                await self.collect_garbage()
            except Unavailable as error:
                _logger.warning("garbage is not collected: %s", error)


def _is_name(text: str) -> bool:
    """Whether a text can be that of a key or field at all."""
    return "\0" not in text and len(text) <= 1_000 and text.isprintable()
