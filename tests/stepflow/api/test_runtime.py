"""The HTTP API over the real runtime, its store and its plugins in this process."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from api_rig import DIALECTS, CheckedClient, run, serving

from protogen_runtime.nodes.stepflow.configured import BUILTIN
from protogen_runtime.nodes.stepflow.runtime import open_runtime
from protogen_runtime.stepflow.plugins.contract import DialectName

BINARY = {"content-type": "application/octet-stream"}
INNER = {
    "name": "inner",
    "steps": [{"id": "ask", "component": "/builtin/create_messages", "input": {"user_prompt": {"$input": "$"}}}],
    "output": {"$step": "ask"},
}
OUTER = {
    "name": "outer",
    "steps": [
        {
            "id": "all",
            "component": "/builtin/map",
            "input": {"workflow": {"$literal": INNER}, "items": {"$input": "$"}},
        },
        {"id": "late", "component": "/builtin/nope", "onError": {"action": "useDefault", "defaultValue": 7}},
    ],
    "output": [{"$step": "all", "path": "successful"}, {"$step": "late"}, {"$variable": "v", "default": 1}],
}


@asynccontextmanager
async def runtime(dialect: DialectName, database: str = "memory:", **more: Any) -> AsyncGenerator[CheckedClient]:
    """A runtime with its builtin components, and a client of it."""
    config = msgspec.structs.replace(BUILTIN, dialect=dialect)
    async with open_runtime(config, database) as runs, serving(runs, dialect, **more) as client:
        yield client


async def events(client: CheckedClient, path: str, **headers: str) -> AsyncIterator[tuple[int, dict[str, Any]]]:
    async with client.http.stream("GET", client.base + path, headers=headers) as stream:
        number = 0
        async for line in stream.aiter_lines():
            if line.startswith("id: "):
                number = int(line.removeprefix("id: "))
            elif line.startswith("data: "):
                yield number, json.loads(line.removeprefix("data: "))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_flow_with_runs_of_its_own_is_run_and_shown(dialect: DialectName) -> None:
    async def main() -> None:
        async with runtime(dialect) as client:
            flow_id = await client.store(OUTER)
            made = await client.run(flow_id, ["a", "b"], variables={"v": "x"}, wait=True)
            result = made["result"] if dialect == "0.9" else made["results"][0]["result"]
            assert result == {"outcome": "success", "result": [2, 7, "x"]}
            path = f"/runs/{made['runId']}"
            steps = (await client.ask("GET", f"{path}/steps")).json()["steps"]
            assert [(it["stepId"], it["status"]) for it in steps.values()] == [
                ("all", "completed"),
                ("late", "completed"),
            ]
            (child,) = (await client.ask("GET", f"/runs?parentRunId={made['runId']}")).json()["runs"]
            assert (child["flowName"], child["rootRunId"], child["items"]["total"]) == ("inner", made["runId"], 2)
            roots = (await client.ask("GET", "/runs?rootsOnly=true")).json()["runs"]
            assert [it["runId"] for it in roots] == [made["runId"]]
            assert (await client.ask("DELETE", path)).status_code == 204
            assert (await client.ask("GET", f"/runs/{child['runId']}")).status_code == 404
            assert (await client.ask("DELETE", f"/flows/{flow_id}")).status_code == 204

    run(main)


def test_events_are_the_same_from_any_place() -> None:
    async def main() -> None:
        async with runtime("0.9") as client:
            made = await client.run(await client.store(OUTER), ["a"])
            path = f"/runs/{made['runId']}/events"
            whole = [found async for found in events(client, path)]
            assert [number for number, _ in whole] == list(range(1, len(whole) + 1))
            assert [number for number, event in whole if number != event["sequence"]] == []
            kinds = [event["kind"] for _, event in whole]
            assert (kinds[0], kinds[-2:]) == ("run_started", ["item_completed", "run_completed"])
            assert kinds.count("step_started") == kinds.count("step_completed") == 2
            for last in range(len(whole)):
                assert [found async for found in events(client, path, **{"last-event-id": str(last)})] == whole[last:]

    run(main)


def test_a_run_is_followed_while_it_goes_on() -> None:
    """Readers that come at any time see all events, each once, however many there are."""

    async def main() -> None:
        async with runtime("0.11") as client:
            flow_id = await client.store(INNER)
            seen: list[list[str]] = []

            async def follow(path: str) -> None:
                seen.append([event["kind"] async for _, event in events(client, path)])

            async with trio.open_nursery() as nursery:
                for _ in range(5):
                    made = await client.run(flow_id, *["x"] * 20)
                    for _ in range(3):
                        nursery.start_soon(follow, f"/runs/{made['runId']}/events")
            assert [len(kinds) for kinds in seen] == [62] * 15
            assert {kinds[-1] for kinds in seen} == {"run_completed"}

    run(main)


def test_many_runs_at_once_each_get_their_own_result() -> None:
    async def main() -> None:
        async with runtime("0.9") as client:
            flow_id = await client.store(INNER)
            results: dict[int, Any] = {}

            async def one(number: int) -> None:
                results[number] = (await client.run(flow_id, str(number)))["result"]["result"]["messages"]

            async with trio.open_nursery() as nursery:
                for number in range(64):
                    nursery.start_soon(one, number)
            assert results == {number: [{"role": "user", "content": str(number)}] for number in range(64)}

    run(main)


def test_a_large_blob_costs_the_memory_of_a_piece(tmp_path: Path) -> None:
    size, most = 32 * 1024 * 1024, 8 * 1024 * 1024

    async def main() -> None:
        async with runtime("0.11", f"sqlite:///{tmp_path / 'blobs.db'}") as client:
            piece = bytes(range(256)) * 256
            digest = hashlib.sha256(piece * (size // len(piece))).hexdigest()

            async def body() -> AsyncIterator[bytes]:
                for _ in range(size // len(piece)):
                    yield piece

            tracemalloc.start()
            try:
                kept = await client.http.post(f"{client.base}/blobs", content=body(), headers=BINARY)
                assert kept.json() == {"blobId": digest}
                seen = hashlib.sha256()
                async with client.http.stream("GET", f"{client.base}/blobs/{digest}") as stream:
                    assert stream.headers["content-length"] == str(size)
                    async for chunk in stream.aiter_bytes():
                        seen.update(chunk)
                assert seen.hexdigest() == digest
                assert tracemalloc.get_traced_memory()[1] < most
            finally:
                tracemalloc.stop()

    run(main)


def test_a_value_has_the_name_and_the_bytes_it_came_with() -> None:
    async def main() -> None:
        async with runtime("0.11") as client:
            kept = await client.ask("POST", "/blobs", json={"data": {"x": 1, "b": 2}, "filename": "é.json"})
            blob_id = kept.json()["blobId"]
            assert blob_id == hashlib.sha256(b'{"x":1,"b":2}').hexdigest()
            got = await client.ask("GET", f"/blobs/{blob_id}")
            assert got.json() == {
                "data": {"x": 1, "b": 2},
                "blobType": "data",
                "blobId": blob_id,
                "filename": "é.json",
            }
            assert got.headers["x-blob-filename"] == "%C3%A9.json"
            small = await client.http.post(f"{client.base}/blobs", content=b"abc", headers=BINARY)
            assert small.json()["blobId"] == hashlib.sha256(b"abc").hexdigest()

    run(main)


def test_what_the_runtime_refuses_says_why() -> None:
    async def main() -> None:
        async with runtime("0.9") as client:
            flow_id = await client.store(INNER)
            refused: list[tuple[dict[str, Any], str]] = [
                ({"nope": {"value": {}}}, "overrides: the flow has no step 'nope'"),
                ({"ask": {"$type": "zz", "value": {}}}, "overrides of step 'ask': "),
            ]
            for overrides, said in refused:
                body = {"flowId": flow_id, "input": [1], "overrides": overrides}
                answer = await client.ask("POST", "/runs", json=body)
                assert (answer.status_code, answer.json()["message"].startswith(said)) == (400, True), answer.text
            empty = await client.run(flow_id)
            assert (empty["itemCount"], empty["status"]) == (0, "completed")
            listed = await client.ask("GET", "/runs?limit=1001")
            assert listed.status_code == 400

    run(main)
