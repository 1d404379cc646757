"""Streaming: events of an execution as server-sent events, and callbacks (06-interfaces.md). All of it is opt-in."""

from __future__ import annotations

from protogen_compliance.peer.rpc import MISSING, Json, parse_json
from protogen_compliance.plugin import Record
from protogen_compliance.registry import clause, needs, profile
from protogen_compliance.suites.apflow.node import STATUSES, TERMINAL, TICK, Node, Streamed, new_id
from protogen_compliance.suites.apflow.scenes import Pushed
from protogen_compliance.suites.apflow.test_tasks_seen import is_number, is_uuid

EVENTS = ("task_status_update", "task_progress_update", "task_completed", "task_failed", "task_cancelled")
ENDS = {"task_completed": "completed", "task_failed": "failed", "task_cancelled": "cancelled"}
EVENT_STREAM = "text/event-stream"

pytestmark = profile("streaming")


def statuses(streamed: Streamed) -> list[Json]:
    """The statuses that the events of a stream tell, in order."""
    return [data.get("status") for _, _, data in streamed.events if isinstance(data, dict)]


@clause("AF-STREAM-001")
def test_some_mode_of_streaming_works(node: Node, streamed: Streamed, pushed: Pushed) -> None:
    by_events = "completed" in statuses(streamed)
    by_callbacks = any(b"completed" in callback.body for callback in pushed.callbacks)
    assert by_events or by_callbacks, "neither server-sent events nor callbacks told that a task completed"


@clause("AF-STREAM-002", "AF-TRANS-005", "AF-EXECUTE-003")
@needs("AF-STREAM-001")
def test_use_streaming_gives_server_sent_events(node: Node, streamed: Streamed) -> None:
    kind = streamed.reply.head.media_type
    assert kind == EVENT_STREAM, f"the answer to use_streaming is {kind!r}; expected {EVENT_STREAM}"
    assert streamed.events, "the stream has no events"
    assert streamed.ended, f"the stream did not end after its tasks: {streamed.reply.fault}"


@clause("AF-STREAM-004")
@needs("AF-STREAM-001", "AF-STREAM-002")
def test_events_come_as_things_happen(node: Node, streamed: Streamed) -> None:
    running = [at for at, _, data in streamed.events if isinstance(data, dict) and data.get("status") == "in_progress"]
    ended = [at for at, name, _ in streamed.events if name in ENDS]
    assert running, f"no event tells that a task is in progress: {statuses(streamed)}"
    assert ended, f"no event tells that a task ended: {[name for _, name, _ in streamed.events]}"
    assert min(running) < min(ended), "the first end was told before the first start"
    spaced = max(ended) - min(running)
    assert spaced > TICK / 2, f"a task of {TICK:g} s: its events came within {spaced:.3f} s, all at once"


@clause("AF-STREAM-005")
@needs("AF-STREAM-002")
def test_events_have_their_members(node: Node, streamed: Streamed) -> None:
    root = streamed.responses[0].get("result", {}).get("root_task_id") if streamed.responses else None
    assert streamed.events, "the stream has no events"
    for _, name, data in streamed.events:
        assert name in EVENTS, f"an event is called {name!r}; expected one of {', '.join(EVENTS)}"
        assert isinstance(data, dict), f"the data of {name} is {data!r}; expected an object"
        assert data.get("protocol") == "a2a", f"protocol of {name} is {data.get('protocol', MISSING)!r}; expected 'a2a'"
        assert is_uuid(data.get("task_id")), f"task_id of {name} is {data.get('task_id', MISSING)!r}"
        assert data.get("status") in STATUSES, f"status of {name} is {data.get('status', MISSING)!r}"
        assert is_number(data.get("progress")), f"progress of {name} is {data.get('progress', MISSING)!r}"
        assert is_uuid(data.get("root_task_id")), f"root_task_id of {name} is {data.get('root_task_id', MISSING)!r}"
        assert data["root_task_id"] == root or root is None, f"root_task_id of {name} is not the root's id"
        assert data["status"] == ENDS.get(name, data["status"]), f"{name} tells the status {data['status']}"


