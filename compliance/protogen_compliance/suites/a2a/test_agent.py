"""What an agent has to keep of A2A over JSON-RPC."""

from __future__ import annotations

import uuid

import pytest

from protogen_compliance.peer.receiver import Receiver
from protogen_compliance.peer.rpc import MISSING, Json, parse_json
from protogen_compliance.peer.wire import Deadline
from protogen_compliance.plugin import Lacking, Settings, Unmet
from protogen_compliance.registry import clause, needs, profile
from protogen_compliance.suites.a2a.agent import STOPPED, Agent, Streamed

CARD = "/.well-known/agent-card.json"
CARD_MEMBERS = ("name", "description", "version", "capabilities", "defaultInputModes", "defaultOutputModes", "skills")
NOT_FOUND, NOT_CANCELABLE, UNSUPPORTED, INVALID_PARAMS, NO_VERSION = -32001, -32002, -32004, -32602, -32009
PUSH_NOT_SUPPORTED, METHOD_NOT_FOUND = -32003, -32601
TYPE = "type.googleapis.com/google.rpc.ErrorInfo"
PUSH_SECONDS = 10.0


def unknown() -> str:
    """An id that no task has."""
    return str(uuid.uuid4())


def state_of(task: Json) -> Json:
    """The state of a task; MISSING where it has none."""
    status = task.get("status") if isinstance(task, dict) else None
    return status.get("state", MISSING) if isinstance(status, dict) else MISSING


# --- versions -------------------------------------------------------------------------------------


@clause("AA-VER-001")
def test_answer_is_of_the_version_that_was_asked_for(agent: Agent) -> None:
    task = agent.task()
    new = agent.call("GetTask", {"id": task["id"]})
    assert str(state_of(new.result)).startswith("TASK_STATE_"), f"GetTask of 1.0 gave {new.summary()}"
    old = agent.call("tasks/get", {"id": task["id"]}, version="0.3")
    if old.code in (METHOD_NOT_FOUND, NO_VERSION):
        pytest.skip("A2A 0.3 is not offered")
    assert isinstance(old.result, dict), f"tasks/get of 0.3 gave {old.summary()}"
    assert old.result.get("kind") == "task", f"tasks/get of 0.3 gave kind {old.result.get('kind')!r}"


@clause("AA-VER-002")
def test_version_that_is_absent_is_0_3(agent: Agent) -> None:
    for version in (None, ""):
        old = {"kind": "message", "messageId": unknown(), "role": "user", "parts": [{"kind": "text", "text": "hello"}]}
        reply = agent.call("message/send", {"message": old, "configuration": {"blocking": True}}, version=version)
        if reply.code in (METHOD_NOT_FOUND, NO_VERSION):
            pytest.skip("A2A 0.3 is not offered")
        assert isinstance(reply.result, dict), f"message/send with version {version!r} gave {reply.summary()}"
        assert reply.result.get("kind") in ("task", "message"), f"the result has no kind: {reply.summary()}"


@clause("AA-VER-003")
def test_version_that_is_not_supported(agent: Agent) -> None:
    reply = agent.call("GetTask", {"id": unknown()}, version="9.9")
    assert reply.code == NO_VERSION, f"version 9.9: expected -32009, got {reply.summary()}"


# --- the card -------------------------------------------------------------------------------------


@clause("AA-CARD-001")
def test_card(agent: Agent) -> None:
    reply = agent.peer.send(b"", path=CARD, method="GET")
    agent.log.append(reply.exchange)
    assert reply.head.status == 200, f"GET {CARD} gave {reply.head.status}"
    assert isinstance(reply.value, dict), f"GET {CARD} gave {reply.summary()}; expected an object"
    lacking = [name for name in CARD_MEMBERS if name not in reply.value]
    assert not lacking, f"the card lacks {', '.join(lacking)}"


@clause("AA-CARD-002")
@needs("AA-CARD-001")
def test_card_is_cached(agent: Agent) -> None:
    reply = agent.peer.send(b"", path=CARD, method="GET")
    agent.log.append(reply.exchange)
    lacking = [name for name in ("cache-control", "etag") if not reply.head.get(name)]
    assert not lacking, f"the card is sent without {', '.join(lacking)}"
    again = agent.peer.send(b"", path=CARD, method="GET", headers={"if-none-match": reply.head.get("etag")})
    agent.log.append(again.exchange)
    assert again.head.status == 304, f"with If-None-Match the card gave {again.head.status}; expected 304"
    assert again.exchange.body == b"", "304 came with a body"


