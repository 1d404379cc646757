"""A flow whose steps run in Python, Go and TypeScript, on a runtime of its own: sub-runs, blobs, errors with defaults.

Usage: python demo.py GO_WORKER TYPESCRIPT_WORKER, two programs built from go/ and typescript/. Starts
`protogen serve stepflow` on a free port with a database in a temporary folder; the runtime starts the workers.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

PROTOGEN = [sys.executable, "-P", "-m", "protogen"]
HERE = Path(__file__).resolve().parent
INPUT = {"orders": [{"items": ["tea", "cup"], "express": True}, {"items": []}, {"items": ["pot"]}]}
SIGNS = {"step_started": "▶", "step_completed": "✔", "step_failed": "✘", "run_completed": "■", "run_failed": "■"}


def configuration(go: str, typescript: str) -> dict[str, Any]:
    """Three workers, each in the way that suits it: Go through pipes, the others over HTTP on ports of their own."""
    python = [*PROTOGEN[1:], "worker", "components:app", "--port", "0", "--announce"]
    return {
        "workingDirectory": str(HERE / "python"),
        "plugins": {
            "builtin": {"type": "builtin"},
            "go": {"type": "stepflow", "transport": "stdio", "command": go, "args": ["-stdio"]},
            "typescript": {"type": "stepflow", "command": "node", "args": [typescript]},
            "python": {"type": "stepflow", "command": PROTOGEN[0], "args": python},
        },
        "routes": {f"/{name}/{{*component}}": [{"plugin": name}] for name in ("builtin", "go", "typescript", "python")},
    }


@contextmanager
def runtime(folder: Path, config: dict[str, Any]) -> Generator[str]:
    """A runtime with its runs in a database."""
    file = folder / "stepflow-config.json"
    file.write_text(json.dumps(config))
    options = ["--port", "0", "--announce", "--config", str(file), "--db", f"sqlite:///{folder / 'demo.db'}"]
    with (folder / "runtime.log").open("wb") as log:
        process = subprocess.Popen([*PROTOGEN, "serve", "stepflow", *options], stdout=subprocess.PIPE, stderr=log)
    assert process.stdout is not None
    try:
        announced = process.stdout.readline()
        if not announced:
            sys.exit((folder / "runtime.log").read_text("utf-8"))
        yield f"http://127.0.0.1:{json.loads(announced)['port']}"
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def logged(folder: Path) -> Iterator[str]:
    """What the log of the runtime has of its workers: each line with the step in whose course it was written."""
    for line in (folder / "runtime.log").read_text("utf-8").splitlines():
        record = json.loads(line)
        if "step_id" in record:
            yield f"{record['event']} (step {record['step_id']} of run {record['run_id']}, {record['orders']} orders)"


def events(client: httpx.Client, path: str) -> Iterator[dict[str, Any]]:
    """The events of a run, until it has ended."""
    with client.stream("GET", path) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))


def run_flow(client: httpx.Client) -> str:
    """Store the flow, run it, tell what happens, and return the run's id."""
    flow = yaml.safe_load((HERE / "flow.yaml").read_text("utf-8"))
    flow_id = client.post("flows", json={"flow": flow}).json()["flowId"]
    request = {"flowId": flow_id, "input": [INPUT], "variables": {"customer": "Ann"}, "wait": False}
    run_id: str = client.post("runs", json=request).json()["runId"]
    for event in events(client, f"runs/{run_id}/events"):
        if event["kind"] in SIGNS:
            print(f"  {SIGNS[event['kind']]} {event.get('stepId', event['kind'])}", flush=True)
    (item,) = client.get(f"runs/{run_id}/items").json()["items"]
    print(f"\n  {json.dumps(item['result'], ensure_ascii=False)}\n", flush=True)
    assert item["status"] == "completed"
    return run_id


def main() -> None:
    """Run the flow and draw it."""
    go, typescript = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        with runtime(Path(folder), configuration(go, typescript)) as url:
            with httpx.Client(base_url=f"{url}/api/v1/") as client:
                run_id = run_flow(client)
            subprocess.run([*PROTOGEN, "runs", url, "--run", run_id], check=True)
        print("\n  In the runtime's log:", *logged(Path(folder)), sep="\n  ", flush=True)


if __name__ == "__main__":
    main()
