"""Address: which store a text such as `sqlite:///flows.db` means.

The scheme chooses the kind of store. Two kinds are built in; others are found by the entry point group
`protogen.stores`, where the name of an entry is the scheme and its value a `StoreFactory`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from protogen_runtime.installed import NotInstalled, function_for, schemes_of

from .errors import CannotOpen
from .interface import Schema, Store, StoreFactory
from .memory import open_memory
from .sqlite import Options, Settings, open_sqlite

GROUP: Final = "protogen.stores"


def open_store(address: str, schema: Schema) -> AbstractAsyncContextManager[Store]:
    """Open the store at an address for as long as the context lasts.

    - `memory:`: in memory, empty at first, gone at the end;
    - `sqlite:///name.db`: a file relative to the working folder, `sqlite:////srv/name.db` an absolute one; options
      follow as `?check=always&readers=8` (see `sqlite.Settings`);
    - `<scheme>:…`: what an installed distribution registers for that scheme.

    Errors, on the call or on entry: CannotOpen, with one line that says what is wrong and what to do.
    """
    scheme, colon, _ = address.partition(":")
    if not colon:
        raise CannotOpen(f"{address!r} is no address of a store; write sqlite:///{address or 'NAME.db'} or memory:")
    factory = _BUILT_IN.get(scheme) or _registered(scheme)
    return factory(address, schema)


def known_schemes() -> list[str]:
    """The schemes that can be opened here, built in and registered."""
    return schemes_of(GROUP, _BUILT_IN)


def _registered(scheme: str) -> StoreFactory:
    try:
        return function_for(scheme, GROUP, kind="store", built_in=_BUILT_IN)
    except NotInstalled as reason:
        raise CannotOpen(str(reason)) from reason


def _open_memory(address: str, schema: Schema) -> AbstractAsyncContextManager[Store]:
    if address != "memory:":
        raise CannotOpen(f"{address!r}: a store in memory has no name; write memory:")
    return open_memory(schema)


def _open_sqlite(address: str, schema: Schema) -> AbstractAsyncContextManager[Store]:
    parts = urlsplit(address)
    if parts.netloc or not address.startswith("sqlite:///"):
        raise CannotOpen(f"{address!r}: write sqlite:///NAME.db or sqlite:////srv/NAME.db for an absolute path")
    name = unquote(parts.path[1:])
    if name in ("", ":memory:"):
        raise CannotOpen(f"{address!r} names no file; write sqlite:///NAME.db, or memory: for a store in memory")
    return open_sqlite(Path(name), schema, _options(address, dict(parse_qsl(parts.query, keep_blank_values=True))))


def _options(address: str, given: Mapping[str, str]) -> Options:
    known = Settings.__struct_fields__
    unknown = [name for name in given if name not in known]
    if unknown:
        raise CannotOpen(f"{address!r}: unknown option {unknown[0]!r}; known are {', '.join(known)}")
    try:
        chosen = msgspec.convert(given, Settings, strict=False)
    except msgspec.ValidationError as reason:
        raise CannotOpen(f"{address!r}: {reason}") from None
    return Options(**msgspec.structs.asdict(chosen))


_BUILT_IN: Final[Mapping[str, StoreFactory]] = {"memory": _open_memory, "sqlite": _open_sqlite}
