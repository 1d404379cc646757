"""Generated files on disk: what differs, written all or not at all, and owned by a manifest.

Knows nothing of protocols. WRITE stages every changed file beside the output and only then moves it into place;
CHECK and DRY_RUN never write.
"""

from __future__ import annotations

import difflib
import errno
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path

import msgspec

from protogen.output import HEADER_MARK, GeneratedFile, digest
from protogen.problems import Place, Problem, error

MANIFEST = "MANIFEST.json"
STAGE = ".protogen-stage"

LEFTOVERS = frozenset(("node_modules", "dist", "__pycache__", ".venv", "build"))
"""Folders that a language's own tools make inside an SDK; they are nobody's output."""

LEFTOVER_FILES = (".pyc", ".tsbuildinfo", "package-lock.json", "uv.lock", "go.sum", ".tgz")
"""Ends of the names of files that they make there."""


class Mode(Enum):
    """What to do with the difference between the files wanted and those on disk."""

    WRITE = "write"
    CHECK = "check"
    DRY_RUN = "dry-run"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One path that differs, relative to the output folder.

    `missing`: wanted and not there; `changed`: there with other text; `extra`: ours, no longer wanted;
    `untracked`: in a folder of ours, made by nobody we know.
    """

    path: str
    kind: str
    diff: str = ""


class Refused(Exception):
    """The output cannot be written; what was there before is intact. `problem` says where and what to do."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def compare(
    out: Path, wanted: Iterable[GeneratedFile], folders: Iterable[str], *, whole: bool, diffs: bool = True
) -> list[Change]:
    """Every difference between `wanted` and the disk, sorted by path.

    `folders` are the `<target>/<protocol>` folders this build answers for. With `whole` the build answers for
    everything that the manifest lists. Without `diffs` a change does not carry its difference.
    """
    texts = {file.path: file.text for file in wanted}
    owned = manifest(out)
    mine = tuple(f"{folder}/" for folder in folders)
    changes: list[Change] = []
    for path, text in texts.items():
        try:
            old = (out / path).read_bytes()
        except FileNotFoundError:
            changes.append(Change(path=path, kind="missing"))
            continue
        except OSError as reason:
            raise _refusal(out / path, reason) from None
        if old != text.encode():
            diff = _diff(old.decode("utf-8", "replace"), text, path) if diffs else ""
            changes.append(Change(path=path, kind="changed", diff=diff))
    changes.extend(
        Change(path=path, kind="extra")
        for path in owned
        if path not in texts and (whole or path.startswith(mine)) and (out / path).is_file()
    )
    changes.extend(
        Change(path=path, kind="untracked")
        for folder in sorted(set(mine))
        for path in _files_below(out, folder)
        if path not in texts and path not in owned
    )
    if owned and whole:
        unlisted = {path for path, text in texts.items() if owned.get(path) != digest(text)}
        known = {change.path for change in changes}
        if unlisted - known:
            changes.append(Change(path=MANIFEST, kind="changed"))
    elif not owned and texts and not any(change.kind == "missing" for change in changes):
        changes.append(Change(path=MANIFEST, kind="missing"))
    return sorted(changes, key=lambda change: change.path)


def write(
    out: Path, wanted: Iterable[GeneratedFile], changes: Iterable[Change], *, whole: bool, force: bool = False
) -> None:
    """Brings the disk to `wanted`: all of it, or (Refused) none of it. Untracked files stay."""
    texts = {file.path: file.text for file in wanted}
    owned = manifest(out)
    listed = [change for change in changes if change.path != MANIFEST]
    if not force:
        _spare_others(out, listed, owned)
    new = [change.path for change in listed if change.kind in ("missing", "changed")]
    gone = [change.path for change in listed if change.kind == "extra"]
    kept = {} if whole else {path: value for path, value in owned.items() if path not in gone}
    listing = {**kept, **{path: digest(text) for path, text in texts.items()}}
    staged = {path: texts[path] for path in new}
    text = json.dumps({"files": dict(sorted(listing.items()))}, indent=2) + "\n"
    if (out / MANIFEST).is_file() and not staged and not gone and (out / MANIFEST).read_text("utf-8") == text:
        return
    staged[MANIFEST] = text
    _replace_all(out, staged, gone)


