"""Walk: all records that meet conditions, whatever their number, without holding up anybody else.

Works with any store; a page is in memory at a time, and nothing is held open between two of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from .interface import Store
from .model import Compare, Condition, Delete, Record, Select

AT_ONCE: Final = 500
"""Records to a question: enough that the question is little, few enough that memory is, too."""
REMOVED_AT_ONCE: Final = 500
"""Records that are removed in one transaction: some milliseconds, for which other writers wait."""


async def each(
    store: Store, collection: str, where: Sequence[Condition] = (), *, documents: bool = True, at_once: int = AT_ONCE
) -> AsyncIterator[Record]:
    """Yield the records that meet conditions in the order of arrival; they may be changed and removed meanwhile.

    A record that begins or ceases to meet them meanwhile may come or not. An index on the fields that `where` fixes
    makes each page cost what it holds. Errors: Misuse.
    """
    last = 0
    while True:
        behind = Compare("arrival", ">", last)
        page = await store.read(Select(collection, [*where, behind], limit=at_once, documents=documents))
        if not page.records:
            return
        for record in page.records:
            yield record
        last = page.records[-1].arrival


async def remove_all(
    store: Store, collection: str, where: Sequence[Condition], *, at_once: int = REMOVED_AT_ONCE
) -> int:
    """Remove the records that meet conditions a few at a time, the oldest first; returns their number.

    One `Delete` would do it as a whole, but 100,000 records take seconds, for which all other writers wait. A crash or
    cancellation may leave some of them: whoever cares writes down beforehand that they are to go. Errors: Misuse.
    """
    removed = 0
    while True:
        # Whoever came meanwhile has a turn before the next of these.
        some = await store.write(Delete(collection, where, limit=at_once))
        removed += some
        if some < at_once:
            return removed
