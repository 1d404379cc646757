"""A full disk: an error to the writer, nothing acknowledged lost, reading as before, writing again with new space."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from protogen_runtime.store import Insert, Record, Select, StoreFull, open_store
from protogen_runtime.store.contract import SCHEMA
from protogen_runtime.store.sqlite import Options, open_sqlite

PROGRAM = Path(__file__).with_name("full_disk.py")
SMALL_DISK = 'mount -t tmpfs -o size=4m tmpfs "$1" && exec "$2" "$3" "$1" filler'
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
FULL_DISK = """
mount -t tmpfs -o size=1m tmpfs "$1" || exit
open() { "$2" -c "$3" "sqlite:///$1/store.db" || exit; }
if [ "$4" = "a database" ]; then open "$@" > /dev/null; rm "$1/store.db.lock"; fi
if [ "$5" = "empty lock file" ]; then : > "$1/store.db.lock"; fi
dd if=/dev/zero of="$1/filler" bs=4k 2> /dev/null
open "$@"
rm "$1/filler"
open "$@"
"""
NAMESPACES = (["--user", "--map-root-user", "--mount"], ["--mount"])


def report(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    assert seen.pop("rows_before_full") > 20
    return seen


RECOVERED = {
    "lost_while_full": 0,
    "blob_read_while_full": 200_000,
    "files_of_blobs": 1,
    "lost_in_the_end": 0,
    "refused_but_there": 0,
    "blobs_in_the_end": 2,
}


@pytest.fixture
def unshare() -> list[str]:
    """A command that runs another where disks can be mounted."""
    for namespaces in NAMESPACES:
        unshare = ["unshare", *namespaces]
        if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode == 0:
            return unshare
    reason = "a disk of its own needs root, or user namespaces that are permitted"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.mark.parametrize(
    ("database", "lock_file"), [("no database", "empty lock file"), ("a database", "no lock file")]
)
def test_disk_without_space_when_the_file_is_opened(
    database: str, lock_file: str, unshare: list[str], tmp_path: Path
) -> None:
    script = [*unshare, "sh", "-c", FULL_DISK, "sh", str(tmp_path), sys.executable, OPENER, database, lock_file]
    done = subprocess.run(script, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        f"{tmp_path}/store.db: the disk is full; make space on the disk or choose another file\nopen\n"
    )


def test_disk_without_space(unshare: list[str], tmp_path: Path) -> None:
    seen = report([*unshare, "sh", "-c", SMALL_DISK, "sh", str(tmp_path), sys.executable, str(PROGRAM)])
    assert seen == {**RECOVERED, "errors_when_full": ["StoreFull"]}


def test_files_at_the_size_that_is_permitted(tmp_path: Path) -> None:
    seen = report([sys.executable, str(PROGRAM), str(tmp_path), "limit"])
    # SQLite tells a forbidden size from a full disk only where a part of the write was done.
    assert set(seen.pop("errors_when_full")) <= {"StoreFull", "StoreFailed"}
    assert seen == RECOVERED


def test_database_at_its_largest_size(folder: Path) -> None:
    async def run() -> None:
        async with open_sqlite(folder / "store.db", SCHEMA, Options()) as store:

            def limit(pages: int) -> None:
                store._opened.writer.execute(f"PRAGMA max_page_count = {pages}").fetchall()

            async def fill() -> None:
                for number in range(100):
                    await store.write(Insert("notes", [Record(str(number), b"x" * 3000)]))

            limit(60)
            with pytest.raises(StoreFull, match="the disk is full; nothing of this write was kept"):
                await fill()
            written = len((await store.read(Select("notes"))).records)
            assert 20 < written < 100
            await store.write(Insert("notes", [Record("small", b"")], "keep"))
            assert len((await store.read(Select("notes"))).records) == written + 1
            limit(1000)
            await store.write(Insert("notes", [Record(str(written), b"x" * 3000)]))

    trio.run(run)


def test_full_disk_when_the_file_is_made(tmp_path: Path) -> None:
    """The size that a file may have is that of a process, so another one tries."""
    program = (
        "import resource, sys, trio\n"
        "from protogen_runtime.store import CannotOpen, open_store\n"
        "from protogen_runtime.store.contract import SCHEMA\n"
        "async def main():\n"
        "    async with open_store(sys.argv[1], SCHEMA): pass\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\n"
        "try: trio.run(main)\n"
        "except CannotOpen as refused: print(refused)\n"
    )
    command = [sys.executable, "-c", program, f"sqlite:///{tmp_path}/store.db"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    message = done.stdout.strip()
    assert message.startswith(f"{tmp_path}/store.db: "), done.stderr
    assert "\n" not in message

    async def run() -> None:
        async with open_store(f"sqlite:///{tmp_path}/store.db", SCHEMA) as store:
            await store.write(Insert("notes", [Record("a", b"")]))

    trio.run(run)
