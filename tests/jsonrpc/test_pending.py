"""Our calls and the answers that come, in any order, twice, late or unasked."""

from __future__ import annotations

import pytest
from msgspec import Raw

from protogen_runtime.jsonrpc import BadAnswer, ErrorObject, Failure, Pending, PendingClosed, Success

ERROR = ErrorObject(code=1, message="no")


def success(request_id: str | int | None) -> Success:
    return Success(id=request_id, result=Raw(b"1"))


def test_answers_meet_their_calls_in_any_order() -> None:
    pending: Pending[list[str]] = Pending()
    tickets = [["a"], ["b"], ["c"]]
    pending.add(1, tickets[0])
    pending.add("1", tickets[1])
    pending.add(10**30, tickets[2])
    assert pending.take(success(10**30)) is tickets[2]
    assert pending.take(Failure(id="1", error=ERROR)) is tickets[1]
    assert pending.take(BadAnswer(id=1, reason="both")) is tickets[0]
    assert len(pending) == 0


@pytest.mark.parametrize("answer", [success(2), success("1"), success(None), Failure(id=None, error=ERROR)])
def test_unasked_answer_is_unknown(answer: Success | Failure) -> None:
    pending: Pending[list[str]] = Pending()
    pending.add(1, ["a"])
    assert pending.take(answer) == "unknown"
    assert len(pending) == 1


def test_second_answer_is_unknown() -> None:
    pending: Pending[list[str]] = Pending()
    pending.add(1, ["a"])
    assert pending.take(success(1)) == ["a"]
    assert pending.take(success(1)) == "unknown"


def test_answer_to_an_abandoned_call_is_late_once() -> None:
    pending: Pending[list[str]] = Pending()
    pending.add(1, ["a"])
    assert pending.abandon(1)
    assert not pending.abandon(1)
    assert pending.take(success(1)) == "late"
    assert pending.take(success(1)) == "unknown"


def test_abandoned_id_can_be_used_again() -> None:
    pending: Pending[list[str]] = Pending()
    pending.add(1, ["a"])
    pending.abandon(1)
    pending.add(1, ["b"])
    assert pending.take(success(1)) == ["b"]


def test_memory_of_abandoned_calls_is_bounded() -> None:
    pending: Pending[list[str]] = Pending()
    for number in range(5000):
        pending.add(number, ["x"])
        pending.abandon(number)
    assert pending.take(success(0)) == "unknown"
    assert pending.take(success(4999)) == "late"


def test_id_under_way_is_refused() -> None:
    pending: Pending[list[str]] = Pending()
    pending.add("x", ["a"])
    with pytest.raises(ValueError, match="id 'x' is under way already"):
        pending.add("x", ["b"])


def test_close_hands_back_what_will_never_be_answered() -> None:
    pending: Pending[list[str]] = Pending()
    pending.add(1, ["a"])
    pending.add(2, ["b"])
    pending.take(success(1))
    assert pending.close() == [["b"]]
    assert pending.take(success(2)) == "unknown"
    with pytest.raises(PendingClosed):
        pending.add(3, ["c"])
