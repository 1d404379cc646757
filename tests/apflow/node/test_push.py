"""Pushes: what a receiver gets, in which order, how often, and where the node does not go."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import msgspec
import pytest
import trio
from apflow_protocol import PushNotificationConfig

from protogen_runtime.apflow.executors.builtin import outgoing_of
from protogen_runtime.apflow.executors.settings import ExecutorSettings
from protogen_runtime.apflow.push import SIGNATURE_HEADER, Pushes, PushSettings, open_pushes, sign
from protogen_runtime.apflow.rules.faults import RuleBroken
from protogen_runtime.dispatch import Service
from protogen_runtime.jsonrpc import ErrorObject
from protogen_runtime.nodes.apflow import Settings, open_node

ROOT, PART = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
FAST = PushSettings(initial_seconds=0.01, max_attempts=3, request_seconds=5)
LOCAL = ExecutorSettings(allow_private_addresses=True)


class Receiver:
    """An HTTP server that keeps what it is sent and answers with the statuses it was given, then 204."""

    def __init__(self, statuses: list[int]) -> None:
        self.statuses = statuses
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.port = 0
        self.news = trio.Event()

    async def serve(self, stream: trio.SocketStream) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += await stream.receive_some()
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
        while len(body) < int(headers["content-length"]):
            body += await stream.receive_some()
        self.posts.append(({**headers, ":line": lines[0]}, body))
        status = self.statuses.pop(0) if self.statuses else 204
        await stream.send_all(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
        self.news.set()
        self.news = trio.Event()

    async def wait_for(self, count: int) -> list[Any]:
        """The bodies, once there are so many."""
        while len(self.posts) < count:
            await self.news.wait()
        return [json.loads(body) for _, body in self.posts]


@asynccontextmanager
async def receiving(*statuses: int) -> AsyncGenerator[Receiver]:
    receiver = Receiver(list(statuses))
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, receiver.serve, 0, host="127.0.0.1"))
        receiver.port = listeners[0].socket.getsockname()[1]
        yield receiver
        nursery.cancel_scope.cancel()


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        with trio.fail_after(20):
            await test()

    trio.run(bounded)


class Link:
    """A caller who takes one answer, and whose request has members beside its params."""

    headers: dict[str, str] = {}  # noqa: RUF012 - never changed
    identity = deadline = channel = emit = answer = None

    def __init__(self, frame: bytes) -> None:
        self.frame = frame


async def execute(service: Service, url: str, **config: object) -> Any:
    from protogen_runtime.jsonrpc import Call

    params = {
        "tasks": [
            {"id": ROOT, "name": "root", "schemas": {"method": "echo"}, "dependencies": [{"id": PART}]},
            {"id": PART, "name": "part", "parent_id": ROOT, "schemas": {"method": "echo"}, "inputs": {"n": 1}},
        ]
    }
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tasks.execute",
        "params": params,
        "configuration": {"push_notification_config": {"url": url, **config}},
    }
    work = Call(id=1, method="tasks.execute", params=msgspec.Raw(json.dumps(params).encode()))
    link: Any = Link(json.dumps(message).encode())
    outcome: Any = service.start(work, link)
    # What is refused at once needs no waiting.
    return outcome if isinstance(outcome, ErrorObject) else await outcome


def test_a_receiver_gets_every_change_in_order_with_the_callers_headers() -> None:
    async def main() -> None:
        settings = Settings(database="memory:", executors=LOCAL, push=FAST)
        async with receiving() as receiver, open_node(settings) as service:
            url = f"http://127.0.0.1:{receiver.port}/cb?x=1"
            headers = {"Authorization": "Bearer t", "Host": "elsewhere"}
            answer = await execute(service, url, headers=headers, method="PUT")
            assert msgspec.json.decode(answer) == {"root_task_id": ROOT, "status": "started"}
            bodies = await receiver.wait_for(4)
            assert [(body["task_id"], body["status"], body["progress"]) for body in bodies] == [
                (PART, "in_progress", 0),
                (PART, "completed", 1),
                (ROOT, "in_progress", 0),
                (ROOT, "completed", 1),
            ]
            assert bodies[1]["result"] == {"n": 1}
            sent = receiver.posts[0][0]
            assert sent[":line"] == "POST /cb?x=1 HTTP/1.1"
            assert (sent["authorization"], sent["host"]) == ("Bearer t", f"127.0.0.1:{receiver.port}")
            assert (sent["content-type"], SIGNATURE_HEADER in sent) == ("application/json", False)

    run(main)


@asynccontextmanager
async def pushing(settings: PushSettings = FAST, executors: ExecutorSettings = LOCAL) -> AsyncGenerator[Pushes]:
    async with open_pushes(outgoing_of(executors), settings) as pushes:
        yield pushes


@pytest.mark.parametrize(
    ("statuses", "taken", "tries"),
    [((503, 429), True, 3), ((500, 500, 500, 500), False, 3), ((404,), False, 1), ((410, 500), False, 1)],
)
def test_what_was_not_taken_is_sent_again_where_that_can_help(
    statuses: tuple[int, ...], taken: bool, tries: int
) -> None:
    async def main() -> None:
        async with receiving(*statuses) as receiver, pushing() as pushes:
            assert await pushes.deliver(f"http://127.0.0.1:{receiver.port}/", {}, b"{}") is taken
            assert len(receiver.posts) == tries

    run(main)


def test_a_receiver_that_is_not_there_is_given_up() -> None:
    async def main() -> None:
        async with pushing() as pushes:
            assert await pushes.deliver("http://127.0.0.1:1/", {}, b"{}") is False

    run(main)


def test_a_body_is_signed_where_there_is_a_secret() -> None:
    async def main() -> None:
        settings = msgspec.structs.replace(FAST, secret="s3cret")
        async with receiving() as receiver, pushing(settings) as pushes:
            forged = {SIGNATURE_HEADER: "t=1,v1=00"}
            assert await pushes.deliver(f"http://127.0.0.1:{receiver.port}/", forged, b'{"a":1}')
            headers, body = receiver.posts[0]
            seconds = headers[SIGNATURE_HEADER].split(",")[0].removeprefix("t=")
            digest = hmac.new(b"s3cret", seconds.encode() + b"." + body, hashlib.sha256).hexdigest()
            assert headers[SIGNATURE_HEADER] == f"t={seconds},v1={digest}" == sign("s3cret", int(seconds), body)

    run(main)


def test_private_receivers_are_refused_before_anything_runs() -> None:
    async def main() -> None:
        async with receiving() as receiver, open_node(Settings(database="memory:", push=FAST)) as service:
            error = await execute(service, f"http://127.0.0.1:{receiver.port}/")
            assert error.code == -32602
            data = msgspec.json.decode(error.data)
            assert (data["field"], data["path"]) == ("url", ["configuration", "push_notification_config", "url"])
            assert receiver.posts == []

    run(main)


def test_a_name_that_leads_to_a_private_address_is_refused_at_the_dial() -> None:
    async def main() -> None:
        async with receiving() as receiver, pushing(executors=ExecutorSettings()) as pushes:
            pushes.check(PushNotificationConfig(url="https://example.com/cb"))
            with pytest.raises(RuleBroken):
                pushes.check(PushNotificationConfig(url="http://[::1]/"))
            assert await pushes.deliver(f"http://localhost:{receiver.port}/", {}, b"{}") is False
            assert receiver.posts == []

    run(main)
