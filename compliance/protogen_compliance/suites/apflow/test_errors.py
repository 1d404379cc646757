"""Errors: each case has its code, a message for people and data for programs (06-interfaces.md, 08-errors.md)."""

from __future__ import annotations

import re

import pytest

from protogen_compliance.peer.rpc import MISSING, Json, Reply
from protogen_compliance.plugin import Record
from protogen_compliance.registry import clause, last, needs, profile, sums
from protogen_compliance.suites.apflow.node import INVALID, TIMES, Node, needs_task, new_id
from protogen_compliance.suites.apflow.scenes import Seen
from protogen_compliance.suites.apflow.test_envelope import control, each, request
from protogen_compliance.suites.apflow.test_fields import VALUES

BAD_TREE, BAD_PARENT, BAD_DEPENDENCY, CIRCLE = -32012, -32010, -32011, -32002
NOT_FOUND = -32001
BY_ID = ("get", "update", "delete", "cancel", "tree", "copy")
pytestmark = needs("AF-RPC-012")  # where codes are no integers, no test here can compare one

STANDARD = (-32700, -32600, -32601, -32602, -32603, *range(-32012, -32000))


def expect(reply: Reply, what: str, *codes: int) -> None:
    """The reply is an error with one of the codes."""
    right = " or ".join(map(str, codes))
    assert reply.code in codes, f"{what}: expected {right}, got {reply.summary()}"


@clause("AF-ERR-004")
def test_body_that_is_no_json(node: Node) -> None:
    control(node)
    for body in (b"{bad json", b"", b'{"jsonrpc":"2.0","id":1', b'{"jsonrpc":"2.0","id":"\xff\xfe"}', b"[1,"):
        expect(node.send(body), f"body {body!r}", -32700)


@clause("AF-ERR-005")
def test_json_that_is_no_request(node: Node) -> None:
    control(node)
    bodies: tuple[Json, ...] = ("x", 42, None, {}, True)
    for body in bodies:
        expect(node.send(body), f"body {body!r}", -32600)


@clause("AF-ERR-006")
def test_unknown_method(node: Node) -> None:
    control(node)
    for method in ("tasks.nope", "Tasks.get", "", "tasks.", "rpc.nope"):
        expect(node.call(method, {"task_id": new_id()}), f"method {method!r}", -32601)


@clause("AF-ERR-007")
def test_bad_method_parameters(node: Node, record: Record) -> None:
    node.get(node.create())
    for what, params in (("missing", {}), ("null", {"task_id": None}), ("a number", {"task_id": 5})):
        expect(node.call("tasks.get", params), f"task_id {what}", -32602)
    reply = node.call("tasks.get", {"task_id": "abc"})
    expect(reply, "task_id 'abc'", -32602, NOT_FOUND)
    if reply.code == NOT_FOUND:
        record.warn("an id that is no UUID gives -32001; expected -32602 (reading A49)")


@clause("AF-ERR-009")
@needs("AF-RPC-013", "AF-GET-002")
@needs("AF-ERR-008")
def test_task_not_found(node: Node) -> None:
    made = node.create()
    for name in BY_ID:
        fresh = new_id()
        params = {"task_id": fresh, **({"updates": {"name": "x"}} if name == "update" else {})}
        reply = node.call(f"tasks.{name}", params)
        if name == "copy" and reply.code == -32601:
            continue  # AF-COPY-001 tells
        expect(reply, f"tasks.{name} of an unknown id", NOT_FOUND)
    expect(node.call("tasks.children", {"parent_id": new_id()}), "children of an unknown id", NOT_FOUND, BAD_PARENT)
    node.get(made)


