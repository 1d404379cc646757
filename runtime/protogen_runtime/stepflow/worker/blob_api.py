"""Blobs over the HTTP API of a runtime of 0.11, which has no calls for them (spec, section 12).

Knows no execution: whoever uses it says so, and its connections are kept as long as somebody does.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final, TypeVar

import httpx
import msgspec
import trio
from stepflow_protocol.errors import BlobNotFoundError, ServerError
from stepflow_protocol.rpc.errors import CallTimeoutError, TransportError

from .values import Json

Answer = TypeVar("Answer")


class _Stored(msgspec.Struct):
    blob_id: str = msgspec.field(name="blobId")


class _Found(msgspec.Struct):
    data: Any


ATTEMPTS: Final = 2
"""A connection that was kept may have been closed meanwhile, and to ask twice for the same blob does no harm."""

MAX_TEXT_CHARS: Final = 300
"""Of an answer that goes into an error."""


class BlobApi:
    """The API at `url`: `POST url` stores a blob, `GET url/id` gives one."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._users = 0
        self._client: httpx.AsyncClient | None = None

    @asynccontextmanager
    async def used(self) -> AsyncGenerator[None]:
        """Keep connections until the last user has left."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            client = self._client
            if not self._users and client is not None:
                self._client = None
                with trio.CancelScope(shield=True):
                    await client.aclose()

    async def put(self, data: Json, blob_type: str, seconds: float) -> str:
        """Store a value, and give its id. Errors: ServerError, CallTimeoutError, TransportError."""
        body = msgspec.json.encode({"data": data, "blobType": blob_type})
        answer = await self._ask("POST", self.url, body, seconds)
        return _read(answer, _Stored).blob_id

    async def get(self, blob_id: str, seconds: float) -> Json:
        """The value of a blob. Errors: BlobNotFoundError, and those of `put`."""
        # Not every text is a part of a path; ids are, and the runtime knows no other ones.
        if not blob_id.isalnum() or not blob_id.isascii():
            raise BlobNotFoundError({"blob_id": blob_id}, message=f"Blob not found: {blob_id}")
        answer = await self._ask("GET", f"{self.url}/{blob_id}", None, seconds)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            raise BlobNotFoundError({"blob_id": blob_id}, message=f"Blob not found: {blob_id}")
        return _read(answer, _Found).data

    async def _ask(self, verb: str, url: str, body: bytes | None, seconds: float) -> httpx.Response:
        headers = {"accept": "application/json"}
        if body is not None:
            headers["content-type"] = "application/json"
        with trio.move_on_after(seconds):
            for left in reversed(range(ATTEMPTS)):
                try:
                    return await self._open().request(verb, url, content=body, headers=headers)
                except httpx.TransportError as reason:
                    if not left:
                        text = str(reason) or type(reason).__name__
                        raise TransportError(
                            f"the runtime's blob API does not answer: {verb} {url}: {text}"
                        ) from reason
                except (httpx.HTTPError, httpx.InvalidURL) as reason:
                    raise TransportError(f"the runtime's blob API cannot be asked: {verb} {url}: {reason}") from reason
        raise CallTimeoutError(f"{verb} {url}", seconds)

    def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            # The certificates of the system cost 20 ms, and http needs none.
            verify = self.url.startswith("https:")
            self._client = httpx.AsyncClient(timeout=None, verify=verify)  # noqa: S113 - `_ask` has the deadline
        return self._client


def _read(answer: httpx.Response, kind: type[Answer]) -> Answer:
    if answer.is_success:
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as reason:
            message = f"the answer of the runtime's blob API is none: {reason}"
    else:
        message = f"the runtime's blob API answered with status {answer.status_code}"
    told: dict[str, Any] = {"status": answer.status_code, "body": answer.text[:MAX_TEXT_CHARS]}
    raise ServerError(told, message=message)
