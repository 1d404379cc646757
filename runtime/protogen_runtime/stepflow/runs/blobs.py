"""Blobs: values and bytes under the hash of their content, who refers to them, and what nobody does.

Small ones are records, kept in one commit with what refers to them; larger ones are the store's own, which streams
them. Knows neither flows nor engine.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Final, NamedTuple, cast

import trio

from protogen_runtime.store import (
    BlobCorrupt,
    BlobMissing,
    BlobTooLarge,
    Compare,
    Delete,
    DropBlobs,
    Equal,
    Get,
    Insert,
    OneOf,
    Patch,
    Record,
    Select,
    Store,
    Transaction,
    Update,
    Value,
    read_blob,
)
from protogen_runtime.store import BlobReader as StoreReader
from protogen_runtime.store import Blobs as StoreBlobs

from .clock import Clock
from .contract import BlobInfo, BlobType, Damaged, Invalid, NotFound, TooLarge
from .limits import Limits
from .records import (
    BLOBS,
    REFERENCES,
    RUNS,
    BlobKind,
    blob_ids_in,
    references,
    referrers,
)

INLINE_BYTES: Final = 64 * 1024
"""Up to here a blob is a record: it is written and read with others, and moved when the database grows."""

COLLECTED_AT_ONCE: Final = 200
"""Blobs looked at in one transaction: a few milliseconds, for which other writers wait."""

MAX_FILENAME_CHARACTERS: Final = 255

_RANKS: Final[dict[BlobKind, int]] = {"released": 0, "binary": 1, "data": 2, "flow": 3}
"""Of the same bytes put twice, the kind that allows more counts."""


class Kept(NamedTuple):
    """A blob as it is kept; `text` is None where the bytes are the store's own."""

    blob_id: str
    kind: BlobKind
    size: int
    text: bytes | None
    filename: str | None

    @property
    def info(self) -> BlobInfo:
        """What callers are told of it."""
        blob_type: BlobType = "flow" if self.kind == "released" else self.kind
        return BlobInfo(blob_id=self.blob_id, blob_type=blob_type, size=self.size, filename=self.filename)


class Blobs:
    """The blobs of a store that was opened with `records.SCHEMA`."""

    def __init__(self, store: Store, clock: Clock, limits: Limits) -> None:
        self._store = store
        self._clock = clock
        self._limits = limits

    async def put_text(
        self,
        text: bytes,
        kind: BlobKind,
        *,
        source: str | None = None,
        is_kept: bool = False,
        filename: str | None = None,
    ) -> str:
        """Keep a value as its text; its id. `source`: the run that refers to it from now on.

        Errors: TooLarge, Invalid (the name).
        """
        _check_name(filename)
        if len(text) > self._limits.max_value_bytes:
            raise TooLarge(f"the value has {len(text)} bytes as JSON; at most {self._limits.max_value_bytes} are taken")
        blob_id = hashlib.sha256(text).hexdigest()
        is_apart = len(text) > INLINE_BYTES
        if is_apart:
            await self._store.put_blob(text)
        inner = blob_ids_in(text) - {blob_id}
        refers = references(inner, blob_id)
        if source is not None:
            refers += references([blob_id], source)
        document = b"" if is_apart else text
        await self._note(blob_id, kind, document, len(text), refers=refers, is_kept=is_kept, filename=filename)
        return blob_id

    async def put_bytes(self, source: bytes | AsyncIterable[bytes], filename: str | None) -> BlobInfo:
        """Keep bytes under an optional name. Errors: TooLarge, Invalid (the name)."""
        _check_name(filename)
        if isinstance(source, bytes) and len(source) <= INLINE_BYTES:
            blob_id, size, document = hashlib.sha256(source).hexdigest(), len(source), source
        else:
            try:
                blob = await self._store.put_blob(source, max_bytes=self._limits.max_binary_bytes)
            except BlobTooLarge as error:
                raise TooLarge(f"{error}; more is not taken") from None
            blob_id, size, document = blob.digest, blob.size, b""
        await self._note(blob_id, "binary", document, size, filename=filename)
        return BlobInfo(blob_id=blob_id, blob_type="binary", size=size, filename=filename)

    async def find(self, blob_id: str) -> Kept:
        """A blob; bytes that are not apart are checked. Errors: NotFound, Damaged."""
        record = await self._store.read(Get(BLOBS, blob_id)) if _is_id(blob_id) else None
        if record is None:
            raise NotFound("blob", blob_id)
        kept = _kept(record)
        if kept.text is not None and hashlib.sha256(kept.text).hexdigest() != blob_id:
            raise Damaged(f"blob {blob_id}: its {len(kept.text)} bytes have another digest; put it anew")
        return kept

    async def text(self, kept: Kept) -> bytes:
        """The bytes of a blob, in memory as a whole. Errors: TooLarge, NotFound, Damaged."""
        if kept.text is not None:
            return kept.text
        try:
            return await read_blob(self._store, kept.blob_id, max_bytes=self._limits.max_value_bytes)
        except BlobTooLarge:
            told = f"blob {kept.blob_id} has {kept.size} bytes; read it in pieces"
            raise TooLarge(told) from None
        except BlobMissing:
            raise NotFound("blob", kept.blob_id) from None
        except BlobCorrupt as error:
            raise Damaged(f"{error}; put it anew") from None

    @asynccontextmanager
    async def open(self, blob_id: str) -> AsyncGenerator[Reader]:
        """A blob in pieces. Errors: NotFound, Damaged."""
        kept = await self.find(blob_id)
        if kept.text is not None:
            yield Reader(kept.info, _Whole(kept.text))
            return
        try:
            async with self._store.open_blob(blob_id) as reader:
                yield Reader(kept.info, _Checked(reader))
        except BlobMissing:
            raise NotFound("blob", blob_id) from None

    async def release_flow(self, blob_id: str) -> None:
        """Keep a flow no longer. Errors: NotFound."""

        def work(transaction: Transaction) -> bool:
            record = transaction.read(Get(BLOBS, blob_id))
            if record is None or record.fields["kind"] != "flow":
                return False
            fields: dict[str, Value] = {"kind": "released", "kept": 0, "put": 0}
            transaction.write(Update(BLOBS, [Patch(key=blob_id, fields=fields)]))
            return True

        if not _is_id(blob_id) or not await self._store.transact(work):
            raise NotFound("flow", blob_id)

    async def _note(
        self,
        blob_id: str,
        kind: BlobKind,
        document: bytes,
        size: int,
        *,
        refers: list[Record] | None = None,
        filename: str | None = None,
        is_kept: bool = False,
    ) -> None:
        now = self._clock.micros()
        fields: dict[str, Value] = {
            "kind": kind,
            "kept": int(is_kept),
            "apart": int(len(document) != size),
            "size": size,
            "put": now,
            "filename": filename,
        }

        def work(transaction: Transaction) -> None:
            old = transaction.read(Select(BLOBS, [Equal("key", blob_id)], documents=False)).records
            if not old:
                transaction.write(Insert(BLOBS, [Record(blob_id, document, fields)]))
            else:
                before = old[0].fields
                changed: dict[str, Value] = {
                    "put": now,
                    "kind": max(kind, cast("BlobKind", before["kind"]), key=_RANKS.__getitem__),
                    "kept": max(int(is_kept), cast("int", before["kept"])),
                    "filename": filename if filename is not None else before["filename"],
                }
                transaction.write(Update(BLOBS, [Patch(key=blob_id, fields=changed)]))
            if refers:
                transaction.write(Insert(REFERENCES, refers, existing="keep"))

        await self._store.transact(work)

    # --- garbage ----------------------------------------------------------------------------------

    async def collect(
        self, before: int, is_live: Callable[[str], bool], dropped: Callable[[Collection[str]], None]
    ) -> int:
        """Remove blobs that were put before a time (microseconds) and that nothing refers to; how many.

        `is_live` tells of flows in memory and is called in another thread; `dropped` is told of what is gone.
        """
        count, after = 0, 0
        while True:
            query = Select(
                BLOBS,
                [Compare("put", "<", before), Compare("arrival", ">", after)],
                order=["arrival"],
                limit=COLLECTED_AT_ONCE,
                documents=False,
            )

            def work(transaction: Transaction, query: Select = query) -> tuple[list[str], int]:
                records = transaction.read(query).records
                unused = [it.key for it in records if not is_live(it.key) and not _is_used(transaction, it, before)]
                _drop(transaction, unused)
                return unused, records[-1].arrival if records else 0

            gone, after = await self._store.transact(work)
            count += len(gone)
            if gone:
                dropped(gone)
            if not after:
                return count


