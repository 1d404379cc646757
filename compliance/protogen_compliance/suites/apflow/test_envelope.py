"""The envelope: requests and responses of JSON-RPC 2.0."""

from __future__ import annotations

import json

from protogen_compliance.peer.rpc import MISSING, Json, Reply
from protogen_compliance.plugin import Record, Unmet
from protogen_compliance.registry import clause, last, needs, sums
from protogen_compliance.suites.apflow.node import Node, method_blame, new_id

METHODS = ("create", "get", "update", "delete", "list", "execute", "cancel", "tree", "children")
INVALID_REQUEST = -32600


def request(**members: Json) -> dict[str, Json]:
    """A good request, with members replaced; those of MISSING are left out."""
    whole = {"jsonrpc": "2.0", "id": 1, "method": "tasks.list", "params": {"limit": 1}, **members}
    return {key: value for key, value in whole.items() if value is not MISSING}


def control(node: Node) -> None:
    """The good request is answered with a result: what is refused below is refused for its fault."""
    reply = node.send(request())
    if reply.result is MISSING:
        raise Unmet(method_blame("tasks.list"), f"a good request was answered with {reply.summary()}")


@clause("AF-RPC-002")
def test_jsonrpc_has_to_be_2_0(node: Node) -> None:
    control(node)
    for version in (MISSING, "1.0", 2.0, None):
        reply = node.send(request(jsonrpc=version))
        assert reply.error is not None, f"jsonrpc {version!r}: expected an error, got {reply.summary()}"


@clause("AF-RPC-003")
@needs("AF-ERR-005")
def test_method_has_to_be_a_string(node: Node) -> None:
    control(node)
    for method in (MISSING, 5, None, ["tasks.list"]):
        reply = node.send(request(method=method))
        assert reply.code == INVALID_REQUEST, f"method {method!r}: expected -32600, got {reply.summary()}"


@clause("AF-RPC-004")
@needs("AF-ERR-007", "AF-ERR-005")
def test_params_have_to_be_an_object(node: Node, record: Record) -> None:
    control(node)
    for params in ("x", 7, True):
        reply = node.send(request(params=params))
        assert reply.code in (INVALID_REQUEST, -32602), f"params {params!r}: got {reply.summary()}"
    reply = node.send(request(params=[1]))
    if reply.result is not MISSING:
        record.warn("params given by position were accepted (reading A3)")


@clause("AF-RPC-005")
@needs("AF-ERR-007")
def test_params_may_be_left_out(node: Node) -> None:
    control(node)
    reply = node.send(request(method="tasks.get", params=MISSING))
    assert reply.code in (INVALID_REQUEST, -32602), f"tasks.get without params: got {reply.summary()}"
    reply = node.send(request(params=MISSING))
    answered = reply.result is not MISSING or reply.code in (INVALID_REQUEST, -32602)
    assert answered, f"tasks.list without params: got {reply.summary()}"


@clause("AF-RPC-006")
def test_reply_has_the_id_of_its_request(node: Node, record: Record) -> None:
    for number in ("text", "", 0, -7, 2**53, "ü" * 200, "1"):
        reply = node.call("tasks.list", {"limit": 1}, id=number)
        assert _same(reply.member("id"), number), f"id {number!r} came back as {reply.member('id')!r}"
    reply = node.send(request(id=1.5))
    if reply.code == INVALID_REQUEST:
        record.warn("an id with a fraction is refused; JSON-RPC says only that clients should not send one")
    else:
        assert _same(reply.member("id"), 1.5), f"id 1.5 came back as {reply.member('id')!r}"
    reply = node.send(request(id=None))
    if isinstance(reply.value, dict):
        assert reply.member("id") is None, f"id null came back as {reply.member('id')!r}"


def _same(one: Json, other: Json) -> bool:
    if isinstance(one, bool) or isinstance(one, str) is not isinstance(other, str):
        return False
    return bool(one == other)


@clause("AF-RPC-007")
@needs("AF-ERR-005")
def test_id_has_to_be_a_string_a_number_or_null(node: Node) -> None:
    control(node)
    odd: tuple[Json, ...] = ({}, [], True, {"id": 1})
    for bad in odd:
        reply = node.send(request(id=bad))
        assert reply.code == INVALID_REQUEST, f"id {bad!r}: expected -32600, got {reply.summary()}"


@clause("AF-RPC-008")
def test_request_without_id_gets_no_result(node: Node) -> None:
    control(node)
    reply = node.send(request(id=MISSING))
    assert reply.fault is None, f"no answer at all: {reply.fault}"
    assert reply.result is MISSING, "a request without id was answered with a result"
    if reply.exchange.body.strip():
        assert reply.code == INVALID_REQUEST, f"expected an empty body or -32600, got {reply.summary()}"
    else:
        assert 200 <= reply.head.status < 300, f"expected any 2xx for a notification, got HTTP {reply.head.status}"


