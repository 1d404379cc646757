"""Runs of many items: all of them, in bounded memory."""

from __future__ import annotations

import gc
import tracemalloc
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from runs_rig import Parts, flow, opened, running, started

from protogen_runtime.stepflow.plugins.contract import StepContext
from protogen_runtime.stepflow.runs import Limits, paging
from protogen_runtime.stepflow.runs.contract import ItemCounts

RESULT_BYTES = 10_000


async def wide(value: Any, _: StepContext) -> Any:
    return [value] + ["x" * 1000 for _ in range(RESULT_BYTES // 1000)]


def most_memory(items: int, folder: Path) -> int:
    """The most bytes that Python holds while a run of so many items goes on, beyond what it held before."""
    most: list[int] = []

    async def scenario() -> None:
        limits = Limits(steps_per_run=50)
        async with opened(f"sqlite:///{folder}/{items}.db", Parts(wide=wide), limits=limits) as runs:
            await runs.wait(await started(runs, flow(("s", "/wide")), range(10)))
            gc.collect()
            tracemalloc.start()
            before, _ = tracemalloc.get_traced_memory()
            run_id = await started(runs, flow(("s", "/wide")), range(items))
            summary = await runs.wait(run_id)
            most.append(tracemalloc.get_traced_memory()[1] - before)
            tracemalloc.stop()
            assert summary.items == ItemCounts(total=items, completed=items)
            page = await runs.items(run_id, limit=3, offset=items - 3)
            assert [it.result.result[0] for it in page] == [items - 3, items - 2, items - 1]  # type: ignore[union-attr]  # they are successes

            tracemalloc.start()
            told = 0
            async with aclosing(runs.item_pages(run_id)) as pages:
                async for page in pages:
                    told += len(page)
            assert told == items
            # A page in words and as it was read; the store's readers keep the last one each.
            assert tracemalloc.get_traced_memory()[1] < 8 * paging.ITEMS_AT_ONCE * RESULT_BYTES
            tracemalloc.stop()

    running(scenario, seconds=120)
    return most[0]


def test_memory_does_not_grow_with_the_items_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "ITEMS_AT_ONCE", 32)
    few, many = most_memory(200, tmp_path), most_memory(1000, tmp_path)
    # 800 results more are 8 MB; what an item leaves behind is some hundred bytes.
    assert many - few < 1_500_000, (few, many)


@pytest.mark.soak
def test_memory_does_not_grow_with_ten_thousand_items(tmp_path: Path) -> None:
    few, many = most_memory(1000, tmp_path), most_memory(10_000, tmp_path)
    print(f"1,000 items: {few} bytes at most; 10,000 items: {many}")
    assert many - few < 9_000_000, (few, many)
