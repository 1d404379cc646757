"""The SQLite store: one file, one process, every acknowledged write on the disk."""

from .store import Options, Settings, SqliteStore, open_sqlite

__all__ = ["Options", "Settings", "SqliteStore", "open_sqlite"]
