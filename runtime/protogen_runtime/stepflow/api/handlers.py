"""The operations of the API, each a function from what was asked to its answer (spec section 12).

Where the published binaries miss the documented status, the documented one is given; where the dialects differ, the
configured one decides.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import IO, Any, Final
from urllib.parse import quote
from uuid import uuid4

import msgspec
import trio
from msgspec import UNSET, UnsetType

from protogen_runtime.dispatch import Later
from protogen_runtime.stepflow.flow import canonical, documents, faults, validation
from protogen_runtime.stepflow.flow.model import FlowResult
from protogen_runtime.stepflow.plugins.contract import DialectName, Json, is_object
from protogen_runtime.stepflow.runs.contract import (
    DEFAULT_PAGE,
    Busy,
    Conflict,
    Ended,
    Ending,
    Invalid,
    ItemResult,
    NotFound,
    Refused,
    RunFilter,
    RunService,
    RunSummary,
    SubmitRun,
    TooLarge,
    Unavailable,
)

from . import answers, requests
from .events import Following, stream_of
from .exchange import BYTES_TYPE, JSON_TYPE, Answer, Asked, BadRequest, Pieces, answer_json, error

PIECE_BYTES: Final = 256 * 1024
"""What is read at once of a file that was uploaded."""

MAX_DETAILED_ITEMS: Final = 100
"""Runs with more items do not tell the steps of each in one answer; /items and /steps do."""

NO_CONTENT: Final = Answer(204)

_AS_JSON: Final = ((b"content-type", JSON_TYPE),)

IN_DETAIL: Final = {"bad_request": 400, "not_found": 404, "internal": 500, "stack": 404}
"""What `/health?error=` answers with; the binaries say 404 for bad_request."""

_ERRORS: Final = {
    "bad_request": ("Bad request triggered for testing", ()),
    "not_found": ("Run not found, for testing", ()),
    "internal": ("Internal error triggered for testing", ()),
    "stack": (
        "Run not found, for testing",
        ("the store does not know the run", "its database cannot be reached", "the connection was refused"),
    ),
}


class Api:
    """The operations over one runtime; `version` is what /health tells."""

    def __init__(self, runs: RunService, *, dialect: DialectName = "0.9", version: str = "0") -> None:
        self._runs = runs
        self._is_newer = dialect == "0.11"
        self._version = version
        self._following = Following()
        self._id = str(uuid4())
        self.dialect: Final[DialectName] = dialect

    def end(self) -> None:
        """The server stops: streams end, and whoever waits for a run is told to ask again."""
        self._following.end()

    # --- the runtime ------------------------------------------------------------------------------

    async def health(self, asked: Asked) -> Answer:
        """GET /health."""
        query = requests.read_query(asked.query, requests.HealthQuery)
        if query.error is None:
            now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            return answer_json(200, answers.Health(status="healthy", timestamp=now, version=self._version))
        status = IN_DETAIL.get(query.error, 500)
        message, reasons = _ERRORS.get(query.error, _ERRORS["internal"])
        return error(status, message, reasons)

    async def components(self, asked: Asked) -> Answer:
        """GET /components."""
        query = requests.read_query(asked.query, requests.ComponentsQuery)
        found = await self._runs.components(include_schemas=query.include_schemas)
        return answer_json(200, answers.Components(components=found))

    # --- flows ------------------------------------------------------------------------------------

    async def store_flow(self, asked: Asked) -> Answer:
        """POST /flows: every problem of the flow is told in one answer."""
        body = requests.read_body(asked.body, requests.StoreFlow)
        try:
            result = await self._runs.store_flow(body.flow, dry_run=body.dry_run)
        except TooLarge:
            raise
        except Invalid as invalid:
            raise BadRequest(422, f"body: flow: {invalid}", _faults_of(body.flow)) from None
        flow_id = result.flow_id or canonical.flow_id(documents.read_flow(body.flow)[0])
        told = {"flowId": flow_id, "stored": result.stored, "diagnostics": validation.wire(result.diagnostics)}
        return answer_json(200, told)

    async def get_flow(self, asked: Asked) -> Answer:
        """GET /flows/{flow_id}."""
        stored = await self._runs.flow(asked.values["flow_id"])
        examples = stored.all_examples if stored.all_examples or self._is_newer else UNSET
        told = {"flow": stored.flow, "flowId": stored.flow_id}
        return answer_json(200, told if examples is UNSET else {**told, "allExamples": examples})

    async def flow_variables(self, asked: Asked) -> Answer:
        """GET /flows/{flow_id}/variables."""
        flow_id = asked.values["flow_id"]
        found = await self._runs.flow_variables(flow_id)
        schema: dict[str, Json] = {
            "type": "object",
            "properties": {name: variable.schema for name, variable in found.items()},
            "required": [name for name, variable in found.items() if variable.required],
        }
        env_vars = {
            name: variable.schema["env_var"]
            for name, variable in found.items()
            if is_object(variable.schema) and isinstance(variable.schema.get("env_var"), str)
        }
        return answer_json(200, answers.FlowVariables(flow_id=flow_id, schema=schema, env_vars=env_vars))

    async def delete_flow(self, asked: Asked) -> Answer:
        """DELETE /flows/{flow_id}."""
        await self._runs.delete_flow(asked.values["flow_id"])
        return NO_CONTENT

    # --- runs -------------------------------------------------------------------------------------

    def create_run(self, asked: Asked) -> Awaitable[Answer | Pieces]:
        """POST /runs: waits in dialect 0.9, and does not in 0.11, unless the request says otherwise."""
        body = requests.read_body(asked.body, requests.CreateRun)
        submitted = SubmitRun(
            flow_id=body.flow_id,
            inputs=body.input,
            overrides=body.overrides,
            variables=body.variables,
            max_concurrency=body.max_concurrency,
        )
        waits = (not self._is_newer) if body.wait is None else body.wait
        if waits and not self._is_newer and body.timeout_secs is None and not self._following.has_ended:
            ending = self._runs.run_nowait(submitted)
            if ending is not None:
                return _Awaited(ending, self._following)
        return self._submitted(submitted, body, waits=waits)

    async def _submitted(self, submitted: SubmitRun, body: requests.CreateRun, *, waits: bool) -> Answer | Pieces:
        run_id = await self._runs.submit(submitted)
        if waits:
            # Nobody waits for ever in 0.11; in 0.9 the client decides how long, by going away.
            seconds = (300 if self._is_newer else None) if body.timeout_secs is None else body.timeout_secs
            summary = await self._wait(run_id, seconds)
        else:
            summary = await self._runs.summary(run_id)
        if self._is_newer:
            return await self._created(summary, waits=waits)
        return await self._ended(summary)

    async def _created(self, summary: RunSummary, *, waits: bool) -> Answer | Pieces:
        told = answers.widened(answers.RunCreated, summary, orchestrator_id=self._managed(summary))
        if not waits or summary.status == "running":
            return answer_json(200 if waits else 202, told)
        return await _with_items(told, "results", self._runs.item_pages(summary.run_id))

    async def _ended(self, summary: RunSummary) -> Answer:
        count = summary.items.total
        result: FlowResult | UnsetType = UNSET
        if count == 1 and summary.status != "running":
            (item,) = await self._runs.items(summary.run_id)
            result = item.result
        told = answers.RunEnded(run_id=summary.run_id, item_count=count, result=result, status=summary.status)
        return answer_json(200, told)

    async def _wait(self, run_id: str, seconds: float | None) -> RunSummary:
        summary = await self._runs.summary(run_id)
        if summary.status != "running":
            # Most short runs: they have ended before they could be waited for.
            return summary
        with self._following.waiting():
            return await self._runs.wait(run_id, seconds)
        raise _stopping(run_id)

    async def list_runs(self, asked: Asked) -> Answer:
        """GET /runs: the newest first."""
        query = requests.read_query(asked.query, requests.RunsQuery)
        status = query.status
        if status == "paused" or status == "recoveryFailed":
            # States that runs of the original can have.
            return answer_json(200, {"runs": []})
        which = RunFilter(
            status=status,
            flow_name=query.flow_name,
            root_run_id=query.root_run_id,
            parent_run_id=query.parent_run_id,
            roots_only=query.roots_only,
            max_depth=query.max_depth,
            limit=DEFAULT_PAGE if query.limit is None else query.limit,
            offset=query.offset,
        )
        runs = await self._runs.list_runs(which)
        if self._is_newer:
            return answer_json(200, answers.RunsListed(runs=[answers.listed(run, self._id) for run in runs]))
        return answer_json(200, answers.Runs(runs=runs))

    async def get_run(self, asked: Asked) -> Answer:
        """GET /runs/{run_id}: waits for its end where it is asked to."""
        query = requests.read_query(asked.query, requests.RunQuery)
        run_id = _run_id(asked)
        summary = await (self._wait(run_id, query.timeout_secs) if query.wait else self._runs.summary(run_id))
        details = await self._runs.details(run_id)
        given = {"inputs": details.inputs, "overrides": details.overrides, "variables": details.variables}
        if not self._is_newer:
            return answer_json(200, answers.widened(answers.RunDetails, summary, **given))
        given |= {"orchestrator_id": self._managed(summary), "finished_at_seqno": await self._end_of(summary)}
        items = await self._item_details(summary, details.inputs)
        return answer_json(200, answers.widened(answers.RunDetailsListed, summary, **given, item_details=items))

    def _managed(self, summary: RunSummary) -> str | UnsetType:
        return answers.managed_by(self._id, summary)

    async def _end_of(self, summary: RunSummary) -> int | UnsetType:
        """The place of the last event of a run that has ended; all are read, so of small ones alone."""
        if summary.status == "running" or summary.items.total > MAX_DETAILED_ITEMS:
            return UNSET
        last: int | UnsetType = UNSET
        async for event in await self._runs.events(summary.run_id):
            last = event.sequence
        return last

    async def _item_details(self, summary: RunSummary, inputs: Sequence[Json]) -> list[answers.ItemDetails] | UnsetType:
        if summary.items.total > MAX_DETAILED_ITEMS:
            return UNSET
        found: list[answers.ItemDetails] = []
        for item, value in zip(await self._runs.items(summary.run_id), inputs, strict=True):
            steps = await self._runs.steps(summary.run_id, item.item_index)
            told = [answers.StepStatus(step_id=step.step_id, status=step.status) for step in steps]
            found.append(
                answers.ItemDetails(
                    item_index=item.item_index,
                    input=value,
                    status=item.status,
                    steps=told,
                    completed_at=item.completed_at,
                )
            )
        return found

    async def run_items(self, asked: Asked) -> Answer | Pieces:
        """GET /runs/{run_id}/items: all that are asked for, a page in memory at a time."""
        query = requests.read_query(asked.query, requests.ItemsQuery)
        run_id = _run_id(asked)
        summary = await self._runs.summary(run_id)
        pages = self._runs.item_pages(run_id, order=query.result_order, limit=query.limit, offset=query.offset)
        return await _with_items({"itemCount": summary.items.total}, "items", pages)

    async def run_steps(self, asked: Asked) -> Answer:
        """GET /runs/{run_id}/steps: those of one item."""
        query = requests.read_query(asked.query, requests.StepsQuery)
        steps = await self._runs.steps(_run_id(asked), query.item_index)
        return answer_json(200, answers.Steps(steps={step.step_id: step for step in steps}))

    async def run_flow(self, asked: Asked) -> Answer:
        """GET /runs/{run_id}/flow."""
        stored = await self._runs.run_flow(_run_id(asked))
        return answer_json(200, answers.RunFlow(flow=stored.flow, flow_id=stored.flow_id))

    async def cancel_run(self, asked: Asked) -> Answer:
        """POST /runs/{run_id}/cancel."""
        summary = await self._runs.cancel(_run_id(asked))
        return answer_json(200, answers.listed(summary, self._id) if self._is_newer else summary)

    async def delete_run(self, asked: Asked) -> Answer:
        """DELETE /runs/{run_id}."""
        await self._runs.delete_run(_run_id(asked))
        return NO_CONTENT

    async def run_events(self, asked: Asked) -> Answer | Pieces:
        """GET /runs/{run_id}/events: what has happened and what happens, until the run has ended."""
        query = requests.read_query(asked.query, requests.EventsQuery)
        after = _last_event(asked.headers, query.after)
        run_id = _run_id(asked)
        summary = await self._runs.summary(run_id)
        feed = await self._runs.events(run_id, after=after)
        return await stream_of(feed, self._following, is_over=summary.status != "running")

    # --- blobs ------------------------------------------------------------------------------------

    async def store_blob(self, asked: Asked) -> Answer:
        """POST /blobs: a JSON value, or bytes, which are never in memory as a whole."""
        if asked.file is not None:
            filename = _file_name(asked.headers)
            info = await self._runs.put_bytes(_source(asked.file), filename=filename)
            return answer_json(200, answers.BlobStored(blob_id=info.blob_id, filename=info.filename or UNSET))
        body = requests.read_body(asked.body, requests.StoreBlob)
        filename = (body.filename or _file_name(asked.headers)) if body.blob_type == "data" else None
        blob_id = await self._runs.put_blob(body.data, body.blob_type, filename=filename)
        return answer_json(200, answers.BlobStored(blob_id=blob_id, filename=filename or UNSET))

    async def get_blob(self, asked: Asked) -> Answer | Pieces:
        """GET /blobs/{blob_id}: bytes where they are preferred, and where the blob has no JSON."""
        blob_id = asked.values["blob_id"]
        tag = b'"%b"' % quote(blob_id).encode()
        head: list[tuple[bytes, bytes]] = []
        source = self._blob_pieces(blob_id, asked.headers.get(b"accept", b"*/*"), head)
        # Up to here it has opened the blob, which ends when the generator does.
        await anext(source)
        headers = ((b"etag", tag), (b"vary", b"accept"), *head)
        if asked.headers.get(b"if-none-match") == tag:
            # What has this id never changes.
            await source.aclose()
            return Answer(304, b"", headers[:2])
        return Pieces(200, source, headers)

    async def _blob_pieces(self, blob_id: str, accept: bytes, head: list[tuple[bytes, bytes]]) -> AsyncGenerator[bytes]:
        """Yields nothing first, when `head` has the headers of the answer; then its bytes."""
        async with self._runs.open_bytes(blob_id) as reader:
            info = reader.info
            as_bytes = _prefers_bytes(accept, is_binary=info.blob_type == "binary")
            if as_bytes is None:
                raise BadRequest(406, "a binary blob has no JSON: accept application/octet-stream")
            before, behind = b"", b""
            if not as_bytes:
                rest: dict[str, Json] = {"blobType": info.blob_type, "blobId": info.blob_id}
                if info.filename is not None:
                    rest["filename"] = info.filename
                # Around the text of the value as it is kept: whoever asks gets the digits that were put.
                before, behind = b'{"data":', b"," + msgspec.json.encode(rest)[1:]
            size = len(before) + info.size + len(behind)
            head += [(b"content-type", BYTES_TYPE if as_bytes else JSON_TYPE), (b"content-length", b"%d" % size)]
            head += [(b"x-content-type-options", b"nosniff")] if as_bytes else []
            head += [] if info.filename is None else [(b"x-blob-filename", quote(info.filename).encode())]
            yield b""
            yield before
            async for piece in reader:
                yield piece
            yield behind


async def _with_items(told: Json, name: str, pages: AsyncGenerator[Sequence[ItemResult]]) -> Answer | Pieces:
    """An object that also has the items of the pages as a member: in pieces, where there is more than one page."""
    page = await _next(pages)
    head = b'%b,"%b":' % (msgspec.json.encode(told)[:-1], name.encode())
    following = await _next(pages)
    if not following:
        await pages.aclose()
        return Answer(200, b"%b%b}" % (head, msgspec.json.encode(page)), _AS_JSON)

    async def pieces() -> AsyncGenerator[bytes]:
        async with aclosing(pages):
            yield head + msgspec.json.encode(page)[:-1]
            yield b"," + msgspec.json.encode(following)[1:-1]
            async for more in pages:
                yield b"," + msgspec.json.encode(more)[1:-1]
            yield b"]}"

    return Pieces(200, pieces(), _AS_JSON)


async def _next(pages: AsyncGenerator[Sequence[ItemResult]]) -> Sequence[ItemResult]:
    """The next page, an empty one at the end. (With an empty tuple as its default, `anext` fails in Python 3.11.)"""
    try:
        return await anext(pages)
    except StopAsyncIteration:
        return ()


class _Awaited(Later[Answer]):
    """The answer to whoever waits for the end of a run: dialect 0.9, where it has the result of a run of one item."""

    __slots__ = ("_ending", "_following")

    def __init__(self, ending: Ending, following: Following) -> None:
        self._ending = ending
        self._following = following
        following.add(ending)

    def tell(self, listener: Callable[[], None] | None) -> None:
        """See Later."""
        self._ending.tell(listener)

    def withdraw(self) -> bool:
        """See Later."""
        self._following.discard(self._ending)
        return self._ending.withdraw()

    def result(self) -> Answer:
        """See Later."""
        self._following.discard(self._ending)
        return self._told(self._ending.result())

    def __await__(self) -> Generator[Any, Any, Answer]:
        try:
            ended = yield from self._ending.__await__()
        finally:
            self._following.discard(self._ending)
        return self._told(ended)

    @staticmethod
    def _told(ended: Ended) -> Answer:
        if ended.status == "running":
            raise _stopping(ended.run_id)
        result: FlowResult | UnsetType = UNSET
        if ended.items == 1:
            assert ended.results is not None
            result = ended.results[0].result
        told = answers.RunEnded(run_id=ended.run_id, item_count=ended.items, result=result, status=ended.status)
        return answer_json(200, told)


def _stopping(run_id: str) -> BadRequest:
    return BadRequest(503, f"the server is shutting down; the run {run_id} goes on when it is back")


def _run_id(asked: Asked) -> str:
    return requests.run_id(asked.values["run_id"])


def _faults_of(tree: Json) -> tuple[str, ...]:
    """All that keeps a JSON value from being a flow, one line each."""
    _, wrong = documents.read_flow(tree)
    return tuple(f"{faults.show(fault.at) or '$'}: {fault.what}; {fault.fix}" for fault in wrong)


_DIGITS: Final = re.compile(rb"[0-9]{1,10}")


def _last_event(headers: Mapping[bytes, bytes], after: int) -> int:
    last = headers.get(b"last-event-id")
    if last is None:
        return after
    if _DIGITS.fullmatch(last) is None:
        raise BadRequest(400, "last-event-id: expected the id of an event, a whole number")
    return int(last)


def _file_name(headers: Mapping[bytes, bytes]) -> str | None:
    name = headers.get(b"x-blob-filename")
    if name is None:
        return None
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise BadRequest(400, "x-blob-filename: expected UTF-8") from None


def _source(file: IO[bytes]) -> bytes | AsyncGenerator[bytes]:
    """What was uploaded: as a whole where it is small."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return file.read() if size <= PIECE_BYTES else _file_pieces(file)


