"""How executions live and end: attempts, patience, streams that go on, cancelling, and what is beside them."""

from __future__ import annotations

import hashlib
import json
import queue
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from protogen_compliance.peer.rpc import MISSING, Json
from protogen_compliance.peer.server import Asked
from protogen_compliance.plugin import Record, Settings, Unmet
from protogen_compliance.registry import clause, last, needs, profile
from protogen_compliance.suites.stepflow.runtime.callbacks import called, get, harmless, result, submit
from protogen_compliance.suites.stepflow.runtime.launching import launched
from protogen_compliance.suites.stepflow.runtime.stage import (
    INSTANCE,
    Component,
    Conversation,
    Runtime,
    Stage,
    flow_of,
    over_http,
    success,
)
from protogen_compliance.targets import NoTarget

HTTP, CALLBACKS, SLOW = profile("http"), profile("callbacks"), profile("slow")
ROUTING, HTTP_API = profile("routing"), profile("http-api")

RETRY_SECONDS = 40.0
"""How long a run may take whose step is tried again with pauses."""
QUIET_SECONDS = 1.5
LONG_SECONDS, SILENT_SECONDS = 35.0, 8.0
TOO_MANY_REDIRECTS = 200
TOO_MANY_ATTEMPTS = 12
FOREIGN = re.compile(r"cancel|abort|progress|ping|heart|keep.?alive|shutdown|exit", re.IGNORECASE)
"""What methods are called by which other protocols cancel, watch and end."""


def failing(asked: Asked) -> None:
    """A component that answers with an error."""
    asked.respond({"jsonrpc": "2.0", "id": asked.id, "error": {"code": -32004, "message": "kit says no"}})


def dropping(asked: Asked) -> None:
    """A component that drops the connection."""
    asked.hang_up()


class InTurn:
    """A component that does one thing after the other, the last one again and again; `times` says when."""

    def __init__(self, *turns: Component) -> None:
        self.times: list[float] = []
        self._turns = turns

    def __call__(self, asked: Asked) -> None:
        """One execution."""
        self.times.append(asked.at)
        self._turns[min(len(self.times), len(self._turns)) - 1](asked)


def echo(asked: Asked) -> None:
    """A component that gives its input back."""
    asked.respond(success(asked, asked.value["params"]["input"]))


# --- attempts -------------------------------------------------------------------------------------


def attempts(runtime: Runtime, component: Component, **step: Json) -> list[Json]:
    """The numbers under which one step was executed."""
    path = runtime.stage.add(component)
    runtime.run_flow(flow_of(path, **step), 1, patience=RETRY_SECONDS)
    return [it.get("attempt") for it in runtime.stage.executions(path)]


@clause("SF-EXEC-017")
@needs("SF-EXEC-003")
def test_attempts_are_counted(runtime: Runtime) -> None:
    retry = {"onError": {"action": "retry", "maxRetries": 2}}
    of_errors = attempts(runtime, failing, **retry)
    of_both = attempts(runtime, InTurn(dropping, failing, echo), **retry)
    for found in (of_errors, of_both):
        assert found == [*range(1, len(found) + 1)], f"the attempts of one step are numbered {found}"
    if len(of_errors) < 2 and len(of_both) < 2:
        pytest.skip("the runtime tries nothing again, neither errors with onError retry nor connections that drop")


@clause("SF-LIFE-004")
@needs("SF-EXEC-017")
def test_failures_of_the_transport_are_tried_again(runtime: Runtime, record: Record) -> None:
    component = InTurn(*[dropping] * TOO_MANY_ATTEMPTS, echo)
    outcome = runtime.run_flow(flow_of(runtime.stage.add(component)), 1, patience=RETRY_SECONDS)
    count = len(component.times)
    assert outcome.error is not MISSING, f"{count} connections that dropped gave {outcome.summary()}"
    assert count <= 4, f"a step whose connections drop was executed {count} times; expected at most four"
    pauses = [round(later - sooner, 3) for sooner, later in zip(component.times, component.times[1:], strict=False)]
    assert all(it >= 0.01 for it in pauses), f"a step was tried again after pauses of {pauses} s"
    if count == 1:
        record.note("a step whose connection drops is not tried again")
        return
    once = runtime.run_flow(flow_of(runtime.stage.add(InTurn(dropping, echo))), 1, patience=RETRY_SECONDS)
    assert once.result == 1, f"a step whose first connection drops gave {once.summary()}"


# --- patience -------------------------------------------------------------------------------------


def resting(stage: Stage, seconds: float) -> Component:
    """A component that answers after a while."""

    def component(asked: Asked) -> None:
        stage.server.wait(seconds)
        echo(asked)

    return component


@clause("SF-LIFE-001")
def test_nothing_is_waited_for_but_the_response(runtime: Runtime) -> None:
    outcome = runtime.run(resting(runtime.stage, QUIET_SECONDS), "rested")
    assert outcome.result == "rested", f"an execution of {QUIET_SECONDS:g} s without a message gave {outcome.summary()}"


