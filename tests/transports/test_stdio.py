"""Child processes: how they start, what they print, how they end, and the servers of SDKs behind their pipes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
import trio
from echo_protocol import AddParams, AddResult, CallbackFailedError, CallbackParams, EchoParams, EchoResult
from echo_protocol import TransportError as SdkTransportError
from echo_protocol.client import CLIENTS, ServerClient
from echo_protocol.methods import PROTOCOL
from echo_protocol.types import CallbackFailedData, SleepParams

from protogen_runtime.dispatch import CallContext, Service
from protogen_runtime.io.channel import Bounds, TransportError
from protogen_runtime.io.client import connect
from protogen_runtime.io.contract import ask
from protogen_runtime.io.stdio import StdioChannel

RUNTIME_SERVER = "from protogen_runtime import echo; echo.serve_stdio()"
SDK_SERVER = """
import trio
from echo_protocol import *
class Handler:
    async def echo(self, params, context): return EchoResult(value=params.value)
    async def add(self, params, context): return AddResult(sum=params.a + params.b)
    async def sleep(self, params, context): await trio.sleep(params.seconds)
    async def callback(self, params, context):
        try:
            return CallbackResult(result=await context.client.call(params.method, params.params_or_default))
        except RpcError as error:
            data = CallbackFailedData(code=error.code, message=error.message)
            raise CallbackFailedError(data) from None
trio.run(serve_stdio, server_dispatcher(Handler()))
"""


class ClientHandler:
    """Serves the role `client`."""

    async def client_echo(self, params: EchoParams, _: CallContext) -> EchoResult:
        await trio.lowlevel.checkpoint()
        return EchoResult(value=params.value)


def callbacks() -> Service:
    return Service(PROTOCOL, "client", ClientHandler(), clients=CLIENTS)


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        with trio.fail_after(30):
            await scenario()

    trio.run(limited)


async def use_every_way(client: ServerClient) -> None:
    """A call, many at once, callbacks, typed errors and an abandoned call."""
    assert await client.add(AddParams(a=2**70, b=1)) == AddResult(sum=2**70 + 1)
    text = "\u2028\n😀" * 1000
    assert (await client.echo(EchoParams(value=text))).value == text
    answers: dict[int, object] = {}

    async def one(number: int) -> None:
        answers[number] = (await client.echo(EchoParams(value=number))).value

    async with trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(one, number)
    assert answers == {number: number for number in range(100)}
    called_back = await client.callback(CallbackParams(method="client/echo", params={"value": [1]}))
    assert called_back.result == {"value": [1]}
    with pytest.raises(CallbackFailedError) as failed:
        await client.callback(CallbackParams(method="client/nothing"))
    assert isinstance(failed.value.data, CallbackFailedData)
    assert failed.value.data.code == -32601
    with trio.move_on_after(0.05):
        await client.sleep(SleepParams(seconds=30))
    assert await client.add(AddParams(a=1, b=2)) == AddResult(sum=3)


@pytest.mark.parametrize("program", [RUNTIME_SERVER, SDK_SERVER], ids=["runtime", "sdk"])
def test_servers_of_both_kinds_are_spoken_to(program: str) -> None:
    async def scenario() -> None:
        async with connect(python(program), ServerClient, callbacks=callbacks()) as client:
            await use_every_way(client)

    run(scenario)


def test_the_sdks_own_client_speaks_to_the_runtime() -> None:
    async def scenario() -> None:
        async with ServerClient.stdio(python(RUNTIME_SERVER)) as client:
            assert await client.add(AddParams(a=1, b=2)) == AddResult(sum=3)
            with trio.move_on_after(0.05):
                await client.sleep(SleepParams(seconds=30))
            assert await client.add(AddParams(a=1, b=2)) == AddResult(sum=3)

    run(scenario)


# --- how children end -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import sys; sys.stdin.readline(); sys.exit(3)", "ended with status 3"),
        ("import os, signal, sys; sys.stdin.readline(); os.kill(os.getpid(), signal.SIGKILL)", "ended with status -9"),
        ("import sys; sys.stdin.readline(); print('{', end='')", "ended with status 0"),
    ],
)
def test_calls_fail_and_say_how_the_server_ended(program: str, reason: str) -> None:
    async def scenario() -> None:
        channel = StdioChannel(python(program))
        await channel.open()
        with pytest.raises(TransportError, match=reason):
            await ask(channel, "any")
        with pytest.raises(TransportError, match=reason):
            await ask(channel, "any")
        await channel.aclose()

    run(scenario)


def test_a_dead_server_is_a_transport_error_of_the_sdk() -> None:
    async def scenario() -> None:
        async with connect(python("pass"), ServerClient, retries=0) as client:
            with pytest.raises(SdkTransportError, match="ended with status 0"):
                await client.add(AddParams(a=1, b=2))

    run(scenario)


def test_a_program_that_is_not_there_says_so() -> None:
    async def scenario() -> None:
        channel = StdioChannel(["/nowhere/program"])
        with pytest.raises(TransportError, match="/nowhere/program cannot be started: No such file"):
            await channel.open()

    run(scenario)


def test_a_server_that_ignores_its_end_is_killed() -> None:
    program = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("null", flush=True)
while True:
    signal.pause()
"""

    async def scenario() -> None:
        channel = StdioChannel(python(program), stop_seconds=0.3)
        await channel.open()
        with trio.move_on_after(0.5):
            await ask(channel, "any")
        await channel.aclose()
        assert channel.returncode == -signal.SIGKILL

    run(scenario)


