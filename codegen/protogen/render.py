"""Templates and static files as targets use them: jinja2 with strict names and a bytecode cache.

Knows where templates stand, not what any target makes of them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from jinja2 import BytecodeCache, Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined

from protogen import __version__
from protogen.resources import DataMissing, data_root


class Templates:
    """The Renderer over a folder of templates; compiled templates are kept in the user's cache folder."""

    def __init__(self, folder: Path | None = None, *, cache: Path | None = None) -> None:
        self._folder = folder if folder is not None else data_root() / "templates"
        self._environment = Environment(
            loader=FileSystemLoader(self._folder),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            autoescape=False,  # noqa: S701 - the output is source code, not HTML
            auto_reload=False,
            bytecode_cache=_bytecode_cache(cache if cache is not None else cache_folder()),
        )
        self._static: dict[str, dict[str, str]] = {}

    def render(self, template: str, /, **view: object) -> str:
        """The text of `templates/<template>` laid out with `view`; undefined names are errors."""
        return self._environment.get_template(template).render(view)

    def static(self, folder: str, /) -> Mapping[str, str]:
        """Files below `templates/<folder>`, by relative path, sorted."""
        if folder not in self._static:
            self._static[folder] = _texts(self._folder / folder)
        return self._static[folder]

    def core(self) -> Mapping[str, str]:
        """The sans-I/O JSON-RPC core, file name to text, sorted."""
        if "" not in self._static:
            self._static[""] = _texts(core_root(), suffixes=(".py",))
        return self._static[""]


def core_root() -> Path:
    """The folder of the sans-I/O core: beside this package where installed, under `runtime/` in a checkout.

    Found by its path, since the generator never imports the runtime. Raises DataMissing naming both places.
    """
    package = Path(__file__).resolve().parent
    below = Path("protogen_runtime") / "jsonrpc"
    places = (package.parent / below, package.parent.parent / "runtime" / below)
    for place in places:
        if place.is_dir():
            return place
    raise DataMissing(
        f"expected the JSON-RPC core in {str(places[0])!r} (installed) or {str(places[1])!r} (checkout), "
        "found it in neither; install protogen-jsonrpc again, or run from a complete checkout"
    )


def cache_folder() -> Path | None:
    """Where compiled templates are kept, by version of protogen and of Python; None where nothing can be written."""
    base = os.environ.get("PROTOGEN_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    home = Path(base) if base else Path.home() / ".cache"
    folder = home / "protogen" / f"{__version__}-{sys.implementation.cache_tag}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def _bytecode_cache(folder: Path | None) -> BytecodeCache | None:
    return FileSystemBytecodeCache(str(folder)) if folder is not None else None


def _texts(folder: Path, *, suffixes: tuple[str, ...] = ()) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text("utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and (not suffixes or path.suffix in suffixes)
    }
