"""Components of the demo in Python: a statement over orders that were priced elsewhere, kept as a blob."""

from __future__ import annotations

import msgspec

from protogen_runtime.stepflow.worker import App, Context

app = App("statements")


class Price(msgspec.Struct):
    """What an order costs, wherever it was priced."""

    total: int


class Priced(msgspec.Struct):
    """One result of /builtin/map."""

    outcome: str
    result: Price | None = None


class Statement(msgspec.Struct):
    """What all orders cost, and the blob that has the details."""

    total: int
    orders: int
    details: str


@app.component("/statement")
async def statement(priced: list[Priced], context: Context) -> Statement:
    """Add up what was priced."""
    totals = [one.result.total for one in priced if one.result is not None]
    details = await context.put_blob({"totals": totals})
    context.log("priced", orders=len(totals))
    return Statement(sum(totals), len(priced), details)