async def _file_pieces(file: IO[bytes]) -> AsyncGenerator[bytes]:
    # From the system's cache, where the server has just put it.
    while piece := file.read(PIECE_BYTES):
        await trio.lowlevel.checkpoint()
        yield piece


_RANGE: Final = re.compile(rb"\s*([^;,\s]+)\s*((?:;[^,]*)?)")
_QUALITY: Final = re.compile(rb";\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)")


def _prefers_bytes(accept: bytes, *, is_binary: bool) -> bool | None:
    """Whether bytes are wanted rather than JSON; None where only JSON is and there is none (RFC 9110, 12.5.1)."""
    weights: dict[bytes, float] = {}
    for kind, parameters in _RANGE.findall(accept.lower()):
        quality = _QUALITY.search(parameters)
        weights[kind] = float(quality[1]) if quality else 1.0

    def weight(kind: bytes) -> float:
        family = kind.partition(b"/")[0] + b"/*"
        return weights.get(kind, weights.get(family, weights.get(b"*/*", 0.0)))

    for_bytes, for_json = weight(BYTES_TYPE), weight(JSON_TYPE)
    if is_binary:
        return True if for_bytes or not for_json else None
    return for_bytes > for_json


def answer_for(refused: Exception) -> Answer | None:
    """The answer for what was raised; None for what nobody expects."""
    match refused:
        case BadRequest():
            headers = ((b"retry-after", b"1"),) if refused.status == 503 else ()
            return error(refused.status, refused.message, refused.reasons, headers)
        case NotFound():
            return error(404, str(refused))
        case Conflict():
            return error(409, str(refused))
        case TooLarge():
            return error(413, str(refused))
        case Invalid():
            return error(400, str(refused), tuple(it.formatted for it in refused.diagnostics))
        case Busy():
            return error(503, str(refused), (), ((b"retry-after", b"%d" % max(1, round(refused.retry_seconds))),))
        case Unavailable():
            return error(503, str(refused), (), ((b"retry-after", b"1"),))
        case Refused():
            return error(500, str(refused))
        case _:
            return None
