"""Workers with a session: raw ones, and the generated SDK's behind the runtime's own session server."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from plugin_rig import CONTEXT, ROUTES, MemoryRuntime, RawWorker, Request, failure_of, name_of, opened, running
from sdk_worker import serving_sessions

from protogen_runtime.stepflow.plugins.contract import CannotStart, StepContext
from protogen_runtime.stepflow.plugins.sessions import events_url
from protogen_runtime.stepflow.plugins.workers import WorkerPlugin


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protogen_runtime.stepflow.plugins.links.FIRST_PAUSE_SECONDS", 0.01)


class SessionWorker(RawWorker):
    """Gives a stream of events, and names the session in a form of its own."""

    def __init__(self, form: Callable[[str], str], handle: Any = None) -> None:
        super().__init__(handle)
        self.streams: list[Request] = []
        self._form = form

    async def take(self, request: Request) -> None:
        if request.method != "GET":
            await super().take(request)
            return
        self.streams.append(request)
        await request.begin_stream()
        data = self._form(f"s{len(self.streams)}")
        await request.chunk(b"event: endpoint\ndata: " + data.encode() + b"\n\n" if data else b": nothing\n\n")
        self.came.unpark_all()

    async def tell(self, message: Any, *, stream: int = -1) -> None:
        """Send a message on a stream of events."""
        await self.streams[stream].chunk(b"event: message\ndata: " + json.dumps(message).encode() + b"\n\n")


def config_of(url: str) -> str:
    """A configuration with a worker with a session behind /w/…."""
    return f'plugins: {{w: {{type: stepflow, transport: session, url: "{url}"}}}}\n{ROUTES}'


@asynccontextmanager
async def session(
    form: Callable[[str], str] = lambda name: json.dumps({"endpoint": f"/?sessionId={name}"}),
    handle: Any = None,
    **options: Any,
) -> AsyncGenerator[tuple[SessionWorker, Any]]:
    """A raw worker with a session, and the plugins of a configuration with it."""
    worker = SessionWorker(form, handle)
    async with worker.serving(), opened(config_of(worker.url), **options) as plugins:
        yield worker, plugins


FORMS: list[tuple[str, Callable[[str], str], str]] = [
    ("as the original sends it", lambda name: json.dumps({"endpoint": f"/?sessionId={name}"}), "/?sessionId=s1"),
    ("as the overview draws it", lambda name: json.dumps({"endpoint": f"/session/{name}"}), "/session/s1"),
    ("a JSON string", lambda name: json.dumps(f"/session/{name}"), "/session/s1"),
    ("bare text", lambda name: f"/session/{name}", "/session/s1"),
]


@pytest.mark.parametrize(("form", "path"), [row[1:] for row in FORMS], ids=[row[0] for row in FORMS])
def test_messages_go_to_the_endpoint_that_the_worker_names(form: Callable[[str], str], path: str) -> None:
    async def scenario() -> None:
        async with session(form) as (worker, plugins):
            assert await plugins.execute("/w/x", [1], CONTEXT) == [1]
            assert worker.streams[0].path == "/runtime/events"
            assert {request.path for request in worker.requests} == {path}
            assert worker.methods() == ["initialize", "initialized", "components/execute"]

    running(scenario)


def test_without_an_endpoint_messages_go_to_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protogen_runtime.io.session_client.ENDPOINT_SECONDS", 0.1)

    async def scenario() -> None:
        async with session(lambda _: "") as (worker, plugins):
            assert await plugins.execute("/w/x", None, CONTEXT) is None
            assert {request.path for request in worker.requests} == {"/"}

    running(scenario)


def test_callbacks_come_as_events_and_their_answers_are_posted() -> None:
    async def scenario() -> None:
        async def handle(request: Request) -> None:
            params = {"data": 7, "blob_type": "data"}
            await worker.tell({"jsonrpc": "2.0", "id": "c", "method": "blobs/put", "params": params})
            await worker.tell({"jsonrpc": "2.0", "id": "u", "method": "no/such", "params": {}})
            await worker.until(lambda: len(worker.requests) == 5)
            await request.result({"output": "done"})

        runtime = MemoryRuntime()
        async with session(handle=handle, runtime=runtime) as (worker, plugins):
            assert await plugins.execute("/w/x", None, CONTEXT) == "done"
        replies = {request.message["id"]: request.message for request in worker.requests[3:]}
        assert replies["c"]["result"] == {"blob_id": name_of(7)}
        assert replies["u"]["error"]["code"] == -32601
        # Only one call is under way, so it is that one's callback.
        assert runtime.callers == [CONTEXT]

    running(scenario)


def test_a_session_that_is_lost_fails_its_calls_and_another_is_begun() -> None:
    async def scenario() -> None:
        async def handle(request: Request) -> None:
            if request.path.endswith("s1"):
                await worker.streams[0].stream.aclose()
                await trio.sleep_forever()
            await request.result({"output": request.path})

        async with session(handle=handle) as (worker, plugins):
            failed = await failure_of(plugins, "/w/x")
            assert failed.kind == "transport", failed.message
            assert await plugins.execute("/w/x", None, CONTEXT) == "/?sessionId=s2"
            assert worker.methods().count("initialize") == 2

    running(scenario)


def test_a_worker_without_a_stream_keeps_the_runtime_from_starting() -> None:
    async def scenario() -> None:
        async def handle(request: Request) -> None:
            await request.answer(b"", status="404 Not Found")

        async with RawWorker(handle).serving() as worker:
            with pytest.raises(
                CannotStart, match=r"plugin w: worker w: .*/runtime/events gives no event stream .HTTP status 404"
            ):
                async with opened(config_of(worker.url)):
                    raise AssertionError("it started")

    running(scenario)


def test_an_endpoint_at_another_server_is_refused() -> None:
    async def scenario() -> None:
        worker = SessionWorker(lambda _: '{"endpoint": "http://127.0.0.2:9/x"}')
        async with worker.serving():
            with pytest.raises(CannotStart, match="at another origin"):
                async with opened(config_of(worker.url)):
                    raise AssertionError("it started")

    running(scenario)


def test_two_runtimes_on_one_worker_see_nothing_of_each_other() -> None:
    """Fifty calls each at the same time, every one of which puts a blob by way of a callback."""

    async def scenario() -> None:
        async with serving_sessions() as url:
            runtimes = {mark: MemoryRuntime() for mark in "ab"}

            async def use(mark: str) -> None:
                async with opened(config_of(url), runtime=runtimes[mark]) as plugins:

                    async def one(number: int) -> None:
                        context = StepContext(run_id=mark, flow_id="f", step_id=f"s{number}")
                        value = [mark, number]
                        assert await plugins.execute("/w/put", value, context) == name_of(value)

                    async with trio.open_nursery() as nursery:
                        for number in range(50):
                            nursery.start_soon(one, number)
                    plugin = plugins.plugin("w")
                    assert isinstance(plugin, WorkerPlugin)
                    assert plugin.dialect == "0.9"

            async with trio.open_nursery() as nursery:
                for mark in runtimes:
                    nursery.start_soon(use, mark)
            for mark, runtime in runtimes.items():
                assert set(runtime.blobs) == {name_of([mark, number]) for number in range(50)}
                assert {caller.run_id for caller in runtime.callers if caller is not None} == {mark}
                assert len(runtime.callers) == 50

    running(scenario)


@pytest.mark.parametrize(
    ("given", "stream"),
    [
        ("http://h:1", "http://h:1/runtime/events"),
        ("http://h:1/", "http://h:1/runtime/events"),
        ("http://h:1/base/", "http://h:1/base/runtime/events"),
        ("http://h:1/runtime/events", "http://h:1/runtime/events"),
    ],
)
def test_the_stream_is_below_the_url_of_the_worker(given: str, stream: str) -> None:
    assert events_url(given) == stream
