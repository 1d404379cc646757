"""The table of operations: method, path, what is taken, what is answered, and who does it. All else is made from it.

Served and described are one and the same: routes come from here, and so does the OpenAPI document.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec

from protogen_runtime.stepflow.plugins.contract import DialectName
from protogen_runtime.stepflow.runs.contract import RunEvent, RunSummary

from . import answers, requests
from .exchange import BYTES_TYPE, JSON_TYPE, Answer, Asked, BadRequest, ErrorAnswer, Pieces
from .handlers import Api

PREFIX: Final = "/api/v1"

MAX_IGNORED_BYTES: Final = 64 * 1024
"""A body where none is wanted: clients may send `{}`; it is read and not looked at."""

Serve: TypeAlias = Callable[[Api, Asked], Awaitable[Answer | Pieces]]

Takes: TypeAlias = Literal["nothing", "json", "json or bytes"]


class Events(msgspec.Struct, frozen=True):
    """Stands for a stream of events in the table."""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation. `answers`: what the body of each status is, None for no body; errors are `ErrorAnswer`.

    Paths are behind PREFIX; what stands between braces is one segment.
    """

    method: str
    path: str
    name: str
    tag: str
    summary: str
    serve: Serve
    query: type[msgspec.Struct] = requests.NoQuery
    body: type[msgspec.Struct] | None = None
    takes: Takes = "nothing"
    answers: Mapping[int, Any]

    @property
    def parameters(self) -> list[str]:
        """The names in the path."""
        return [part[1:-1] for part in self.path.split("/") if part[:1] == "{"]


class Admission(msgspec.Struct, frozen=True):
    """What may follow a head: a body of so many bytes (None: as the server allows), which goes to a file or not."""

    max_bytes: int | None
    to_file: bool = False


def admit(operation: Operation, headers: Mapping[bytes, bytes], *, max_blob_bytes: int) -> Admission:
    """Decide on the head of a request. Errors: BadRequest (415)."""
    if operation.takes == "nothing":
        return Admission(MAX_IGNORED_BYTES)
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise BadRequest(415, "compressed bodies are not taken")
    kind, _, parameters = headers.get(b"content-type", b"").lower().partition(b";")
    kind = kind.strip()
    if kind == JSON_TYPE and _is_utf8(parameters):
        return Admission(None)
    if operation.takes == "json or bytes":
        if kind == BYTES_TYPE:
            return Admission(max_blob_bytes, to_file=True)
        raise BadRequest(415, "content-type: expected application/json or application/octet-stream")
    raise BadRequest(415, "content-type: expected application/json in UTF-8")


def _is_utf8(parameters: bytes) -> bool:
    name, _, value = parameters.strip().partition(b"=")
    return name.strip() != b"charset" or value.strip(b' "') in (b"utf-8", b"utf8")


