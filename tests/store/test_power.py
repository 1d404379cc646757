"""Power losses: what was acknowledged is there afterwards, and whole; with less than FULL it is not, which is seen."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import msgspec
import pytest
import trio
from power import ApswConnection, CarelessDisk, Power, PowerDisk, PowerVFS

from protogen_runtime.store import (
    Append,
    BlobCorrupt,
    BlobMissing,
    CannotOpen,
    DropBlobs,
    Entries,
    Equal,
    Insert,
    Patch,
    Record,
    Select,
    Store,
    StoreError,
    Update,
    read_blob,
)
from protogen_runtime.store.contract import SCHEMA
from protogen_runtime.store.sqlite import Options, open_sqlite
from protogen_runtime.store.sqlite.blob_files import Disk
from protogen_runtime.store.sqlite.file import Synchronous

LOSSES = 60
LOSSES_IN_SOAK = 3000
LIVES = 4
"""Power losses of one database before the next begins."""
TASKS = 6
INLINE_BLOB_BYTES = 2000
COUNTED = [Equal("parent", None), Equal("status", "done")]
"""What the schema keeps counted: all that is whole."""


class Tally(msgspec.Struct):
    """What happened in many lives."""

    losses: int = 0
    acknowledged: int = 0
    lost: int = 0
    torn: int = 0
    """Transactions of which only a part is there."""
    miscounted: int = 0
    """How often a total was not the number of records."""
    blobs: int = 0
    blobs_lost: int = 0
    damaged: int = 0
    """Files that could not be opened or read afterwards; all that they held counts as lost, too."""


class Promises(msgspec.Struct):
    """What one database has acknowledged."""

    keys: set[str] = msgspec.field(default_factory=set)
    blobs: dict[str, bytes] = msgspec.field(default_factory=dict)


def lives(folder: Path, seed: int, tally: Tally, *, synchronous: Synchronous, careless: bool = False) -> None:
    """Let one database live and lose power several times, and count what it lost."""
    chance = random.Random(seed)
    power = Power(chance)
    vfs = PowerVFS(power, f"power-{seed}")
    disk: Disk = CarelessDisk(power) if careless else PowerDisk(power)

    def connect(path: str) -> ApswConnection:
        connection = ApswConnection(path, vfs.name)
        # Often enough that losses hit checkpoints, too; with one for each commit NORMAL would lose hardly anything.
        connection.execute("PRAGMA wal_autocheckpoint = 30")
        return connection

    options = Options(
        connect=connect, disk=disk, synchronous=synchronous, readers=1, inline_blob_bytes=INLINE_BLOB_BYTES
    )
    promises = Promises()
    place = folder / str(seed)
    place.mkdir()
    for life in range(LIVES):
        power.fail_at = chance.randrange(1, 500)
        trio.run(partial(live, place / "store.db", options, life, chance, promises, tally, power))
        power.out = True
        power.lose()
        tally.losses += 1
    power.fail_at = 0
    trio.run(partial(live, place / "store.db", options, LIVES, chance, promises, tally, power, write=False))


async def live(
    path: Path,
    options: Options,
    life: int,
    chance: random.Random,
    promises: Promises,
    tally: Tally,
    power: Power,
    *,
    write: bool = True,
) -> None:
    """One life: look whether everything is there that was promised, then write until the power fails."""
    try:
        async with open_sqlite(path, SCHEMA, options) as store:
            await look(store, promises, tally, power)
            if write:
                async with trio.open_nursery() as nursery:
                    for task in range(TASKS):
                        nursery.start_soon(write_notes, store, f"{life}-{task}", chance, promises, tally)
                    nursery.start_soon(write_blobs, store, chance, promises, tally)
    except CannotOpen:
        # The power may fail while the file is opened; what is wrong while it is on is damage.
        if not power.out:
            tally.damaged += 1
            forget(promises, tally)


def forget(promises: Promises, tally: Tally) -> None:
    tally.lost += len(promises.keys)
    tally.blobs_lost += len(promises.blobs)
    promises.keys.clear()
    promises.blobs.clear()


async def look(store: Store, promises: Promises, tally: Tally, power: Power) -> None:
    try:
        page = await store.read(Select("tasks"))
        keys = {record.key for record in page.records}
        whole = {record.key for record in page.records if record.fields["status"] == "done"}
        logged = {entry.data.decode() for entry in await store.read(Entries("log"))}
        counted = (await store.read(Select("tasks", COUNTED, limit=0, total=True))).total
        lost = promises.keys - keys
        torn = (keys ^ whole) | (keys ^ logged)
        tally.miscounted += counted != len(whole)
        lost_blobs = [digest for digest, data in promises.blobs.items() if not await has(store, digest, data)]
    except StoreError:
        # Where the next loss came before the look was over, the same promises are looked at in the next life.
        if not power.out:
            tally.damaged += 1
            forget(promises, tally)
        return
    tally.lost += len(lost)
    tally.torn += len(torn)
    tally.blobs_lost += len(lost_blobs)
    promises.keys -= lost
    for digest in lost_blobs:
        del promises.blobs[digest]


async def has(store: Store, digest: str, data: bytes) -> bool:
    try:
        return await read_blob(store, digest) == data
    except (BlobMissing, BlobCorrupt):
        return False


async def write_notes(store: Store, name: str, chance: random.Random, promises: Promises, tally: Tally) -> None:
    """Each transaction makes a record, changes it and logs it; it counts as promised when it was answered."""
    number = 0
    try:
        while True:
            key = f"{name}-{number}"
            await store.write_all(
                [
                    Insert("tasks", [Record(key, chance.randbytes(chance.randrange(3000)), {"status": "new"})]),
                    Update("tasks", [Patch(key=key, when={"status": "new"}, fields={"status": "done"})]),
                    Append("log", [key.encode()]),
                ]
            )
            promises.keys.add(key)
            tally.acknowledged += 1
            number += 1
    except StoreError:
        return


async def write_blobs(store: Store, chance: random.Random, promises: Promises, tally: Tally) -> None:
    async def stream(data: bytes) -> AsyncIterator[bytes]:
        yield data[:5]
        yield data[5:]

    try:
        while True:
            data = chance.randbytes(chance.choice((10, INLINE_BLOB_BYTES + 1, 20_000)))
            blob = await store.put_blob(stream(data))
            promises.blobs[blob.digest] = data
            tally.blobs += 1
            if chance.random() < 0.3:
                digest = chance.choice(list(promises.blobs))
                # From here on it may be there or not.
                del promises.blobs[digest]
                await store.write(DropBlobs([digest]))
    except StoreError:
        return


def lose_power(folder: Path, losses: int, *, synchronous: Synchronous, careless: bool = False) -> Tally:
    tally = Tally()
    for seed in range(losses // LIVES):
        lives(folder, seed, tally, synchronous=synchronous, careless=careless)
    return tally


def test_nothing_acknowledged_is_lost_with_the_power(folder: Path) -> None:
    tally = lose_power(folder, LOSSES, synchronous="FULL")
    assert tally.acknowledged > 5 * LOSSES
    assert tally.blobs > LOSSES
    assert (tally.lost, tally.torn, tally.miscounted, tally.blobs_lost, tally.damaged) == (0, 0, 0, 0, 0), tally


@pytest.mark.parametrize("synchronous", ["OFF"])
def test_less_than_full_loses_what_was_acknowledged(folder: Path, synchronous: Synchronous) -> None:
    """The control: the same lives on the same disk, and the loss is seen."""
    tally = lose_power(folder, LOSSES // 2, synchronous=synchronous)
    assert tally.acknowledged > LOSSES
    assert tally.lost > 0, tally


def test_blob_files_that_are_not_synced_are_lost(folder: Path) -> None:
    """The control for files."""
    tally = lose_power(folder, LOSSES // 2, synchronous="FULL", careless=True)
    assert tally.lost == 0
    assert tally.blobs_lost > 0, tally


@pytest.mark.soak
def test_nothing_acknowledged_is_lost_in_thousands_of_losses(folder: Path) -> None:
    tally = lose_power(folder, LOSSES_IN_SOAK, synchronous="FULL")
    print(tally)
    assert tally.acknowledged > 5 * LOSSES_IN_SOAK
    assert (tally.lost, tally.torn, tally.miscounted, tally.blobs_lost, tally.damaged) == (0, 0, 0, 0, 0), tally


@pytest.mark.soak
@pytest.mark.parametrize("synchronous", ["OFF", "NORMAL"])
def test_control_of_thousands_of_losses(folder: Path, synchronous: Synchronous) -> None:
    tally = lose_power(folder, LOSSES_IN_SOAK, synchronous=synchronous)
    print(tally)
    assert tally.lost > LOSSES_IN_SOAK // 10
