"""The toy server: `toy_server.py FOLDER [BACKEND]` serves its standard input with the package in FOLDER."""

from __future__ import annotations

import sys
from typing import Any

import anyio


class Server:
    """Implements every method of the toy protocol; `toy` is the package."""

    def __init__(self, toy: Any) -> None:
        self.toy = toy
        self.log_entries: list[Any] = []
        self.waiting = 0
        self.cancelled = 0

    async def echo(self, params: Any, context: Any) -> Any:
        match params.value:
            case "state":
                state = {"log": self.log_entries, "waiting": self.waiting, "cancelled": self.cancelled}
                return self.toy.EchoResult(value=state)
            case "typed error":
                raise self.toy.NotThereError(self.toy.NotThereData(name="x", extra={"more": 1}), message="gone")
            case "generic error":
                raise self.toy.RpcError(42, "forty-two", {"a": [1]})
            case "bad error":
                raise self.toy.NotThereError({"no": "name"})
            case "crash":
                raise RuntimeError("a secret")
            case "bad result":
                return self.toy.EchoResult(value=1, more=5)
            case "no result":
                return None
            case "print":
                print("this must not reach the wire")
            case "headers":
                return self.toy.EchoResult(value=dict(context.headers))
            case _:
                pass
        return self.toy.EchoResult(value=params.value)

    async def add(self, params: Any, context: Any) -> Any:
        del context
        return params.a + params.b + params.c_or_default

    async def swap(self, params: Any, context: Any) -> Any:
        del context
        return [params.left] if params.right is self.toy.types.UNSET else [params.right, params.left]

    async def jobs_run(self, params: Any, context: Any) -> Any:
        steps = 3 if params.steps is self.toy.types.UNSET else params.steps
        for step in range(steps):
            await context.emit(step)
            await context.emit(self.toy.ProgressOption1(event="step", data={"at": step}))
        if steps == 100:
            await self.wait(context)
        return self.toy.EchoResult(value=[steps, context.is_streaming])

    async def wait(self, context: Any) -> None:
        del context
        self.waiting += 1
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        finally:
            self.waiting -= 1

    async def ask(self, params: Any, context: Any) -> Any:
        if params.value == "many":
            answers: list[Any] = []

            async def one(number: int) -> None:
                answers.append((await context.client.answer(self.toy.EchoParams(value=number))).value)

            async with anyio.create_task_group() as group:
                for number in range(10):
                    group.start_soon(one, number)
            return self.toy.EchoResult(value=sorted(answers))
        if params.value == "note":
            await context.client.note(params)
            return self.toy.EchoResult(value="noted")
        try:
            return await context.client.answer(params, timeout=5)
        except self.toy.BusyError as error:
            return self.toy.EchoResult(value=["busy", error.code])
        except self.toy.TransportError as error:
            return self.toy.EchoResult(value=["transport", str(error)])

    async def log(self, params: Any, context: Any) -> None:
        del context
        self.log_entries.append(params.value)
        if params.value == "crash":
            raise RuntimeError("nobody is told")

    async def class_(self, context: Any) -> Any:
        return {"method": context.method}


class Answerer:
    """Implements the role client."""

    def __init__(self, toy: Any) -> None:
        self.toy = toy
        self.notes: list[Any] = []

    async def answer(self, params: Any, context: Any) -> Any:
        if params.value == "busy":
            raise self.toy.BusyError
        if params.value == "ask back":
            return await context.client.echo(self.toy.EchoParams(value="back"))
        return self.toy.EchoResult(value=params.value)

    async def note(self, params: Any, context: Any) -> None:
        del context
        self.notes.append(params.value)


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    import toy_protocol

    served = toy_protocol.server_dispatcher(Server(toy_protocol))
    anyio.run(toy_protocol.serve_stdio, served, backend=sys.argv[2] if len(sys.argv) > 2 else "asyncio")
