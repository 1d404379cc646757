"""What requests say, read: whatever comes is taken or refused, and nothing else is raised."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protogen_runtime.stepflow.api import handlers, requests
from protogen_runtime.stepflow.api.exchange import BadRequest
from protogen_runtime.stepflow.api.operations import operations

QUICK = settings(max_examples=40, deadline=None, derandomize=True)
TABLE = operations("0.11")
QUERIES = sorted({it.query for it in TABLE}, key=lambda kind: kind.__name__)
BODIES = [it.body for it in TABLE if it.body is not None]
NAMES = sorted({name for kind in (*QUERIES, *BODIES) for name in kind.__struct_encode_fields__})


def written(value: Any) -> bytes:
    return json.dumps(value).encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def read(reader: Callable[[bytes, Any], Any], data: bytes, kind: Any) -> Any:
    """The class of what was read, or the status of the refusal."""
    try:
        return type(reader(data, kind))
    except BadRequest as refused:
        return refused.status


@QUICK
@given(query=st.binary(max_size=40) | st.from_regex(rb"([a-zA-Z]{1,9}=[%0-9a-zA-Z.-]{0,8}&?){0,4}", fullmatch=True))
@pytest.mark.parametrize("kind", QUERIES)
def test_any_query_is_taken_or_refused(kind: Any, query: bytes) -> None:
    assert read(requests.read_query, query, kind) in (kind, 400)


@QUICK
@given(body=st.binary(max_size=30) | st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4).map(written))
@pytest.mark.parametrize("kind", BODIES)
def test_any_body_is_taken_or_refused(kind: Any, body: bytes) -> None:
    assert read(requests.read_body, body, kind) in (kind, 400, 422)


@pytest.mark.parametrize(
    ("accept", "value", "binary"),
    [
        (b"*/*", False, True),
        (b"application/json", False, None),
        (b"application/octet-stream", True, True),
        (b"application/*", False, True),
        (b"APPLICATION/JSON;q=0.2, application/octet-stream;q=0.3", True, True),
        (b"application/json, */*;q=0.1", False, True),
        (b"application/octet-stream;q=0, application/json", False, None),
        (b"text/html", False, True),
        (b"", False, True),
    ],
)
def test_bytes_or_json_as_accept_says(accept: bytes, value: bool, binary: bool | None) -> None:
    assert handlers._prefers_bytes(accept, is_binary=False) is value
    assert handlers._prefers_bytes(accept, is_binary=True) is binary