def test_no_descriptor_is_left_open() -> None:
    async def scenario() -> None:
        for _ in range(3):
            async with connect(python(RUNTIME_SERVER), ServerClient) as client:
                await client.add(AddParams(a=1, b=2))

    before = len(list(Path("/dev/fd").iterdir()))
    run(scenario)
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_what_a_server_writes_to_stderr_is_passed_on() -> None:
    program = """
import sys
import trio
from protogen_runtime.io.client import connect
from protogen_runtime.io.stdio import StdioChannel
async def main():
    channel = StdioChannel([sys.executable, "-c", "import sys; print('to whom it may concern', file=sys.stderr)"])
    await channel.open()
    await channel.aclose()
trio.run(main)
"""
    done = subprocess.run(python(program), capture_output=True, text=True, timeout=30, check=True)
    assert done.stderr == "to whom it may concern\n"


def test_a_server_that_prints_rubbish_is_told_so_and_understood_afterwards() -> None:
    program = """
import json, sys
print("starting up...", flush=True)
print("\\n\\r\\n   ", flush=True)
heard = []
for line in sys.stdin:
    heard.append(json.loads(line))
    if "method" in heard[-1]:
        print(json.dumps({"jsonrpc": "2.0", "id": "unknown", "result": 0}))
        print(json.dumps({"jsonrpc": "2.0", "id": heard[-1]["id"], "result": heard}), end="\\r\\n", flush=True)
        print(json.dumps({"jsonrpc": "2.0", "id": heard[-1]["id"], "result": "twice"}), flush=True)
"""

    async def scenario() -> None:
        channel = StdioChannel(python(program))
        await channel.open()
        first = await ask(channel, "one")
        second = await ask(channel, "two")
        told = [message["error"]["code"] for message in second if "error" in message]
        assert told == [-32700]
        assert [message["method"] for message in second if "method" in message] == ["one", "two"]
        assert len(first) in (1, 2)
        await channel.aclose()

    run(scenario)


def test_a_server_that_floods_us_with_calls_cannot_fill_our_memory() -> None:
    program = """
import sys
line = b'{"jsonrpc":"2.0","id":1,"method":"client/echo","params":{"value":"' + b"x" * 50000 + b'"}}\\n'
try:
    while True:
        sys.stdout.buffer.write(line)
except BrokenPipeError:
    sys.exit(7)
"""

    async def scenario() -> None:
        bounds = Bounds(max_unread_bytes=500_000, send_seconds=0.3, min_bytes_per_second=10_000_000)
        channel = StdioChannel(python(program), callbacks=callbacks(), bounds=bounds)
        await channel.open()
        with pytest.raises(TransportError, match="does not read"):
            await ask(channel, "any")
        await channel.aclose()

    run(scenario)


# --- our own side as a server ---------------------------------------------------------------------------


def serve(text: bytes) -> tuple[int, list[object]]:
    """Give our server an input; its status and the answers."""
    done = subprocess.run(python(RUNTIME_SERVER), input=text, capture_output=True, timeout=30, check=False)
    return done.returncode, [msgspec.json.decode(line) for line in done.stdout.splitlines()]


def test_input_that_ends_is_answered_to_its_last_line() -> None:
    calls = b"".join(b'{"jsonrpc":"2.0","id":%d,"method":"echo","params":{"value":%d}}\n' % (i, i) for i in range(5000))
    status, answers = serve(calls + b'\n\r\n{"jsonrpc":"2.0","id":"last","method":"sleep","params":{"seconds":0.05}}')
    assert status == 0
    assert len(answers) == 5001
    assert answers[:3] == [{"jsonrpc": "2.0", "id": i, "result": {"value": i}} for i in range(3)]
    last = answers[-1]
    assert isinstance(last, dict)
    assert last["id"] == "last"
    assert last["result"]["slept"] >= 0.05


def test_no_input_is_no_output() -> None:
    assert serve(b"") == (0, [])


def test_files_as_input_and_output_work_too(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b'{"jsonrpc":"2.0","id":1,"method":"echo","params":{"value":[]}}\n')
    with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as sink:
        subprocess.run(python(RUNTIME_SERVER), stdin=source, stdout=sink, timeout=30, check=True)
    answer = msgspec.json.decode((tmp_path / "out").read_bytes())
    assert answer == {"jsonrpc": "2.0", "id": 1, "result": {"value": []}}


def test_what_handlers_print_does_not_reach_the_output() -> None:
    program = """
import trio
from protogen_runtime import echo
from protogen_runtime.io.stdio import serve_stdio
print_ = print
class Handler(echo.EchoHandler):
    def notify_(self, params, context):
        print("a message for people")
    def echo(self, params, context):
        print("another one")
        return super().echo(params, context)
from protogen_runtime.dispatch import Service
from echo_protocol.methods import PROTOCOL
trio.run(serve_stdio, Service(PROTOCOL, "server", Handler()))
"""
    call = b'{"jsonrpc":"2.0","id":1,"method":"echo","params":{"value":1}}\n'
    done = subprocess.run(python(program), input=call, capture_output=True, timeout=30, check=True)
    assert done.stderr == b"another one\n"
    assert msgspec.json.decode(done.stdout) == {"jsonrpc": "2.0", "id": 1, "result": {"value": 1}}


def test_a_server_whose_reader_has_gone_ends() -> None:
    with subprocess.Popen(python(RUNTIME_SERVER), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.close()
        process.stdin.write(b'{"jsonrpc":"2.0","id":1,"method":"echo","params":{"value":1}}\n')
        process.stdin.flush()
        # Its input stays open: it ends because nobody reads its output.
        assert process.wait(timeout=20) == 0
