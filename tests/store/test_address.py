"""Addresses: what they open, and what is said of those that open nothing."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest
import registrations
import trio

from protogen_runtime.store import CannotOpen, Schema, known_schemes, open_store
from protogen_runtime.store.memory import MemoryStore

SCHEMA = Schema(application="address")


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entry points of distributions that are not installed."""
    here = registrations.__name__
    entries = EntryPoints(
        EntryPoint(name, value, "protogen.stores")
        for name, value in (
            ("toy", f"{here}:open_toy"),
            ("twice", f"{here}:open_toy"),
            ("twice", f"{here}:NO_FUNCTION"),
            ("gone", "no_such_module:open_store"),
            ("renamed", f"{here}:no_such_name"),
            ("odd", f"{here}:NO_FUNCTION"),
            ("memory", f"{here}:NO_FUNCTION"),
        )
    )
    monkeypatch.setattr("protogen_runtime.installed.entry_points", lambda **chosen: entries.select(**chosen))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", "'' is no address of a store; write sqlite:///NAME.db or memory:"),
        ("flows.db", "'flows.db' is no address of a store; write sqlite:///flows.db or memory:"),
        ("memory:x", "'memory:x': a store in memory has no name; write memory:"),
        ("sqlite:", "'sqlite:': write sqlite:///NAME.db or sqlite:////srv/NAME.db for an absolute path"),
        ("sqlite:a.db", "'sqlite:a.db': write sqlite:///NAME.db or sqlite:////srv/NAME.db for an absolute path"),
        ("sqlite://a.db", "'sqlite://a.db': write sqlite:///NAME.db or sqlite:////srv/NAME.db for an absolute path"),
        ("sqlite:///", "'sqlite:///' names no file; write sqlite:///NAME.db, or memory: for a store in memory"),
        (
            "sqlite:///:memory:",
            "'sqlite:///:memory:' names no file; write sqlite:///NAME.db, or memory: for a store in memory",
        ),
        (
            "sqlite:///a.db?chek=never",
            "'sqlite:///a.db?chek=never': unknown option 'chek'; known are readers, waiting, inline_blob_bytes, check",
        ),
        (
            "sqlite:///a.db?readers=0",
            "'sqlite:///a.db?readers=0': Expected `int` >= 1 - at `$.readers`",
        ),
        (
            "sqlite:///a.db?readers=many",
            "'sqlite:///a.db?readers=many': Expected `int`, got `str` - at `$.readers`",
        ),
        (
            "sqlite:///a.db?check=",
            "'sqlite:///a.db?check=': Invalid enum value '' - at `$.check`",
        ),
        (
            "sqllite:///a.db",
            (
                "no store is registered for sqllite: (known: gone, memory, odd, renamed, sqlite, toy, twice);"
                " did you mean sqlite:?"
            ),
        ),
        (
            "postgresql://host/db",
            "no store is registered for postgresql: (known: gone, memory, odd, renamed, sqlite, toy, twice)",
        ),
        (
            "twice:",
            "twice: is registered by an unknown distribution and an unknown distribution; uninstall one of them",
        ),
        (
            "gone:",
            (
                "the store for gone: (no_such_module:open_store of an unknown distribution) cannot be imported:"
                " No module named 'no_such_module'; reinstall or update that distribution"
            ),
        ),
        (
            "renamed:",
            (
                "the store for renamed: (registrations:no_such_name of an unknown distribution) cannot be imported:"
                " module 'registrations' has no attribute 'no_such_name'; reinstall or update that distribution"
            ),
        ),
        (
            "odd:",
            "the store for odd: (registrations:NO_FUNCTION of an unknown distribution) is no function; update it",
        ),
    ],
)
@pytest.mark.usefixtures("registered")
def test_address_that_opens_nothing_says_why(address: str, message: str) -> None:
    with pytest.raises(CannotOpen) as refused:
        open_store(address, SCHEMA)
    assert str(refused.value) == message


@pytest.mark.usefixtures("registered")
def test_registered_store_gets_its_address() -> None:
    async def run() -> None:
        async with open_store("toy://host/name?x=1", SCHEMA) as store:
            assert isinstance(store, MemoryStore)

    trio.run(run)
    assert registrations.opened.pop() == "toy://host/name?x=1"


@pytest.mark.usefixtures("registered")
def test_built_in_schemes_cannot_be_replaced() -> None:
    async def run() -> None:
        async with open_store("memory:", SCHEMA) as store:
            assert isinstance(store, MemoryStore)

    trio.run(run)


def test_built_in_schemes_are_known() -> None:
    assert {"memory", "sqlite"} <= set(known_schemes())


def test_three_slashes_are_relative_and_four_absolute(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)

    async def run() -> None:
        for address in ("sqlite:///relative.db", f"sqlite:///{folder}/absolute.db", "sqlite:///with%20space%3f.db"):
            async with open_store(address, SCHEMA):
                pass

    trio.run(run)
    assert sorted(file.name for file in folder.glob("*.db")) == ["absolute.db", "relative.db", "with space?.db"]
