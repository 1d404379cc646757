"""A flow of a dozen tasks on a node of its own: priorities, an optional dependency that fails, a cancelled branch.

Usage: python demo.py. Starts `protogen serve apflow` on a free port with a database in a temporary folder.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import trio
from apflow_protocol import NodeClient, TasksCancelParams, TasksExecuteParams, TasksTreeParams, decode

PROTOGEN = [sys.executable, "-P", "-m", "protogen"]
FLOW = Path(__file__).with_name("flow.json")
ARCHIVE = "7e57ab1e-0000-4000-8000-000000000009"


@contextmanager
def node(folder: Path) -> Generator[str]:
    """A node that runs two tasks at a time, so that priorities can be seen."""
    options = ["--port", "0", "--announce", "--concurrency", "2", "--db", f"sqlite:///{folder / 'demo.db'}"]
    process = subprocess.Popen([*PROTOGEN, "serve", "apflow", *options], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}/"
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


async def run_flow(url: str) -> str:
    """Execute the flow, cancel its slow branch once everything else is done, and return the root's id."""
    params = decode("TasksExecuteParams", FLOW.read_bytes())
    assert isinstance(params, TasksExecuteParams)
    params.use_streaming = True
    names = {task.id: task.name for task in params.tasks}
    async with NodeClient.http(url) as client:
        async with client.tasks_execute_stream(params) as stream:
            async for event in stream:
                if event.event == "task_progress_update":
                    continue
                name = names[event.data.task_id]
                print(f"  {event.data.status:<11}  {name}", flush=True)
                if (event.data.status, name) == ("completed", "publish"):
                    await client.tasks_cancel(TasksCancelParams(task_id=ARCHIVE))
            root = (await stream.result()).root_task_id
        tree = await client.tasks_tree(TasksTreeParams(task_id=root))
        assert tree.task.status == "completed"
        return root


def main() -> None:
    """Run the flow and draw it."""
    with tempfile.TemporaryDirectory() as folder, node(Path(folder)) as url:
        root = trio.run(run_flow, url)
        print()
        sys.stdout.flush()
        # It exits with 1, since tasks of the flow failed: that is what this flow is for.
        subprocess.run([*PROTOGEN, "tasks", url, root], check=False)


if __name__ == "__main__":
    main()
