"""Blob files: bytes too large for the database, one file each.

A file gets a name that no other ever has and is never changed, so that writing, reading and removing need not know of
each other. It counts from the moment when the database names it; what it does not name was left by a crash, and goes at
the next start. Knows neither the database nor trio.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from protogen_runtime.store.errors import StoreFailed, StoreFull

from .file import is_full

CHUNK_BYTES: Final = 256 * 1024
"""Read and hashed per call of a thread: large enough that the call is little, small enough that memory is, too."""


class Disk:
    """The calls of the system that blobs are kept with; tests put a disk beneath that loses power."""

    def create(self, path: str) -> int:
        """Make a new file and return its descriptor."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)

    def write(self, descriptor: int, data: bytes) -> None:
        """Write all of `data`."""
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    def sync(self, descriptor: int) -> None:
        """Return when what was written is on the disk."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Close a file."""
        os.close(descriptor)

    def sync_folder(self, path: str) -> None:
        """Return when the names in a folder are on the disk."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def make_folder(self, path: str) -> None:
        """Make a folder where there is none."""
        Path(path).mkdir(exist_ok=True)

    def remove(self, path: str) -> None:
        """Remove a file if it is there."""
        Path(path).unlink(missing_ok=True)


class BlobFolder:
    """The folder of the blobs of one database. Errors of all methods: StoreFull, StoreFailed."""

    def __init__(self, path: Path, disk: Disk | None = None) -> None:
        self._path = path
        self._disk = disk or Disk()
        self._provided: set[Path] = set()

    def begin(self) -> IncomingBlob:
        """Begin a new file."""
        name = secrets.token_hex(16)
        folder = self._path / name[:2]
        with _Failures(folder):
            for path in (self._path, folder):
                self._provide(path)
            file = str(folder / name)
            return IncomingBlob(self._disk, name, file, self._disk.create(file))

    def _provide(self, path: Path) -> None:
        if path not in self._provided:
            self._disk.make_folder(str(path))
            # A folder that is there may have been made by a process that was killed before it could do this.
            self._disk.sync_folder(str(path.parent))
            self._provided.add(path)

    def open(self, name: str) -> int:
        """A descriptor to read a file with. Errors: FileNotFoundError."""
        return os.open(self._path / name[:2] / name, os.O_RDONLY | os.O_CLOEXEC)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files; what cannot be removed is left for `sweep`."""
        for name in names:
            try:
                self._disk.remove(str(self._path / name[:2] / name))
            except OSError:
                continue

    def sweep(self, known: Callable[[], set[str]]) -> int:
        """Remove the files that are not known, and return their number. Nobody else may use the folder meanwhile."""
        if not self._path.is_dir():
            return 0
        names = {file.name for folder in self._path.iterdir() if folder.is_dir() for file in folder.iterdir()}
        left = names - known() if names else names
        self.remove(left)
        return len(left)


class IncomingBlob:
    """A file while it is written: `write` any number of times, then `finish`; `discard` where it is not wanted."""

    def __init__(self, disk: Disk, name: str, path: str, descriptor: int) -> None:
        self._disk = disk
        self._path = path
        self._descriptor: int | None = descriptor
        self._hash = hashlib.sha256()
        self.name = name
        self.size = 0

    @property
    def digest(self) -> str:
        """SHA-256 of what was written so far."""
        return self._hash.hexdigest()

    def write(self, data: bytes) -> None:
        """Add bytes."""
        assert self._descriptor is not None
        with _Failures(self._path):
            self._disk.write(self._descriptor, data)
        self._hash.update(data)
        self.size += len(data)

    def finish(self) -> None:
        """Make the file and its name durable."""
        assert self._descriptor is not None
        with _Failures(self._path):
            self._disk.sync(self._descriptor)
            self._close()
            self._disk.sync_folder(str(Path(self._path).parent))

    def discard(self) -> None:
        """Remove the file, finished or not."""
        with _Failures(self._path):
            self._close()
            self._disk.remove(self._path)

    def _close(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            self._disk.close(descriptor)


class _Failures:
    """Turn what the system says into what a caller of the store gets."""

    def __init__(self, path: str | Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, reason: BaseException | None, _: object) -> None:
        if isinstance(reason, OSError):
            if is_full(reason):
                raise StoreFull(
                    "the disk is full; nothing of the blob was kept, make space and put it anew"
                ) from reason
            raise StoreFailed(f"{self._path}: {reason.strerror}") from reason