def manifest(out: Path) -> dict[str, str]:
    """Paths that protogen wrote below `out`, with the digest of what it wrote; empty where there is no manifest."""
    try:
        tree = json.loads((out / MANIFEST).read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except NotADirectoryError as reason:
        raise _refusal(out, reason) from None
    except (OSError, ValueError):
        fix = "delete it and run protogen build again"
        raise Refused(
            error("PG303", "the manifest cannot be read", fix=fix, place=Place(path=str(out / MANIFEST)))
        ) from None
    files = tree.get("files") if isinstance(tree, dict) else None
    return {path: str(value) for path, value in files.items()} if isinstance(files, dict) else {}


def _spare_others(out: Path, changes: list[Change], owned: dict[str, str]) -> None:
    """Refuses to replace a file that somebody else wrote."""
    for change in changes:
        if change.kind == "changed" and change.path not in owned:
            head = (out / change.path).read_bytes()[:4000].decode("utf-8", "replace")
            if HEADER_MARK not in head:
                what = "is there already and was not written by protogen"
                fix = "move it away, choose another --out, or use --force"
                raise Refused(error("PG304", what, fix=fix, place=Place(path=str(out / change.path))))


def _replace_all(out: Path, texts: dict[str, str], gone: list[str]) -> None:
    stage = out / STAGE
    done: list[tuple[Path, Path | None]] = []
    at = stage
    try:
        if stage.exists():
            shutil.rmtree(stage)
        # Each folder once: once for each file was most of what writing cost.
        folders = list(dict.fromkeys(path.rpartition("/")[0] for path in texts))
        for folder in folders:
            at = stage / "new" / folder
            at.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            at = stage / "new" / path
            at.write_bytes(text.encode())
        for folder in folders:
            at = out / folder
            at.mkdir(parents=True, exist_ok=True)
        for path in [*texts, *gone]:
            at = out / path
            backup = stage / "old" / path
            if at.is_file():
                backup.parent.mkdir(parents=True, exist_ok=True)
                at.replace(backup)
                done.append((at, backup))
            else:
                done.append((at, None))
            if path in texts:
                (stage / "new" / path).replace(at)
    except OSError as reason:
        _undo(done)
        shutil.rmtree(stage, ignore_errors=True)
        raise _refusal(at, reason) from None
    shutil.rmtree(stage, ignore_errors=True)
    for path in gone:
        _prune((out / path).parent, out)


def _undo(done: list[tuple[Path, Path | None]]) -> None:
    for path, backup in reversed(done):
        if backup is not None and backup.is_file():
            backup.replace(path)
        elif backup is None:
            path.unlink(missing_ok=True)


def _prune(folder: Path, out: Path) -> None:
    while folder != out and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


_FIXES = {
    errno.ENOSPC: "free some space and run it again",
    errno.EDQUOT: "free some space and run it again",
    errno.EFBIG: "raise the limit on file sizes and run it again",
    errno.EROFS: "choose a folder that can be written with --out",
    errno.EACCES: "change its permissions, or choose another folder with --out",
    errno.EPERM: "change its permissions, or choose another folder with --out",
    errno.ENOTDIR: "a file stands where a folder is needed: move it, or choose another folder with --out",
    errno.EISDIR: "a folder stands where a file is needed: move it, or choose another folder with --out",
}


def _refusal(path: Path, reason: OSError) -> Refused:
    fix = _FIXES.get(reason.errno or 0, "choose another folder with --out")
    shown = str(path).replace(f"{STAGE}/new/", "")
    what = f"cannot be written: {reason.strerror or reason}; what was there before is unchanged"
    return Refused(error("PG301", what, fix=fix, place=Place(path=shown)))


def _files_below(out: Path, folder: str) -> Iterator[str]:
    root = out / folder
    if not root.is_dir():
        return
    for parent, folders, files in os.walk(root):
        folders[:] = sorted(
            name for name in folders if name not in LEFTOVERS and not name.endswith(("_cache", ".egg-info"))
        )
        for name in sorted(files):
            if not name.endswith(LEFTOVER_FILES):
                yield (Path(parent) / name).relative_to(out).as_posix()


def _diff(old: str, new: str, path: str) -> str:
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), f"on disk: {path}", f"wanted: {path}", n=2
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