@last
@clause("SF-LIFE-001")
def test_nothing_is_sent_to_watch_or_to_end(stage: Stage) -> None:
    methods = {it.value.get("method") for it in stage.asked if isinstance(it.value, dict)}
    foreign = sorted(it for it in methods if isinstance(it, str) and FOREIGN.search(it))
    assert not foreign, f"the runtime sent {foreign[0]!r}, which the protocol does not have"


@SLOW
@clause("SF-HTTP-021")
def test_executions_take_as_long_as_they_take(runtime: Runtime) -> None:
    component = resting(runtime.stage, LONG_SECONDS)
    outcome = runtime.run_flow(flow_of(runtime.stage.add(component)), "late", patience=LONG_SECONDS * 2)
    assert outcome.result == "late", f"an answer after {LONG_SECONDS:g} s gave {outcome.summary()}"


@SLOW
@clause("SF-SSE-024")
def test_streams_may_be_silent(runtime: Runtime) -> None:
    def component(asked: Asked) -> None:
        piece = asked.stream()
        piece(b": here\n\n")
        runtime.stage.server.wait(SILENT_SECONDS)
        piece(f"data: {json.dumps(success(asked, 'late'))}\n\n".encode())
        piece(b"")

    outcome = runtime.run_flow(flow_of(runtime.stage.add(component)), patience=SILENT_SECONDS * 4)
    assert outcome.result == "late", f"a stream that is silent for {SILENT_SECONDS:g} s gave {outcome.summary()}"


# --- lists ----------------------------------------------------------------------------------------


@clause("SF-COMP-010")
def test_executions_do_not_depend_on_a_list(settings: Settings, stage: Stage) -> None:
    def refuse(asked: Asked) -> None:
        asked.respond({"jsonrpc": "2.0", "id": asked.id, "error": {"code": -32000, "message": "no list today"}})

    own = Stage(answers={"components/list": refuse})
    try:
        with own.server, launched(settings, stage.template, own, {"kit": over_http(own)}) as runtime:
            outcome = runtime.run(echo, 1)
            lists = sum(it.value.get("method") == "components/list" for it in own.asked if isinstance(it.value, dict))
    except NoTarget as reason:
        why = f"a worker that cannot list its components kept the runtime from starting: {reason}"
        raise AssertionError(why) from None
    assert outcome.result == 1, f"a worker that cannot list its components gave {outcome.summary()}"
    assert not lists, f"components/list was asked for {lists} times, and nobody wanted to see a list"


# --- HTTP -----------------------------------------------------------------------------------------


@HTTP
@clause("SF-HTTP-020")
def test_redirects_end(runtime: Runtime) -> None:
    followed = 0
    plain = runtime.run(echo, 1)
    assert plain.result == 1, f"an answer without a redirect gave {plain.summary()}"

    def component(asked: Asked) -> None:
        nonlocal followed
        followed += 1
        if followed > TOO_MANY_REDIRECTS:
            echo(asked)
        else:
            asked.respond(b"", status=307, more=f"location: {runtime.stage.server.url}\r\n")

    outcome = runtime.run_flow(flow_of(runtime.stage.add(component)), 1, patience=RETRY_SECONDS)
    assert followed <= TOO_MANY_REDIRECTS, f"a loop of redirects was followed {TOO_MANY_REDIRECTS} times"
    assert outcome.error is not MISSING, f"a loop of redirects gave {outcome.summary()}; expected the step to fail"


# --- streams that go on ---------------------------------------------------------------------------


@CALLBACKS
@clause("SF-SSE-017")
@needs("SF-SSE-015", "SF-METH-004")
def test_callbacks_are_carried_out_side_by_side(runtime: Runtime) -> None:
    entered, opened = threading.Event(), threading.Event()

    def held(asked: Asked) -> None:
        entered.set()
        opened.wait(LONG_SECONDS)
        echo(asked)

    flow = runtime.store(flow_of(runtime.stage.add(held)))

    def script(talk: Conversation) -> tuple[Json, Json]:
        try:
            slow = talk.begin(submit(runtime.stage, flow, [1], wait=True))
            if not entered.wait(5.0):
                raise Unmet(("SF-METH-004", "SF-RUN-001"), "a run that was submitted did not begin")
            quick = talk.ask(harmless(runtime.stage))
        finally:
            opened.set()
        return quick, slow.answer()

    quick, slow = runtime.talk(script)
    assert isinstance(result(slow), dict), f"runs/submit gave {json.dumps(slow)[:200]}"
    assert quick is not None, "a callback was not answered while another one of the stream took its time"