def _is_used(transaction: Transaction, record: Record, before: int) -> bool:
    if record.fields["kept"]:
        return True
    blob_id = record.key
    if transaction.read(Select(REFERENCES, referrers(blob_id), limit=1, documents=False)).records:
        return True
    if record.fields["kind"] in ("flow", "released") and (
        transaction.read(Select(RUNS, [Equal("flow", blob_id)], limit=1, documents=False)).records
    ):
        return True
    # Bytes of its own that were put again a moment ago, by someone who has not noted that yet.
    stored = transaction.read(StoreBlobs([blob_id])) if record.fields["apart"] else ()
    return any(blob.put_at * 1_000_000 >= before for blob in stored)


def _drop(transaction: Transaction, ids: list[str]) -> None:
    if ids:
        transaction.write(Delete(BLOBS, [OneOf("key", ids)]))
        transaction.write(Delete(REFERENCES, [OneOf("source", ids)]))
        transaction.write(DropBlobs(ids))


def _check_name(filename: str | None) -> None:
    if filename is not None and (not filename or len(filename) > MAX_FILENAME_CHARACTERS or "\0" in filename):
        raise Invalid(f"the name of a file has 1 to {MAX_FILENAME_CHARACTERS} characters and no NUL")


def _kept(record: Record) -> Kept:
    fields = record.fields
    text = None if fields["apart"] else record.document
    kind = cast("BlobKind", fields["kind"])
    return Kept(record.key, kind, cast("int", fields["size"]), text, cast("str | None", fields["filename"]))


def _is_id(text: str) -> bool:
    return len(text) == 64 and not set(text) - set("0123456789abcdef")


class Reader:
    """A blob while it is read."""

    def __init__(self, info: BlobInfo, source: AsyncIterator[bytes]) -> None:
        self.info: Final = info
        self._source = source

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._source


class _Whole:
    """Bytes that are in memory."""

    def __init__(self, data: bytes) -> None:
        self._pieces = [data] if data else []

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        await trio.lowlevel.checkpoint()
        if not self._pieces:
            raise StopAsyncIteration
        return self._pieces.pop()


class _Checked:
    """The store's reader, with our words for damage."""

    def __init__(self, reader: StoreReader) -> None:
        self._pieces = aiter(reader)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._pieces)
        except BlobCorrupt as error:
            raise Damaged(f"{error}; put it anew") from None
