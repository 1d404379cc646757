"""Runs that a worker starts and asks for while it executes: runs/submit and runs/get."""

from __future__ import annotations

import datetime as dt
import json
import re
import threading
import uuid
from collections.abc import Callable
from typing import NamedTuple

import pytest

from protogen.resources import data_root
from protogen_compliance.peer.rpc import MISSING, Json
from protogen_compliance.peer.server import Asked
from protogen_compliance.plugin import Record, Unmet
from protogen_compliance.registry import clause, last, needs, profile
from protogen_compliance.suites.stepflow.runtime.callbacks import INVALID_PARAMS, code, result, submit
from protogen_compliance.suites.stepflow.runtime.stage import Conversation, Runtime, Stage, flow_of, success

pytestmark = [profile("runs"), needs("SF-METH-004")]

STATUSES = ("running", "completed", "failed", "cancelled", "paused", "recoveryFailed")
COUNTS = ("total", "completed", "running", "failed", "cancelled")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
BAD = "bad"
"""The input that the kit's component refuses."""
HELD_SECONDS = 3.0
"""How long an item is held for something that may never come."""

NO_FLOW = {"S1": (-32011, -32008, -32012), "S2": (-32000, -32005, -32011, -32012, -32201)}
NO_RUN = {"S1": (-32000, -32012), "S2": (-32000, -32005, -32012, -32201)}
NO_UUID = {"S1": (-32012, -32011, -32602), "S2": (-32004, -32005, -32011, -32012, -32602)}
"""By dialect, the codes that are right; where the documents and the released runtimes differ, each is."""


def read(name: Json, **more: Json) -> dict[str, Json]:
    """A callback that asks for a run."""
    return {"method": "runs/get", "params": {"runId": name, **more}}


def picky(asked: Asked) -> None:
    """A component that gives its input back, and refuses what is BAD."""
    value = asked.value["params"]["input"]
    if value == BAD:
        asked.respond({"jsonrpc": "2.0", "id": asked.id, "error": {"code": -32004, "message": "kit says no"}})
    else:
        asked.respond(success(asked, value))


def stored(runtime: Runtime, component: Callable[[Asked], None] = picky) -> str:
    """The id of a flow of one step, as a setup."""
    return runtime.store(flow_of(runtime.stage.add(component)))


def told(answer: Json) -> dict[str, Json]:
    """The run status of an answer, as a setup; raises Unmet."""
    found = result(answer)
    if not isinstance(found, dict):
        raise Unmet(("SF-RUN-001", "SF-METH-004"), f"expected a run status, got {shown(answer)}")
    return found


def name_of(status: dict[str, Json]) -> str:
    """The id of a run, as a setup; raises Unmet."""
    name = status.get("runId")
    if not isinstance(name, str):
        raise Unmet(("SF-RUN-001",), f"the run has the id {name!r}: {shown(status)}")
    return name


def items_of(status: dict[str, Json]) -> list[dict[str, Json]]:
    """The results of a run, as a setup; raises Unmet."""
    found = status.get("results")
    if not isinstance(found, list) or not all(isinstance(it, dict) for it in found):
        raise Unmet(("SF-RUN-002",), f"expected results, got {shown(status)}")
    return found


def outcomes(status: dict[str, Json]) -> list[Json]:
    """What became of each item in the order of their indexes: its result, or MISSING where it failed."""
    items = sorted(items_of(status), key=lambda it: str(it.get("itemIndex")))
    found = [it.get("result") for it in items]
    good = [it if isinstance(it, dict) and it.get("outcome") == "success" else {} for it in found]
    return [it.get("result", MISSING) for it in good]


def shown(value: Json) -> str:
    """A value in a message."""
    return "no answer" if value is None else json.dumps(value, default=repr)[:300]


def finished(runtime: Runtime, inputs: list[Json], *, flow: str = "", **more: Json) -> dict[str, Json]:
    """The status of a run that was waited for."""
    asked = submit(runtime.stage, flow or stored(runtime), inputs, wait=True, **more)
    return told(runtime.talk(lambda talk: talk.ask(asked)))


