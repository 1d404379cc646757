"""Connections that wait for their clients share one wait; nothing else about them changes."""

from __future__ import annotations

import socket
import struct
from functools import partial

import pytest
import trio
from http_rig import call, post, run, running, split

from protogen_runtime.io.http.watch import Watch

ADD = call("add", [1, 2])
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


async def start(nursery: trio.Nursery, watch: Watch) -> None:
    """Run a watch, and return once it does."""
    nursery.start_soon(watch.run)
    with trio.fail_after(5):
        while not watch.is_running:
            await trio.lowlevel.checkpoint()


def test_what_is_always_ready_leaves_other_tasks_their_turn() -> None:
    async def main() -> None:
        watch, woken = Watch(), 0
        ours, theirs = socket.socketpair()

        def wake() -> None:
            nonlocal woken
            woken += 1

        with ours, theirs:
            theirs.send(b"never read")
            async with trio.open_nursery() as nursery:
                await start(nursery, watch)
                watch.add(ours.fileno(), wake)
                for _ in range(20):
                    before = woken
                    await trio.sleep(0.002)
                    assert woken > before
                watch.discard(ours.fileno())
                before = woken
                await trio.sleep(0.002)
                assert (woken, len(watch)) == (before, 0)
                nursery.cancel_scope.cancel()
        assert not watch.is_running

    run(main)


def test_who_is_woken_may_take_others_away() -> None:
    async def main() -> None:
        watch = Watch()
        woken: list[int] = []
        pairs = [socket.socketpair() for _ in range(5)]
        ready = trio.Event()

        def wake(number: int) -> None:
            woken.append(number)
            for mine, _ in pairs:
                watch.discard(mine.fileno())
            ready.set()

        async with trio.open_nursery() as nursery:
            await start(nursery, watch)
            for number, (mine, other) in enumerate(pairs):
                watch.add(mine.fileno(), partial(wake, number))
                other.send(b"x")
            await ready.wait()
            await trio.sleep(0.002)
            assert len(woken) == 1
            nursery.cancel_scope.cancel()
        for pair in pairs:
            for sock in pair:
                sock.close()

    run(main)


def test_connections_that_end_are_watched_no_longer() -> None:
    async def main() -> None:
        async with running() as server:
            clients = [await server.connect() for _ in range(10)]
            for client in clients:
                await client.send_all(post(ADD))
                assert b'{"sum":3}' in await client.receive_some(4096)
            assert len(server.shell.watch) == 10
            for number, client in enumerate(clients):
                if number % 2:
                    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                client.socket.close()
            with trio.fail_after(5):
                while server.shell.connections:
                    await trio.sleep(0.01)
            assert len(server.shell.watch) == 0

    run(main)


def test_connections_serve_themselves_where_nothing_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(_: Watch) -> None:
        """As on a system without epoll."""

    monkeypatch.setattr(Watch, "run", nothing)

    async def main() -> None:
        async with running() as server:
            assert not server.shell.watch.is_running
            data = post(ADD) + post(call("sleep", {"seconds": 0})) + post(ADD, close=True)
            for pieces in (0, 1, 7):
                assert (await server.exchange(data, pieces=pieces)).count(b"HTTP/1.1 200 OK") == 3

    run(main)


def test_handler_that_waits_does_not_hold_up_other_connections() -> None:
    async def main() -> None:
        async with running() as server:
            waiting, quick = await server.connect(), await server.connect()
            await waiting.send_all(post(call("sleep", {"seconds": 0.2})))
            for _ in range(3):
                await quick.send_all(post(ADD))
                assert split(await quick.receive_some(4096))[0] == 200
            assert split(await waiting.receive_some(4096))[0] == 200
            # And it is watched again afterwards.
            await waiting.send_all(post(ADD))
            assert split(await waiting.receive_some(4096))[0] == 200
            assert len(server.shell.watch) == 2

    run(main)
