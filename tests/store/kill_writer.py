"""A program that writes until it is killed, and says on stdout what was acknowledged: run by test_kill.py.

Usage: kill_writer.py FILE {honest,hasty}. For each line on stdin a copy of this process is forked, which costs less
than starting one; it writes as fast as it can. `pid N` begins its life, `key K` and `blob D` are what was acknowledged,
`dead` follows when it has been killed. The hasty one speaks before it is answered, as a control.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path

import trio

from protogen_runtime.store import Append, Insert, Patch, Record, Store, Update
from protogen_runtime.store.contract import SCHEMA
from protogen_runtime.store.sqlite import Options, open_sqlite

TASKS = 8
INLINE_BLOB_BYTES = 5_000


def say(line: str) -> None:
    # One write, shorter than what a pipe takes at once: it arrives whole or not at all.
    os.write(1, f"{line}\n".encode())


async def live(path: Path, *, hasty: bool) -> None:
    chance = random.Random(os.getpid())
    options = Options(readers=1, inline_blob_bytes=INLINE_BLOB_BYTES)
    async with open_sqlite(path, SCHEMA, options) as store, trio.open_nursery() as nursery:
        for task in range(TASKS):
            nursery.start_soon(write, store, f"{os.getpid()}-{chance.randrange(10**9)}-{task}", chance, hasty)
        nursery.start_soon(put, store, chance, hasty)


async def write(store: Store, name: str, chance: random.Random, hasty: bool) -> None:
    number = 0
    while True:
        key = f"{name}-{number}"
        changes = [
            Insert("tasks", [Record(key, chance.randbytes(chance.randrange(3000)), {"status": "new"})]),
            Update("tasks", [Patch(key=key, when={"status": "new"}, fields={"status": "done"})]),
            Append("log", [key.encode()]),
        ]
        if hasty:
            say(f"key {key}")
        await store.write_all(changes)
        if not hasty:
            say(f"key {key}")
        number += 1


async def put(store: Store, chance: random.Random, hasty: bool) -> None:
    while not hasty:
        blob = await store.put_blob(chance.randbytes(chance.choice((100, 10_000, 300_000))))
        say(f"blob {blob.digest}")


def main() -> None:
    path, manner = Path(sys.argv[1]), sys.argv[2]
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            try:
                trio.run(lambda: live(path, hasty=manner == "hasty"))
            finally:
                os._exit(1)
        say(f"pid {child}")
        _, status = os.waitpid(child, 0)
        say("dead" if os.waitstatus_to_exitcode(status) == -signal.SIGKILL else "failed")


if __name__ == "__main__":
    main()
