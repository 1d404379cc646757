"""What requests say: queries and bodies, read strictly. Whatever cannot be taken is told with its place.

The members of both dialects are known in either; what neither knows is refused, so that no slip passes for a choice.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cache
from types import UnionType
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta

from protogen_runtime.stepflow.flow import canonical
from protogen_runtime.stepflow.plugins.contract import Json, is_object
from protogen_runtime.stepflow.runs.blobs import MAX_FILENAME_CHARACTERS

from .exchange import BadRequest

MAX_QUERY_MEMBERS: Final = 32
"""More than any operation has: a longer query is none of ours."""

MAX_TIMEOUT_SECONDS: Final = 86_400
"""How long a request may ask to wait: a day; whoever wants more asks again."""

MAX_PAGE: Final = 1000
"""Runs in one answer."""

MAX_INDEX: Final = 2**31 - 1

RunIdText = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
FlowIdText = Annotated[str, Meta(description="64 lower-case hexadecimal digits.")]
Status = Literal["running", "completed", "failed", "cancelled", "paused", "recoveryFailed"]
Count = Annotated[int, Meta(ge=0, le=MAX_INDEX)]
Seconds = Annotated[int, Meta(ge=0, le=MAX_TIMEOUT_SECONDS)]


class _Members(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Members in camel case; null is the same as leaving one out."""


class NoQuery(_Members, frozen=True, kw_only=True):
    """No members."""


class HealthQuery(_Members, frozen=True, kw_only=True):
    """`error`: answer with an error of this kind, to see what errors look like."""

    error: Annotated[str, Meta(description="bad_request, not_found, internal or stack")] | None = None


class ComponentsQuery(_Members, frozen=True, kw_only=True):
    """`includeSchemas` false leaves the schemas out."""

    include_schemas: bool = True


class RunQuery(_Members, frozen=True, kw_only=True):
    """`wait`: answer when the run has ended, or after `timeoutSecs`."""

    wait: bool = False
    timeout_secs: Seconds = 300


class RunsQuery(_Members, frozen=True, kw_only=True):
    """Which runs: those that meet every condition."""

    status: Status | None = None
    flow_name: str | None = None
    root_run_id: RunIdText | None = None
    parent_run_id: RunIdText | None = None
    roots_only: bool = False
    max_depth: Count | None = None
    limit: Annotated[int, Meta(ge=0, le=MAX_PAGE)] | None = None
    offset: Count = 0


class ItemsQuery(_Members, frozen=True, kw_only=True):
    """Which items, and in which order."""

    result_order: Literal["by_index", "by_completion"] = "by_index"
    limit: Count | None = None
    offset: Count = 0


class StepsQuery(_Members, frozen=True, kw_only=True):
    """`itemIndex`: whose steps."""

    item_index: Count = 0


class EventsQuery(_Members, frozen=True, kw_only=True):
    """`after`: the last event that is known; the header Last-Event-ID goes before it."""

    after: Count = 0


class StoreFlow(_Members, frozen=True, kw_only=True):
    """`flow`: a flow document; `dryRun`: only tell what is to be said of it."""

    flow: Annotated[Json, Meta(extra_json_schema={"$ref": "#/components/schemas/Flow"})]
    dry_run: bool = False


class CreateRun(_Members, frozen=True, kw_only=True):
    """`input` has one value for each item of the run. `wait`: true by default in dialect 0.9, false in 0.11."""

    flow_id: FlowIdText
    input: list[Json]
    overrides: dict[str, Json] | None = None
    variables: dict[str, Json] = {}
    max_concurrency: Annotated[int, Meta(ge=1, le=MAX_INDEX)] | None = None
    wait: bool | None = None
    timeout_secs: Seconds | None = None


class StoreBlob(_Members, frozen=True, kw_only=True):
    """`data` is any JSON value."""

    data: Json
    blob_type: Literal["data", "flow"] = "data"
    filename: Annotated[str, Meta(min_length=1, max_length=MAX_FILENAME_CHARACTERS)] | None = None


T = TypeVar("T", bound=msgspec.Struct)

_RUN_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_INTEGER: Final = re.compile(r"-?[0-9]{1,18}")


def run_id(text: str, name: str = "run_id") -> str:
    """The id of a run as it is written. Errors: BadRequest."""
    if _RUN_ID.fullmatch(text) is None:
        raise BadRequest(400, f"{name}: expected a UUID, got {_short(text)}")
    return text.lower()


def read_query(query: bytes, kind: type[T]) -> T:
    """The members of a query string. Errors: BadRequest (400)."""
    if not query:
        return kind()
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=MAX_QUERY_MEMBERS,
        )
    except ValueError:
        raise BadRequest(400, "query: expected NAME=VALUE&…, percent-encoded UTF-8") from None
    fields = _kinds(kind)
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name not in fields:
            raise BadRequest(400, f"query: {_unknown(name, list(fields))}")
        if name in members:
            raise BadRequest(400, f"query: {name} is given twice; give it once")
        members[name] = _from_text(name, value, fields[name])
    try:
        return msgspec.convert(members, kind)
    except msgspec.ValidationError as reason:
        raise BadRequest(400, f"query: {reason}") from None


def _from_text(name: str, text: str, kinds: frozenset[Any]) -> str | int | bool:
    if bool in kinds:
        if text not in ("true", "false"):
            raise BadRequest(400, f"query: {name}: expected true or false, got {_short(text)}")
        return text == "true"
    if int in kinds:
        if _INTEGER.fullmatch(text) is None:
            raise BadRequest(400, f"query: {name}: expected a whole number, got {_short(text)}")
        return int(text)
    return run_id(text, f"query: {name}") if name.endswith("RunId") else text


@cache
def _kinds(kind: type[msgspec.Struct]) -> dict[str, frozenset[Any]]:
    """The members of a class, each with the classes that its values may have. Kept: reading annotations takes long."""
    return {field.encode_name: _plain_kinds(field.type) for field in msgspec.structs.fields(kind)}


def _plain_kinds(kind: Any) -> frozenset[Any]:
    """The classes that a type stands for, without what is said of them."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _plain_kinds(get_args(kind)[0])
    if origin in (Union, UnionType):
        return frozenset(plain for part in get_args(kind) for plain in _plain_kinds(part))
    return frozenset((kind,))


def read_body(body: bytes, kind: type[T]) -> T:
    """The members of a JSON body, numbers as the original reads them.

    Errors: BadRequest, 400 for what is no JSON and 422 for what is none of ours.
    """
    try:
        tree = canonical.read_value(body)
    except ValueError as reason:
        raise BadRequest(400, f"body: no JSON: {reason}") from None
    if not is_object(tree):
        raise BadRequest(422, f"body: expected an object, got {_kind(tree)}")
    known = _kinds(kind)
    for name in tree:
        if name not in known:
            raise BadRequest(422, f"body: {_unknown(name, list(known))}")
    # `data` of a blob may be null; of all others null says nothing.
    members = {name: value for name, value in tree.items() if value is not None or name == "data"}
    for name, value in members.items():
        if isinstance(value, float) and value.is_integer() and int in known[name]:
            # 2.0 and 2e0 are the integer 2, as JSON Schema reads them.
            members[name] = int(value)
    try:
        return msgspec.convert(members, kind)
    except msgspec.ValidationError as reason:
        raise BadRequest(422, f"body: {reason}") from None


def _unknown(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, 1)
    if near:
        return f"there is no member {_short(name)}; did you mean {near[0]}?"
    return f"there is no member {_short(name)}; known are {', '.join(known) or 'none'}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 64 else text[:64] + "…")


def _kind(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "a number"
