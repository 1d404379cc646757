"""The SQLite store: the writer, the readers and the blob files behind the interface of a store.

This is the asynchronous shell: everything that waits for the disk is done in threads, and nothing here speaks SQL.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, cast

import msgspec
import trio

from protogen_runtime.store.blobs import CheckedReader, pieces
from protogen_runtime.store.catalogue import Catalogue, check_digests
from protogen_runtime.store.errors import BlobCorrupt, BlobMissing, BlobTooLarge, CannotOpen
from protogen_runtime.store.interface import BlobReader, Schema, Snapshot, Transaction
from protogen_runtime.store.lane import MAX_WAITING, Lane
from protogen_runtime.store.model import Blob, Change, Query

from . import file, reader, writer
from .blob_files import CHUNK_BYTES, BlobFolder, Disk, IncomingBlob
from .tables import Connection, R, Tables

MAX_BLOB_THREADS: Final = 4
"""Files of blobs that are read or written at the same moment; more than a disk does at once would only queue there."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the query of an address may choose for an SQLite store."""

    readers: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4
    """Threads that answer questions, each with a connection and up to 4 MiB of cache."""
    waiting: Annotated[int, msgspec.Meta(ge=1)] = MAX_WAITING
    """Writes under way, and questions under way, before callers must wait."""
    inline_blob_bytes: Annotated[int, msgspec.Meta(ge=0)] = 128 * 1024
    """Blobs up to this size are kept in the database, where small ones are several times faster than files."""
    check: file.CheckAtOpen = "auto"
    """Whether the whole file is checked for damage when it is opened: "auto" does so up to 256 MiB."""


class Options(Settings, frozen=True, kw_only=True):
    """What a program may choose for an SQLite store."""

    synchronous: file.Synchronous = "FULL"
    """For tests alone: anything but FULL loses what was acknowledged when the power fails."""
    connect: file.Connect = file.connect
    disk: Disk = msgspec.field(default_factory=Disk)
    clock: Callable[[], float] = time.time
    """Seconds since the epoch, for `Blob.put_at`."""


@asynccontextmanager
async def open_sqlite(path: Path, schema: Schema, options: Options | None = None) -> AsyncGenerator[SqliteStore, None]:
    """Open the database file at `path`, or make it, for as long as the context lasts. Errors: CannotOpen, Misuse.

    Beside it there are its log (`-wal`, `-shm`), a lock (`.lock`) and a folder for large blobs (`.blobs`). At the end,
    what callers wait for is still written, then everything is closed.
    """
    options = options or Options()
    opened = await trio.to_thread.run_sync(partial(_Opened, path, schema, options))
    store = SqliteStore(opened, schema, options)
    try:
        yield store
    finally:
        with trio.CancelScope(shield=True):
            await store.aclose()


class _Opened:
    """The lock, the connections and the folder of one database: all that blocks while it is opened and closed."""

    def __init__(self, path: Path, schema: Schema, options: Options) -> None:
        path = Path(os.path.realpath(path))
        self.catalogue = Catalogue(schema.collections)
        self.readers: list[Connection] = []
        self._lock = file.Lock(path)
        try:
            self.writer = file.open_writer(
                path, schema, check=options.check, synchronous=options.synchronous, connect=options.connect
            )
            try:
                self.readers += [file.open_reader(path, connect=options.connect) for _ in range(options.readers)]
                self.folder = BlobFolder(path.with_name(f"{path.name}.blobs"), options.disk)
                self._sweep()
            except BaseException:
                self._close_connections()
                raise
        except BaseException:
            self._lock.release()
            raise

    def _sweep(self) -> None:
        try:
            self.folder.sweep(Tables(self.writer, self.catalogue).blob_files)
        except OSError as reason:
            raise CannotOpen(
                f"{reason.filename}: {reason.strerror}; give this user the right to read and write there"
            ) from reason

    def close(self) -> None:
        """Close everything, the lock last."""
        try:
            self._close_connections()
        finally:
            self._lock.release()

    def _close_connections(self) -> None:
        # Readers first: the log can be emptied only when nobody reads it.
        for connection in self.readers:
            file.close_reader(connection)
        file.close_writer(self.writer)