# --- messages -------------------------------------------------------------------------------------


@clause("AA-SEND-001")
def test_result_is_a_task_or_a_message(agent: Agent) -> None:
    reply = agent.send(agent.message())
    assert isinstance(reply.result, dict), f"a message was answered with {reply.summary()}"
    found = [name for name in ("task", "message") if name in reply.result]
    assert len(found) == 1, f"the result has {found or 'neither task nor message'}; expected exactly one"


@clause("AA-SEND-002")
@needs("AA-SEND-001")
def test_answer_waits_for_the_end(agent: Agent) -> None:
    waited = agent.send(agent.message(slow=True))
    state = state_of((waited.result or {}).get("task"))
    assert state in STOPPED, f"the answer to a slow message has the state {state!r}; expected its end"
    at_once = agent.send(agent.message(slow=True), returnImmediately=True)
    early = state_of((at_once.result or {}).get("task"))
    assert early not in STOPPED, f"with returnImmediately the state is {early!r}; expected it to be working still"


@clause("AA-SEND-003")
@needs("AA-SEND-001")
def test_message_to_an_ended_task(agent: Agent) -> None:
    reply = agent.send(agent.message(taskId=agent.task()["id"]))
    assert reply.code == UNSUPPORTED, f"expected -32004, got {reply.summary()}"


@clause("AA-SEND-004")
@needs("AA-SEND-001")
def test_context_of_another_task(agent: Agent) -> None:
    one, two = agent.task(), agent.task()
    reply = agent.send(agent.message(taskId=one["id"], contextId=two["contextId"]))
    assert reply.code == INVALID_PARAMS, f"expected -32602, got {reply.summary()}"


# --- streams --------------------------------------------------------------------------------------


@pytest.fixture
def streamed(agent: Agent) -> Streamed:
    """A streamed answer to a message."""
    found = agent.stream("SendStreamingMessage", {"message": agent.message()})
    if found.reply.code in (UNSUPPORTED, METHOD_NOT_FOUND):
        pytest.skip("streaming is not offered")
    return found


def kinds(response: Json) -> Json:
    """The result of a response; an empty object where there is none."""
    result = response.get("result") if isinstance(response, dict) else None
    return result if isinstance(result, dict) else {}


@clause("AA-STREAM-001")
def test_events_are_responses(streamed: Streamed) -> None:
    assert streamed.responses, f"the stream has no event: {streamed.reply.summary()}"
    sent = parse_json(streamed.reply.exchange.sent)["id"]
    for it in streamed.responses:
        assert isinstance(it, dict), f"an event is {it!r}; expected a response"
        assert it.get("jsonrpc") == "2.0", f"an event has jsonrpc {it.get('jsonrpc')!r}"
        assert it.get("id") == sent, f"an event has the id {it.get('id')!r}; expected {sent!r}"


@clause("AA-STREAM-002")
@needs("AA-STREAM-001")
def test_stream_ends_with_the_task(streamed: Streamed) -> None:
    assert streamed.ended, "the stream did not end"
    last = kinds(streamed.responses[-1])
    if "message" in last:
        return
    state = state_of(last.get("statusUpdate") or last.get("task") or {})
    assert state in STOPPED, f"the last event is {last!r}; expected the end of the task"


def working(agent: Agent) -> str:
    """The id of a task in progress, as a setup."""
    reply = agent.send(agent.message(slow=True), returnImmediately=True)
    task = (reply.result or {}).get("task") if reply.result is not MISSING else None
    if not isinstance(task, dict):
        raise Unmet(("AA-SEND-001", "AA-SEND-002"), f"a slow message gave {reply.summary()}")
    return str(task.get("id"))


@clause("AA-STREAM-003")
@needs("AA-STREAM-001", "AA-SEND-002")
def test_subscription_begins_with_the_task(agent: Agent) -> None:
    found = agent.stream("SubscribeToTask", {"id": working(agent)})
    if found.reply.code == METHOD_NOT_FOUND:
        pytest.skip("subscriptions are not offered")
    assert found.responses, f"a subscription gave {found.reply.summary()}"
    assert "task" in kinds(found.responses[0]), f"its first event is {found.responses[0]!r}; expected the task"


