"""The cross-talk of streamed answers in Python: `--serve` is an agent (prints its port), a URL is called."""

from __future__ import annotations

import json
import os
import socket
import sys
from functools import partial

import trio
from a2a_protocol import (
    AgentClient,
    AsgiApp,
    EventStream,
    Message,
    Part,
    RpcError,
    SendMessageRequest,
    StreamContext,
    StreamResponse,
    SubscribeToTaskRequest,
    Task,
    TaskNotFoundError,
    TaskState,
    TaskStatus,
    TaskStatusUpdateEvent,
    TransportError,
    agent_dispatcher,
)
from a2a_protocol.rpc.client import Client
from hypercorn.config import Config
from hypercorn.trio import serve

Context = StreamContext[Client, StreamResponse]
TASK = StreamResponse(task=Task(id="t", status=TaskStatus(state="TASK_STATE_SUBMITTED")))


def update(state: TaskState) -> StreamResponse:
    return StreamResponse(
        status_update=TaskStatusUpdateEvent(task_id="t", context_id="c", status=TaskStatus(state=state))
    )


class Agent:
    """Answers three times to a message; to a subscription once, or once and then with an error."""

    async def send_streaming_message(self, params: SendMessageRequest, context: Context) -> StreamResponse:
        await context.emit(TASK)
        await context.emit(update("TASK_STATE_WORKING"))
        return update("TASK_STATE_COMPLETED")

    async def subscribe_to_task(self, params: SubscribeToTaskRequest, context: Context) -> StreamResponse:
        if params.id == "gone":
            await context.emit(TASK)
            raise TaskNotFoundError
        return TASK


async def serve_http(app: AsgiApp) -> None:
    """Serves until standard input ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.loglevel = "CRITICAL"
    print(json.dumps({"port": port}), flush=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(serve, app, config))  # type: ignore[arg-type] # hypercorn's own ASGI types
        await trio.to_thread.run_sync(sys.stdin.buffer.read, abandon_on_cancel=True)
        os._exit(0)


def shown(item: StreamResponse) -> str:
    if item.task:
        return item.task.status.state
    return item.status_update.status.state if item.status_update else "artifact"


async def told(stream: EventStream[StreamResponse, StreamResponse]) -> list[object]:
    """The events, and the result or the code of the error."""
    events: list[str] = []
    async with stream:
        try:
            async for event in stream:
                events.append(shown(event))  # noqa: PERF401 - what came before an error counts, too
            return [events, shown(await stream.result())]
        except RpcError as error:
            return [events, error.code]
        except TransportError:
            return [events, "cut"]


async def call(url: str) -> None:
    async with AgentClient.http(url) as agent:
        message = Message(message_id="m", role="ROLE_USER", parts=[Part(text="hello")])
        steps = {"stream": await told(agent.send_streaming_message_stream(SendMessageRequest(message=message)))}
        for name in ("once", "gone"):
            steps[name] = await told(agent.subscribe_to_task_stream(SubscribeToTaskRequest(id=name)))
        print(json.dumps(steps))


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        dispatcher = agent_dispatcher(Agent())  # type: ignore[arg-type]  # the other methods are not found
        trio.run(serve_http, AsgiApp(dispatcher))
    else:
        trio.run(call, sys.argv[1])
