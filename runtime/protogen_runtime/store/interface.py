"""The interface: what a store does, for those who use one and those who write one.

Five ways to ask and to change, plus blobs. `read` and `write` take one question or change each; `write_all` makes
several changes or none; `snapshot` and `transact` run a function that asks and changes as it goes. All are safe to call
from any number of tasks.

A write is answered only when it is committed and, in a durable store, on the disk.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeAlias, TypeVar

import msgspec

from .errors import Misuse
from .model import Blob, Change, Collection, Query

R = TypeVar("R")


class Snapshot(Protocol):
    """A view of the store that does not move while a function reads it. Usable within that function only."""

    def read(self, query: Query[R]) -> R:
        """Answer a question; sees the changes that the same transaction made. Errors: Misuse."""
        ...


class Transaction(Snapshot, Protocol):
    """A snapshot that can be changed; nobody else's changes come in between."""

    def write(self, change: Change[R]) -> R:
        """Make a change, which lasts if the function returns. Errors: Misuse, Conflict; what raised changed nothing."""
        ...


Migration: TypeAlias = Callable[[Transaction], None]


class Schema(msgspec.Struct, frozen=True, kw_only=True):
    """The collections of one application, at one version of them.

    A store opened with a higher version than it was written with adds collections, fields (None everywhere) and
    indexes, then runs `migrations` of the versions between in order, then removes what the schema no longer has; all of
    it or nothing.
    """

    application: str
    version: int = 1
    collections: Sequence[Collection] = ()
    migrations: Mapping[int, Migration] = {}
    """By the version that they lead to. In a migration, fields that were removed can still be read."""

    def __post_init__(self) -> None:
        names = [collection.name for collection in self.collections]
        if len(set(names)) < len(names):
            raise Misuse(f"{self.application}: two collections have the same name")
        if self.version < 1:
            raise Misuse(f"{self.application}: versions begin with 1")
        beyond = [version for version in self.migrations if not 1 < version <= self.version]
        if beyond:
            raise Misuse(f"{self.application}: there is a migration to version {beyond[0]}, beyond 2 to {self.version}")


class BlobReader(Protocol):
    """A blob while it is read, in chunks of any size."""

    @property
    def blob(self) -> Blob:
        """Digest and size, known before the first byte."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the bytes once, in order.

        The last chunk comes only when all bytes were found to have the digest; BlobCorrupt is raised instead.
        """
        ...


class Store(Protocol):
    """Records, journals and blobs of one application. All methods: StoreClosed, StoreFailed; writes also StoreFull."""

    @property
    def schema(self) -> Schema:
        """The schema that it was opened with."""
        ...

    async def read(self, query: Query[R]) -> R:
        """Answer one question. Never waits for writers. Errors: Misuse."""
        ...

    async def snapshot(self, work: Callable[[Snapshot], R]) -> R:
        """Run a function that asks several questions of one state, and return its result. It may run in a thread.

        It must be short, must not keep its argument, and what it raises comes out here.
        """
        ...

    async def write(self, change: Change[R]) -> R:
        """Make one change. Errors: Misuse, Conflict.

        A caller that is cancelled while the write waits for its turn withdraws it; once its turn has come, it is
        finished and answered. So either this raises Cancelled and nothing was written, or it returns or raises what
        became of the write.
        """
        ...

    async def write_all(self, changes: Sequence[Change[Any]]) -> list[Any]:
        """Make all changes in their order, or none of them; returns their answers.

        Errors and cancellation as in `write`.
        """
        ...

    async def transact(self, work: Callable[[Transaction], R]) -> R:
        """Run a function that reads and changes, and keep its changes if it returns; if it raises, none, and that comes
        out here.

        It may run in a thread, others wait for it, and it may run more than once, of which only the last run counts:
        so it must be short and do nothing else. Errors and cancellation as in `write`.
        """
        ...

    async def put_blob(self, source: bytes | AsyncIterable[bytes], *, max_bytes: int | None = None) -> Blob:
        """Keep bytes under their digest; of bytes that are there already only `put_at` changes.

        Errors: BlobTooLarge beyond `max_bytes`. Nothing stays of a put that failed or was cancelled.
        """
        ...

    def open_blob(self, digest: str) -> AbstractAsyncContextManager[BlobReader]:
        """Open a blob for reading. Errors on entry: BlobMissing."""
        ...


StoreFactory: TypeAlias = Callable[[str, Schema], AbstractAsyncContextManager[Store]]
"""Open the store at an address, scheme included, and close it at the end: what is registered as `protogen.stores`."""