@clause("AA-STREAM-004")
@needs("AA-SEND-001")
def test_subscription_to_an_ended_task(agent: Agent) -> None:
    found = agent.stream("SubscribeToTask", {"id": agent.task()["id"]})
    # The error is the answer, or the only event of it.
    said = [found.reply.value, *found.responses]
    errors = [it["error"] for it in said if isinstance(it, dict) and isinstance(it.get("error"), dict)]
    codes = [it.get("code") for it in errors]
    assert codes == [UNSUPPORTED], f"expected -32004, got {codes or found.reply.summary()}"


# --- tasks ----------------------------------------------------------------------------------------


@clause("AA-TASK-001")
def test_unknown_task(agent: Agent) -> None:
    reply = agent.call("GetTask", {"id": unknown()})
    assert reply.code == NOT_FOUND, f"an unknown task: expected -32001, got {reply.summary()}"


@clause("AA-TASK-001")
@needs("AA-SEND-001")
def test_task_of_another_user(agent: Agent, settings: Settings, request: pytest.FixtureRequest) -> None:
    if not settings.other_headers:
        pytest.skip("one identity alone: --other-header 'Authorization: Bearer …' gives a second one")
    stranger: Agent = request.getfixturevalue("stranger")
    task = agent.task()
    reply = stranger.call("GetTask", {"id": task["id"]})
    absent = stranger.call("GetTask", {"id": unknown()})
    assert reply.code == NOT_FOUND, f"another user's task: expected -32001, got {reply.summary()}"
    assert (reply.error or {}).get("message") == (absent.error or {}).get("message"), (
        f"another user's task is told apart from one that is not there: {reply.summary()} and {absent.summary()}"
    )


@clause("AA-TASK-002")
@needs("AA-SEND-001")
def test_ended_task_is_not_cancelled(agent: Agent) -> None:
    reply = agent.call("CancelTask", {"id": agent.task()["id"]})
    assert reply.code == NOT_CANCELABLE, f"expected -32002, got {reply.summary()}"


@clause("AA-TASK-003")
@needs("AA-SEND-001")
def test_length_of_the_history(agent: Agent) -> None:
    name = agent.task()["id"]
    for length in (0, 1):
        reply = agent.call("GetTask", {"id": name, "historyLength": length})
        assert isinstance(reply.result, dict), f"GetTask gave {reply.summary()}"
        history = reply.result.get("history") or []
        assert len(history) <= length, f"historyLength {length}: {len(history)} messages came"


# --- lists ----------------------------------------------------------------------------------------


def page(agent: Agent, **params: Json) -> Json:
    """A page of tasks, as a setup."""
    reply = agent.call("ListTasks", params)
    if reply.code in (METHOD_NOT_FOUND, UNSUPPORTED):
        pytest.skip("ListTasks is not offered")
    if not isinstance(reply.result, dict) or not isinstance(reply.result.get("tasks"), list):
        raise AssertionError(f"ListTasks gave {reply.summary()}; expected an object with tasks")
    return reply.result


@clause("AA-LIST-001")
@needs("AA-SEND-001")
def test_last_change_comes_first(agent: Agent) -> None:
    made = [agent.task()["id"] for _ in range(3)]
    listed = page(agent, pageSize=50)["tasks"]
    times = [(it.get("status") or {}).get("timestamp") for it in listed]
    assert times == sorted(times, key=str, reverse=True), f"the times of the list are {times}; expected them to fall"
    found = [it.get("id") for it in listed if it.get("id") in made]
    assert found == made[::-1], f"three tasks were made in the order {made} and are listed as {found}"


@clause("AA-LIST-002")
@needs("AA-SEND-001")
def test_token_of_the_next_page(agent: Agent) -> None:
    for _ in range(3):
        agent.task()
    token: Json = ""
    for _ in range(200):
        found = page(agent, pageSize=100, **({"pageToken": token} if token else {}))
        token = found.get("nextPageToken", MISSING)
        assert isinstance(token, str), f"nextPageToken is {token!r}; expected a text"
        if not token:
            break
    else:
        pytest.fail("200 pages, and nextPageToken is not empty yet")
    first = page(agent, pageSize=1)
    assert first.get("nextPageToken"), "three tasks, one on a page, and nextPageToken is empty"