@clause("AF-RPC-010")
def test_parse_error_has_id_null(node: Node) -> None:
    control(node)
    reply = node.send(b'{"jsonrpc":"2.0","id":7,"method":')
    assert reply.error is not None, f"broken JSON: got {reply.summary()}"
    assert reply.member("id") is None, f"the id of a parse error is {reply.member('id')!r}; expected null"


@clause("AF-RPC-011")
@needs("AF-RPC-006")
@needs("AF-ERR-005", "AF-ERR-006", "AF-RPC-008")
def test_batch_gets_an_array(node: Node, record: Record) -> None:
    control(node)
    sent = [request(id="one"), request(id=2, method="tasks.nope"), request(id=MISSING)]
    reply = node.send(sent)
    assert reply.head.status < 500, f"a batch gave HTTP {reply.head.status}"
    if reply.code == INVALID_REQUEST and isinstance(reply.value, dict):
        record.warn("batches are refused with a single -32600 (reading A4)")
        return
    assert isinstance(reply.value, list), f"a batch was answered with {reply.summary()}"
    found = {json.dumps(item.get("id")): item for item in reply.value if isinstance(item, dict)}
    assert found.keys() == {'"one"', "2"}, f"expected replies for the ids 'one' and 2, got {reply.summary()}"
    good, bad = found['"one"'], found["2"]
    assert "result" in good, f"the good request of a batch got {good}"
    assert bad.get("error", {}).get("code") == -32601, f"the bad request of a batch got {bad}"
    empty = node.send([])
    assert empty.code == INVALID_REQUEST, f"an empty batch: expected -32600, got {empty.summary()}"
    odd = node.send([1])
    assert isinstance(odd.value, list), f"[1]: expected an array, got {odd.summary()}"
    assert [item.get("error", {}).get("code") for item in odd.value] == [INVALID_REQUEST], f"[1]: got {odd.summary()}"


@clause("AF-RPC-013")
def test_all_nine_methods_exist(node: Node) -> None:
    unknown = node.call("tasks.nope", {})
    assert unknown.result is MISSING, "tasks.nope has a result: any name seems to be a method here"
    missing = [name for name in METHODS if node.call(f"tasks.{name}", {}).code == -32601]
    assert not missing, f"-32601 for {', '.join(f'tasks.{name}' for name in missing)}"


def some_replies(node: Node) -> None:
    """A result and an error, so that whoever looks at all replies never looks at none."""
    node.call("tasks.list", {"limit": 1})
    node.call("tasks.get", {"task_id": new_id()})


def each(node: Node, replies: list[Reply], fault: str) -> None:
    """Shows the first reply that is at fault."""
    if replies:
        node.log[:] = [replies[0].exchange]
    assert not replies, f"{fault}: {len(replies)} replies of this run, the first is {replies[0].value!r}"


@last
@clause("AF-RPC-001")
@sums("AF-RPC-00", "AF-RPC-010", "AF-RPC-011", "AF-RPC-012")
def test_every_reply_of_the_run_is_a_response(node: Node) -> None:
    some_replies(node)
    each(node, [it for it in node.observed.responses if "id" not in it.value], "without id")
    allowed = {"jsonrpc", "id", "result", "error"}
    each(node, [it for it in node.observed.responses if it.value.keys() - allowed], "with further members")


@last
@clause("AF-RPC-002")
def test_every_reply_of_the_run_says_2_0(node: Node) -> None:
    some_replies(node)
    each(node, [it for it in node.observed.responses if it.member("jsonrpc") != "2.0"], "jsonrpc is not '2.0'")


@last
@clause("AF-RPC-006")
def test_every_reply_of_the_run_has_the_id_of_its_request(node: Node) -> None:
    some_replies(node)
    wrong = [
        it.reply
        for it in node.observed.answers
        if not it.streamed and isinstance(it.reply.value, dict) and not _same(it.reply.member("id"), it.id)
    ]
    each(node, wrong, "the id is not the request's")


@last
@clause("AF-RPC-009")
def test_every_reply_of_the_run_has_a_result_or_an_error(node: Node) -> None:
    some_replies(node)
    wrong = [it for it in node.observed.responses if ("result" in it.value) is ("error" in it.value)]
    each(node, wrong, "not exactly one of result and error")


@last
@clause("AF-RPC-012")
def test_every_error_of_the_run_has_an_integer_code_and_a_message(node: Node) -> None:
    some_replies(node)
    wrong = [it for it in node.observed.responses if "error" in it.value and not _well_formed(it.value["error"])]
    each(node, wrong, "code is no integer or message no string")


def _well_formed(error: Json) -> bool:
    if error is None:
        return True  # a reply with both members is another clause's matter
    whole = isinstance(error, dict) and isinstance(error.get("code"), int) and not isinstance(error.get("code"), bool)
    return whole and isinstance(error.get("message"), str)
