"""The agent over HTTP, as a process: its card, the headers, the version in the query, streams of answers."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import a2a_protocol as v1
import a2a_v03_protocol as v03
import pytest
from agent_rig import fetch, message, process

CARDS = (".well-known/agent-card.json", ".well-known/agent.json", ".well-known/agent-card")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """A node."""
    with process(tmp_path_factory.mktemp("node")) as url:
        yield url


def call(url: str, method: str, params: Any, **headers: str) -> Any:
    body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    status, _, text = fetch(url, body, {"Accept": "application/json", **headers})
    assert status == 200
    return json.loads(text)


@pytest.mark.parametrize("path", CARDS)
def test_the_card_is_one_for_both_versions_and_says_where_it_is_kept(url: str, path: str) -> None:
    status, headers, body = fetch(url + path)
    assert (status, headers["content-type"], headers["cache-control"]) == (
        200,
        "application/json",
        "public, max-age=300",
    )
    new: v1.AgentCard = v1.CODEC.decode("AgentCard", body)
    assert [(each.url, each.protocol_version) for each in new.supported_interfaces] == [(url, "1.0"), (url, "0.3")]
    old: v03.AgentCard = v03.CODEC.decode("AgentCard", body)
    assert (old.url, old.preferred_transport, old.protocol_version) == (url, "JSONRPC", "0.3.0")
    assert new.capabilities.extensions
    assert new.capabilities.extensions[0].params == {"protocolVersion": "1.0"}
    assert {"tasks.execute", "greet", "echo"} <= {skill.id for skill in new.skills}
    tag = headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        status, headers, body = fetch(url + path, headers={"If-None-Match": known})
        assert (status, headers["etag"], body) == (304, tag, b"")
    assert fetch(url + path, headers={"If-None-Match": '"other"'})[0] == 200


def test_every_answer_states_the_version_of_the_node_s_protocol(url: str) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tasks.list", "params": {}}
    for path, sent in (("", body), ("tasks", body), (CARDS[0], None), ("nowhere", None)):
        assert fetch(url + path, sent)[1]["x-apflow-protocol-version"] == "1.0"


@pytest.mark.parametrize(
    ("query", "header", "code"),
    [("A2A-Version=9.9", None, -32009), ("a2a-version=1.0", None, -32001), ("A2A-Version=9.9", "1.0", -32001)],
)
def test_the_version_may_stand_in_the_query_and_the_header_counts_first(
    url: str, query: str, header: str | None, code: int
) -> None:
    given = {} if header is None else {"A2A-Version": header}
    assert call(f"{url}?{query}", "GetTask", {"id": "x"}, **given)["error"]["code"] == code


def test_each_item_of_a_stream_is_an_answer_to_the_request(url: str) -> None:
    body = {"jsonrpc": "2.0", "id": 7, "method": "SendStreamingMessage", "params": message("hello")}
    status, headers, text = fetch(url, body, {"Accept": "text/event-stream"})
    assert (status, headers["content-type"]) == (200, "text/event-stream")
    answers = [json.loads(line.removeprefix("data: ")) for line in text.decode().splitlines() if line]
    assert [(answer["id"], [*answer["result"]]) for answer in answers] == [
        (7, ["task"]),
        (7, ["statusUpdate"]),
        (7, ["artifactUpdate"]),
        (7, ["statusUpdate"]),
    ]


STREAM, JSON = "text/event-stream", "application/json"


@pytest.mark.parametrize(
    ("method", "params", "accept", "kind", "code"),
    [
        ("tasks/resubscribe", {"id": "nobody"}, STREAM, STREAM, -32001),
        ("tasks/resubscribe", {"id": "nobody"}, f"*/*, {STREAM}", STREAM, -32001),
        ("tasks/resubscribe", {"id": "nobody"}, f"{JSON}, {STREAM};q=0.9", STREAM, -32001),
        ("tasks/resubscribe", {"id": "nobody"}, "*/*", JSON, -32001),
        ("tasks/resubscribe", {"id": "nobody"}, JSON, JSON, -32001),
        ("tasks/resubscribe", {"id": 1}, STREAM, STREAM, -32602),
        ("SubscribeToTask", {"id": "nobody"}, STREAM, STREAM, -32001),
        ("SendStreamingMessage", {}, STREAM, STREAM, -32602),
        ("tasks/get", {"id": "nobody"}, STREAM, JSON, -32001),
        ("tasks.execute", {"tasks": [], "use_streaming": True}, STREAM, JSON, -32602),
        ("nothing", {}, STREAM, JSON, -32601),
    ],
)
def test_an_error_is_an_event_for_whoever_asked_for_a_stream_of_answers(
    url: str, method: str, params: Any, accept: str, kind: str, code: int
) -> None:
    body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    status, headers, text = fetch(url, body, {"Accept": accept})
    assert (status, headers["content-type"], headers["x-apflow-protocol-version"]) == (200, kind, "1.0")
    if kind == STREAM:
        assert (text[:6], text[-2:], text.count(b"\n")) == (b"data: ", b"\n\n", 2)
        text = text[6:]
    answer = json.loads(text)
    assert (answer["id"], answer["error"]["code"]) == (7, code)


def test_strangers_read_the_card_and_nothing_else(tmp_path: Path) -> None:
    with process(tmp_path, '\n[access.keys]\nada = "key-of-ada"\n') as url:
        status, _, body = fetch(url + CARDS[0])
        assert status == 200
        card = json.loads(body)
        assert card["securitySchemes"]["bearer"]["scheme"] == "bearer"
        request = {"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": {}}
        assert fetch(url, request)[0] == 401
        assert fetch(url, request, {"Authorization": "Bearer key-of-ada"})[0] == 200
