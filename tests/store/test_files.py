"""Files that cannot be opened: each is refused with one line that names it and the way out, and stays as it was."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from protogen_runtime.store import CannotOpen, Get, Insert, Record, Schema, StoreFailed, open_store
from protogen_runtime.store.contract import SCHEMA
from protogen_runtime.store.sqlite.file import APPLICATION_ID, LAYOUT

HOLDER = """
import sys, trio
from protogen_runtime.store import open_store
from protogen_runtime.store.contract import SCHEMA
async def main():
    async with open_store(sys.argv[1], SCHEMA):
        print("open", flush=True)
        await trio.sleep_forever()
trio.run(main)
"""

OPENER = """
import sys, trio
from protogen_runtime.store import CannotOpen, open_store
from protogen_runtime.store.contract import SCHEMA
async def main():
    try:
        async with open_store(sys.argv[1], SCHEMA):
            print("open")
    except CannotOpen as refused:
        print(refused)
trio.run(main)
"""


async def fill(path: Path, *, rows: int = 1) -> None:
    async with open_store(f"sqlite:///{path}", SCHEMA) as store:
        await store.write(Insert("notes", [Record(f"n{number}", b"x" * 1000) for number in range(rows)]))


async def refusal(address: str, schema: Schema = SCHEMA) -> str:
    with pytest.raises(CannotOpen) as refused:
        async with open_store(address, schema):
            pass
    return str(refused.value)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("name,age\n" * 1000, "utf-8")


def another_program(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE people (name)")
    connection.close()


def marked_by_another_program(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA application_id = 77")
    connection.close()


def newer_layout(path: Path) -> None:
    trio.run(fill, path)
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {LAYOUT + 1}")
    connection.close()


def truncated(path: Path) -> None:
    trio.run(lambda: fill(path, rows=200))
    os.truncate(path, 3 * 4096)


def overwritten_page(path: Path) -> None:
    trio.run(lambda: fill(path, rows=200))
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // 4096 * 4096)
        file.write(b"\xa5" * 4096)


def overwritten_header(path: Path) -> None:
    trio.run(fill, path)
    with path.open("r+b") as file:
        file.write(b"\xa5" * 16)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (text, "is no SQLite database; choose another file"),
        (another_program, "is an SQLite database of another program; choose another file"),
        (marked_by_another_program, "is an SQLite database of another program; choose another file"),
        (newer_layout, f"written by a newer protogen (layout {LAYOUT + 1}, this one knows {LAYOUT}); update protogen"),
        (truncated, "is damaged"),
        (overwritten_page, "is damaged"),
        (overwritten_header, "is no SQLite database; choose another file"),
    ],
)
def test_file_that_is_not_ours_or_damaged_is_refused(make: Callable[[Path], None], words: str, folder: Path) -> None:
    path = folder / "store.db"
    make(path)
    before = path.read_bytes()
    for _ in range(2):
        message = trio.run(refusal, f"sqlite:///{path}")
        assert message.startswith(f"{path} ")
        assert words in message
        assert "\n" not in message
    assert path.read_bytes() == before


@pytest.mark.parametrize("make", [empty, lambda _: None], ids=["empty file", "no file"])
def test_empty_or_missing_file_becomes_a_store(make: Callable[[Path], None], folder: Path) -> None:
    path = folder / "store.db"
    make(path)
    trio.run(fill, path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_damaged_file_opens_unchecked_and_the_damage_is_an_error_of_the_read(folder: Path) -> None:
    path = folder / "store.db"
    overwritten_page(path)

    async def run() -> list[str]:
        found: list[str] = []
        async with open_store(f"sqlite:///{path}?check=never", SCHEMA) as store:
            for number in range(200):
                try:
                    await store.read(Get("notes", f"n{number}"))
                except StoreFailed as reason:
                    found.append(str(reason))
            await store.write(Insert("tasks", [Record("a", b"")]))
        return found

    found = trio.run(run)
    assert found
    assert {*found} == {"the database failed: database disk image is malformed"}


def test_places_where_no_file_can_be(tmp_path: Path) -> None:
    (tmp_path / "folder.db").mkdir()
    expected = {
        "missing/store.db": f"{tmp_path}/missing/store.db.lock: cannot be written (No such file or directory)",
        "folder.db": f"{tmp_path}/folder.db: unable to open database file",
    }
    for name, words in expected.items():
        message = trio.run(refusal, f"sqlite:///{tmp_path}/{name}")
        assert message == f"{words}; choose another file or give this user the right to write there"


READ_ONLY = [
    pytest.param(0o555, None, "store.db.lock: cannot be written (Permission denied)", id="folder, new file"),
    pytest.param(0o555, 0o644, "store.db.lock: cannot be written (Permission denied)", id="folder"),
    pytest.param(0o755, 0o444, "store.db: cannot be written", id="file"),
    pytest.param(0o755, 0o000, "store.db: cannot be written", id="file that nobody may read"),
]


@pytest.mark.parametrize(("folder_mode", "file_mode", "words"), READ_ONLY)
def test_place_that_is_read_only(folder_mode: int, file_mode: int | None, words: str, folder: Path) -> None:
    path = folder / "store.db"
    if file_mode is not None:
        trio.run(fill, path)
        (folder / "store.db.lock").unlink()
        path.chmod(file_mode)
    folder.chmod(folder_mode)
    try:
        message = refusal_without_privileges(f"sqlite:///{path}")
    finally:
        folder.chmod(0o755)
    assert message == f"{folder}/{words}; choose another file or give this user the right to write there"


def test_folder_of_blobs_that_may_not_be_read(folder: Path) -> None:
    blobs = folder / "store.db.blobs"
    blobs.mkdir(0o000)
    message = refusal_without_privileges(f"sqlite:///{folder}/store.db")
    assert message == f"{blobs}: Permission denied; give this user the right to read and write there"


def refusal_without_privileges(address: str) -> str:
    """What a process is told that may do only what the modes of files say."""
    # The administrator may write everywhere; without capabilities only what the owner may.
    unprivileged = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*unprivileged, sys.executable, "-c", OPENER, address],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.removesuffix("\n")


def test_second_process_is_refused_until_the_first_has_ended(folder: Path) -> None:
    address = f"sqlite:///{folder}/store.db"
    with subprocess.Popen([sys.executable, "-c", HOLDER, address], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        message = trio.run(refusal, address)
        assert message == (
            f"{folder}/store.db is in use by process {holder.pid}, and a database has one process at a time;"
            " stop that one or choose another file"
        )
        (folder / "link.db").symlink_to(folder / "store.db")
        assert "in use by process" in trio.run(refusal, f"sqlite:///{folder}/link.db")
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    trio.run(fill, folder / "store.db")


def test_same_process_is_refused_a_second_time(folder: Path) -> None:
    address = f"sqlite:///{folder}/store.db"

    async def run() -> None:
        async with open_store(address, SCHEMA):
            assert f"in use by process {os.getpid()}" in await refusal(address)
        async with open_store(address, SCHEMA):
            pass

    trio.run(run)


def test_refused_file_is_not_locked_afterwards(folder: Path) -> None:
    path = folder / "store.db"
    trio.run(fill, path)
    assert "belongs to contract" in trio.run(refusal, f"sqlite:///{path}", Schema(application="other"))
    trio.run(lambda: fill_again(path))


async def fill_again(path: Path) -> None:
    async with open_store(f"sqlite:///{path}", SCHEMA) as store:
        assert await store.read(Get("notes", "n0")) is not None


def test_file_is_whole_without_its_log_after_closing(folder: Path) -> None:
    trio.run(lambda: fill(folder / "store.db", rows=50))
    assert sorted(file.name for file in folder.iterdir()) == ["store.db", "store.db.lock"]
    with sqlite3.connect(folder / "store.db") as connection:
        assert connection.execute("SELECT count(*) FROM notes").fetchone() == (50,)
    connection.close()


def test_file_locked_by_a_foreign_program_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protogen_runtime.store.sqlite.file.BUSY_MILLISECONDS", 1)
    path = folder / "store.db"
    trio.run(fill, path)
    foreign = sqlite3.connect(path, isolation_level=None)
    foreign.execute("BEGIN EXCLUSIVE")
    try:
        message = trio.run(refusal, f"sqlite:///{path}")
    finally:
        foreign.close()
    assert message == f"{path} is locked by a program that works on it (a backup?); wait until it has finished"