@clause("AF-ERR-010")
@needs("AF-ERR-021")
@needs("AF-DEP-002", "AF-DEP-003")
def test_circular_dependency(node: Node) -> None:
    a, b, c = (node.task(name, node.ok()) for name in "abc")
    node.execute(*(node.task(name, node.ok()) for name in "xyz"))
    two = node.flow({**a, "dependencies": [needs_task(b)]}, {**b, "dependencies": [needs_task(a)]})
    expect(node.call("tasks.execute", {"tasks": two}), "two tasks that depend on each other", CIRCLE)
    three = [needs_task(it) for it in (b, c, a)]
    circle = node.flow(*({**it, "dependencies": [to]} for it, to in zip((a, b, c), three, strict=True)))
    reply = node.call("tasks.execute", {"tasks": circle})
    expect(reply, "three tasks in a circle", CIRCLE)
    cycle = reply.data.get("cycle", MISSING) if isinstance(reply.data, dict) else MISSING
    assert isinstance(cycle, list), f"data.cycle is {cycle!r}; expected the ids, the first repeated at the end"
    assert cycle[:1] == cycle[-1:], f"data.cycle is {cycle!r}; expected the ids, the first repeated at the end"
    first, second = node.pair()
    closing = {"task_id": first, "updates": {"dependencies": [{"id": second}]}}
    reply = node.call("tasks.update", closing)
    if reply.error is not None:  # AF-DEP-004 tells where it is not
        expect(reply, "an update that closes a circle", CIRCLE)


@clause("AF-ERR-011")
@needs("AF-EXEC-008")
def test_executor_not_registered(node: Node, unknown_executor: Seen) -> None:
    reply = unknown_executor.replies["execute"]
    if reply.error is not None:
        expect(reply, "an unknown schemas.method", -32003)
    else:
        status = unknown_executor.end["stranger"].get("status")
        assert status == "failed", f"a task with an unknown schemas.method was accepted and is {status}"


@profile("auth")
@clause("AF-ERR-012")
def test_unauthorised(node: Node) -> None:
    node.ask("tasks.list", {"limit": 1})
    for what, header in (("no token", None), ("a wrong token", "Bearer kit-wrong")):
        reply = node.send(request(), headers={"authorization": header})
        expect(reply, what, -32004)
        reason = reply.data.get("reason") if isinstance(reply.data, dict) else None
        assert isinstance(reason, str), f"{what}: data.reason is {reason!r}"


@clause("AF-ERR-013")
@needs("AF-UPDATE-001")
@needs("AF-DATA-010", "AF-DATA-032")
def test_task_object_is_invalid(node: Node) -> None:
    node.execute(node.task("good", node.ok(), priority=3))
    expect(
        node.call("tasks.execute", {"tasks": [{**node.task("bad", node.ok()), "priority": 9}]}),
        "priority 9 in tasks[0]",
        *INVALID,
    )
    made = node.create()
    expect(
        node.call("tasks.update", {"task_id": made, "updates": {"origin_type": "bogus"}}),
        "origin_type 'bogus' in updates",
        *INVALID,
    )


@clause("AF-ERR-014")
@needs("AF-STATE-002")
def test_invalid_state_transition(node: Node) -> None:
    made = node.create()
    node.update(made, name="a good update")
    expect(
        node.call("tasks.update", {"task_id": made, "updates": {"status": "completed"}}),
        "pending to completed",
        -32006,
        *INVALID,
    )


@clause("AF-ERR-015")
@needs("AF-DEP-009", *TIMES)
def test_dependency_not_satisfied_is_recorded(node: Node, record: Record, failure: Seen) -> None:
    blocked = failure.sent["required"]
    alone = {**blocked, "parent_id": None}
    reply = node.call("tasks.execute", {"tasks": [alone]})
    record.note(f"executing a task alone whose required dependency failed: {reply.summary()} (reading A11)")
    assert reply.code != -32603, f"expected no server fault, got {reply.summary()}"
    still = node.get(blocked["id"])
    assert still.get("started_at") is None, "a task ran whose required dependency had failed"


@clause("AF-ERR-016")
@needs("AF-CONC-003")
def test_task_is_already_executing(node: Node, running: Seen) -> None:
    reply = node.call("tasks.execute", {"tasks": [running.sent["long"]]})
    expect(reply, "executing a task that is in progress", -32008)


@clause("AF-ERR-017")
@needs("AF-STORE-006", "AF-STORE-007", "AF-STORE-010")
def test_task_cannot_be_deleted(node: Node, running: Seen) -> None:
    parent = node.create()
    node.create(parent_id=parent)
    needed, _ = node.pair()
    done = node.task("done", node.ok())
    node.execute(done)
    node.settled(done)
    cases = {
        "a task with a child": parent,
        "a task with a dependant": needed,
        "a completed task": done["id"],
        "a task in progress": running.sent["long"]["id"],
    }
    for what, task_id in cases.items():
        expect(node.call("tasks.delete", {"task_id": task_id}), f"deleting {what}", -32009)