class SqliteStore:
    """A Store in one SQLite file, used by one process."""

    def __init__(self, opened: _Opened, schema: Schema, options: Options) -> None:
        self._opened = opened
        self._schema = schema
        self._options = options
        self._catalogue = opened.catalogue
        self._folder = opened.folder
        self._blob_threads = trio.CapacityLimiter(MAX_BLOB_THREADS)
        self._writing: Lane[writer.Work] = Lane("protogen-store-writer", [self._write_jobs], capacity=options.waiting)
        loops = [partial(self._read_jobs, connection) for connection in opened.readers]
        self._reading: Lane[reader.Work] = Lane("protogen-store-reader", loops, capacity=options.waiting)

    @property
    def schema(self) -> Schema:
        """The schema that it was opened with."""
        return self._schema

    async def read(self, query: Query[R]) -> R:
        """See Store.read."""
        self._catalogue.check(query)
        return cast(R, await self._reading.do(lambda look: look.answer(query)))

    async def snapshot(self, work: Callable[[Snapshot], R]) -> R:
        """See Store.snapshot."""
        return cast(R, await self._reading.do(lambda look: look.run(work)))

    async def write(self, change: Change[R]) -> R:
        """See Store.write."""
        self._catalogue.check(change)
        return cast(R, await self._writing.do(lambda turn: turn.change(change)))

    async def write_all(self, changes: Sequence[Change[Any]]) -> list[Any]:
        """See Store.write_all."""
        for change in changes:
            self._catalogue.check(change)
        return cast(list[Any], await self._writing.do(lambda turn: turn.changes(changes)))

    async def transact(self, work: Callable[[Transaction], R]) -> R:
        """See Store.transact."""
        return cast(R, await self._writing.do(lambda turn: turn.run(work)))

    async def put_blob(self, source: bytes | AsyncIterable[bytes], *, max_bytes: int | None = None) -> Blob:
        """See Store.put_blob."""
        incoming: IncomingBlob | None = None
        held = bytearray()
        size = 0
        try:
            async with pieces(source) as chunks:
                async for chunk in chunks:
                    size += len(chunk)
                    if max_bytes is not None and size > max_bytes:
                        raise BlobTooLarge(max_bytes)
                    held += chunk
                    if len(held) > self._options.inline_blob_bytes and incoming is None:
                        incoming = await self._in_thread(self._folder.begin)
                    if incoming is not None and len(held) >= CHUNK_BYTES:
                        await self._in_thread(incoming.write, bytes(held))
                        held.clear()
            if incoming is None:
                return await self._keep(bytes(held))
            if held:
                await self._in_thread(incoming.write, bytes(held))
            await self._in_thread(incoming.finish)
            blob = Blob(incoming.digest, incoming.size, self._options.clock())
            name = incoming.name
            if await self._writing.do(lambda turn: turn.tables.keep_blob(blob, data=None, file=name)):
                incoming = None
            return blob
        finally:
            if incoming is not None:
                with trio.CancelScope(shield=True):
                    await self._in_thread(incoming.discard)

    async def _keep(self, data: bytes) -> Blob:
        digest = hashlib.sha256(data).hexdigest()
        blob = Blob(digest, len(data), self._options.clock())
        await self._writing.do(lambda turn: turn.tables.keep_blob(blob, data=data, file=None))
        return blob

    @asynccontextmanager
    async def open_blob(self, digest: str) -> AsyncGenerator[BlobReader, None]:
        """See Store.open_blob."""
        check_digests([digest])
        blob, data, descriptor = await self._find(digest)
        try:
            yield CheckedReader(blob, self._pieces(data, descriptor))
        finally:
            if descriptor is not None:
                os.close(descriptor)

    async def _find(self, digest: str) -> tuple[Blob, bytes | None, int | None]:
        while True:
            found = await self._reading.do(lambda look: look.tables.find_blob(digest))
            if found is None:
                raise BlobMissing(digest)
            blob, data, name = cast(tuple[Blob, bytes | None, str | None], found)
            if name is None:
                return blob, data, None
            try:
                return blob, None, await self._in_thread(self._folder.open, name)
            except FileNotFoundError:
                # Dropped since, or dropped and put again under another name; else its file is gone.
                again = await self._reading.do(lambda look: look.tables.find_blob(digest))
                if again == found:
                    raise BlobCorrupt(digest, f"its file {name} is missing") from None

    def _pieces(self, data: bytes | None, descriptor: int | None) -> Callable[[], Awaitable[bytes]]:
        if descriptor is not None:
            return partial(self._in_thread, os.read, descriptor, CHUNK_BYTES)
        rest = [b"", data or b""]

        async def next_piece() -> bytes:
            return rest.pop()

        return next_piece

    async def aclose(self) -> None:
        """Finish what is under way and close the file."""
        await self._reading.aclose()
        await self._writing.aclose()
        await trio.to_thread.run_sync(self._opened.close)

    def _write_jobs(self, queue: Any, deliver: Any) -> None:
        writer.Writer(
            self._opened.writer,
            self._catalogue,
            deliver=deliver,
            remove_files=self._folder.remove,
            clock=time.monotonic,
        ).run(queue)

    def _read_jobs(self, connection: Connection, queue: Any, deliver: Any) -> None:
        reader.read_jobs(queue, connection, self._catalogue, deliver=deliver, clock=time.monotonic)

    async def _in_thread(self, work: Callable[..., R], *arguments: Any) -> R:
        return await trio.to_thread.run_sync(work, *arguments, limiter=self._blob_threads)
