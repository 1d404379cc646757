"""The two stores that are built in keep the contract, opened by their addresses as users do."""

from __future__ import annotations

from pathlib import Path

import pytest

from protogen_runtime.store import open_store
from protogen_runtime.store.contract import DurableStoreContract, Opener, StoreContract


class TestMemory(StoreContract):
    @pytest.fixture
    def opener(self) -> Opener:
        return lambda schema: open_store("memory:", schema)


class TestSqlite(DurableStoreContract):
    @pytest.fixture
    def opener(self, folder: Path) -> Opener:
        return lambda schema: open_store(f"sqlite:///{folder}/store.db", schema)


class TestSqliteWithBlobsInFiles(DurableStoreContract):
    """Every blob but the smallest is a file, one reader answers all, and nearly every writer must wait."""

    @pytest.fixture
    def opener(self, folder: Path) -> Opener:
        address = f"sqlite:///{folder}/a%20b.db?inline_blob_bytes=3&readers=1&waiting=2&check=always"
        return lambda schema: open_store(address, schema)
