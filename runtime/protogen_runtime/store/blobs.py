"""Blobs: reading one whole, collecting those that nobody refers to, and what every store needs to hand bytes in and
out.

Works with any store; knows nothing of how blobs are kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Final

from .errors import BlobCorrupt, BlobTooLarge
from .interface import Store, Transaction
from .model import Blob, Blobs, DropBlobs

PIECE_BYTES: Final = 256 * 1024
COLLECTED_AT_ONCE: Final = 256
"""Blobs looked at in one transaction: others wait meanwhile, so it is short."""


async def read_blob(store: Store, digest: str, *, max_bytes: int | None = None) -> bytes:
    """The bytes of a blob, found to have the digest.

    Errors: BlobMissing, BlobCorrupt; BlobTooLarge beyond `max_bytes`.
    """
    async with store.open_blob(digest) as reader:
        if max_bytes is not None and reader.blob.size > max_bytes:
            raise BlobTooLarge(max_bytes)
        return b"".join([chunk async for chunk in reader])


async def collect_blobs(
    store: Store, in_use: Callable[[Transaction, Sequence[str]], Collection[str]], *, put_before: float
) -> int:
    """Drop the blobs that are not in use and were last put before a time (seconds since the epoch); returns their
    number.

    `in_use` gets digests and returns those that something refers to; it runs in the transaction that drops the others,
    so that no reference can be made in between. `put_before` is long enough ago that whoever puts a blob has referred
    to it by now.
    """
    dropped = 0
    after = ""
    while True:
        query = Blobs(put_before=put_before, after=after, limit=COLLECTED_AT_ONCE)

        def collect(transaction: Transaction, query: Blobs = query) -> tuple[int, str]:
            digests = [blob.digest for blob in transaction.read(query)]
            if not digests:
                return 0, ""
            used = in_use(transaction, digests)
            unused = [digest for digest in digests if digest not in used]
            return transaction.write(DropBlobs(unused)), digests[-1]

        count, after = await store.transact(collect)
        dropped += count
        if not after:
            return dropped


@asynccontextmanager
async def pieces(source: bytes | AsyncIterable[bytes]) -> AsyncGenerator[AsyncIterator[bytes], None]:
    """The bytes of what `put_blob` was given, in pieces; a generator is closed at the end."""
    if isinstance(source, bytes):
        yield _Slices(source)
        return
    try:
        yield aiter(source)
    finally:
        if isinstance(source, AsyncGenerator):
            await source.aclose()


class _Slices:
    """Bytes in pieces of PIECE_BYTES."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._start = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = self._data[self._start : self._start + PIECE_BYTES]
        if not piece:
            raise StopAsyncIteration
        self._start += len(piece)
        return piece


class CheckedReader:
    """A BlobReader that gets bytes from anywhere and lets the last of them out only when the digest is right.

    `next_piece` returns the next bytes, none at the end.
    """

    def __init__(self, blob: Blob, next_piece: Callable[[], Awaitable[bytes]]) -> None:
        self._blob = blob
        self._next_piece = next_piece
        self._hash = hashlib.sha256()
        self._size = 0
        self._held: bytes | None = None
        self._ended = False

    @property
    def blob(self) -> Blob:
        """Digest and size."""
        return self._blob

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """The next bytes. Errors: BlobCorrupt in place of the last."""
        while not self._ended:
            piece = await self._next_piece()
            if not piece:
                self._ended = True
                self._check()
            else:
                self._hash.update(piece)
                self._size += len(piece)
            held, self._held = self._held, piece
            if held:
                return held
        raise StopAsyncIteration

    def _check(self) -> None:
        if self._size != self._blob.size:
            raise BlobCorrupt(self._blob.digest, f"{self._size} bytes where {self._blob.size} were put")
        if self._hash.hexdigest() != self._blob.digest:
            raise BlobCorrupt(self._blob.digest, f"its {self._size} bytes have the digest {self._hash.hexdigest()}")
