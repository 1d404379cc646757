"""Walk: all records that meet conditions, one after the other, whatever their number.

Works with any store; a page is in memory at a time, and nothing is held open between two of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from .interface import Store
from .model import Compare, Condition, Record, Select

AT_ONCE: Final = 500
"""Records to a question: enough that the question is little, few enough that memory is, too."""


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