@CALLBACKS
@clause("SF-SSE-023")
@needs("SF-SSE-015")
def test_events_after_the_response_are_ignored(runtime: Runtime) -> None:
    stage = runtime.stage
    whole, box = stage.waiting(harmless(stage))

    def component(asked: Asked) -> None:
        piece = asked.stream(f"stepflow-instance-id: {INSTANCE}\r\n")
        response = f"data: {json.dumps(success(asked, 'over'))}\n\n"
        # In one piece: a runtime that hangs up after the response has it already.
        piece(f"{response}data: {json.dumps(whole)}\n\n".encode())
        piece(b"")

    outcome = runtime.run(component)
    assert outcome.result == "over", f"a response with an event after it gave {outcome.summary()}"
    try:
        late = box.get(timeout=QUIET_SECONDS / 2)
    except queue.Empty:
        pass
    else:
        raise AssertionError(f"a callback after the response was answered: {late.body[:200]!r}")
    if stage.dialect == "S1":
        text = json.dumps(whole["params"]["data"])
        (answer,) = called(runtime, get(hashlib.sha256(text.encode()).hexdigest()))
        assert result(answer) is MISSING, "a callback after the response stored its blob"


# --- routes ---------------------------------------------------------------------------------------

RULES = {
    "/open/{*component}": [{"plugin": "kit"}],
    "/denied/{*component}": [{"plugin": "kit", "componentDeny": ["/c1"]}],
    "/allowed/{*component}": [{"plugin": "kit", "componentAllow": ["/c2"]}],
}


@ROUTING
@clause("SF-LIFE-006")
def test_lists_of_a_route_are_applied(settings: Settings, stage: Stage) -> None:
    own = Stage()
    names = [own.add(echo).rpartition("/")[2] for _ in range(2)]
    assert names == ["c1", "c2"], f"the kit's components are {names}"
    found: dict[str, Json] = {}
    with own.server, launched(settings, stage.template, own, {"kit": over_http(own)}, RULES) as runtime:
        for path in ("/open/c1", "/denied/c2", "/allowed/c2", "/denied/c1", "/allowed/c1"):
            found[path] = runtime.run_path(path, 1).result
    for path in ("/open/c1", "/denied/c2", "/allowed/c2"):
        assert found[path] == 1, f"{path} was to be executed; the rules are {json.dumps(RULES)}"
    for path in ("/denied/c1", "/allowed/c1"):
        assert found[path] is MISSING, f"{path} was executed against the rule {json.dumps(RULES)}"


# --- the HTTP API ---------------------------------------------------------------------------------


class TwoSteps:
    """A flow of two steps, the first of which is held until it is opened."""

    def __init__(self, runtime: Runtime) -> None:
        self.entered, self.opened, self.went_on = threading.Event(), threading.Event(), threading.Event()
        self.first, self.second = runtime.stage.add(self._hold), runtime.stage.add(self._go_on)
        steps = [
            {"id": "first", "component": self.first, "input": 1},
            {"id": "second", "component": self.second, "input": {"$step": "first"}},
        ]
        self.flow = {"name": "kit", "steps": steps, "output": {"$step": "second"}}

    def _hold(self, asked: Asked) -> None:
        self.entered.set()
        self.opened.wait(LONG_SECONDS)
        echo(asked)

    def _go_on(self, asked: Asked) -> None:
        self.went_on.set()
        echo(asked)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """A thread for a request that waits."""
    with ThreadPoolExecutor(1) as made:
        yield made


@HTTP_API
@clause("SF-LIFE-008")
@needs("SF-EXEC-004")
def test_run_that_is_cancelled(runtime: Runtime, pool: ThreadPoolExecutor) -> None:
    control, it = TwoSteps(runtime), TwoSteps(runtime)
    control.opened.set()
    whole = runtime.run_flow(control.flow)
    assert whole.result == 1, f"a flow of two steps gave {whole.summary()}"
    pending = pool.submit(runtime.run_flow, it.flow)
    try:
        if not it.entered.wait(5.0):
            raise Unmet((), "the first step of a flow was not executed")
        (params,) = runtime.stage.executions(it.first)
        name = params["observability"]["run_id"]
        reply = runtime.ask("POST", f"/runs/{name}/cancel")
        assert reply.head.status < 300, f"cancelling a run gave HTTP {reply.head.status}"
    finally:
        it.opened.set()
    assert not it.went_on.wait(QUIET_SECONDS), "the second step of a run that was cancelled was executed"
    pending.result()


@HTTP_API
@clause("SF-LIFE-008")
def test_run_that_is_deleted(runtime: Runtime) -> None:
    path = runtime.stage.add(echo)
    outcome = runtime.run_path(path, 1)
    name = outcome.reply.member("runId")
    if not isinstance(name, str):
        raise Unmet((), f"a run has no runId: {outcome.reply.summary()}")
    there = runtime.ask("GET", f"/runs/{name}")
    assert there.head.status == 200, f"a run that has ended gave {there.summary()}"
    gone = runtime.ask("DELETE", f"/runs/{name}")
    assert gone.head.status < 300, f"deleting a run gave {gone.summary()}"
    after = runtime.ask("GET", f"/runs/{name}")
    assert after.head.status == 404, f"a run that was deleted gave HTTP {after.head.status}: {after.summary()}"
