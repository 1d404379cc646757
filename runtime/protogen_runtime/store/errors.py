"""What a store refuses or fails at: one exception per reaction.

    StoreError                  (never raised itself)
    ├── CannotOpen              change the address, the file or the program; the message is one line with the way out
    ├── StoreClosed             the program is ending
    ├── StoreFull               nothing of this write was kept; try again when there is space
    ├── StoreFailed             the disk failed or the data is damaged; look at the machine
    ├── Conflict                (never raised itself) nothing of this write was kept; decide anew
    │   ├── KeyTaken            a record of this key is there already
    │   └── ExpectationFailed   what the write relied on is not so
    ├── BlobMissing             no such blob
    ├── BlobCorrupt             its bytes are not those that were put
    └── BlobTooLarge            it has more bytes than the caller allows

A mistake in the calling program (an unknown collection, a value of the wrong type) is `Misuse`, which is a ValueError
and no StoreError: nothing that happens at run time should be mistaken for it.
"""

from __future__ import annotations


class StoreError(Exception):
    """Any failure that a correct program may meet."""


class CannotOpen(StoreError):
    """The store was not opened and nothing was changed: unknown scheme, file in use, foreign, newer or damaged."""


class StoreClosed(StoreError):
    """The store is closed or closing; a write that raises this was not kept."""


class StoreFull(StoreError):
    """There is no space. Nothing of the write is visible, all that was acknowledged stays, and reading goes on."""


class StoreFailed(StoreError):
    """The disk or the database failed.

    A write that raises this is not visible. Where it failed while it was being made durable, a crash right after may
    leave it kept as a whole; never in part.
    """


class Conflict(StoreError):
    """The data is in another state than the write needs. Nothing of it was kept, its other changes included."""


class KeyTaken(Conflict):
    """`Insert` met a record of the same key."""

    def __init__(self, collection: str, key: str) -> None:
        super().__init__(collection, key)
        self.collection = collection
        self.key = key

    def __str__(self) -> str:
        return f"{self.collection}: key {self.key!r} is taken"


class ExpectationFailed(Conflict):
    """A condition of `Update`, `Delete`, `Check` or `Append` does not hold; `place` is the collection or journal."""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(place, what)
        self.place = place
        self.what = what

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


class BlobMissing(StoreError):
    """No blob has this digest."""

    def __init__(self, digest: str) -> None:
        super().__init__(digest)
        self.digest = digest

    def __str__(self) -> str:
        return f"no blob {self.digest}"


class BlobCorrupt(StoreError):
    """The bytes kept for a blob do not have its digest; restore them from a backup, or put the blob anew."""

    def __init__(self, digest: str, what: str) -> None:
        super().__init__(digest, what)
        self.digest = digest
        self.what = what

    def __str__(self) -> str:
        return f"blob {self.digest}: {self.what}"


class BlobTooLarge(StoreError):
    """The source of a blob gave more bytes than `max_bytes`; nothing was kept."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(max_bytes)
        self.max_bytes = max_bytes

    def __str__(self) -> str:
        return f"the blob has more than {self.max_bytes} bytes"


class Misuse(ValueError):
    """The calling program asks for what no store does; nothing was read or written."""
