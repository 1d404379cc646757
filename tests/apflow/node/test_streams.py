"""Streams of a node: on every way in, for clients that leave, and for those that do not read."""

from __future__ import annotations

import json
import socket
import time
import tracemalloc
import uuid
from collections.abc import Generator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from apflow_protocol import TaskInput, TasksExecuteParams, TasksGetParams
from apflow_protocol.client import NodeClient
from serving import Node, handshake, serving
from wsproto.connection import Connection, ConnectionType
from wsproto.events import TextMessage

from protogen_runtime.apflow.events import MAX_BEHIND, MAX_BEHIND_BYTES, Feed, TaskEvent
from protogen_runtime.io.client import connect

MIB = 1024 * 1024
CONFIG = """
[observe]
log_level = "info"
slow_seconds = 0.000001
[limits]
send_seconds = 1.0
min_bytes_per_second = 65536
"""


def new_id() -> str:
    return str(uuid.uuid4())


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Generator[Node]:
    with serving(tmp_path_factory.mktemp("node"), CONFIG) as node:
        yield node


def flow(parts: int, method: str = "echo", **inputs: object) -> list[dict[str, Any]]:
    """A root that waits for so many parts."""
    ids = [new_id() for _ in range(parts + 1)]
    of = {"schemas": {"method": method}, "inputs": inputs}
    root = {"id": ids[0], "name": "root", **of, "dependencies": [{"id": part} for part in ids[1:]]}
    return [root, *({"id": part, "name": "part", "parent_id": ids[0], **of} for part in ids[1:])]


def execute(tasks: list[dict[str, Any]]) -> bytes:
    params = {"tasks": tasks, "use_streaming": True}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tasks.execute", "params": params}).encode()


def post(body: bytes) -> bytes:
    head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
    return head.encode() + b"%d\r\n\r\n" % len(body) + body


def wait_for(node: Node, task_id: str, status: str) -> None:
    ends = time.monotonic() + 60
    while node.result("tasks.get", {"task_id": task_id})["status"] != status:
        assert time.monotonic() < ends, node.result("tasks.get", {"task_id": task_id})


@pytest.mark.parametrize("scheme", ["http", "ws"])
def test_a_typed_client_reads_a_stream(node: Node, scheme: str) -> None:
    async def main() -> None:
        tasks = flow(3)
        given = msgspec.convert(tasks, list[TaskInput])
        async with connect(node.url.replace("http", scheme, 1), NodeClient) as client:
            async with client.tasks_execute_stream(TasksExecuteParams(tasks=given, use_streaming=True)) as stream:
                events = [(event.event, event.data.task_id) async for event in stream]
                result = await stream.result()
            assert (result.root_task_id, result.status) == (tasks[0]["id"], "started")
            completed = [task_id for name, task_id in events if name == "task_completed"]
            assert set(completed) == {task["id"] for task in tasks}
            assert completed[-1] == tasks[0]["id"]
            assert len(events) == 2 * len(tasks)
            assert (await client.tasks_get(TasksGetParams(task_id=completed[0]))).status == "completed"

    trio.run(main)


def read_frames(client: socket.socket) -> Generator[Any]:
    """The JSON of each text message of a WebSocket."""
    connection = Connection(ConnectionType.CLIENT)
    text = ""
    while data := client.recv(65536):
        connection.receive_data(data)
        for event in connection.events():
            if isinstance(event, TextMessage):
                text += event.data
                if event.message_finished:
                    yield json.loads(text)
                    text = ""


def open_websocket(node: Node) -> socket.socket:
    client = node.connect()
    client.sendall(handshake({}))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.recv(1)
    assert head.startswith(b"HTTP/1.1 101")
    return client


def frame(text: bytes) -> bytes:
    return Connection(ConnectionType.CLIENT).send(TextMessage(data=text.decode()))


def test_a_stream_over_a_websocket_as_it_is_written(node: Node) -> None:
    tasks = flow(0)
    root = tasks[0]["id"]
    with open_websocket(node) as client:
        asked = {**json.loads(execute(tasks)), "id": "s", "metadata": {"stream": True}}
        del asked["params"]["use_streaming"]
        client.sendall(frame(json.dumps(asked).encode()))
        frames = read_frames(client)
        data = {"protocol": "a2a", "task_id": root, "root_task_id": root}
        started = {**data, "status": "in_progress", "progress": 0.0}
        completed = {**data, "status": "completed", "progress": 1.0}
        assert [next(frames) for _ in range(5)] == [
            {"jsonrpc": "2.0", "method": "$/stream", "params": {"id": "s"}},
            {"jsonrpc": "2.0", "id": "s", "result": {"root_task_id": root, "status": "started"}},
            *(
                {"jsonrpc": "2.0", "method": "$/event", "params": {"id": "s", "event": {"event": name, "data": what}}}
                for name, what in (("task_status_update", started), ("task_completed", completed))
            ),
            {"jsonrpc": "2.0", "method": "$/end", "params": {"id": "s"}},
        ]


