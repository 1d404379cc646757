"""Installed: what distributions register as entry points, found by name and loaded; a bad one is told by its owner.

Knows no group: stores, transports and executors each have one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Any


class NotInstalled(Exception):
    """Nothing is registered under a name, or too much, or what is cannot be used; the text says what to do."""


def entries_of(group: str) -> list[EntryPoint]:
    """What is registered in a group, by name."""
    return sorted(entry_points(group=group), key=lambda entry: entry.name)


def schemes_of(group: str, built_in: Iterable[str]) -> list[str]:
    """The names that can be used: those that are built in, and those that are registered."""
    return sorted({*built_in, *(entry.name for entry in entry_points(group=group))})


def function_for(scheme: str, group: str, *, kind: str, built_in: Iterable[str]) -> Callable[..., Any]:
    """The function that one distribution registers for a scheme of addresses; `kind` is what it makes.

    Errors: NotInstalled.
    """
    found = list(entry_points(group=group, name=scheme))
    if not found:
        known = schemes_of(group, built_in)
        near = get_close_matches(scheme, known, n=1)
        hint = f"; did you mean {near[0]}:?" if near else ""
        raise NotInstalled(f"no {kind} is registered for {scheme}: (known: {', '.join(known)}){hint}")
    if len(found) > 1:
        owners = " and ".join(sorted(owner_of(entry) for entry in found))
        raise NotInstalled(f"{scheme}: is registered by {owners}; uninstall one of them")
    (entry,) = found
    what = f"the {kind} for {scheme}:"
    function: object = load(entry, what)
    if not callable(function):
        raise NotInstalled(f"{what} ({entry.value} of {owner_of(entry)}) is no function; update it")
    return function


def load(entry: EntryPoint, what: str) -> Any:
    """What an entry point names; `what` begins the message. Errors: NotInstalled where it cannot be imported."""
    try:
        return entry.load()
    except (ImportError, AttributeError) as reason:
        raise NotInstalled(
            f"{what} ({entry.value} of {owner_of(entry)}) cannot be imported: {reason};"
            " reinstall or update that distribution"
        ) from reason


def owner_of(entry: EntryPoint) -> str:
    """The distribution that registers an entry point."""
    return entry.dist.name if entry.dist is not None else "an unknown distribution"
