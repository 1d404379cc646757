"""Benchmarks: ours beside others' in one run, and the ratio between them.

Usage: .venv/bin/python bench [SUITE...] [--repeats N] [--json FILE] [--strict]; `make bench` sets up and runs them all.
Nothing here is a test: times belong to the machine, ratios travel.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
from apflow import core
from apflow import suite as apflow
from build import foreign
from build import suite as build
from build.peers import PeersMissing
from constraints import suite as constraints
from measure import ChildFailed
from observe import suite as observe
from report import Report, table
from rpc import decode, start
from rpc import suite as rpc
from stdio import suite as stdio
from stepflow import engine
from stepflow import suite as stepflow
from store import suite as store
from store import tasks

SUITES: dict[str, tuple[str, Callable[[int], Report]]] = {
    "build": ("protogen build beside quicktype and datamodel-code-generator", build.run),
    "foreign": ("protogen build on other people's documents beside quicktype", foreign.run),
    "store": ("durable writes beside a thread call for each of them", store.run),
    "tasks": ("the life of 100,000 tasks in the store", tasks.run),
    "stdio": ("calls over pipes beside blocking ones", stdio.run),
    "observe": ("what observing costs a call", observe.run),
    "decode": ("bytes to typed and checked params beside orjson", decode.run),
    "constraints": ("decoding with constraints and without", constraints.run),
    "apflow": ("a task node beside the reference implementation, and whole flows", apflow.run),
    "core": ("a task node without its ways in", core.run),
    "stepflow": ("a Stepflow runtime and a worker beside the published ones", stepflow.run),
    "engine": ("the engine of Stepflow alone", engine.run),
    "rpc": ("protogen serve beside other HTTP servers, by wrk", rpc.run),
    "start": ("the first answer and the memory of servers", start.run),
    "flat": ("memory over a million requests", start.run_flat),
}
"""Name to what it compares and the function that runs it with so many repeats."""


def main(arguments: list[str]) -> int:
    """Run suites; returns the exit code: 0 done, 1 a target was missed under --strict, 2 usage or environment."""
    parser = argparse.ArgumentParser(prog="bench", description="Benchmarks that print ratios.")
    parser.add_argument(
        "suites", nargs="*", metavar="SUITE", help=f"which to run (default: all of {', '.join(SUITES)})"
    )
    parser.add_argument("--repeats", type=int, default=7, metavar="N", help="runs of each contender (default: 7)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON, too")
    parser.add_argument("--strict", action="store_true", help="exit 1 where a target is missed")
    chosen = parser.parse_args(arguments)
    unknown = [name for name in chosen.suites if name not in SUITES]
    if unknown or chosen.repeats < 1:
        parser.error(
            f"unknown suite {unknown[0]!r}; known are {', '.join(SUITES)}" if unknown else "--repeats: 1 or more"
        )
    reports: dict[str, Report] = {}
    for name in chosen.suites or SUITES:
        print(f"{name}: {SUITES[name][0]}\n")
        try:
            reports[name] = SUITES[name][1](chosen.repeats)
        except (ChildFailed, PeersMissing) as reason:
            print(f"bench: {reason}", file=sys.stderr)
            return 2
        print(table(reports[name]))
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(msgspec.to_builtins(reports), indent=2) + "\n", "utf-8")
    missed = [target for report in reports.values() for target in report.targets if not target.met]
    return 1 if chosen.strict and missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