def operations(dialect: DialectName) -> list[Operation]:
    """The operations of a dialect; where only answers differ, both have them."""
    is_newer = dialect == "0.11"
    run = answers.RunListed if is_newer else RunSummary
    bad = {400: ErrorAnswer}
    missing = {404: ErrorAnswer}
    conflict = {409: ErrorAnswer}
    body = {400: ErrorAnswer, 413: ErrorAnswer, 415: ErrorAnswer, 422: ErrorAnswer}
    busy = {503: ErrorAnswer}
    return [
        Operation(
            method="GET",
            path="/health",
            name="health_check",
            tag="Health",
            summary="Tell that the runtime answers; with `error`, show what errors look like.",
            serve=Api.health,
            query=requests.HealthQuery,
            answers={200: answers.Health, **bad, **missing, 500: ErrorAnswer},
        ),
        Operation(
            method="GET",
            path="/components",
            name="list_components",
            tag="Component",
            summary="List the components of all plugins.",
            serve=Api.components,
            query=requests.ComponentsQuery,
            answers={200: answers.Components, **bad},
        ),
        Operation(
            method="POST",
            path="/flows",
            name="store_flow",
            tag="Flow",
            summary="Store a flow, or only check it; everything that is to be said of it comes back.",
            serve=Api.store_flow,
            body=requests.StoreFlow,
            takes="json",
            answers={200: answers.FlowStored, **body},
        ),
        Operation(
            method="GET",
            path="/flows/{flow_id}",
            name="get_flow",
            tag="Flow",
            summary="Show a flow in its stored form.",
            serve=Api.get_flow,
            answers={200: answers.FlowAnswer, **bad, **missing},
        ),
        Operation(
            method="DELETE",
            path="/flows/{flow_id}",
            name="delete_flow",
            tag="Flow",
            summary="Keep a flow no longer; runs that have ended still show theirs.",
            serve=Api.delete_flow,
            answers={204: None, **bad, **missing, **conflict},
        ),
        Operation(
            method="GET",
            path="/flows/{flow_id}/variables",
            name="get_flow_variables",
            tag="Flow",
            summary="Show the variables that a flow declares.",
            serve=Api.flow_variables,
            answers={200: answers.FlowVariables, **bad, **missing},
        ),
        Operation(
            method="POST",
            path="/runs",
            name="create_run",
            tag="Run",
            summary=(
                "Run a flow on each of the inputs; the answer comes at once, or after the end with `wait`."
                if is_newer
                else "Run a flow on each of the inputs; the answer comes after the end, or at once without `wait`."
            ),
            serve=Api.create_run,
            body=requests.CreateRun,
            takes="json",
            answers={
                **({200: answers.RunCreated, 202: answers.RunCreated} if is_newer else {200: answers.RunEnded}),
                **body,
                **missing,
                **busy,
            },
        ),
        Operation(
            method="GET",
            path="/runs",
            name="list_runs",
            tag="Run",
            summary="List runs, the newest first.",
            serve=Api.list_runs,
            query=requests.RunsQuery,
            answers={200: answers.RunsListed if is_newer else answers.Runs, **bad},
        ),
        Operation(
            method="GET",
            path="/runs/{run_id}",
            name="get_run",
            tag="Run",
            summary="Show a run and what it was given; with `wait`, after its end.",
            serve=Api.get_run,
            query=requests.RunQuery,
            answers={200: answers.RunDetailsListed if is_newer else answers.RunDetails, **bad, **missing, **busy},
        ),
        Operation(
            method="DELETE",
            path="/runs/{run_id}",
            name="delete_run",
            tag="Run",
            summary="Remove a run that has ended, and the runs that it started.",
            serve=Api.delete_run,
            answers={204: None, **bad, **missing, **conflict},
        ),
        Operation(
            method="POST",
            path="/runs/{run_id}/cancel",
            name="cancel_run",
            tag="Run",
            summary="End a run: its steps are abandoned, and so are the runs that it started.",
            serve=Api.cancel_run,
            answers={200: run, **bad, **missing, **conflict},
        ),
        Operation(
            method="GET",
            path="/runs/{run_id}/items",
            name="get_run_items",
            tag="Run",
            summary="List the items of a run with their results.",
            serve=Api.run_items,
            query=requests.ItemsQuery,
            answers={200: answers.Items, **bad, **missing},
        ),
        Operation(
            method="GET",
            path="/runs/{run_id}/steps",
            name="get_run_steps",
            tag="Run",
            summary="Show the steps of one item of a run.",
            serve=Api.run_steps,
            query=requests.StepsQuery,
            answers={200: answers.Steps, **bad, **missing},
        ),
        Operation(
            method="GET",
            path="/runs/{run_id}/flow",
            name="get_run_flow",
            tag="Run",
            summary="Show the flow of a run.",
            serve=Api.run_flow,
            answers={200: answers.RunFlow, **bad, **missing},
        ),
        Operation(
            method="GET",
            path="/runs/{run_id}/events",
            name="follow_run",
            tag="Run",
            summary="Follow a run as server-sent events, from its start or behind Last-Event-ID, until it has ended.",
            serve=Api.run_events,
            query=requests.EventsQuery,
            answers={200: Events, 204: None, **bad, **missing},
        ),
        Operation(
            method="POST",
            path="/blobs",
            name="store_blob",
            tag="Blob",
            summary="Keep a JSON value, or bytes; the same content has the same id.",
            serve=Api.store_blob,
            body=requests.StoreBlob,
            takes="json or bytes",
            answers={200: answers.BlobStored, **body},
        ),
        Operation(
            method="GET",
            path="/blobs/{blob_id}",
            name="get_blob",
            tag="Blob",
            summary="Get a value as JSON, or the bytes of any blob, as Accept says.",
            serve=Api.get_blob,
            answers={200: answers.BlobAnswer, 304: None, **missing, 406: ErrorAnswer},
        ),
    ]


EVENT: Final = RunEvent
"""What each event of a stream holds."""