@pytest.mark.parametrize("way", ["http", "ws"])
def test_a_run_goes_on_when_its_reader_has_gone(node: Node, way: str) -> None:
    tasks = flow(3, "sleep", seconds=0.3)
    client = node.connect() if way == "http" else open_websocket(node)
    with client:
        client.sendall(post(execute(tasks)) if way == "http" else frame(execute(tasks)))
        data = b""
        while b"in_progress" not in data:
            data += client.recv(65536)
    wait_for(node, tasks[0]["id"], "completed")


def test_a_stream_is_no_slow_call(node: Node) -> None:
    before = len(node.log)
    assert b"task_completed" in node.send(execute(flow(0, "sleep", seconds=0.05))).body
    node.result("tasks.create", {"name": "any call is slow by this measure"})
    while '"tasks.create"' not in node.log[before:]:
        node.result("tasks.list", {"limit": 1})
    lines = [json.loads(line) for line in node.log[before:].splitlines()]
    slow = [line["method"] for line in lines if line["event"] == "slow call"]
    # The log is written beside the calls, so that it may tell of earlier ones, but of none that is a stream.
    assert "tasks.create" in slow
    assert "tasks.execute" not in slow


def events(count: int, **others: Any) -> list[TaskEvent]:
    root = new_id()
    return [
        TaskEvent(
            kind="task_completed",
            task_id=new_id(),
            root_task_id=root,
            status="completed",
            progress=float(f"0.{number}"),
            **others,
        )
        for number in range(count)
    ]


def test_a_follower_costs_less_than_a_mebibyte() -> None:
    async def main() -> None:
        feed = Feed(keeps_results=False)
        tracemalloc.start()
        for _ in range(MAX_BEHIND // 64):
            for event in events(64, result={"large": "x" * 10_000}):
                feed.publish(event)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert held < MIB
        dropped = [feed.dropped]
        feed.publish(events(1)[0])
        assert [*dropped, feed.dropped] == [False, True]
        assert [event async for event in feed] == []

    trio.run(main)


def test_results_that_nobody_reads_are_bounded_by_their_size() -> None:
    async def main() -> None:
        feed = Feed(keeps_results=True)
        large = events(1, result={"large": "x" * MIB})[0]
        for _ in range(1000):
            # Whoever reads is never behind.
            feed.publish(large)
            assert (await anext(feed)).result == large.result
        taken = 0
        while not feed.dropped:
            feed.publish(large)
            taken += 1
        assert taken == MAX_BEHIND_BYTES // MIB

    trio.run(main)


def read_until_reset(client: socket.socket) -> bytes:
    seen = b""
    try:
        while data := client.recv(65536):
            seen += data
    except ConnectionResetError:
        return seen
    raise AssertionError("the stream had an end")


def run_seconds(node: Node, parts: int, *, clients: int) -> float:
    """How long runs take, one for each client, which all read nothing of their streams."""
    flows = [flow(parts) for _ in range(max(1, clients))]
    open_clients = []
    began = time.monotonic()
    for tasks in flows:
        if not clients:
            node.result("tasks.execute", {"tasks": tasks})
            continue
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("localhost", node.port))
        client.sendall(post(execute(tasks)))
        open_clients.append(client)
    for tasks in flows:
        while "error" in node.call("tasks.get", {"task_id": tasks[0]["id"]}):
            assert time.monotonic() < began + 60
        wait_for(node, tasks[0]["id"], "completed")
    seconds = time.monotonic() - began
    for client in open_clients:
        # What was sent before the end came is a beginning, and the end is a reset.
        client.settimeout(30)
        seen = read_until_reset(client)
        client.close()
        assert seen.count(b"event: task_completed") < parts
    return seconds


@pytest.mark.parametrize(
    ("parts", "clients"), [(4_000, 1), pytest.param(10_000, 20, marks=pytest.mark.soak, id="full")]
)
def test_readers_that_stop_are_cut_off_and_the_run_goes_on(node: Node, parts: int, clients: int) -> None:
    alone = run_seconds(node, parts, clients=0)
    unread = run_seconds(node, parts, clients=clients) / clients
    # A shared machine has slow moments; a run that waited for its reader would end after send_seconds at least.
    assert unread < 3 * alone + 1
    statm = Path(f"/proc/{node.process.pid}/statm").read_text()
    assert int(statm.split()[1]) * 4096 < 300 * MIB