@clause("AF-STREAM-006")
@needs("AF-STREAM-002")
def test_metadata_enables_streaming_too(node: Node, streamed: Streamed, streamed_by_metadata: Streamed) -> None:
    for what, it in (("use_streaming", streamed), ("metadata.stream", streamed_by_metadata)):
        kind = it.reply.head.media_type
        assert kind == EVENT_STREAM, f"the answer to {what} alone is {kind!r}; expected {EVENT_STREAM}"


@clause("AF-STREAM-003")
@needs("AF-A2A-001")
def test_a2a_streams(node: Node) -> None:
    tasks = [node.task("streamed by A2A", node.ok())]
    old = {
        "kind": "message",
        "role": "user",
        "messageId": new_id(),
        "parts": [{"kind": "data", "data": {"tasks": tasks}}],
    }
    found = node.stream("message/stream", {"message": old})
    if found.reply.head.media_type != EVENT_STREAM:
        new = {"role": "ROLE_USER", "messageId": new_id(), "parts": [{"data": {"tasks": tasks}}]}
        node.peer.headers["a2a-version"] = "1.0"
        try:
            found = node.stream("SendStreamingMessage", {"message": new})
        finally:
            del node.peer.headers["a2a-version"]
    kind = found.reply.head.media_type
    assert kind == EVENT_STREAM, f"neither message/stream nor SendStreamingMessage gives a stream: {kind!r}"
    assert any("result" in response for response in found.responses), (
        "the stream has no JSON-RPC response with a result"
    )


# --- callbacks ------------------------------------------------------------------------------------


@clause("AF-PUSH-001")
@needs("AF-STREAM-001")
def test_callback_is_a_post_to_the_url(node: Node, pushed: Pushed) -> None:
    assert pushed.reply.error is None, f"an execution with callbacks was refused: {pushed.reply.summary()}"
    assert pushed.callbacks, f"no callback came to 127.0.0.1 after {pushed.reply.summary()}"
    ids = {task["id"] for task in pushed.sent.values()}
    told: dict[str, Json] = {}
    for callback in pushed.callbacks:
        assert (callback.method, callback.path) == ("POST", "/cb"), f"a callback was {callback.method} {callback.path}"
        body = parse_json(callback.body)
        assert isinstance(body, dict), f"the body of a callback is {body!r}; expected an object"
        missing = [name for name in ("task_id", "status", "progress", "result") if name not in body]
        assert not missing, f"the body of a callback lacks {', '.join(missing)}"
        assert body["task_id"] in ids, f"a callback tells of the task {body['task_id']!r}, which was not executed"
        told[body["task_id"]] = body
    assert {body["status"] for body in told.values()} <= set(TERMINAL), f"the last callbacks are {told}"
    assert told.keys() == ids, f"callbacks tell of {len(told)} of {len(ids)} tasks"


@clause("AF-PUSH-002")
@needs("AF-PUSH-001")
def test_callback_has_the_given_headers(node: Node, pushed: Pushed) -> None:
    assert pushed.callbacks, "no callback came"
    for callback in pushed.callbacks:
        found = {name: callback.headers.get(name) for name in ("authorization", "x-kit")}
        assert found == {"authorization": "Bearer kit", "x-kit": "1"}, f"of the given headers a callback has {found}"


@clause("AF-PUSH-003")
@needs("AF-PUSH-001")
def test_retry_of_a_failed_callback_is_recorded(node: Node, pushed_twice: Pushed, record: Record) -> None:
    bodies = [callback.body for callback in pushed_twice.callbacks]
    again = len(set(bodies)) < len(bodies)
    record.note(f"a callback that was answered with 500 was {'sent again' if again else 'not sent again'}")
