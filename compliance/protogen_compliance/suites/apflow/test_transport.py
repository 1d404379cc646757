"""Transport: JSON-RPC 2.0 over HTTP, and what every node has in common."""

from __future__ import annotations

import json

from protogen_compliance.peer.http import parse_url
from protogen_compliance.peer.rpc import MISSING, RpcPeer
from protogen_compliance.plugin import Record, Unmet
from protogen_compliance.registry import clause, last, needs
from protogen_compliance.suites.apflow.node import ALWAYS_BLAMED, CARD_PATHS, Node, new_id
from protogen_compliance.suites.apflow.preflight import PATHS
from protogen_compliance.suites.apflow.scenes import Scenes, Seen

LIST = {"jsonrpc": "2.0", "id": 1, "method": "tasks.list", "params": {"limit": 1}}


@clause("AF-TRANS-001", "AF-NODE-001")
def test_request_by_http_gets_a_json_rpc_response(node: Node) -> None:
    reply = node.send(LIST)
    assert reply.fault is None, f"no answer: {reply.fault}"
    assert reply.member("jsonrpc") is not MISSING, f"no JSON-RPC response: {reply.summary()}"


@clause("AF-TRANS-002")
@needs("AF-RPC-006")
@needs("AF-TRANS-001")
def test_connection_of_http_1_1_may_be_kept(node: Node) -> None:
    peer = RpcPeer(parse_url(node.peer.url.at(node.peer.url.path)), headers=dict(node.peer.headers))
    for number in range(3):
        reply = peer.send(json.dumps({**LIST, "id": number}).encode())
        node.log.append(reply.exchange)
        assert reply.fault is None, f"request {number + 1} of one connection was not answered: {reply.fault}"
        assert reply.head.version == "1.1", f"the answer is of HTTP/{reply.head.version}; expected HTTP/1.1"
        assert reply.member("id") == number, f"request {number + 1} got the answer {reply.summary()}"
    peer.close()


@clause("AF-TRANS-003")
@needs("AF-TRANS-001")
def test_endpoint_is_post_on_root_or_tasks(node: Node, record: Record) -> None:
    # What another path says is no reply of the endpoint, so that nothing else looks at it.
    replies = {path: node.peer.send(json.dumps(LIST).encode(), path=path) for path in PATHS}
    node.log += [reply.exchange for reply in replies.values()]
    served = [path for path, reply in replies.items() if reply.member("jsonrpc") is not MISSING]
    assert served, "neither POST / nor POST /tasks answers tasks.list"
    if "/" not in served:
        record.warn("only /tasks answers; / is the path to prefer, /tasks the legacy one (reading A5)")


@clause("AF-TRANS-004")
@needs("AF-TRANS-001")
def test_responses_say_application_json(node: Node) -> None:
    for what, body in (("a result", LIST), ("an error", {**LIST, "method": "tasks.nope"}), ("a parse error", b"{")):
        reply = node.send(body)
        kind = reply.head.media_type
        assert kind == "application/json", f"the content type of {what} is {kind!r}; expected application/json"


@clause("AF-TRANS-006")
@needs("AF-A2A-001")
def test_a2a_is_offered_on_the_same_endpoint(node: Node) -> None:
    assert node.offers_a2a(), "neither message/send nor SendMessage is a method here"


@clause("AF-VER-001")
def test_version_is_stated_somewhere(node: Node, record: Record) -> None:
    replies = [node.send(LIST), *(node.peer.send(b"", path=path, method="GET") for path in CARD_PATHS)]
    headers = [name for reply in replies[:1] for name, _ in reply.head.headers if "version" in name]
    cards = [reply.value for reply in replies[1:] if isinstance(reply.value, dict)]
    stated = [card for card in cards if isinstance(card.get("version"), str)]
    if not headers and not stated:
        record.warn("no version in a header or an agent card; the protocol names no place for it (reading A45)")


@clause("AF-IND-004")
@needs("AF-TRANS-001")
def test_bodies_are_json(node: Node) -> None:
    for body in (LIST, {**LIST, "method": "tasks.get", "params": {"task_id": new_id()}}):
        reply = node.send(body)
        assert isinstance(reply.value, dict), f"the body is no JSON object: {reply.summary()}"


@clause("AF-NODE-002")
@needs("AF-DATA-007")
def test_node_checks_what_comes_in(node: Node) -> None:
    node.create()
    node.refused("a name that is a number", "tasks.create", {"name": 5, "user_id": node.user}, field="name")


@clause("AF-EXT-001", "AF-EXT-003")
def test_further_methods_and_fields_do_not_disturb(node: Node, record: Record) -> None:
    made = node.create()
    unknown = node.call("x.custom.method", {"task_id": made})
    if unknown.error is None:
        record.note("a method x.custom.method exists here")
    assert node.get(made)["status"] == "pending", "calling an unknown method changed a task"


@last
@clause("AF-IND-005")
@needs("AF-STATE-008", "AF-TREE-008", *ALWAYS_BLAMED)
def test_a_flow_is_created_validated_and_run(node: Node, scenes: Scenes) -> None:
    try:
        diamond: Seen = scenes.watch("diamond", node)
    except Unmet as reason:
        if "AF-IND-005" not in reason.blame:
            raise
        raise AssertionError(f"a flow of six plain tasks does not run: {reason}") from None
    ended = {name: task.get("status") for name, task in diamond.end.items()}
    assert set(ended.values()) == {"completed"}, f"a flow of six plain tasks ended as {ended}"


@last
@clause("AF-IND-006")
@needs("AF-A2A-001", "AF-STREAM-002", "AF-NODE-002", "AF-TRANS-006")
def test_recommended_parts_are_there(node: Node) -> None:
    missing = [
        what
        for what, there in (
            ("A2A", node.offers_a2a()),
            ("validation", node.call("tasks.create", {"name": ""}).error is not None),
        )
        if not there
    ]
    assert not missing, f"not offered: {', '.join(missing)}"