class Crowd:
    """A component whose executions wait until so many are under way at once, or for some seconds; `most` were."""

    def __init__(self, until: int, seconds: float) -> None:
        self.most = 0
        self._until = until
        self._seconds = seconds
        self._now = 0
        self._changed = threading.Condition()

    def __call__(self, asked: Asked) -> None:
        """One execution."""
        with self._changed:
            self._now += 1
            self.most = max(self.most, self._now)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.most >= self._until, self._seconds)
            self._now -= 1
        asked.respond(success(asked, 1))


class Gate:
    """A component that holds the input `held` until it is opened, and gives its input back."""

    def __init__(self, held: Json = 0) -> None:
        self.ended: list[Json] = []
        self._held = held
        self._open = threading.Event()

    def open(self) -> None:
        """Lets go of what is held."""
        self._open.set()

    def __call__(self, asked: Asked) -> None:
        """One execution."""
        value = asked.value["params"]["input"]
        if value == self._held:
            self._open.wait(HELD_SECONDS * 3)
        self.ended.append(value)
        asked.respond(success(asked, value))


# --- runs/submit ----------------------------------------------------------------------------------


@clause("SF-RUN-001")
def test_submission_gives_a_run_status(runtime: Runtime) -> None:
    flow = stored(runtime)
    answer = runtime.talk(lambda talk: talk.ask(submit(runtime.stage, flow, [1, 2])))
    found = result(answer)
    assert isinstance(found, dict), f"runs/submit of two inputs gave {shown(answer)}"
    lacking = {"runId", "flowId", "status", "items", "createdAt"} - set(found)
    assert not lacking, f"a run status lacks {sorted(lacking)}: {shown(found)}"
    assert found["flowId"] == flow, f"the flow of the run is {found['flowId']!r}; expected {flow!r}"
    try:
        uuid.UUID(found["runId"])
    except (ValueError, AttributeError, TypeError):
        raise AssertionError(f"runId is {found['runId']!r}; expected a UUID") from None


@clause("SF-RUN-002")
@needs("SF-RUN-001")
def test_one_item_for_each_input(runtime: Runtime) -> None:
    inputs = ["a", {"b": 1}, None]
    found = finished(runtime, inputs)
    items = found.get("results")
    assert isinstance(items, list), f"a run that was waited for has no results: {shown(found)}"
    indexes = [it.get("itemIndex") if isinstance(it, dict) else it for it in items]
    assert sorted(indexes, key=str) == [0, 1, 2], f"three inputs gave the items {indexes}; expected 0, 1 and 2"
    if MISSING not in outcomes(found):  # a failure, or an outcome of another shape, is another clause's
        assert outcomes(found) == inputs, f"the inputs {inputs} gave {outcomes(found)}, each from its own index"


@clause("SF-RUN-003")
@needs("SF-RUN-001", "SF-RUN-005")
def test_submission_without_waiting(runtime: Runtime) -> None:
    gate = Gate()
    flow = stored(runtime, gate)

    def script(talk: Conversation) -> Json:
        try:
            return talk.ask(submit(runtime.stage, flow, [0]))
        finally:
            gate.open()

    answer = runtime.talk(script)
    assert answer is not None, "runs/submit without wait was not answered while its item was executed"
    status = told(answer)
    assert status.get("status") == "running", f"the status of a run that has just begun is {status.get('status')!r}"
    assert status.get("results") is None, f"a run that was not waited for has results: {shown(status)}"


@clause("SF-RUN-004")
@needs("SF-RUN-001", "SF-RUN-002", "SF-RUN-005")
def test_submission_that_waits(runtime: Runtime) -> None:
    gate = Gate(held=0)

    def component(asked: Asked) -> None:
        gate(asked)
        gate.open()  # the first item waits for the second one

    found = finished(runtime, [0, 1], flow=stored(runtime, component))
    assert sorted(gate.ended) == [0, 1], f"the answer came when the items {gate.ended} had ended; expected both"
    assert found.get("status") == "completed", f"a run that was waited for is {found.get('status')!r}"
    indexes = [it.get("itemIndex") for it in items_of(found)]
    assert indexes == [0, 1], f"the results have the order {indexes}"


