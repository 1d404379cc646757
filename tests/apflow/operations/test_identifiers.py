"""New identifiers are UUIDs of version 4, and none comes twice, whichever thread or process asks."""

from __future__ import annotations

import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

from protogen_runtime.apflow.identifiers import DRAWN_AT_ONCE, new_uuid


def test_identifiers_are_uuids_of_version_4() -> None:
    for _ in range(2 * DRAWN_AT_ONCE):
        made = new_uuid()
        read = uuid.UUID(made)
        assert (str(read), read.version, read.variant) == (made, 4, uuid.RFC_4122)


def test_threads_get_different_ones() -> None:
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(lambda: [new_uuid() for _ in range(3000)]) for _ in range(4)]
        made = list(chain.from_iterable(each.result() for each in asked))
    assert len(set(made)) == len(made) == 12_000


def test_child_process_gets_different_ones() -> None:
    new_uuid()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, new_uuid().encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        theirs = told.read()
    os.waitpid(child, 0)
    assert theirs
    assert theirs not in [new_uuid() for _ in range(DRAWN_AT_ONCE)]