@clause("AF-ERR-018")
@needs("AF-TREE-002")
def test_parent_is_unknown(node: Node, record: Record) -> None:
    node.create(parent_id=node.create())
    reply = node.call("tasks.create", {"name": "kit", "user_id": node.user, "parent_id": new_id()})
    expect(reply, "an unknown parent_id", BAD_PARENT, NOT_FOUND)
    if reply.code == NOT_FOUND:
        record.warn("an unknown parent_id gives -32001; expected -32010 (reading A59)")


@clause("AF-ERR-019")
@needs("AF-DEP-005")
@needs("AF-DEP-001", "AF-DEP-004")
def test_dependency_is_unknown(node: Node, record: Record) -> None:
    _, made = node.pair()
    dependencies = [{"id": new_id()}]
    created = node.call("tasks.create", {"name": "kit", "user_id": node.user, "dependencies": dependencies})
    updated = node.call("tasks.update", {"task_id": made, "updates": {"dependencies": dependencies}})
    for what, reply in (("create", created), ("update", updated)):
        expect(reply, f"an unknown dependency in tasks.{what}", BAD_DEPENDENCY, NOT_FOUND)
        if reply.code == NOT_FOUND:
            record.warn(f"an unknown dependency in tasks.{what} gives -32001; expected -32011 (reading A59)")


@clause("AF-ERR-020")
@needs("AF-TREE-001", "AF-TREE-003")
def test_tree_is_invalid(node: Node) -> None:
    a, b, c = (node.task(name, node.ok()) for name in "abc")
    node.execute(node.task("a", node.ok()), node.task("b", node.ok()))
    expect(node.call("tasks.execute", {"tasks": [a, b]}), "two roots", BAD_TREE)
    circle = [{**a, "parent_id": b["id"]}, {**b, "parent_id": a["id"]}]
    expect(node.call("tasks.execute", {"tasks": circle}), "no root, parents in a circle", BAD_TREE)
    expect(node.call("tasks.execute", {"tasks": [c, *circle]}), "a circle of parents beside a root", BAD_TREE)


@clause("AF-ERR-023")
@needs("AF-ERR-007", "AF-ERR-009")
@sums("AF-ERR-00", "AF-ERR-01", "AF-ERR-020")
def test_cases_have_codes_of_their_own(node: Node) -> None:
    missing = node.call("tasks.get", {"task_id": new_id()})
    bad = node.call("tasks.get", {"task_id": 5})
    assert missing.code != bad.code, f"an unknown id and a bad one have the same code {bad.code!r}"


# --- every error of the run -----------------------------------------------------------------------


def some_errors(node: Node) -> list[Reply]:
    """All errors of the run, among them one of each common kind."""
    node.send(b"{")
    node.call("tasks.nope", {})
    node.call("tasks.get", {"task_id": new_id()})
    node.call("tasks.create", {"name": "", "user_id": node.user})
    return [reply for reply in node.observed.responses if reply.error is not None]


@last
@clause("AF-ERR-001")
@needs("AF-TRANS-001")
def test_errors_have_the_format_of_json_rpc(node: Node) -> None:
    some_errors(node)
    odd = [
        it.reply
        for it in node.observed.answers
        if it.reply.fault is None and it.reply.head.status >= 400 and it.reply.error is None
    ]
    each(node, odd, "an HTTP error without a JSON-RPC error in its body")
    strings = [it for it in node.observed.responses if "error" in it.value and not isinstance(it.value["error"], dict)]
    each(node, [it for it in strings if it.value["error"] is not None], "error is no object")


@last
@clause("AF-ERR-002")
def test_messages_say_something(node: Node) -> None:
    errors = some_errors(node)
    each(node, [it for it in errors if not (it.error or {}).get("message")], "the message is empty")


@last
@clause("AF-ERR-003")
@needs("AF-ERR-002")
def test_messages_are_for_people(node: Node) -> None:
    trace = re.compile(r"Traceback|\bat 0x|File \".*\", line \d|\.py:\d|goroutine|Exception in|\n\s+at ")
    errors = [(it, str((it.error or {}).get("message") or "words")) for it in some_errors(node)]
    each(node, [it for it, text in errors if trace.search(text) or not re.search(r"[^\W\d]{3}", text)], "the message")


@last
@clause("AF-ERR-008")
def test_no_bad_request_is_a_server_fault(node: Node) -> None:
    errors = some_errors(node)
    each(node, [it for it in errors if it.code == -32603], "-32603")