@clause("SF-RUN-007")
@needs("SF-RUN-002", "SF-RUN-004", "SF-RUN-009")
def test_outcomes_of_items(runtime: Runtime) -> None:
    items = items_of(finished(runtime, ["good", BAD]))
    by_index = {it.get("itemIndex"): it.get("result") for it in items}
    good, bad = by_index.get(0), by_index.get(1)
    assert good == {"outcome": "success", "result": "good"}, f"an item that succeeded is {shown(good)}"
    assert isinstance(bad, dict), f"an item that failed is {shown(bad)}"
    assert bad.get("outcome") == "failed", f"the outcome of an item that failed is {shown(bad)}"
    error = bad.get("error")
    whole = isinstance(error, dict) and type(error.get("code")) is int and isinstance(error.get("message"), str)
    assert whole, f"the error of an item that failed is {shown(error)}; expected a code and a message"


@clause("SF-RUN-009")
@needs("SF-RUN-001")
def test_run_that_fails_is_a_successful_call(runtime: Runtime) -> None:
    flow = stored(runtime)
    answer = runtime.talk(lambda talk: talk.ask(submit(runtime.stage, flow, ["good", BAD], wait=True)))
    assert isinstance(result(answer), dict), f"a run with an item that failed gave {shown(answer)}"


@clause("SF-RUN-008")
@needs("SF-RUN-004", "SF-RUN-005", "SF-RUN-006", "SF-RUN-009")
def test_run_with_a_failed_item_is_failed(runtime: Runtime) -> None:
    good, bad = finished(runtime, ["good"]), finished(runtime, ["good", BAD])
    assert good.get("status") == "completed", f"a run whose item succeeded is {good.get('status')!r}"
    assert bad.get("status") == "failed", f"a run with an item that failed is {bad.get('status')!r}"
    counts = bad.get("items")
    there = isinstance(counts, dict) and (counts.get("completed"), counts.get("failed")) == (1, 1)
    assert there, f"of two items one failed, and the run counts {shown(counts)}"


@clause("SF-RUN-026")
@needs("SF-RUN-007", "SF-RUN-009")
def test_items_do_not_disturb_each_other(runtime: Runtime) -> None:
    found = outcomes(finished(runtime, ["a", BAD, "b"]))
    assert found == ["a", MISSING, "b"], f"of three items the second one failed, and they gave {found}"


@clause("SF-RUN-016")
def test_flow_that_is_not_stored(runtime: Runtime, dialect: str) -> None:
    flow = stored(runtime)
    answer, good = runtime.talk(
        lambda talk: (talk.ask(submit(runtime.stage, "0" * 64, [1])), talk.ask(submit(runtime.stage, flow, [1])))
    )
    told(good)
    assert code(answer) is not MISSING, f"a flow that is not stored gave {shown(answer)}; expected an error"
    assert code(answer) in NO_FLOW[dialect], f"a flow that is not stored gave the code {code(answer)}"


@clause("SF-RUN-025")
@needs("SF-RUN-004")
def test_run_of_a_worker_is_a_root(runtime: Runtime) -> None:
    name = name_of(finished(runtime, [1]))
    reply = runtime.ask("GET", f"/runs/{name}")
    root, parent = reply.member("rootRunId"), reply.member("parentRunId")
    if root is MISSING:
        pytest.skip("the API tells no rootRunId")
    assert root == name, "the API shows another run as the root of the one that a worker submitted"
    assert parent in (MISSING, None), "the API shows a parent of the run that a worker submitted"


# --- runs/get -------------------------------------------------------------------------------------


@clause("SF-RUN-011")
@needs("SF-RUN-001", "SF-RUN-004")
def test_status_can_be_asked_for(runtime: Runtime) -> None:
    flow = stored(runtime)

    def script(talk: Conversation) -> tuple[dict[str, Json], Json]:
        status = told(talk.ask(submit(runtime.stage, flow, [1], wait=True)))
        return status, talk.ask(read(name_of(status)))

    status, answer = runtime.talk(script)
    found = result(answer)
    assert isinstance(found, dict), f"runs/get gave {shown(answer)}"
    same = ("runId", "flowId", "status", "items")
    differ = [name for name in same if found.get(name) != status.get(name)]
    assert not differ, f"runs/get says {differ[0]} {shown(found.get(differ[0]))}; runs/submit said {shown(status)}"


@clause("SF-RUN-012")
@needs("SF-RUN-002", "SF-RUN-011")
def test_results_only_where_they_are_asked_for(runtime: Runtime) -> None:
    flow = stored(runtime)

    def script(talk: Conversation) -> list[Json]:
        name = name_of(told(talk.ask(submit(runtime.stage, flow, ["a"], wait=True))))
        return [talk.ask(read(name, **more)) for more in ({}, {"includeResults": False}, {"includeResults": True})]

    without, refused, asked_for = map(told, runtime.talk(script))
    for it in (without, refused):
        assert it.get("results") is None, f"runs/get without includeResults gave {shown(it)}"
    count = len(asked_for.get("results") or ())
    assert count == 1, f"runs/get with includeResults gave {shown(asked_for)}; expected one result"


