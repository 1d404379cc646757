"""/put_blob and /get_blob: values that are kept under the hash of their content.

Knows no store.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal

import msgspec

from protogen_runtime.stepflow.plugins.contract import BAD_REQUEST, CallRefused, Json, Runtime, StepContext, StepFailed

from .component import describe, read_input, refused

_BLOB_ID: Final = re.compile(r"[0-9a-f]{64}")


class _Put(msgspec.Struct):
    data: Any
    blob_type: Literal["data", "flow"]


class _Name(msgspec.Struct):
    blob_id: str


class _Data(msgspec.Struct):
    data: Any


class PutBlob:
    """{data, blob_type} to {blob_id}."""

    info = describe("/put_blob", "Keep a value; gives the id that names it.", _Put, _Name)

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def execute(self, value: Json, context: StepContext) -> Json:
        """See Component."""
        given = read_input("/put_blob", value, _Put)
        try:
            return {"blob_id": await self._runtime.put_blob(given.data, given.blob_type, context)}
        except CallRefused as error:
            raise refused("/put_blob", error) from error


class GetBlob:
    """{blob_id} to {data}."""

    info = describe("/get_blob", "The value that was kept under an id.", _Name, _Data)

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def execute(self, value: Json, context: StepContext) -> Json:
        """See Component; the id is 64 hexadecimal digits in lower case (spec section 8)."""
        given = read_input("/get_blob", value, _Name)
        if not _BLOB_ID.fullmatch(given.blob_id):
            expected = "expected 64 hexadecimal digits in lower case"
            raise StepFailed(BAD_REQUEST, f"invalid input for /get_blob: {expected}, got {given.blob_id[:80]!r}")
        try:
            return {"data": (await self._runtime.get_blob(given.blob_id, context)).data}
        except CallRefused as error:
            raise refused("/get_blob", error) from error
