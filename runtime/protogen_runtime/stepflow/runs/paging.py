"""Items of a run in pages: never more of them in memory at once than a page has.

Knows neither flows nor engine, only what is kept.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

from protogen_runtime.store import Compare, Condition, Equal, Record, Select, Store

from .contract import ItemResult, ResultOrder, RunState, RunSummary
from .records import ITEMS, read_document, read_item

ITEMS_AT_ONCE: Final = 256
"""In one page: whoever is told a run of a million items has so many of them in memory."""


async def pages(
    store: Store, record: Record, summary: RunSummary, order: ResultOrder, *, offset: int, end: int
) -> AsyncGenerator[Sequence[ItemResult]]:
    """The items from `offset` to `end`; `summary` is older than what is read, so that what ends meanwhile counts.

    By completion, those without a result come last.
    """
    if offset >= end:
        return
    # What had ended by the time the run was first kept; every other item has a record of its own.
    first = [read_item(document) for document in read_document(record).results]
    missing: RunState = "cancelled" if summary.status == "cancelled" else "running"
    if order == "by_index":
        known = {it.item_index: it for it in first}
        for start in range(offset, end, ITEMS_AT_ONCE):
            stop = min(end, start + ITEMS_AT_ONCE)
            within = [Compare("number", ">=", start), Compare("number", "<", stop)]
            kept = await store.read(Select(ITEMS, [Equal("run", summary.run_id), *within]))
            found = {it.item_index: it for it in (read_item(item.document) for item in kept.records)}
            yield [
                found.get(index) or known.get(index) or ItemResult(item_index=index, status=missing)
                for index in range(start, stop)
            ]
        return
    page: list[ItemResult] = []
    at = 0
    async with aclosing(_by_completion(store, first, summary, missing)) as items:
        async for item in items:
            at += 1
            if at <= offset:
                continue
            page.append(item)
            if at == end:
                break
            if len(page) == ITEMS_AT_ONCE:
                yield page
                page = []
    if page:
        yield page


async def _by_completion(
    store: Store, first: Sequence[ItemResult], summary: RunSummary, missing: RunState
) -> AsyncGenerator[ItemResult]:
    total = summary.items.total
    has_ended = bytearray(total)
    for item in first:
        has_ended[item.item_index] = True
        yield item
    last = 0
    while True:
        where: list[Condition] = [Equal("run", summary.run_id), Compare("arrival", ">", last)]
        kept = await store.read(Select(ITEMS, where, order=["arrival"], limit=ITEMS_AT_ONCE))
        for record in kept.records:
            item = read_item(record.document)
            has_ended[item.item_index] = True
            yield item
        if len(kept.records) < ITEMS_AT_ONCE:
            break
        last = kept.records[-1].arrival
    for index in range(total):
        if not has_ended[index]:
            yield ItemResult(item_index=index, status=missing)
