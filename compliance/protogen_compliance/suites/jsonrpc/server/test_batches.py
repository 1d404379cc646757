"""Batches."""

from __future__ import annotations

import time

import pytest

from protogen_compliance.peer.link import Answer
from protogen_compliance.peer.rpc import MISSING, Json
from protogen_compliance.plugin import Record, Unmet
from protogen_compliance.registry import clause, needs, profile
from protogen_compliance.suites.jsonrpc.server.endpoint import METHOD_NOT_FOUND, NO_SUCH_METHOD, Endpoint, Known

BATCH = profile("batch")
PARSE_ERROR, INVALID_REQUEST = -32700, -32600


def listed(answer: Answer, what: str) -> list[Json]:
    """The responses of a batch; raises Unmet where it was not answered by an array."""
    if not isinstance(answer.value, list):
        raise Unmet(("JR-BATCH-002",), f"{what} was answered with {answer.summary()}; expected an array")
    return answer.value


def note(method: str = NO_SUCH_METHOD) -> Json:
    """A notification."""
    return {"jsonrpc": "2.0", "method": method}


@BATCH
@clause("JR-BATCH-002")
def test_batch_is_answered_by_an_array(endpoint: Endpoint) -> None:
    answer = endpoint.send([endpoint.message(NO_SUCH_METHOD), endpoint.message("rpc.discover", {})])
    assert isinstance(answer.value, list), f"a batch of two requests was answered with {answer.summary()}"


@BATCH
@clause("JR-BATCH-003")
def test_each_request_has_a_response(endpoint: Endpoint) -> None:
    batch = [endpoint.message(NO_SUCH_METHOD) for _ in range(10)]
    found = [str(it.get("id")) for it in listed(endpoint.send(batch), "a batch of ten") if isinstance(it, dict)]
    assert sorted(found) == sorted(str(it["id"]) for it in batch), f"ten requests were answered with the ids {found}"


@BATCH
@clause("JR-NOTIF-002", "JR-BATCH-004")
def test_notifications_in_a_batch(endpoint: Endpoint) -> None:
    batch = [endpoint.message(NO_SUCH_METHOD), note(), endpoint.message(NO_SUCH_METHOD), note()]
    batch.append(endpoint.message(NO_SUCH_METHOD))
    found = listed(endpoint.send(batch), "a batch with notifications")
    assert len(found) == 3, f"three requests and two notifications led to {len(found)} responses"


@BATCH
@clause("JR-BATCH-005")
def test_members_at_the_same_time(endpoint: Endpoint, known_or_none: Known | None, record: Record) -> None:
    start = time.monotonic()
    member = known_or_none or Known(NO_SUCH_METHOD, MISSING)
    endpoint.send([endpoint.message(member.method, member.params) for _ in range(10)])
    record.note(f"a batch of ten took {time.monotonic() - start:.3f} s")


@BATCH
@clause("JR-BATCH-006")
@needs("JR-BATCH-003")
def test_responses_in_any_order(endpoint: Endpoint, record: Record) -> None:
    batch = [endpoint.message(NO_SUCH_METHOD) for _ in range(5)]
    found = [it.get("id") for it in listed(endpoint.send(batch), "a batch")]
    same = found == [it["id"] for it in batch]
    record.note(f"responses of a batch come {'in the order of the requests' if same else 'in another order'}")


@BATCH
@clause("JR-BATCH-008")
@needs("JR-ERR-008")
def test_text_that_begins_like_a_batch(endpoint: Endpoint) -> None:
    answer = endpoint.send(b'[{"jsonrpc": "2.0", "method": "a", "id": 1}, {"jsonrpc": "2.0", "method"]')
    assert isinstance(answer.value, dict), f"expected one response, got {answer.summary()}"
    assert answer.code == PARSE_ERROR, f"expected -32700, got {answer.summary()}"


@BATCH
@clause("JR-BATCH-009")
def test_empty_batch(endpoint: Endpoint) -> None:
    answer = endpoint.send([])
    assert isinstance(answer.value, dict), f"expected one response, got {answer.summary()}"
    assert answer.code == INVALID_REQUEST, f"expected -32600, got {answer.summary()}"
    assert answer.member("id") is None, f"the id is {answer.member('id')!r}; expected null"


@BATCH
@clause("JR-BATCH-010")
@pytest.mark.parametrize("members", [[1], [1, 2, 3]], ids=repr)
def test_members_that_are_no_requests(endpoint: Endpoint, members: list[int]) -> None:
    answer = endpoint.send(members)
    found = answer.value
    assert isinstance(found, list), f"{members} was answered with {answer.summary()}; expected an array"
    told = [(it.get("error", {}).get("code"), it.get("id", MISSING)) for it in found]
    assert told == [(INVALID_REQUEST, None)] * len(members), f"{members} was answered with {told}"


@BATCH
@clause("JR-BATCH-011")
@needs("JR-BATCH-010", "JR-ERR-010")
def test_members_that_are_good_are_processed(endpoint: Endpoint) -> None:
    good = endpoint.message(NO_SUCH_METHOD)
    found = listed(endpoint.send([1, good, {"foo": "boo"}]), "a batch with bad members")
    told = sorted((it.get("error", {}).get("code"), str(it.get("id"))) for it in found)
    expected = sorted([(INVALID_REQUEST, "None"), (METHOD_NOT_FOUND, str(good["id"])), (INVALID_REQUEST, "None")])
    assert told == expected, f"a batch of a number, a request and an object was answered with {told}"


@BATCH
@clause("JR-BATCH-012")
@needs("JR-NOTIF-002")
def test_batch_of_notifications_is_silent(endpoint: Endpoint) -> None:
    answer = endpoint.send([note(), note()], patience=2.0)
    assert answer.value is MISSING, f"a batch of notifications was answered with {answer.summary()}"


@BATCH
@clause("JR-BATCH-013")
@needs("JR-BATCH-003")
def test_request_in_a_batch_is_as_alone(endpoint: Endpoint, known_or_none: Known | None) -> None:
    members = [Known(NO_SUCH_METHOD, MISSING), Known("rpc.nope", MISSING)]
    members += [known_or_none] if known_or_none is not None else []
    alone = [_told(endpoint.call(it.method, it.params).value) for it in members]
    batch = [endpoint.message(it.method, it.params) for it in members]
    found = {it.get("id"): it for it in listed(endpoint.send(batch), "a batch")}
    together = [_told(found.get(it["id"])) for it in batch]
    assert [it[0] for it in alone] == [it[0] for it in together], f"alone {alone}, in a batch {together}"


def _told(response: Json) -> tuple[Json, Json]:
    """The code of a response, and its result."""
    if not isinstance(response, dict):
        return "no response", None
    error = response.get("error")
    return (error.get("code") if isinstance(error, dict) else "result"), response.get("result")
