"""A server whose `echo` keeps what it is given in a store before it answers: run by test_full_disk.py.

Usage: store_server.py FOLDER {filler,limit}. `echo` of null gives the keys that are there; the notification `space`
makes room: the file that stands in the way is removed, or files may grow again.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import trio
from echo_protocol.client import CLIENTS
from echo_protocol.methods import PROTOCOL
from echo_protocol.types import EchoParams, EchoResult, NotifyParams

from protogen_runtime.dispatch import CallContext, Service
from protogen_runtime.echo import EchoHandler
from protogen_runtime.io.http.server import Settings, bind, serve
from protogen_runtime.io.http.shell import Shell
from protogen_runtime.store import Insert, Record, Select, Store, open_store
from protogen_runtime.store.contract import SCHEMA

LIMIT_BYTES = 600_000
FILLER_BYTES = 1_500_000


class KeepingHandler(EchoHandler):
    """Echo that remembers."""

    def __init__(self, store: Store, folder: Path) -> None:
        super().__init__()
        self._store = store
        self._filler = folder / "filler"

    async def echo(self, params: EchoParams, _: CallContext) -> EchoResult:  # type: ignore[override]  # it waits
        """Answered when it has been committed."""
        if params.value is None:
            found = await self._store.read(Select("notes", documents=False))
            return EchoResult(value=[record.key for record in found.records])
        await self._store.write(Insert("notes", [Record(str(params.value), b"x" * 3000)]))
        return EchoResult(value=params.value)

    def notify_(self, params: NotifyParams, __: CallContext) -> None:
        """Make room."""
        self._filler.unlink(missing_ok=True)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


async def main(folder: Path, how: str) -> None:
    if how == "filler":
        (folder / "filler").write_bytes(bytes(FILLER_BYTES))
    elif how == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, resource.RLIM_INFINITY))
    async with open_store(f"sqlite:///{folder}/store.db", SCHEMA) as store:
        service = Service(PROTOCOL, "server", KeepingHandler(store, folder), clients=CLIENTS)
        settings = Settings(port=0)
        sock = bind(settings)
        sock.listen()
        print(json.dumps({"port": sock.getsockname()[1]}), flush=True)
        await serve(Shell(service), settings, sock)


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]), sys.argv[2])
