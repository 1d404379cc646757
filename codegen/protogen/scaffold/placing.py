"""A new folder, whole or not at all: it is made beside its place and moved there when it is complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from protogen.config import Refusal

SHOWN = 4
"""Names of a folder that a refusal lists; it counts the others."""


def refuse_existing(folder: Path) -> None:
    """Nothing where a folder can be made there. Errors: Refusal, which says what stands there."""
    fix = "choose another name, or move it away"
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise Refusal("PG304", "is there already and is no folder", fix=fix, path=str(folder))
    names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    if names:
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        what = f"is there already, with {', '.join(names[:SHOWN])}{more}; nothing was changed"
        raise Refusal("PG304", what, fix=fix, path=str(folder))


def place(folder: Path, files: Mapping[str, str], complete: Callable[[Path], None] = lambda staged: None) -> None:
    """Makes `folder` of texts by relative path; `complete` adds to it before it is moved into place.

    Errors: Refusal where it cannot be written, or where something stands there; whatever `complete` raises.
    """
    refuse_existing(folder)
    staged = folder.with_name(f".{folder.name}.new-{os.getpid()}")
    try:
        for path, text in files.items():
            file = staged / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8", newline="")
        complete(staged)
        staged.rename(folder)
    except OSError as reason:
        fix = "check the path and its permissions"
        raise Refusal("PG301", f"cannot be written: {reason.strerror or reason}", fix=fix, path=str(folder)) from None
    finally:
        shutil.rmtree(staged, ignore_errors=True)
