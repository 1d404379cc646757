"""Our worker under our runtime, both as programs: blobs, sub-runs and errors in either dialect."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from interop_env import announced
from published_runtime import failure_in, output_in

HERE = Path(__file__).resolve().parent
WORKER = ["-P", "-m", "protogen", "worker", "worker_components:app"]
RUNTIME = [sys.executable, "-P", "-m", "protogen", "serve", "stepflow", "--port", "0", "--announce", "--db", "memory:"]
TRANSPORTS = {"http": ["--port", "0", "--announce"], "stdio": ["--stdio"]}
VALUE = {"b": [1, None, 2**63, 1.5, "é😀\u2028" * 3000], "a": {}}


@pytest.mark.parametrize(
    ("dialect", "transport", "raised"),
    [("0.11", "http", -32100), ("0.11", "stdio", -32100), ("0.9", "stdio", -32004)],
)
def test_a_worker_of_ours_runs_under_a_runtime_of_ours(
    tmp_path: Path, dialect: str, transport: str, raised: int
) -> None:
    program = {"command": sys.executable, "args": [*WORKER, *TRANSPORTS[transport]]}
    config = {
        "plugins": {"w": {"type": "stepflow", "transport": transport, **program}},
        "routes": {"/w/{*component}": [{"plugin": "w"}]},
        "workingDirectory": str(HERE),
        # What VALUE has is above it, so that in 0.11 it travels as a reference.
        "blobApi": {"blobThreshold": 5000},
    }
    file = tmp_path / "stepflow-config.json"
    file.write_text(json.dumps(config), "utf-8")
    with announced([*RUNTIME, "--dialect", dialect, "--config", str(file)]) as port:
        assert output_in(port, "/echo", VALUE) == VALUE
        assert output_in(port, "/thread", VALUE)[2] == VALUE
        assert len(set(output_in(port, "/blobs", list(range(50))))) == 50
        assert output_in(port, "/evaluate", VALUE) == VALUE
        assert output_in(port, "/sub-runs", [1, "é"]) == [["completed", 1], ["completed", "é"], "completed"]
        assert failure_in(port, "/raise", "value")[0] == raised
        assert output_in(port, "/echo", 1) == 1
