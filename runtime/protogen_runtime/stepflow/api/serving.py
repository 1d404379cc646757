"""The API as whatever serves it sees it: operations with their full paths, admission, and an answer for every request.

Knows no transport: it is asked, and answers; nothing that happens inside reaches a client but through here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from typing import Final

import msgspec
from stepflow_protocol.methods import PROTOCOL

from protogen_runtime.dispatch import Service

from .document import document
from .exchange import JSON_TYPE, Answer, Asked, Pieces, error
from .handlers import Api, answer_for
from .operations import PREFIX, Admission, Operation, admit, operations
from .page import HEADERS, page

Report = Callable[[str, str, BaseException], None]
"""Told (operation, what failed, exception) of what clients are told no more of than that it failed."""

MAX_BLOB_BYTES: Final = 1024**3
"""How large an uploaded blob may be by default: beyond it, bytes belong elsewhere."""

DOCUMENT_PATH: Final = f"{PREFIX}/openapi.json"
PAGE_PATHS: Final = (f"{PREFIX}/docs", "/swagger-ui", "/swagger-ui/")
"""Where people look for the page; the original has it at the last one."""


def uncalled() -> Service:
    """The runtime's role of the protocol, without a method: it calls its workers, and they call it over those calls."""
    return Service(PROTOCOL, "runtime", object())


class Serving:
    """The operations of an API, ready to be served. `version` is that of the runtime."""

    def __init__(
        self, api: Api, *, version: str = "0", max_blob_bytes: int = MAX_BLOB_BYTES, report: Report | None = None
    ) -> None:
        self._api = api
        self._version = version
        self._max_blob_bytes = max_blob_bytes
        self._report = report
        self.operations: Final = operations(api.dialect)

    def admit(self, operation: Operation, headers: Mapping[bytes, bytes]) -> Admission | Answer:
        """Decide on a head: what may follow it, or a refusal."""
        try:
            return admit(operation, headers, max_blob_bytes=self._max_blob_bytes)
        except Exception as refused:  # noqa: BLE001 - it is answered or reported
            return self.fail(operation.name, refused)

    def answer(self, operation: Operation, asked: Asked) -> Awaitable[Answer | Pieces]:
        """The answer to come. What it raises is for `fail`."""
        return operation.serve(self._api, asked)

    def fail(self, name: str, raised: Exception) -> Answer:
        """The answer for what was raised; what nobody expects is reported, and clients are not told its text."""
        expected = answer_for(raised)
        if expected is not None:
            return expected
        if self._report is not None:
            self._report(name, "the operation failed", raised)
        return error(500, "internal error")

    def refuse(self, status: int, reason: str) -> Answer:
        """The answer to a request that is for no operation."""
        return error(status, reason)

    @cached_property
    def document(self) -> Answer:
        """The OpenAPI document."""
        told = document(self._api.dialect, self._version)
        return Answer(200, msgspec.json.format(msgspec.json.encode(told)), ((b"content-type", JSON_TYPE),))

    @cached_property
    def page(self) -> Answer:
        """The document for people."""
        return Answer(200, page(document(self._api.dialect, self._version)), HEADERS)

    def end(self) -> None:
        """The server stops."""
        self._api.end()