@clause("SF-RUN-013")
@needs("SF-RUN-003", "SF-RUN-005", "SF-RUN-011")
def test_run_can_be_waited_for(runtime: Runtime) -> None:
    gate = Gate()
    flow = stored(runtime, gate)

    def script(talk: Conversation) -> Json:
        try:
            name = name_of(told(talk.ask(submit(runtime.stage, flow, [0]))))
            waiting = talk.begin(read(name, wait=True))
            # By the time this is answered, a runtime that does not wait has answered the other one, too.
            talk.begin(read(name)).answer(HELD_SECONDS)
        finally:
            gate.open()
        return waiting.answer()

    status = told(runtime.talk(script))
    assert status.get("status") == "completed", f"runs/get with wait told of a run that is {status.get('status')!r}"


@clause("SF-RUN-014")
@needs("SF-RUN-002", "SF-RUN-004", "SF-RUN-011")
def test_orders_of_results(runtime: Runtime) -> None:
    flow = stored(runtime)

    def script(talk: Conversation) -> list[Json]:
        name = name_of(told(talk.ask(submit(runtime.stage, flow, [0, 1], wait=True))))
        orders = ("by_index", "by_completion", "byIndex")
        return [talk.ask(read(name, includeResults=True, resultOrder=it)) for it in orders]

    by_index, by_completion, other = runtime.talk(script)
    for order, answer in (("by_index", by_index), ("by_completion", by_completion)):
        assert isinstance(result(answer), dict), f"resultOrder {order} gave {shown(answer)}"
    indexes = [it.get("itemIndex") for it in items_of(told(by_index))]
    assert indexes == [0, 1], f"resultOrder by_index gave the items {indexes}"
    assert code(other) == INVALID_PARAMS, f"resultOrder byIndex gave {shown(other)}; expected -32602"


@clause("SF-RUN-015")
@needs("SF-RUN-013", "SF-RUN-014")
def test_order_of_completion(runtime: Runtime) -> None:
    gate = Gate(held=0)
    flow = stored(runtime, gate)

    def script(talk: Conversation) -> Json:
        name = name_of(told(talk.ask(submit(runtime.stage, flow, [0, 1]))))
        until = dt.datetime.now() + dt.timedelta(seconds=HELD_SECONDS)
        try:
            while dt.datetime.now() < until:
                counts = told(talk.ask(read(name))).get("items")
                if isinstance(counts, dict) and counts.get("completed"):
                    break
                runtime.stage.server.wait(0.01)
        finally:
            gate.open()
        return talk.ask(read(name, wait=True, includeResults=True, resultOrder="by_completion"))

    indexes = [it.get("itemIndex") for it in items_of(told(runtime.talk(script)))]
    if gate.ended == [0, 1]:
        pytest.skip("the runtime executes one item after the other, so that both orders are the same")
    assert indexes == gate.ended, f"the items ended in the order {gate.ended}; by_completion gave {indexes}"


def asked_for(runtime: Runtime, name: str) -> Json:
    """The answer to runs/get of a name that no run has; one that there is was found at the same time."""
    flow = stored(runtime)

    def script(talk: Conversation) -> tuple[Json, Json]:
        there = name_of(told(talk.ask(submit(runtime.stage, flow, [1]))))
        return talk.ask(read(there)), talk.ask(read(name))

    good, answer = runtime.talk(script)
    told(good)
    return answer


@clause("SF-RUN-017")
@needs("SF-RUN-011")
def test_run_that_does_not_exist(runtime: Runtime, dialect: str) -> None:
    answer = asked_for(runtime, str(uuid.uuid4()))
    assert code(answer) is not MISSING, f"a run that does not exist gave {shown(answer)}; expected an error"
    assert code(answer) in NO_RUN[dialect], f"a run that does not exist gave the code {code(answer)}"


