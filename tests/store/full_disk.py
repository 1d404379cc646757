"""A program that fills its disk, and goes on when there is space: run by test_full.py, prints what it saw as JSON.

Usage: full_disk.py FOLDER {filler,limit}. With `filler` the disk is small and a file that stands in the way is removed
in the end; with `limit` this process may not make files larger than LIMIT_BYTES, until it may.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from protogen_runtime.store import (
    Blobs,
    Insert,
    Record,
    Select,
    Store,
    StoreError,
    StoreFailed,
    StoreFull,
    open_store,
    read_blob,
)
from protogen_runtime.store.contract import SCHEMA

LIMIT_BYTES = 600_000
FILLER_BYTES = 1_500_000
TASKS = 8


async def main(folder: Path, how: str) -> None:
    filler = folder / "filler"
    if how == "filler":
        filler.write_bytes(bytes(FILLER_BYTES))
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, resource.RLIM_INFINITY))
    address = f"sqlite:///{folder}/store.db"
    acknowledged: list[str] = []
    refused: list[str] = []
    seen: dict[str, object] = {}
    async with open_store(address, SCHEMA) as store:
        blob = await store.put_blob(b"kept" * 50_000)
        async with trio.open_nursery() as nursery:
            for task in range(TASKS):
                nursery.start_soon(fill, store, str(task), acknowledged, refused)
        seen["rows_before_full"] = len(acknowledged)
        seen["errors_when_full"] = sorted(
            {await outcome(lambda key=key: insert(store, key)) for key in ("x1", "x2")}
            | {await outcome(lambda: store.put_blob(b"x" * 2_000_000))}
        )
        seen["lost_while_full"] = len(set(acknowledged) - await keys(store))
        seen["blob_read_while_full"] = len(await read_blob(store, blob.digest))
        seen["files_of_blobs"] = sum(1 for it in folder.rglob("store.db.blobs/*/*") if it.is_file())
        filler.unlink(missing_ok=True)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        for number in range(20):
            await insert(store, f"after-{number}")
            acknowledged.append(f"after-{number}")
        await store.put_blob(b"after" * 50_000)
    async with open_store(address, SCHEMA) as store:
        there = await keys(store)
        seen["lost_in_the_end"] = len(set(acknowledged) - there)
        seen["refused_but_there"] = len(set(refused) & there)
        seen["blobs_in_the_end"] = len(await store.read(Blobs()))
    print(json.dumps(seen))


async def fill(store: Store, name: str, acknowledged: list[str], refused: list[str]) -> None:
    number = 0
    while True:
        key = f"{name}-{number}"
        try:
            await insert(store, key)
        except (StoreFull, StoreFailed):
            refused.append(key)
            return
        acknowledged.append(key)
        number += 1


async def insert(store: Store, key: str) -> None:
    await store.write(Insert("notes", [Record(key, b"x" * 3000)]))


async def keys(store: Store) -> set[str]:
    return {record.key for record in (await store.read(Select("notes", documents=False))).records}


async def outcome(attempt: Callable[[], Awaitable[object]]) -> str:
    try:
        await attempt()
    except StoreError as raised:
        return type(raised).__name__
    return "done"


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]), sys.argv[2])
