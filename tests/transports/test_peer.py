"""The engine of every connection that carries frames both ways: bounds, cancellation, and what bad peers send."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing
from msgspec import Raw
from wires import error, result, wired

from protogen_runtime.dispatch import CallContext
from protogen_runtime.io.channel import REASONS, Bounds, TransportError
from protogen_runtime.io.contract import Client, Refusal, Server, ask, callbacks_of, service_of
from protogen_runtime.io.memory import memory_pair
from protogen_runtime.io.peer import Peer
from protogen_runtime.jsonrpc import Failure, Success

LARGE_ECHO = {"id": 1, "method": "echo", "params": {"a": "x" * 900}}
ECHO = {"id": 1, "method": "echo", "params": {"a": 1}}


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    """On a clock that jumps to the next deadline, so that nothing here waits."""

    async def limited() -> None:
        with trio.fail_after(1000):
            await scenario()

    trio.run(limited, clock=trio.testing.MockClock(autojump_threshold=0))


# --- what the other side sends --------------------------------------------------------------------------

RUBBISH = [
    (b"", [error(-32700, "Parse error")]),
    (b"nonsense", [error(-32700, "Parse error")]),
    (b"[]", [error(-32600, "Invalid Request")]),
    (b"1", [error(-32600, "Invalid Request")]),
    (b'{"jsonrpc":"2.0","id":5,"method":1}', [error(-32600, "Invalid Request", 5)]),
    (b'{"jsonrpc":"1.0","id":5,"method":"echo"}', [error(-32600, "Invalid Request", 5)]),
    (b"\xff\xfe", [error(-32700, "Parse error")]),
    (b"\xef\xbb\xbf{}", [error(-32700, "Parse error")]),
    (b"[" * 100_000, [error(-32700, "Parse error")]),
    # Answers are never answered, lest two peers send each other errors for ever.
    (b'{"jsonrpc":"2.0","id":99,"result":1}', []),
    (b'{"jsonrpc":"2.0","id":99,"result":1,"error":2}', []),
    (b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}', []),
    # Notifications, whatever is wrong with them beyond their envelope.
    (b'{"jsonrpc":"2.0","method":"nothing"}', []),
    (b'{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":7}}', []),
    (b'{"jsonrpc":"2.0","method":"$/cancelRequest","params":[1]}', []),
    (b'{"jsonrpc":"2.0","method":"$/cancelRequest"}', []),
    (b'{"jsonrpc":"2.0","method":"$/event","params":{"id":1,"event":1}}', []),
    (b'{"jsonrpc":"2.0","method":"$/stream","params":[]}', []),
    (b'[{"jsonrpc":"2.0","method":"$/end","params":{"id":1}},{"jsonrpc":"2.0","method":"$/event"}]', []),
]


@pytest.mark.parametrize(("frame", "answers"), RUBBISH, ids=[repr(frame[:40]) for frame, _ in RUBBISH])
def test_rubbish_gets_its_answer_and_the_connection_goes_on(frame: bytes, answers: list[Any]) -> None:
    async def scenario() -> None:
        async with wired(service_of(Server())) as (_, wire):
            await wire.send(frame, ECHO)
            assert [await wire.receive() for _ in answers] == answers
            assert await wire.receive() == result({"a": 1}, 1)
            assert await wire.silent()

    run(scenario)


def test_a_frame_that_is_too_long_is_refused_and_the_next_one_served() -> None:
    async def scenario() -> None:
        async with wired(service_of(Server()), bounds=Bounds(max_frame_bytes=100)) as (_, wire):
            await wire.send(b"x" * 101, ECHO)
            assert await wire.receive() == error(-32600, "Invalid Request")
            assert await wire.receive() == result({"a": 1}, 1)

    run(scenario)


def test_a_batch_is_answered_as_one_frame() -> None:
    async def scenario() -> None:
        server = Server()
        async with wired(service_of(server)) as (_, wire):
            hold = {"id": "h", "method": "hold", "params": {"key": "k"}}
            await wire.send([hold, {"method": "tell", "params": {"b": 1}}, ECHO])
            await server.until(lambda: "k" in server.held)
            server.held["k"].set()
            assert await wire.receive() == [result({"key": "k"}, "h"), result({"a": 1}, 1)]
            assert server.told == [{"b": 1}]

    run(scenario)


def test_an_answer_counts_once_and_only_for_its_call() -> None:
    async def scenario() -> None:
        async with wired() as (peer, wire), trio.open_nursery() as nursery:
            answers: list[Any] = []

            async def call() -> None:
                answers.append(await ask(peer, "any"))

            nursery.start_soon(call)
            request = await wire.receive()
            await wire.send({"id": "other", "result": 0}, {"id": request["id"] + 1, "result": 0})
            await wire.send({"id": str(request["id"]), "result": 0})
            await wire.send({"id": request["id"], "result": 1}, {"id": request["id"], "result": 2})
            assert await wire.silent()
            assert answers == [1]

    run(scenario)


@pytest.mark.parametrize(
    "answer",
    [b'{"jsonrpc":"2.0","id":1,"result":1,"error":{"code":1,"message":""}}', b'{"jsonrpc":"2.0","id":1,"error":"x"}'],
)
def test_an_ill_formed_answer_fails_its_call(answer: bytes) -> None:
    async def scenario() -> None:
        async with wired() as (peer, wire), trio.open_nursery() as nursery:

            async def call() -> None:
                with pytest.raises(TransportError, match="is no JSON-RPC answer"):
                    await ask(peer, "any")

            nursery.start_soon(call)
            assert (await wire.receive())["id"] == 1
            await wire.send(answer)

    run(scenario)


def test_a_side_without_a_service_answers_that_it_has_no_such_method() -> None:
    async def scenario() -> None:
        async with wired() as (_, wire):
            await wire.send(ECHO, {"method": "tell"})
            assert await wire.receive() == error(-32601, "Method not found", 1)
            assert await wire.silent()

    run(scenario)


# --- cancellation, deadlines and ends -------------------------------------------------------------------


def test_a_cancelled_call_is_seen_at_once_and_never_answered() -> None:
    async def scenario() -> None:
        server = Server()
        async with wired(service_of(server)) as (_, wire):
            await wire.send({"id": 1, "method": "hold", "params": {"key": "a"}})
            await wire.send({"id": "1", "method": "hold", "params": {"key": "b"}})
            await server.until(lambda: len(server.held) == 2)
            before = trio.current_time()
            await wire.send({"method": "$/cancelRequest", "params": {"id": 1}})
            await server.until(lambda: server.cancelled == ["a"])
            assert trio.current_time() == before
            assert await wire.silent()
            server.held["b"].set()
            assert await wire.receive() == result({"key": "b"}, "1")

    run(scenario)


def test_a_caller_that_gives_up_says_so() -> None:
    async def scenario() -> None:
        async with wired() as (peer, wire):
            with trio.move_on_after(3):
                await ask(peer, "any")
            assert await wire.receive() == {"jsonrpc": "2.0", "id": 1, "method": "any"}
            assert await wire.receive() == {"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 1}}
            # The late answer meets nobody.
            await wire.send({"id": 1, "result": 1})
            assert await wire.silent()

    run(scenario)


def test_a_handler_without_end_is_cancelled_at_its_deadline() -> None:
    async def scenario() -> None:
        server = Server()
        async with wired(service_of(server), bounds=Bounds(call_seconds=7)) as (_, wire):
            before = trio.current_time()
            await wire.send({"id": 1, "method": "hold", "params": {"key": "a"}})
            assert await wire.receive() == error(-32603, "Deadline exceeded", 1)
            assert trio.current_time() == before + 7
            assert server.cancelled == ["a"]

    run(scenario)


def test_calls_fail_and_handlers_end_when_the_other_side_goes() -> None:
    async def scenario() -> None:
        server = Server()
        async with wired(service_of(server)) as (peer, wire), trio.open_nursery() as nursery:

            async def call() -> None:
                with pytest.raises(TransportError, match="before any was answered"):
                    await ask(peer, "any")

            nursery.start_soon(call)
            await wire.receive()
            await wire.send({"id": 1, "method": "hold", "params": {"key": "a"}})
            await server.until(lambda: "a" in server.held)
            await wire.stream.aclose()
            await server.until(lambda: server.cancelled == ["a"])
            with pytest.raises(TransportError):
                await ask(peer, "any")
            with pytest.raises(TransportError):
                await peer.notify("any", Raw())

    run(scenario)


class _HalfClosed:
    """A stream whose other side has ended its half after some frames, and still reads."""

    def __init__(self, *frames: bytes) -> None:
        self.sent: list[bytes] = []
        self._frames = [list(frames)]

    async def send_frames(self, frames: Any) -> None:
        await trio.lowlevel.checkpoint()
        self.sent += frames

    async def receive_frames(self) -> Any:
        await trio.lowlevel.checkpoint()
        return self._frames.pop() if self._frames else None

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


HOLD = b'{"jsonrpc":"2.0","id":1,"method":"hold","params":{"key":"a"}}'


@pytest.mark.parametrize(("released", "sent"), [(True, 1), (False, 0)])
def test_what_runs_when_input_ends_may_finish_in_time(released: bool, sent: int) -> None:
    async def scenario() -> None:
        server, stream = Server(), _HalfClosed(HOLD)
        peer = Peer(stream, service_of(server), bounds=Bounds(finish_seconds=4), finish=True)
        before = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.run)
            await server.until(lambda: "a" in server.held)
            await trio.sleep(3)
            if released:
                server.held["a"].set()
        assert len(stream.sent) == sent
        assert trio.current_time() == before + (3 if released else 4)

    run(scenario)


def test_closing_sends_what_waits_to_be_sent() -> None:
    async def scenario() -> None:
        async with wired() as (peer, wire), trio.open_nursery() as nursery:
            for number in range(200):
                await peer.notify("n", Raw(b'{"n":%d}' % number))
            nursery.start_soon(peer.aclose)
            got = [(await wire.receive())["params"]["n"] for _ in range(200)]
            assert got == list(range(200))
            assert await wire.receive() is None

    run(scenario)


def test_closing_takes_bounded_time_where_nobody_reads() -> None:
    async def scenario() -> None:
        async with wired() as (peer, _):
            for number in range(200):
                await peer.notify("n", Raw(b'{"n":%d}' % number))
            before = trio.current_time()
            await peer.aclose()
            assert trio.current_time() == before + peer.bounds.close_seconds

    run(scenario)


# --- bounds ---------------------------------------------------------------------------------------------


def test_every_bound_has_a_reason() -> None:
    assert set(REASONS) == set(Bounds.__struct_fields__)


def test_calls_beyond_the_bound_are_refused_while_answers_go_on() -> None:
    async def scenario() -> None:
        server = Server()
        async with wired(service_of(server), bounds=Bounds(max_in_flight=3)) as (_, wire):
            for number in range(5):
                await wire.send({"id": number, "method": "hold", "params": {"key": f"k{number}"}})
            refused = [await wire.receive(), await wire.receive()]
            assert refused == [error(-32603, "Too many calls under way", number) for number in (3, 4)]
            server.held["k0"].set()
            assert await wire.receive() == result({"key": "k0"}, 0)
            await wire.send({**ECHO, "method": "hold", "params": {"key": "again"}})
            await server.until(lambda: "again" in server.held)

    run(scenario)


def test_calls_of_ours_beyond_the_bound_wait_for_their_turn() -> None:
    async def scenario() -> None:
        async with wired(bounds=Bounds(max_calls=2)) as (peer, wire), trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(ask, peer, "any")
            served = 0
            waiting = [await wire.receive(), await wire.receive()]
            assert await wire.silent()
            while waiting:
                await wire.send({"id": waiting.pop()["id"], "result": served})
                served += 1
                if served <= 3:
                    waiting.append(await wire.receive())
            assert served == 5

    run(scenario)


def test_a_flood_of_calls_whose_answers_nobody_reads_ends_the_connection_in_bounded_memory() -> None:
    async def scenario() -> None:
        bounds = Bounds(max_frame_bytes=1000, max_unread_bytes=10_000, send_seconds=15)
        async with wired(service_of(Server()), bounds=bounds) as (peer, wire):
            before = trio.current_time()
            sent = await wire.flood(LARGE_ECHO, lambda: peer._unsent_bytes < 10_000 + 1000 * 64)
        # It was stopped by not being read, and then ended at the send deadline.
        assert sent < 300
        assert trio.current_time() - before < 120

    run(scenario)


def test_a_flood_while_we_wait_for_an_answer_is_refused_and_then_cut_off() -> None:
    async def scenario() -> None:
        bounds = Bounds(max_frame_bytes=1000, max_unread_bytes=10_000)
        async with wired(service_of(Server()), bounds=bounds) as (peer, wire), trio.open_nursery() as nursery:

            async def call() -> None:
                with pytest.raises(TransportError, match="sends, but does not read"):
                    await ask(peer, "any")

            nursery.start_soon(call)
            await wire.flood(LARGE_ECHO, lambda: peer._unsent_bytes < 30_000)

    run(scenario)


def test_two_sides_that_flood_each_other_with_calls_do_not_lock() -> None:
    async def scenario() -> None:
        bounds = Bounds(max_unread_bytes=20_000, max_calls=1000)
        text = "x" * 900
        answered: list[Any] = []
        async with memory_pair(service_of(Server()), service_of(Server()), bounds=bounds) as (left, right):

            async def call(peer: Peer) -> None:
                answered.append(await ask(peer, "echo", {"text": text}))

            async with trio.open_nursery() as nursery:
                for _ in range(500):
                    nursery.start_soon(call, left)
                    nursery.start_soon(call, right)
        served = [answer for answer in answered if answer == {"text": text}]
        refused = [answer for answer in answered if answer == [-32603, "Too many answers wait to be read"]]
        assert len(served) + len(refused) == 1000
        # How many of each depends on who runs first; that all were answered, and not all refused, does not.
        assert served

    run(scenario)


def test_a_frame_of_ours_that_is_too_long_fails_here() -> None:
    async def scenario() -> None:
        bounds = Bounds(max_frame_bytes=200)
        async with memory_pair(None, service_of(Server()), bounds=bounds) as (client, _):
            with pytest.raises(TransportError, match="larger than max_frame_bytes, 200"):
                await ask(client, "echo", {"text": "x" * 200})
            with pytest.raises(TransportError, match="larger than max_frame_bytes, 200"):
                await client.notify("tell", Raw(b'"' + b"x" * 200 + b'"'))
            # A batch of 30 echoes fits the call; its result alone would not fit the answer.
            answer = await client.call("ask", Raw(b'{"times":0,"mark":"","method":""}'), None)
            assert isinstance(answer, Success)

    run(scenario)


def test_a_result_that_is_too_long_is_an_error() -> None:
    async def scenario() -> None:
        server = Server()
        async with wired(service_of(server), bounds=Bounds(max_frame_bytes=100)) as (_, wire):
            await wire.send(b'{"jsonrpc":"2.0","id":1,"method":"echo","params":{"a":"' + b"\xc3\xa9" * 15 + b'"}}')
            assert (await wire.receive())["result"] == {"a": "é" * 15}
        async with memory_pair(None, service_of(server)) as (client, peer):
            peer.bounds = Bounds(max_frame_bytes=50)
            answer = await client.call("echo", Raw(b'{"a":"' + b"x" * 60 + b'"}'), None)
            assert isinstance(answer, Failure)
            assert (answer.error.code, answer.error.message) == (-32603, "Result too large")

    run(scenario)


def test_a_quiet_connection_is_closed_when_it_is_idle_and_only_then() -> None:
    async def scenario() -> None:
        server = Server()
        async with wired(service_of(server), bounds=Bounds(idle_seconds=10)) as (_, wire):
            before = trio.current_time()
            await trio.sleep(9)
            await wire.send({"id": 1, "method": "hold", "params": {"key": "a"}})
            await trio.sleep(100)
            server.held["a"].set()
            assert await wire.receive() == result({"key": "a"}, 1)
            with trio.fail_after(21):
                while not peer_has_ended(_):
                    await trio.sleep(0.5)
            assert trio.current_time() >= before + 119

    run(scenario)


def peer_has_ended(peer: Peer) -> bool:
    return peer._ended.is_set()


def test_callbacks_work_while_the_call_is_under_way() -> None:
    async def scenario() -> None:
        async with memory_pair(callbacks_of(Client("me")), service_of(Server())) as (client, _):
            answers = await ask(client, "ask", {"method": "answer", "mark": 1, "times": 3})
            assert answers == [["me", 1, 0], ["me", 1, 1], ["me", 1, 2]]

    run(scenario)


# --- streams --------------------------------------------------------------------------------------------


def note(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params}


def test_a_stream_on_the_wire() -> None:
    async def scenario() -> None:
        async with wired(service_of(Server())) as (_, wire):
            await wire.send({"id": "s", "method": "stream", "params": {"to": 2}})
            assert [await wire.receive() for _ in range(5)] == [
                note("$/stream", id="s"),
                result(2, "s"),
                note("$/event", id="s", event={"number": 0}),
                note("$/event", id="s", event={"number": 1}),
                note("$/end", id="s"),
            ]
            # A batch is answered in one piece, and a notification not at all.
            await wire.send([{"id": 1, "method": "stream", "params": {"to": 2}}])
            assert await wire.receive() == [result(0, 1)]
            await wire.send({"method": "stream", "params": {"to": 2}})
            assert await wire.silent()

    run(scenario)


def test_a_stream_that_fails_says_so_at_its_end() -> None:
    class Failing(Server):
        async def stream(self, params: Any, context: CallContext) -> Any:
            await context.answer(0)
            raise Refusal(77, "too slow")

    async def scenario() -> None:
        async with wired(service_of(Failing())) as (_, wire):
            await wire.send({"id": 1, "method": "stream", "params": {"to": 2}})
            failed = {"code": 77, "message": "too slow"}
            expected = [note("$/stream", id=1), result(0, 1), note("$/end", id=1, error=failed)]
            assert [await wire.receive() for _ in expected] == expected
        async with wired() as (peer, wire), trio.open_nursery() as nursery:
            answers: list[Any] = []

            async def follow() -> None:
                try:
                    await peer.call("any", Raw(b"{}"), _ignore)
                except TransportError as fault:
                    answers.append(str(fault))

            nursery.start_soon(follow)
            await wire.receive()
            await wire.send(note("$/stream", id=1), {"id": 1, "result": 0}, note("$/end", id=1, error=failed))
            await trio.testing.wait_all_tasks_blocked()
            assert answers == ["the stream broke off: too slow (77)"]
            assert await wire.silent()

    run(scenario)


async def _ignore(_: Any) -> None:
    await trio.lowlevel.checkpoint()


def test_a_stream_outlives_the_deadline_for_answers() -> None:
    async def scenario() -> None:
        server = Server()
        async with wired(service_of(server), bounds=Bounds(call_seconds=10)) as (_, wire):
            await wire.send({"id": 1, "method": "stream", "params": {"to": 0, "hold": True}})
            assert [await wire.receive() for _ in range(2)] == [note("$/stream", id=1), result(0, 1)]
            await trio.sleep(100)
            assert server.cancelled == []
            await wire.send({"method": "$/cancelRequest", "params": {"id": 1}})
            assert await wire.receive() == note("$/end", id=1)
            assert server.cancelled == ["stream"]

    run(scenario)


def test_a_stream_that_nobody_reads_waits_and_then_ends_the_connection() -> None:
    async def scenario() -> None:
        server = Server()
        bounds = Bounds(max_unread_bytes=10_000, max_frame_bytes=10_000, send_seconds=5)
        async with wired(service_of(server), bounds=bounds) as (peer, wire):
            await wire.send({"id": 1, "method": "stream", "params": {"to": 10**9}})
            most = 0
            while not server.cancelled:
                most = max(most, peer._unsent_bytes)
                await trio.sleep(0.1)
            assert most < 2 * 10_000

    run(scenario)


def test_a_reader_slower_than_its_events_is_told_and_other_calls_go_on() -> None:
    async def scenario() -> None:
        reading = trio.Event()
        seen: list[Any] = []

        async def on_event(event: Any) -> None:
            seen.append(event)
            await reading.wait()

        async with wired(bounds=Bounds(max_unread_bytes=1000)) as (peer, wire), trio.open_nursery() as nursery:
            faults: list[str] = []

            async def follow() -> None:
                with pytest.raises(TransportError) as fault:
                    await peer.call("any", Raw(b"{}"), on_event)
                faults.append(str(fault.value))

            nursery.start_soon(follow)
            assert (await wire.receive())["method"] == "any"
            await wire.send(note("$/event", id=1, event="x" * 100))
            await trio.testing.wait_all_tasks_blocked()
            await wire.send(*[note("$/event", id=1, event="x" * 100) for _ in range(20)])
            nursery.start_soon(ask, peer, "other")
            other = await wire.receive()
            await wire.send({"id": other["id"], "result": 1})
            reading.set()
            assert await wire.receive() == note("$/cancelRequest", id=1)
            assert faults == ["the events of a call are not read: 1000 bytes of them wait"]
            assert seen == ["x" * 100]

    run(scenario)


@pytest.mark.parametrize("answered", [False, True])
def test_a_connection_that_ends_within_a_stream(answered: bool) -> None:
    async def scenario() -> None:
        async with wired() as (peer, wire), trio.open_nursery() as nursery:
            outcome: list[Any] = []

            async def on_event(event: Any) -> None:
                outcome.append(event)

            async def follow() -> None:
                try:
                    outcome.append(await peer.call("any", Raw(b"{}"), on_event))
                except TransportError as fault:
                    outcome.append(str(fault))

            nursery.start_soon(follow)
            await wire.receive()
            await wire.send(note("$/stream", id=1), note("$/event", id=1, event=1))
            if answered:
                await wire.send({"id": 1, "result": 7}, note("$/event", id=1, event=2))
            await trio.testing.wait_all_tasks_blocked()
            await wire.stream.aclose()
            await trio.testing.wait_all_tasks_blocked()
            if answered:
                assert outcome == [1, 2, "the stream broke off: the connection has ended"]
            else:
                assert outcome == [1, "the connection has ended before any was answered"]

    run(scenario)