@clause("SF-RUN-018")
@needs("SF-RUN-011")
def test_run_id_that_is_no_uuid(runtime: Runtime, dialect: str) -> None:
    answer = asked_for(runtime, "nope")
    assert code(answer) is not MISSING, f'the run id "nope" gave {shown(answer)}; expected an error'
    assert code(answer) in NO_UUID[dialect], f'the run id "nope" gave the code {code(answer)}'


# --- params ---------------------------------------------------------------------------------------


class Refused(NamedTuple):
    """Params of a callback that its schema refuses."""

    why: str
    message: dict[str, Json]


def refused(dialect: str) -> list[Refused]:
    """The invalid params that the protocol's documents show; those that other clauses are about are left out."""
    folder = data_root() / "schemas" / "stepflow" / {"S1": "0.9", "S2": "0.11"}[dialect] / "examples"
    found: list[Refused] = []
    for file in ("runs.json", "blobs.json") if dialect == "S1" else ("runs.json",):
        for it in json.loads((folder / file).read_text("utf-8")):
            if it.get("error") == INVALID_PARAMS:
                method, params = it["request"]["method"], it["request"]["params"]
                of_others = "resultOrder" in params or (method == "blobs/put" and "data" in params)
                # The published schema of 0.9 shows overrides in the form of 0.10: a runtime may take both.
                if not of_others and "overrides" not in params:
                    found.append(Refused(it["why"], {"method": method, "params": params}))
    return found


@clause("SF-RUN-019")
@needs("SF-METH-003")
def test_params_that_do_not_fit(runtime: Runtime, dialect: str) -> None:
    flow = stored(runtime)
    cases = refused(dialect)

    def script(talk: Conversation) -> list[Json]:
        told(talk.ask(submit(runtime.stage, flow, [1])))
        pending = [talk.begin(_with_flow(it.message, flow)) for it in cases]
        return [it.answer() for it in pending]

    assert len(cases) >= 4, f"the documents show {len(cases)} invalid params"
    for case, answer in zip(cases, runtime.talk(script), strict=True):
        assert code(answer) == INVALID_PARAMS, (
            f"{case.message['method']} {shown(case.message['params'])} gave {shown(answer)}: {case.why}"
        )


def _with_flow(message: dict[str, Json], flow: str) -> dict[str, Json]:
    """The message with a flow that is stored, so that nothing but its params is wrong."""
    params = message["params"]
    return {**message, "params": {**params, "flowId": flow}} if "flowId" in params else message


# --- options --------------------------------------------------------------------------------------


@clause("SF-RUN-020")
@needs("SF-RUN-002", "SF-RUN-007")
def test_overrides(runtime: Runtime) -> None:
    flow = stored(runtime)
    change = {"only": {"$type": "merge_patch", "value": {"input": "other"}}}
    changed = outcomes(finished(runtime, ["mine"], flow=flow, overrides=change))
    assert changed == ["other"], f"a run whose step's input is overridden gave {changed}; expected ['other']"
    after = outcomes(finished(runtime, ["mine"], flow=flow))
    assert after == ["mine"], f"the next run without overrides gave {after}; expected ['mine']"


@clause("SF-RUN-021")
@needs("SF-RUN-007", "SF-RUN-008", "SF-RUN-020")
@pytest.mark.parametrize(
    "change",
    [
        {"nope": {"$type": "merge_patch", "value": {"input": "other"}}},
        {"only": {"$type": "json_patch", "value": [{"op": "remove", "path": "/nope"}]}},
    ],
    ids=["unknown step", "not applicable"],
)
def test_overrides_that_cannot_be_applied(runtime: Runtime, dialect: str, change: Json) -> None:
    flow = stored(runtime)
    overrides = change if dialect == "S1" else {"steps": change}
    asked = submit(runtime.stage, flow, ["mine"], wait=True, overrides=overrides)
    answer = runtime.talk(lambda talk: talk.ask(asked))
    if code(answer) is not MISSING:
        return
    status = told(answer)
    assert status.get("status") == "failed", f"the override {shown(change)} gave {shown(status)}"
    errors = [it["result"].get("error") for it in status.get("results") or () if isinstance(it.get("result"), dict)]
    why = [it.get("message") for it in errors if isinstance(it, dict)]
    assert any(why), f"the override {shown(change)} failed the run without a reason: {shown(status)}"


