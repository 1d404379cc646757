"""Blobs in the SQLite store: damage is found, orphans go, and a disk that fails leaves nothing half done."""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from protogen_runtime.store import (
    BlobCorrupt,
    Blobs,
    DropBlobs,
    Schema,
    StoreFailed,
    StoreFull,
    open_store,
    read_blob,
)
from protogen_runtime.store.sqlite import Options, open_sqlite
from protogen_runtime.store.sqlite.blob_files import Disk

SCHEMA = Schema(application="blobs")
LARGE = bytes(range(256)) * 4000


def files(folder: Path) -> list[Path]:
    return sorted(it for it in (folder / "store.db.blobs").rglob("*") if it.is_file())


async def put(folder: Path, data: bytes) -> str:
    async with open_store(f"sqlite:///{folder}/store.db", SCHEMA) as store:
        return (await store.put_blob(data)).digest


async def read_chunks(folder: Path, digest: str) -> tuple[list[bytes], str]:
    """The chunks that came out, and the error in the end."""
    chunks: list[bytes] = []
    async with open_store(f"sqlite:///{folder}/store.db", SCHEMA) as store:
        try:
            async with store.open_blob(digest) as reader:
                async for chunk in reader:
                    chunks.append(chunk)  # noqa: PERF401 - a comprehension would lose them at the error
        except BlobCorrupt as raised:
            return chunks, raised.what
    return chunks, ""


def test_small_blobs_are_in_the_database_and_large_ones_are_files(folder: Path) -> None:
    async def run() -> None:
        async with open_store(f"sqlite:///{folder}/store.db", SCHEMA) as store:
            await store.put_blob(LARGE[: 128 * 1024])
            assert files(folder) == []
            await store.put_blob(LARGE[: 128 * 1024 + 1])
            (file,) = files(folder)
            assert file.read_bytes() == LARGE[: 128 * 1024 + 1]

    trio.run(run)


def test_damaged_file_is_found_before_its_last_chunk_is_out(folder: Path) -> None:
    digest = trio.run(put, folder, LARGE)
    (file,) = files(folder)
    damaged = bytearray(LARGE)
    damaged[700_000] ^= 1
    file.write_bytes(damaged)
    chunks, what = trio.run(read_chunks, folder, digest)
    assert what == f"its {len(LARGE)} bytes have the digest {hashlib.sha256(damaged).hexdigest()}"
    assert sum(map(len, chunks)) < len(LARGE)


@pytest.mark.parametrize("change", [-1, 1])
def test_file_of_another_size_is_found(folder: Path, change: int) -> None:
    digest = trio.run(put, folder, LARGE)
    (file,) = files(folder)
    os.truncate(file, len(LARGE) + change)
    _, what = trio.run(read_chunks, folder, digest)
    assert what == f"{len(LARGE) + change} bytes where {len(LARGE)} were put"


def test_missing_file_is_found(folder: Path) -> None:
    digest = trio.run(put, folder, LARGE)
    (file,) = files(folder)
    file.unlink()
    assert trio.run(read_chunks, folder, digest) == ([], f"its file {file.name} is missing")


def test_damaged_row_is_found(folder: Path) -> None:
    digest = trio.run(put, folder, b"small")
    with sqlite3.connect(folder / "store.db") as connection:
        connection.execute("UPDATE protogen_blobs SET data = x'00'")
    connection.close()
    assert trio.run(read_chunks, folder, digest) == ([], "1 bytes where 5 were put")


def test_damaged_blob_is_whole_again_when_dropped_and_put_anew(folder: Path) -> None:
    digest = trio.run(put, folder, LARGE)
    files(folder)[0].unlink()

    async def run() -> None:
        async with open_store(f"sqlite:///{folder}/store.db", SCHEMA) as store:
            await store.write(DropBlobs([digest]))
            await store.put_blob(LARGE)
            assert await read_blob(store, digest) == LARGE

    trio.run(run)


def test_files_that_nothing_names_go_at_the_next_start(folder: Path) -> None:
    digest = trio.run(put, folder, LARGE)
    (kept,) = files(folder)
    for orphan in (kept.with_name(f"{kept.parent.name}ff"), folder / "store.db.blobs" / "zz" / "zzzz"):
        orphan.parent.mkdir(exist_ok=True)
        orphan.write_bytes(b"left by a crash")
    assert len(files(folder)) == 3
    assert trio.run(read_chunks, folder, digest)[1] == ""
    assert files(folder) == [kept]


def test_same_bytes_put_again_leave_one_file(folder: Path) -> None:
    for _ in range(2):
        trio.run(put, folder, LARGE)
        assert len(files(folder)) == 1


def test_reader_that_stops_early_leaves_no_descriptor(folder: Path) -> None:
    def descriptors() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    async def run() -> None:
        async with open_store(f"sqlite:///{folder}/store.db", SCHEMA) as store:
            digest = (await store.put_blob(LARGE)).digest
            before = descriptors()
            async with store.open_blob(digest) as reader:
                async for chunk in reader:
                    assert chunk == LARGE[: len(chunk)]
                    break
            assert descriptors() == before

    trio.run(run)


class FailingDisk(Disk):
    """A disk whose n-th call fails."""

    def __init__(self, fail_at: int, code: int) -> None:
        self._left = fail_at
        self._code = code

    def heal(self) -> None:
        self._left = 0

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise OSError(self._code, os.strerror(self._code))

    def create(self, path: str) -> int:
        self._count()
        return super().create(path)

    def write(self, descriptor: int, data: bytes) -> None:
        # Half of it is written, as by a disk that is full.
        super().write(descriptor, data[: len(data) // 2])
        self._count()
        super().write(descriptor, data[len(data) // 2 :])

    def sync(self, descriptor: int) -> None:
        self._count()
        super().sync(descriptor)

    def sync_folder(self, path: str) -> None:
        self._count()
        super().sync_folder(path)

    def make_folder(self, path: str) -> None:
        self._count()
        super().make_folder(path)


@pytest.mark.parametrize(
    ("code", "raised"), [(errno.ENOSPC, StoreFull), (errno.EDQUOT, StoreFull), (errno.EIO, StoreFailed)]
)
def test_failing_disk_leaves_nothing_and_the_next_put_works(folder: Path, code: int, raised: type[Exception]) -> None:
    failures = 0

    async def stream() -> AsyncIterator[bytes]:
        for start in range(0, len(LARGE), 300_000):
            yield LARGE[start : start + 300_000]

    async def run(fail_at: int) -> bool:
        place = folder / str(fail_at)
        place.mkdir()
        disk = FailingDisk(fail_at, code)
        async with open_sqlite(place / "store.db", SCHEMA, Options(disk=disk)) as store:
            try:
                await store.put_blob(stream())
            except raised:
                assert files(place) == []
                assert await store.read(Blobs()) == ()
                failed = True
            else:
                failed = False
            disk.heal()
            blob = await store.put_blob(LARGE)
            assert await read_blob(store, blob.digest) == LARGE
            assert len(files(place)) == 1
            return failed

    # Two folders made and synced, the file created, written in four parts and synced, its folder synced.
    while trio.run(run, failures + 1):
        failures += 1
    assert failures == 11


def test_cancelled_put_leaves_no_file(folder: Path) -> None:
    async def run() -> None:
        async with open_store(f"sqlite:///{folder}/store.db", SCHEMA) as store:

            async def endless() -> AsyncIterator[bytes]:
                while True:
                    yield LARGE
                    if files(folder):
                        scope.cancel()

            with trio.CancelScope() as scope:
                await store.put_blob(endless())
            assert files(folder) == []

    trio.run(run)
