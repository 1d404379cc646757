"""A disk that loses power: writes go to real files, and in the end some of what was not synced is lost.

`Power` counts the calls and fails them all from a chosen one on. Then `lose()` leaves the folder as a disk might after
that: each write since a file's last sync may have reached the disk, or not, or in some of its sectors; names made or
removed since their folder's last sync may or may not be there. What was synced stays. SQLite runs through an apsw VFS,
the rest of the store as it is.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
import threading
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import apsw

from protogen_runtime.store.sqlite.blob_files import Disk

SECTOR = 512


Method = TypeVar("Method", bound=Callable[..., Any])


def is_in(path: str, folder: str) -> bool:
    """Whether a file stands directly in a folder, by their names alone."""
    return path.rpartition("/")[0] == folder


def locked(method: Method) -> Method:
    """Let one thread at a time into the methods of an object that has a `_lock`."""

    @wraps(method)
    def call(self: Any, *arguments: Any, **named: Any) -> Any:
        with self._lock:
            return method(self, *arguments, **named)

    return call  # type: ignore[return-value]  # it has the same signature


class Tracked:
    """What of one file is on the disk for certain, and what was done to it since."""

    def __init__(self, durable: bytes | None) -> None:
        self.durable = durable
        """None: its name is not on the disk for certain."""
        self.pending: list[tuple[int, bytes | None]] = []
        """Writes (offset, bytes) and truncations (size, None) since the last sync, in order."""


class Power:
    """The electricity of one machine. `fail_at` counts calls that change the disk, from 1."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._files: dict[str, Tracked] = {}
        self._removed: dict[str, Tracked] = {}
        self._unsynced_names: set[str] = set()
        self._lock = threading.RLock()
        self.calls = 0
        self.fail_at = 0
        self.out = False

    @locked
    def draw(self) -> None:
        """Note one call that changes the disk; raises OSError once the power is out."""
        self.calls += 1
        if self.fail_at and self.calls >= self.fail_at:
            self.out = True
        if self.out:
            raise OSError("the power is out")

    @locked
    def opened(self, path: str, *, existed: bool) -> None:
        """A file was opened; one that is new has a name that may be lost."""
        if path not in self._files:
            self._files[path] = Tracked(Path(path).read_bytes() if existed else None)
            if not existed:
                self._unsynced_names.add(path)

    @locked
    def wrote(self, path: str, offset: int, data: bytes) -> None:
        self._files[path].pending.append((offset, data))

    @locked
    def truncated(self, path: str, size: int) -> None:
        self._files[path].pending.append((size, None))

    @locked
    def synced(self, path: str) -> None:
        """The bytes of a file are on the disk now; its name may not be."""
        file = self._files[path]
        file.durable = Path(path).read_bytes()
        file.pending.clear()

    @locked
    def synced_names(self, folder: str) -> None:
        """The names in a folder are on the disk now, and those removed are gone."""
        self._unsynced_names -= {path for path in self._unsynced_names if is_in(path, folder)}
        for path in [path for path in self._removed if is_in(path, folder)]:
            del self._removed[path]

    @locked
    def made_folder(self, path: str) -> None:
        """A folder was made; its name may be lost with all that is in it."""
        self._unsynced_names.add(path)

    @locked
    def removed(self, path: str) -> None:
        """A file was removed; its name may come back."""
        file = self._files.pop(path, None)
        if file is not None and path not in self._unsynced_names:
            self._removed[path] = file
        self._unsynced_names.discard(path)

    @locked
    def lose(self) -> None:
        """Leave the files as the disk may have them; call it once everything is closed."""
        for path, file in self._removed.items():
            if path not in self._files and self._chance.random() < 0.5:
                Path(path).write_bytes(self._settled(file))
        for path, file in self._files.items():
            if not Path(path).parent.exists():
                continue
            if path in self._unsynced_names and self._chance.random() < 0.5:
                Path(path).unlink(missing_ok=True)
            elif file.durable is not None or file.pending or Path(path).exists():
                Path(path).write_bytes(self._settled(file))
        for path in self._unsynced_names:
            if Path(path).is_dir() and self._chance.random() < 0.5:
                shutil.rmtree(path)
        for path in list(self._files):
            # Shared memory is what its name says, whatever file system holds it.
            Path(f"{path}-shm").unlink(missing_ok=True)
        self._files.clear()
        self._removed.clear()
        self._unsynced_names.clear()
        self.calls = self.fail_at = 0
        self.out = False

    def _settled(self, file: Tracked) -> bytes:
        content = bytearray(file.durable or b"")
        for offset, data in file.pending:
            fate = self._chance.choice(("kept", "lost", "torn"))
            if fate == "lost":
                continue
            if data is None:
                _resize(content, offset)
                continue
            for start in range(0, len(data), SECTOR):
                if fate == "torn" and self._chance.random() < 0.5:
                    continue
                part = data[start : start + SECTOR]
                _resize(content, max(len(content), offset + start + len(part)))
                content[offset + start : offset + start + len(part)] = part
        return bytes(content)


