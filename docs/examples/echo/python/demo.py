"""A server of the echo protocol and a client that calls it, both on the generated SDK."""

from __future__ import annotations

import socket
from functools import partial
from typing import Any

import trio
from echo_protocol import (
    AddParams,
    AddResult,
    AsgiApp,
    CallbackParams,
    CallbackResult,
    ClientClient,
    Context,
    CountEvent,
    CountParams,
    CountResult,
    EchoParams,
    EchoResult,
    FailParams,
    FailResult,
    NotifyParams,
    ServerClient,
    SleepParams,
    SleepResult,
    SleepTooLongData,
    SleepTooLongError,
    StreamContext,
    client_dispatcher,
    server_dispatcher,
)
from hypercorn.config import Config
from hypercorn.trio import serve

Caller = Context[ClientClient]


class Server:
    """Serves the role `server`: the interface is `echo_protocol.ServerHandler`."""

    async def echo(self, params: EchoParams, context: Caller) -> EchoResult:
        return EchoResult(value=params.value)

    async def add(self, params: AddParams, context: Caller) -> AddResult:
        return AddResult(sum=params.a + params.b)

    async def fail(self, params: FailParams, context: Caller) -> FailResult:
        return FailResult()

    async def sleep(self, params: SleepParams, context: Caller) -> SleepResult:
        raise SleepTooLongError(SleepTooLongData(maximum=0))

    async def count(self, params: CountParams, context: StreamContext[ClientClient, CountEvent]) -> CountResult:
        for number in range(1, params.to + 1):
            await context.emit(CountEvent(number=number))
        return CountResult(counted=params.to)

    async def callback(self, params: CallbackParams, context: Caller) -> CallbackResult:
        heard = await context.client.client_echo(EchoParams(value="are you there?"))
        return CallbackResult(result=heard.value)

    async def notify(self, params: NotifyParams, context: Caller) -> None:
        return None


class Listener:
    """Serves the role `client`: what the server may call back."""

    async def client_echo(self, params: EchoParams, context: Context[Any]) -> EchoResult:
        return EchoResult(value=f"the client heard: {params.value}")


async def call(url: str) -> None:
    """Calls every kind of method once."""
    async with ServerClient.http(url, callbacks=client_dispatcher(Listener())) as client:
        print("echo     ", (await client.echo(EchoParams(value={"text": "hello"}))).value)
        print("add      ", (await client.add(AddParams(a=2, b=3))).sum)
        async with client.count_stream(CountParams(to=3)) as stream:
            numbers = [str(event.number) async for event in stream]
            print("count    ", ", ".join(numbers), "then", (await stream.result()).counted)
        print("callback ", (await client.callback(CallbackParams(method="client/echo"))).result)
        try:
            await client.sleep(SleepParams(seconds=60))
        except SleepTooLongError as error:
            print(f"sleep     {error}: at most {error.data.maximum} s")


async def main() -> None:
    """Serves on a free port of this machine for as long as the client needs it."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.loglevel = "WARNING"
    app: Any = AsgiApp(server_dispatcher(Server()))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(serve, app, config))
        await call(f"http://127.0.0.1:{port}/")
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