@clause("SF-RUN-022")
@needs("SF-RUN-002")
def test_steps_at_once_are_bounded(runtime: Runtime, record: Record) -> None:
    many, few = Crowd(until=3, seconds=HELD_SECONDS), Crowd(until=3, seconds=0.5)
    finished(runtime, [1, 2, 3, 4], flow=stored(runtime, many), maxConcurrency=4)
    finished(runtime, [1, 2, 3, 4], flow=stored(runtime, few), maxConcurrency=2)
    assert few.most <= 2, f"maxConcurrency 2 let {few.most} items be executed at once"
    if many.most < 3:
        record.warn(f"of four items with maxConcurrency 4 at most {many.most} were executed at once: no bound was seen")


@clause("SF-RUN-023")
def test_no_steps_at_once(runtime: Runtime) -> None:
    flow = stored(runtime)
    finished(runtime, [1], flow=flow, maxConcurrency=1)
    asked = submit(runtime.stage, flow, [1], wait=True, maxConcurrency=0)
    answer = runtime.talk(lambda talk: talk.ask(asked))
    assert code(answer) is not MISSING, f"maxConcurrency 0 gave {shown(answer)}; expected an error"


@clause("SF-RUN-024")
@needs("SF-RUN-005", "SF-RUN-006")
def test_run_without_inputs(runtime: Runtime) -> None:
    flow = stored(runtime)
    answer = runtime.talk(lambda talk: talk.ask(submit(runtime.stage, flow, [], wait=True)))
    status = result(answer)
    assert isinstance(status, dict), f"a run without inputs gave {shown(answer)}"
    assert status.get("status") == "completed", f"a run without inputs is {status.get('status')!r}"
    counts = status.get("items")
    assert isinstance(counts, dict), f"a run without inputs counts {shown(counts)}"
    assert counts.get("total") == 0, f"a run without inputs counts {shown(counts)}"


# --- what was seen --------------------------------------------------------------------------------


class Told(NamedTuple):
    """A run status with the callback that it answers."""

    method: str
    params: dict[str, Json]
    status: dict[str, Json]


def seen(stage: Stage) -> list[Told]:
    """All run statuses of this run of the kit; raises Unmet where there are none."""
    found = [
        Told(message["method"], message["params"], result(answer))
        for message, answer in stage.told
        if message.get("method") in ("runs/submit", "runs/get") and isinstance(result(answer), dict)
    ]
    if not found:
        raise Unmet(("SF-RUN-001", "SF-METH-004"), "no run status was seen")
    return found


@last
@clause("SF-RUN-005")
def test_statuses(stage: Stage) -> None:
    for it in seen(stage):
        found = it.status.get("status")
        assert found in STATUSES, f"{it.method} told the status {found!r}"
        for item in it.status.get("results") or ():
            assert item.get("status") in STATUSES, f"{it.method} told the status {item.get('status')!r} of an item"


@last
@clause("SF-RUN-006")
def test_counts_of_items(stage: Stage) -> None:
    for it in seen(stage):
        counts = it.status.get("items")
        numbers: list[Json] = [counts.get(name) for name in COUNTS] if isinstance(counts, dict) else [None]
        whole = all(type(number) is int for number in numbers)
        assert whole, f"the items of a run are {shown(counts)}; expected numbers for {', '.join(COUNTS)}"
        total, *parts = numbers
        assert sum(parts) == total, f"the items of a run do not sum up to their total: {shown(counts)}"
        if it.method == "runs/submit":
            inputs = len(it.params["inputs"])
            assert total == inputs, f"a run of {inputs} inputs counts {total} items"


@last
@clause("SF-RUN-010")
def test_times(stage: Stage) -> None:
    over = 0
    for it in seen(stage):
        begun, ended = _moment("createdAt", it.status), _moment("completedAt", it.status)
        assert begun is not None, f"a run has no createdAt: {shown(it.status)}"
        if ended is not None:
            over += 1
            assert ended >= begun, f"a run was completed before it was created: {shown(it.status)}"
    assert over, "no run that has ended says completedAt"


def _moment(name: str, status: dict[str, Json]) -> dt.datetime | None:
    """A time of a run; None where it has none."""
    text = status.get(name)
    if text is None:
        return None
    fits = isinstance(text, str) and TIME.fullmatch(text) is not None
    assert fits, f"{name} is {text!r}; expected a time of RFC 3339 with an offset"
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        raise AssertionError(f"{name} is {text!r}; there is no such time") from None