@last
@clause("AF-ERR-021")
@needs("AF-ERR-009")
@needs("AF-DATA-007")
def test_data_has_detail(node: Node) -> None:
    """Of what shape data is, AF-VAL-008 asks."""
    missing = node.call("tasks.get", {"task_id": new_id()})
    assert missing.data not in (MISSING, None), "the error of a task that is not found has no data"
    invalid = node.call("tasks.create", {"name": "", "user_id": node.user})
    assert invalid.data not in (MISSING, None), "the error of an invalid task has no data"


@last
@clause("AF-ERR-022")
def test_further_codes_are_recorded(node: Node, record: Record) -> None:
    codes = {reply.code for reply in some_errors(node) if isinstance(reply.code, int)}
    extra = sorted(code for code in codes if code not in STANDARD)
    inside = [code for code in extra if -32099 <= code <= -32000]
    record.note(f"codes beyond the table: {extra or 'none'}")
    assert not inside, f"codes of the node's own inside -32099..-32000: {inside}"


@pytest.fixture
def refusals(node: Node) -> list[Json]:
    """All refusals of the run; one is made here."""
    node.create()
    node.refused("an empty name", "tasks.create", {"name": "", "user_id": node.user}, field="name")
    return [it for it in node.observed.refusals if it.reply.error is not None]


@last
@clause("AF-VAL-002")
@needs("AF-ERR-010", "AF-ERR-011", "AF-ERR-014", "AF-ERR-016", "AF-ERR-017")
@needs(
    *VALUES,
    "AF-ERR-007",
    "AF-ERR-008",
    "AF-ERR-009",
    "AF-ERR-013",
    "AF-ERR-018",
    "AF-ERR-019",
    "AF-ERR-020",
    "AF-RPC-012",
)
def test_invalid_data_has_the_right_code(node: Node, refusals: list[Json]) -> None:
    wrong = [it for it in refusals if it.reply.code not in it.codes]
    if wrong:
        node.log[:] = [wrong[0].reply.exchange]
    told = [f"{it.what}: {it.reply.summary()}, expected {' or '.join(map(str, it.codes))}" for it in wrong[:5]]
    assert not wrong, f"{len(wrong)} of {len(refusals)} refusals have another code; {'; '.join(told)}"


def faults_of(data: Json) -> list[Json]:
    """The field errors in the data of a validation error."""
    if isinstance(data, dict) and isinstance(data.get("errors"), list):
        return list(data["errors"])
    return [data]


@last
@clause("AF-VAL-008")
@needs(*VALUES, "AF-ERR-021")
def test_validation_errors_are_structured(node: Node, refusals: list[Json]) -> None:
    def structured(fault: Json) -> bool:
        return isinstance(fault, dict) and all(isinstance(fault.get(key), str) for key in ("field", "reason"))

    checked = [it for it in refusals if it.field is not None and it.reply.code in INVALID]
    wrong = [it for it in checked if not all(map(structured, faults_of(it.reply.data)))]
    if wrong:
        node.log[:] = [wrong[0].reply.exchange]
    told = [f"{it.what}: data {it.reply.data!r}" for it in wrong[:3]]
    assert not wrong, f"{len(wrong)} of {len(checked)} validation errors lack field and reason; {'; '.join(told)}"


@last
@clause("AF-VAL-003")
@needs("AF-VAL-008", "AF-DATA-007", "AF-ERR-021")
def test_validation_errors_name_the_field(node: Node, refusals: list[Json]) -> None:
    checked = [it for it in refusals if it.field is not None and it.reply.code in INVALID]
    wrong = [it for it in checked if it.field not in repr(it.reply.data)]
    told = [f"{it.what}: data {it.reply.data!r}" for it in wrong[:3]]
    assert not wrong, f"{len(wrong)} of {len(checked)} validation errors do not name the field; {'; '.join(told)}"


@clause("AF-VAL-009")
@needs("AF-VAL-008", "AF-DATA-007", "AF-DATA-010", "AF-ERR-021")
def test_several_errors_are_reported_together(node: Node) -> None:
    params = {"name": "", "user_id": node.user, "priority": 9}
    reply = node.refused("an empty name and priority 9", "tasks.create", params)
    found = faults_of(reply.data)
    assert len(found) >= 2, f"two fields are wrong and data is {reply.data!r}; expected two entries in data.errors"
