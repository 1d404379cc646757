"""/load_file: a file as JSON, YAML or text, from the folders that a flow may read.

Knows no configuration. Links are followed before the folder is judged: what counts is where a file really is.
"""

from __future__ import annotations

import os
import stat
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import msgspec
import trio

from protogen_runtime.stepflow.plugins.contract import BAD_REQUEST, Json, StepContext, StepFailed
from protogen_runtime.stepflow.plugins.marked import Unreadable, plain, read

from .component import describe, read_input

MAX_FILE_BYTES: Final = 16 * 1024 * 1024
"""What a frame may have: a larger output could reach no worker."""

MAX_VALUES: Final = 2_000_000
"""Of a YAML file, its aliases counted as often as they are used; more than a file of that size holds without them."""

Format: TypeAlias = Literal["json", "yaml", "text"]

_FORMATS: Final[dict[str, Format]] = {".json": "json", ".yml": "yaml", ".yaml": "yaml"}


class _Input(msgspec.Struct):
    path: str
    format: Format | None = None


class _Metadata(msgspec.Struct):
    resolved_path: str
    size_bytes: int
    format: Format


class _Output(msgspec.Struct):
    data: Any
    metadata: _Metadata


class LoadFile:
    """{path, format?} to {data, metadata}; `roots` are folders beside the working directory, None for every folder."""

    info = describe("/load_file", "The content of a file: JSON, YAML or text.", _Input, _Output)

    def __init__(self, directory: Path, roots: tuple[Path, ...] | None) -> None:
        self._directory = directory.resolve()
        self._roots = None if roots is None else (self._directory, *(root.resolve() for root in roots))

    async def execute(self, value: Json, context: StepContext) -> Json:
        """See Component."""
        del context
        given = read_input("/load_file", value, _Input)
        return await trio.to_thread.run_sync(partial(self._load, given), abandon_on_cancel=True)

    def _load(self, given: _Input) -> Json:
        try:
            path = (self._directory / given.path).resolve()
        except (OSError, RuntimeError, ValueError):
            raise _refused(given, "it is no path") from None
        if self._roots is not None and not any(path.is_relative_to(root) for root in self._roots):
            told = "it is outside of the working directory; the configuration may allow more (loadFile.roots)"
            raise _refused(given, told)
        data = _content(given, path)
        known: Format = given.format or _FORMATS.get(path.suffix, "text")
        metadata = {"resolved_path": str(path), "size_bytes": len(data), "format": known}
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise _refused(given, f"its byte {error.start} is not UTF-8") from None
        return {"data": _parsed(given, text, known), "metadata": metadata}


def _content(given: _Input, path: Path) -> bytes:
    try:
        # Neither a link that was put there since, nor a pipe that nobody writes to.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise _refused(given, getattr(error, "strerror", None) or str(error)) from None
    try:
        # Before it is opened as a file, which a folder cannot be.
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _refused(given, "it is no file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise _refused(given, error.strerror or str(error)) from None
    finally:
        os.close(descriptor)
    if len(data) > MAX_FILE_BYTES:
        raise _refused(given, f"it has more than {MAX_FILE_BYTES} bytes")
    return data


def _parsed(given: _Input, text: str, known: Format) -> Json:
    if known == "text":
        return text
    if known == "yaml":
        try:
            return plain(read(text, max_values=MAX_VALUES).value)
        except Unreadable as error:
            fault = error.fault
            raise _refused(given, f"line {fault.line}, column {fault.column}: {fault.what}") from None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _refused(given, f"it is no JSON: {error}") from None


def _refused(given: _Input, told: str) -> StepFailed:
    return StepFailed(BAD_REQUEST, f"/load_file: {given.path[:200]!r}: {told}")
