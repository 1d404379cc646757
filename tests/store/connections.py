"""Connections that record what they are asked, or fail where a test wants them to."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from protogen_runtime.store.sqlite import file
from protogen_runtime.store.sqlite.tables import Connection, Cursor


class Watched:
    """A connection that shows every statement to `watch` before it runs it; `watch` may raise."""

    def __init__(self, path: str, watch: Callable[[str], None]) -> None:
        self._connection: Connection = file.connect(path)
        self._watch = watch

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Cursor:
        self._watch(sql)
        return self._connection.execute(sql, parameters)

    def close(self) -> None:
        self._connection.close()


def error(code: int, text: str = "made up") -> sqlite3.OperationalError:
    """What SQLite raises with an (extended) result code."""
    raised = sqlite3.OperationalError(text)
    raised.sqlite_errorcode = code
    return raised