def _resize(content: bytearray, size: int) -> None:
    if size < len(content):
        del content[size:]
    else:
        content += bytes(size - len(content))


class PowerFile(apsw.VFSFile):
    """A file of SQLite's."""

    def __init__(self, power: Power, base: str, name: Any, flags: list[int]) -> None:
        filename = name.filename() if isinstance(name, apsw.URIFilename) else name
        # Files without a name are temporary ones, which nobody misses.
        self._path: str | None = filename
        self._power = power
        existed = filename is not None and Path(filename).exists()
        super().__init__(base, name, flags)
        # SQLite on Unix syncs the folder together with the first sync of a log or journal that it made.
        self._name_to_sync = not existed and bool(flags[0] & (apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL))
        if filename is not None:
            power.opened(filename, existed=existed)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - apsw's name
        _draw(self._power)
        super().xWrite(data, offset)
        if self._path is not None:
            self._power.wrote(self._path, offset, bytes(data))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - apsw's name
        _draw(self._power)
        super().xTruncate(newsize)
        if self._path is not None:
            self._power.truncated(self._path, newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802 - apsw's name
        _draw(self._power)
        # Nothing is synced for real: whether a write lasts is decided by `lose` alone.
        if self._path is not None:
            self._power.synced(self._path)
            if self._name_to_sync:
                self._power.synced_names(str(Path(self._path).parent))
                self._name_to_sync = False


class PowerVFS(apsw.VFS):
    """The system as SQLite sees it."""

    def __init__(self, power: Power, name: str) -> None:
        self.name = name
        self._power = power
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - apsw's name
        return PowerFile(self._power, "", name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - apsw's name and signature
        _draw(self._power)
        super().xDelete(filename, syncdir)
        self._power.removed(filename)
        if syncdir:
            self._power.synced_names(str(Path(filename).parent))


def _draw(power: Power) -> None:
    try:
        power.draw()
    except OSError as out:
        raise apsw.IOError(str(out)) from None


class ApswConnection:
    """A connection of apsw's that behaves like one of sqlite3's as far as the store uses it."""

    def __init__(self, path: str, vfs: str) -> None:
        with _Translated():
            self._connection = apsw.Connection(path, vfs=vfs)

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> ApswCursor:
        with _Translated():
            rows = self._connection.execute(sql, tuple(parameters)).fetchall()
            return ApswCursor(rows, self._connection.changes())

    def close(self) -> None:
        with _Translated():
            self._connection.close()


class ApswCursor:
    """All rows of a statement."""

    def __init__(self, rows: list[Any], rowcount: int) -> None:
        self._rows = rows
        self.rowcount = rowcount

    def fetchone(self) -> Any:
        return self._rows.pop(0) if self._rows else None

    def fetchall(self) -> list[Any]:
        return self._rows


class _Translated:
    """Turn apsw's errors into sqlite3's."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, reason: BaseException | None, _: object) -> None:
        if isinstance(reason, apsw.Error):
            made = sqlite3.IntegrityError if isinstance(reason, apsw.ConstraintError) else sqlite3.OperationalError
            raised = made(str(reason))
            raised.sqlite_errorcode = getattr(reason, "extendedresult", sqlite3.SQLITE_ERROR)
            raise raised from None


class PowerDisk(Disk):
    """The system as the files of blobs see it."""

    def __init__(self, power: Power) -> None:
        self._power = power
        self._paths: dict[int, tuple[str, int]] = {}

    def create(self, path: str) -> int:
        self._power.draw()
        descriptor = super().create(path)
        self._power.opened(path, existed=False)
        self._paths[descriptor] = (path, 0)
        return descriptor

    def write(self, descriptor: int, data: bytes) -> None:
        self._power.draw()
        super().write(descriptor, data)
        path, offset = self._paths[descriptor]
        self._power.wrote(path, offset, data)
        self._paths[descriptor] = (path, offset + len(data))

    def sync(self, descriptor: int) -> None:
        self._power.draw()
        self._power.synced(self._paths[descriptor][0])

    def close(self, descriptor: int) -> None:
        super().close(descriptor)
        self._paths.pop(descriptor, None)

    def sync_folder(self, path: str) -> None:
        self._power.draw()
        self._power.synced_names(path)

    def make_folder(self, path: str) -> None:
        self._power.draw()
        new = not Path(path).exists()
        super().make_folder(path)
        if new:
            self._power.made_folder(path)

    def remove(self, path: str) -> None:
        self._power.draw()
        super().remove(path)
        self._power.removed(path)


class CarelessDisk(PowerDisk):
    """A disk that is never asked to make anything durable, which tests must be able to tell."""

    def sync(self, descriptor: int) -> None:
        self._power.draw()

    def sync_folder(self, path: str) -> None:
        self._power.draw()
