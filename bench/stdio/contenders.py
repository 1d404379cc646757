"""The two ends of a pipe, ours and blocking ones. Run as a program, it is the server that its argument names.

Every call is about 200 bytes long and asks for its params back; 64 are in flight at any time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec
import trio
from msgspec import Raw

IN_FLIGHT: Final = 64
TEXT: Final = "x" * 130


class _Call(msgspec.Struct):
    id: int
    method: str
    params: dict[str, Any]
    jsonrpc: str = "2.0"


class _Answer(msgspec.Struct):
    id: int
    result: dict[str, Any]
    jsonrpc: str = "2.0"


# --- servers --------------------------------------------------------------------------------------------


class _BareLink:
    """What a handler is told by a server that does nothing else meanwhile."""

    headers: ClassVar[dict[str, str]] = {}
    identity = None
    deadline = None
    channel: Any = None
    emit = None
    answer = None
    frame = b""


def blocking_server() -> None:
    """Blocking pipes with the same JSON-RPC above them: reads a line, does what it asks, answers, reads the next."""
    from protogen_runtime.echo import make_service
    from protogen_runtime.jsonrpc import Call, ErrorObject, Failure, Success, decode, encode

    service, link = make_service(), _BareLink()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    for line in source:
        call = decode(line)
        assert isinstance(call, Call)
        outcome = service.start(call, link)
        assert isinstance(outcome, Raw | ErrorObject)
        if isinstance(outcome, Raw):
            sink.write(encode(Success(id=call.id, result=outcome)) + b"\n")
        else:
            sink.write(encode(Failure(id=call.id, error=outcome)) + b"\n")
        sink.flush()


def bare_server() -> None:
    """Blocking pipes with two calls of msgspec above them: no dispatch, no validation, nothing that can go wrong."""
    decode, encode = msgspec.json.Decoder(_Call).decode, msgspec.json.Encoder().encode
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    for line in source:
        call = decode(line)
        sink.write(encode(_Answer(id=call.id, result=call.params)) + b"\n")
        sink.flush()


def our_server() -> None:
    """Ours, with dispatch, params of a generated type, and all bounds."""
    from protogen_runtime.echo import make_service
    from protogen_runtime.io.stdio import serve_stdio

    trio.run(serve_stdio, make_service())


SERVERS = {"blocking": blocking_server, "bare": bare_server, "ours": our_server}


def command(server: str) -> list[str]:
    """How to start a server."""
    return [sys.executable, str(Path(__file__).resolve()), server]


# --- clients: seconds for `calls` round trips -----------------------------------------------------------


def call_text(request_id: int) -> bytes:
    """One call as a line of about 200 bytes."""
    return b'{"jsonrpc":"2.0","id":%d,"method":"echo","params":{"value":"%b"}}\n' % (request_id, TEXT.encode())


def blocking_client(server: str, calls: int) -> float:
    """Writes 64 calls, then one for each answer that it has read and decoded."""
    decode = msgspec.json.Decoder(_Answer).decode
    with subprocess.Popen(command(server), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        sink, source = process.stdin.fileno(), process.stdout
        os.write(sink, call_text(0))
        source.readline()
        started = time.perf_counter()
        os.write(sink, b"".join(map(call_text, range(IN_FLIGHT))))
        for number in range(calls):
            answer = decode(source.readline())
            assert answer.result["value"] == TEXT
            if number + IN_FLIGHT < calls:
                os.write(sink, call_text(number + IN_FLIGHT))
        seconds = time.perf_counter() - started
        process.stdin.close()
    return seconds


def our_client(server: str, calls: int) -> float:
    """64 tasks over one channel of ours."""
    from protogen_runtime.io.stdio import StdioChannel
    from protogen_runtime.jsonrpc import Success

    params = Raw(msgspec.json.encode({"value": TEXT}))

    async def run() -> float:
        channel = StdioChannel(command(server))
        await channel.open()
        await channel.call("echo", params, None)

        async def work() -> None:
            for _ in range(calls // IN_FLIGHT):
                answer = await channel.call("echo", params, None)
                assert isinstance(answer, Success)
                assert msgspec.json.decode(answer.result)["value"] == TEXT

        started = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for _ in range(IN_FLIGHT):
                nursery.start_soon(work)
        seconds = time.perf_counter() - started
        await channel.aclose()
        return seconds

    return trio.run(run)


if __name__ == "__main__":
    SERVERS[sys.argv[1]]()
