"""The kit on apflow 0.18.2, the first implementation of the protocol: it breaks what is known, no more and no less."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

KNOWN = Path("compliance", "protogen_compliance", "suites", "apflow", "apflow-0.18.2.toml")


@pytest.mark.soak
@pytest.mark.interop
def test_apflow_breaks_what_is_known(kit: Callable[..., Any], root: Path, tmp_path: Path) -> None:
    sys.path[:0] = [str(root / "bench")]
    try:
        nodes = importlib.import_module("apflow.nodes")
        free_port = importlib.import_module("apflow.suite")._free_port
    finally:
        sys.path.remove(str(root / "bench"))
    with nodes.reference(tmp_path, free_port()) as node:
        done = kit(node.url, "--dialect", "apflow-0.18", "--known", str(root / KNOWN))
    assert (done.code, done.run["stale"]) == (0, []), done.said[-3000:]
    assert len(done.named("FAIL")) == 32
    assert len(done.named("PASS")) >= 43
