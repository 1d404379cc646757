"""Blobs: kept under the hash of their content, whole or not at all, as long as something refers to them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from runs_rig import ECHO, HOLD, NOW, Parts, flow, opened, outcome, running, started, stored

from protogen_runtime.stepflow.flow.canonical import value_id
from protogen_runtime.stepflow.plugins.contract import StepContext
from protogen_runtime.stepflow.runs import SCHEMA, Limits
from protogen_runtime.stepflow.runs.blobs import INLINE_BYTES
from protogen_runtime.stepflow.runs.clock import Clock
from protogen_runtime.stepflow.runs.contract import Damaged, Invalid, NotFound, SubmitRun, TooLarge
from protogen_runtime.stepflow.runs.service import Runs
from protogen_runtime.store import Patch, Store, Update, open_store

LARGE = "x" * (INLINE_BYTES + 1)


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        await trio.lowlevel.checkpoint()
        yield part


async def bytes_of(runs: Runs, blob_id: str) -> bytes:
    async with runs.open_bytes(blob_id) as reader:
        return b"".join([piece async for piece in reader])


@pytest.mark.parametrize("value", [1, None, {"x": 1, "b": [1, 2]}, "é\u2028", 1e16, LARGE], ids=lambda it: str(it)[:12])
def test_a_value_is_kept_under_the_id_of_its_text(value: Any, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(f"sqlite:///{tmp_path}/a.db") as runs:
            blob_id = await runs.put_blob(value, "data")
            assert blob_id == value_id(value) == await runs.put_blob(value, "data")
            blob = await runs.get_blob(blob_id)
            assert (blob.data, blob.blob_type) == (value, "data")
            assert hashlib.sha256(await bytes_of(runs, blob_id)).hexdigest() == blob_id

    running(scenario)


def test_a_blob_of_type_flow_is_a_flow_and_can_be_run() -> None:
    async def scenario() -> None:
        async with opened() as runs:
            tree = {"output": {"$input": "$"}, "steps": []}
            blob_id = await runs.put_blob(tree, "data")
            with pytest.raises(NotFound):
                await runs.flow(blob_id)
            assert await runs.put_blob(tree, "flow") == blob_id
            assert (await runs.get_blob(blob_id)).blob_type == "flow"
            # What it was first, it stays for those who know it so.
            assert await runs.put_blob(tree, "data") == blob_id
            assert (await runs.flow(blob_id)).flow == {"output": {"$input": "$"}}
            with pytest.raises(Invalid, match="invalid flow"):
                await runs.put_blob({"steps": [1]}, "flow")

    running(scenario)


@pytest.mark.parametrize("size", [0, 5, INLINE_BYTES + 1, 300_000])
def test_bytes_are_kept_and_read_in_pieces(size: int, tmp_path: Path) -> None:
    async def scenario() -> None:
        data = bytes(range(256)) * (size // 256) + b"y" * (size % 256)
        async with opened(f"sqlite:///{tmp_path}/a.db") as runs:
            info = await runs.put_bytes(pieces(data[:1000], data[1000:]), filename="a.bin")
            assert (info.blob_id, info.size, info.blob_type) == (hashlib.sha256(data).hexdigest(), size, "binary")
            assert await runs.put_bytes(data) == type(info)(blob_id=info.blob_id, size=size, blob_type="binary")
            async with runs.open_bytes(info.blob_id) as reader:
                assert reader.info == info
                assert b"".join([piece async for piece in reader]) == data
            with pytest.raises(Invalid, match="is binary: it has no value"):
                await runs.get_blob(info.blob_id)

    running(scenario)


def test_blobs_have_bounds() -> None:
    async def scenario() -> None:
        limits = Limits(max_value_bytes=1000, max_binary_bytes=2000, max_flow_bytes=100)
        async with opened(limits=limits) as runs:
            with pytest.raises(TooLarge, match="1001 bytes as JSON; at most 1000"):
                await runs.put_blob("x" * 999, "data")
            with pytest.raises(TooLarge, match="2000 bytes; more is not taken"):
                await runs.put_bytes(pieces(b"x" * 1500, b"x" * 1500))
            with pytest.raises(TooLarge, match="at most 100"):
                await runs.store_flow(flow(("s", "/echo"), name="x" * 100))
            with pytest.raises(TooLarge, match="at most 100"):
                await runs.put_blob(flow(("s", "/echo"), name="x" * 100), "flow")
            for name in ("", "x" * 256, "a\0b"):
                with pytest.raises(Invalid, match="the name of a file has 1 to 255 characters"):
                    await runs.put_bytes(b"", filename=name)
            for name in ("0" * 64, "x", "\0", "A" * 64):
                with pytest.raises(NotFound, match="Blob not found"):
                    await runs.get_blob(name)
                with pytest.raises(NotFound):
                    await bytes_of(runs, name)

    running(scenario)


def test_damage_is_noticed_when_a_blob_is_read(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_store(f"sqlite:///{tmp_path}/a.db", SCHEMA) as store, opened(store) as runs:
            small, large = await runs.put_blob("small", "data"), await runs.put_blob(LARGE * 4, "data")
            await store.write(Update("blobs", [Patch(key=small, document=b'"other"')]))
            (file,) = [it for it in tmp_path.rglob("*") if it.is_file() and it.stat().st_size == len(LARGE) * 4 + 2]
            file.write_bytes(b"!" + file.read_bytes()[1:])
            for blob_id in (small, large):
                with pytest.raises(Damaged, match="put it anew"):
                    await runs.get_blob(blob_id)
                with pytest.raises(Damaged, match="put it anew"):
                    await bytes_of(runs, blob_id)

    running(scenario)


# --- garbage ----------------------------------------------------------------------------------------------


class Hand(Clock):
    """A clock that is set by hand; the store, which has its own, knows the time at which it began."""

    def __init__(self) -> None:
        super().__init__(lambda: self.now)
        self.now = time.time()

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


GRACE = Limits(grace_seconds=100.0, collect_seconds=1e9)


async def there(runs: Runs, *ids: str) -> list[bool]:
    """Which blobs are there."""
    found: list[bool] = []
    for blob_id in ids:
        try:
            await bytes_of(runs, blob_id)
        except NotFound:
            found.append(False)
        else:
            found.append(True)
    return found


def test_what_nothing_refers_to_goes_after_a_while() -> None:
    async def scenario() -> None:
        clock = Hand()
        async with opened(clock=clock, limits=GRACE) as runs:
            first = await runs.put_blob("first", "data")
            clock.pass_by(60)
            second = (await runs.put_bytes(b"second")).blob_id
            assert await runs.collect_garbage() == 0
            clock.pass_by(60)
            assert await runs.collect_garbage() == 1
            assert await there(runs, first, second) == [False, True]
            await runs.put_bytes(b"second")
            clock.pass_by(60)
            assert await runs.collect_garbage() == 0
            clock.pass_by(60)
            assert await runs.collect_garbage() == 1

    running(scenario)


def test_what_a_run_refers_to_stays_until_the_run_is_deleted() -> None:
    async def scenario() -> None:
        async def put(value: Any, context: StepContext) -> Any:
            assert parts.runtime is not None
            return await parts.runtime.put_blob(value, "data", context)

        clock = Hand()
        parts = Parts(put=put)
        async with opened(parts=parts, clock=clock, limits=GRACE) as runs:
            inner = await runs.put_blob("within another", "data")
            named = {
                "input": await runs.put_blob("in the input", "data"),
                "member": (await runs.put_bytes(LARGE.encode())).blob_id,
                "variable": await runs.put_blob("in a variable", "data"),
                "override": await runs.put_blob("in an override", "data"),
                "flow": await runs.put_blob("in the flow", "data"),
                "outer": await runs.put_blob({"$blob": inner}, "data"),
            }
            tree = flow(
                ("s", "/put"), ("t", "/echo", {"$step": "s"}), output=[{"$step": "t"}, {"$literal": named["flow"]}]
            )
            loose = await runs.put_blob("loose", "data")
            run_id = await started(
                runs,
                tree,
                [[named["input"], {"$blob": named["member"], "blobType": "data", "size": 1}, named["outer"]]],
                variables={"v": named["variable"]},
                overrides={"t": {"value": {"metadata": {"m": named["override"]}}}},
            )
            await runs.wait(run_id)
            (item,) = await runs.items(run_id)
            put_by_step = item.result.result[0]  # type: ignore[union-attr]  # it is a success
            ids = [*named.values(), inner, put_by_step]
            await runs.delete_flow((await runs.summary(run_id)).flow_id)
            clock.pass_by(1000)
            assert await runs.collect_garbage() == 1
            assert await there(runs, *ids, loose) == [True] * len(ids) + [False]
            await runs.delete_run(run_id)
            assert await runs.collect_garbage() == len(ids) + 1
            assert await there(runs, *ids) == [False] * len(ids)

    running(scenario)


def test_a_flow_that_is_stored_stays_and_one_that_was_put_stays_while_it_is_used() -> None:
    async def scenario() -> None:
        clock = Hand()
        parts = Parts()
        async with opened(parts=parts, clock=clock, limits=GRACE) as runs:
            kept = await stored(runs, ECHO)
            put = await runs.put_blob(HOLD, "flow")
            unused = await runs.put_blob({**NOW, "name": "unused"}, "flow")
            run_id = await runs.submit(SubmitRun(flow_id=put, inputs=[1]))
            clock.pass_by(1000)
            assert await runs.collect_garbage() == 1
            assert await there(runs, kept, put, unused) == [True, True, False]
            await runs.cancel(run_id)
            await runs.delete_run(run_id)
            assert await runs.collect_garbage() == 1
            assert await there(runs, kept, put) == [True, False]
            await runs.delete_flow(kept)
            assert await runs.collect_garbage() == 1
            # A plan in memory does not outlive it.
            with pytest.raises(NotFound):
                await runs.submit(SubmitRun(flow_id=put, inputs=[1]))

    running(scenario)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["put", "run", "end", "delete", "collect", "later"]), max_size=25), st.randoms())
def test_garbage_is_never_what_a_run_refers_to(steps: list[str], chance: Any) -> None:
    """Whatever order things happen in; runs refer to blobs that were there when they were submitted."""

    async def scenario() -> None:
        clock = Hand()
        parts = Parts()
        async with opened(parts=parts, clock=clock, limits=GRACE) as runs:
            await stored(runs, HOLD)
            blobs: list[str] = []
            live: dict[str, list[str]] = {}
            for number, step in enumerate(steps):
                match step:
                    case "put":
                        blobs.append(await runs.put_blob(f"blob {number}", "data"))
                    case "run":
                        used = chance.sample(blobs, min(len(blobs), 2))
                        known = [it for it in used if await there(runs, it) == [True]]
                        live[await started(runs, HOLD, [known])] = known
                    case "end" if live:
                        await runs.cancel(next(iter(live)))
                        live.pop(next(iter(live)))
                    case "delete" if live:
                        run_id, _ = live.popitem()
                        await runs.cancel(run_id)
                        await runs.delete_run(run_id)
                    case "later":
                        clock.pass_by(150)
                    case _:
                        await runs.collect_garbage()
                for known in live.values():
                    assert all(await there(runs, *known))

    running(scenario)


def test_collecting_does_not_hold_up_what_is_put_at_the_same_time(tmp_path: Path) -> None:
    """The same values are put and collected over and over: whoever has just put one can read it."""

    async def scenario() -> None:
        limits = Limits(grace_seconds=0.2, collect_seconds=1e9)
        async with opened(f"sqlite:///{tmp_path}/a.db", limits=limits) as runs:
            done = trio.Event()

            async def collect() -> None:
                while not done.is_set():
                    await runs.collect_garbage()
                    await trio.lowlevel.checkpoint()

            async def put(number: int) -> None:
                for count in range(12):
                    value = (LARGE if number % 2 else "small") + str(count % 3)
                    blob_id = await runs.put_blob(value, "data")
                    assert (await runs.get_blob(blob_id)).data == value

            async with trio.open_nursery() as nursery:
                nursery.start_soon(collect)
                async with trio.open_nursery() as putting:
                    for number in range(4):
                        putting.start_soon(put, number)
                done.set()

    running(scenario)


def test_blobs_survive_the_process(tmp_path: Path) -> None:
    """A second runtime on the same file reads them."""

    async def scenario() -> None:
        address = f"sqlite:///{tmp_path}/a.db"
        async with opened(address) as runs:
            blob_id = await runs.put_blob(LARGE, "data")
            assert await outcome(runs, NOW, [blob_id]) == [blob_id]
        store: Store
        async with open_store(address, SCHEMA) as store, opened(store) as runs:
            assert (await runs.get_blob(blob_id)).data == LARGE

    running(scenario)
