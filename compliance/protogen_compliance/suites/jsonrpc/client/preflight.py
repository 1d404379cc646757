"""Preflight: whether the command makes a call at all, and says what came of it."""

from __future__ import annotations

from protogen_compliance.peer.server import Asked
from protogen_compliance.plugin import Lost, Settings
from protogen_compliance.suites.jsonrpc.client.caller import METHOD, Caller
from protogen_compliance.targets import NoTarget


def preflight(settings: Settings) -> Settings:
    """The settings as they are; raises NoTarget."""
    caller = Caller(settings.command, patience=settings.timeout)

    def answer(asked: Asked) -> None:
        asked.result({"heard": True})

    try:
        outcome = caller.against(answer)
    except (AssertionError, Lost) as reason:
        raise NoTarget(str(reason)) from None
    if not outcome.asked:
        last = outcome.said.strip().splitlines()[-1:]
        raise NoTarget(f"the command ended with {outcome.code} and called nobody; it said {''.join(last)[:200]!r}")
    first = outcome.asked[0]
    if not isinstance(first.value, dict) or first.value.get("method") != METHOD:
        raise NoTarget(f"the command was to call {METHOD!r} and sent {first.method} with {first.body[:120]!r}")
    if outcome.result != {"heard": True}:
        raise NoTarget(
            f'the command was answered with {{"heard": true}} and gave {outcome.summary()}; '
            'expected a line {"result": …} on its standard output'
        )
    return settings
