"""Limits: how much a runtime takes, so that no caller can exhaust it."""

from __future__ import annotations

import msgspec

MIB = 1024 * 1024


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The bounds of one runtime.

    `active_runs`: runs of the outside that are in memory; `queued_runs` more wait on the disk, then submit refuses.
    `steps_per_run`: calls of one run that are out at once, whatever it asks for: its items begin as others end.
    `steps`: calls of all runs that are out at once; those that wait for runs of theirs do not count.
    """

    active_runs: int = 1_000
    queued_runs: int = 100_000
    steps_per_run: int = 1_000
    steps: int = 10_000
    runs_per_tree: int = 10_000
    """Runs under one root that are under way at once: a flow that runs itself would go on for ever."""
    max_depth: int = 64
    """Runs within runs within runs."""
    max_items: int = 1_000_000
    max_run_bytes: int = 64 * MIB
    """Inputs, variables and overrides of a run as JSON."""
    max_flow_bytes: int = 16 * MIB
    max_value_bytes: int = 64 * MIB
    """A blob that is a value: it is in memory as a whole."""
    max_binary_bytes: int = 4 * 1024 * MIB
    grace_seconds: float = 24 * 3600.0
    """How long a blob stays that nothing refers to: whoever put it has to name it in a run by then."""
    feed_events: int = 4_096
    """Events that a reader may be behind."""
    collect_seconds: float = 600.0
    """How often garbage is collected."""