@clause("AA-LIST-003")
@needs("AA-SEND-001")
def test_artifacts_are_left_out(agent: Agent) -> None:
    task = agent.task()
    if not task.get("artifacts"):
        raise Lacking("the agent's tasks have no artifacts")
    plain = [it for it in page(agent, pageSize=50)["tasks"] if it.get("id") == task["id"]]
    whole = [it for it in page(agent, pageSize=50, includeArtifacts=True)["tasks"] if it.get("id") == task["id"]]
    assert plain, "a task that was just made is not listed"
    assert not plain[0].get("artifacts"), "artifacts are listed without includeArtifacts"
    assert whole, "a task that was just made is not listed with includeArtifacts"
    assert whole[0].get("artifacts"), "artifacts are not listed with includeArtifacts"


# --- pushes ---------------------------------------------------------------------------------------


def configured(agent: Agent, task: str, url: str, **members: Json) -> Json:
    """A receiver for a task, as a setup."""
    reply = agent.call("CreateTaskPushNotificationConfig", {"taskId": task, "url": url, "token": "t", **members})
    if reply.code in (PUSH_NOT_SUPPORTED, METHOD_NOT_FOUND, UNSUPPORTED):
        raise Lacking("the agent sends no pushes")
    if not isinstance(reply.result, dict):
        raise Unmet(("AA-PUSH-001",), f"CreateTaskPushNotificationConfig gave {reply.summary()}")
    return reply.result


@profile("push")
@clause("AA-PUSH-001")
def test_receiver_is_kept(agent: Agent) -> None:
    task = working(agent)
    with Receiver() as receiver:
        made = configured(agent, task, receiver.url())
        key = {"taskId": task, "id": made.get("id")}
        read = agent.call("GetTaskPushNotificationConfig", key)
        assert isinstance(read.result, dict), f"GetTaskPushNotificationConfig gave {read.summary()}"
        assert read.result.get("url") == receiver.url(), f"it has the url {read.result.get('url')!r}"
        listed = agent.call("ListTaskPushNotificationConfigs", {"taskId": task})
        configs = listed.result.get("configs") if isinstance(listed.result, dict) else None
        assert [it.get("id") for it in configs or []] == [made.get("id")], f"the list is {listed.summary()}"
        agent.call("DeleteTaskPushNotificationConfig", key)
        gone = agent.call("GetTaskPushNotificationConfig", key)
        assert gone.error is not None, f"a receiver that was deleted is there still: {gone.summary()}"


@profile("push")
@clause("AA-PUSH-002")
@needs("AA-PUSH-001")
def test_form_of_a_push(agent: Agent) -> None:
    with Receiver() as receiver:
        configured(agent, working(agent), receiver.url())
        came = receiver.wait(1, Deadline(PUSH_SECONDS))
    assert came, f"no push came within {PUSH_SECONDS:g} s"
    assert came[0].method == "POST", f"a push is {came[0].method}; expected POST"
    kind = came[0].headers.get("content-type", "").partition(";")[0]
    assert kind == "application/a2a+json", f"the media type is {kind!r}; expected application/a2a+json"
    value = parse_json(came[0].body)
    members = {"task", "message", "statusUpdate", "artifactUpdate"} & set(value if isinstance(value, dict) else ())
    assert len(members) == 1, f"a push has {sorted(members)}; expected exactly one member of a StreamResponse"


@profile("push")
@clause("AA-PUSH-003")
@needs("AA-PUSH-001")
def test_push_has_the_credentials(agent: Agent) -> None:
    with Receiver() as receiver:
        authentication = {"scheme": "Bearer", "credentials": "of-the-kit"}
        configured(agent, working(agent), receiver.url(), authentication=authentication)
        came = receiver.wait(1, Deadline(PUSH_SECONDS))
    if not came:
        raise Unmet(("AA-PUSH-002",), f"no push came within {PUSH_SECONDS:g} s")
    found = came[0].headers.get("authorization")
    assert found == "Bearer of-the-kit", f"Authorization is {found!r}; expected 'Bearer of-the-kit'"


# --- errors ---------------------------------------------------------------------------------------


@clause("AA-ERR-001")
@needs("AA-TASK-001")
def test_data_of_errors(agent: Agent) -> None:
    data = agent.call("GetTask", {"id": unknown()}).data
    assert isinstance(data, list), f"data is {data!r}; expected an array"
    assert all(isinstance(it, dict) and "@type" in it for it in data), f"a member of data has no @type: {data!r}"
    infos = [it for it in data if it["@type"] == TYPE]
    assert infos, f"data has no google.rpc.ErrorInfo: {data!r}"
    told = (infos[0].get("reason"), infos[0].get("domain"))
    assert told == ("TASK_NOT_FOUND", "a2a-protocol.org"), f"reason and domain are {told}"
