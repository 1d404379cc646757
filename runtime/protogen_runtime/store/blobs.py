"""Blobs: reading one whole, collecting those that nobody refers to, and what every store needs to hand bytes in and
out.

Works with any store; knows nothing of how blobs are kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Sequence
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


async def pieces(source: bytes | AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The bytes of what `put_blob` was given, in pieces; those of one object are at most PIECE_BYTES long."""
    if isinstance(source, bytes):
        for start in range(0, len(source), PIECE_BYTES):
            yield source[start : start + PIECE_BYTES]
    else:
        async for piece in source:
            yield piece


class CheckedReader:
    """A BlobReader over bytes that come from anywhere: it lets the last of them out only when the digest is right."""

    def __init__(self, blob: Blob, source: AsyncIterator[bytes]) -> None:
        self._blob = blob
        self._source = source

    @property
    def blob(self) -> Blob:
        """Digest and size."""
        return self._blob

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the bytes. Errors: BlobCorrupt."""
        hash_ = hashlib.sha256()
        held = b""
        size = 0
        async for piece in self._source:
            hash_.update(piece)
            size += len(piece)
            if held:
                yield held
            held = piece
        if size != self._blob.size:
            raise BlobCorrupt(self._blob.digest, f"{size} bytes where {self._blob.size} were put")
        if hash_.hexdigest() != self._blob.digest:
            raise BlobCorrupt(self._blob.digest, f"its {size} bytes have the digest {hash_.hexdigest()}")
        yield held
