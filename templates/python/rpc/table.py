"""What a protocol's methods and errors are, as data that clients and dispatchers share.

Knows no transport; the generated `methods` module fills these in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import UNSET

from .._jsonrpc import ErrorObject
from .boundary import Codec, ValidationError
from .errors import RpcError, TypedError


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """One method: `params`, `result` and `events` are names of definitions, None where there is none.

    `events_are_results`: each event travels as the result of a response, the last of which is the answer.
    `positional` are the members of the params in the order in which an array gives them, empty where the protocol
    takes no arrays; `by_position`: an array is the only form. `families` are the error tables to look codes up in,
    after `errors`. `function` is the name of the method in clients and handlers. `mutual`: the receiver may send it to
    the sender, too.
    """

    name: str
    function: str
    kind: Literal["request", "notification"]
    sender: str
    receiver: str
    params: str | None = None
    result: str | None = None
    events: str | None = None
    events_are_results: bool = False
    errors: tuple[type[TypedError], ...] = ()
    families: tuple[str | None, ...] = (None,)
    positional: tuple[str, ...] = ()
    by_position: bool = False
    mutual: bool = False
    idempotent: bool = False


class ProtocolInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A protocol: its methods by name, its errors by family and code, how its values are read and written."""

    name: str
    version: str
    codec: Codec
    methods: Mapping[str, Method]
    errors: Mapping[str | None, Mapping[int, type[TypedError]]]
    path: str = "/"
    health_path: str | None = None
    instance_header: str = "Jsonrpc-Instance-Id"

    def under(self, *, constraints: bool) -> ProtocolInfo:
        """The same protocol, whose values are held against their types alone where constraints are not wanted."""
        codec = self.codec.under(constraints=constraints)
        return self if codec is self.codec else msgspec.structs.replace(self, codec=codec)


def read_error(info: ProtocolInfo, method: Method | None, error: ErrorObject) -> RpcError:
    """The exception for an error that came: the method's own errors first, then those of its families.

    An error whose data breaks its schema is a plain RpcError, which has the data as it came.
    """
    data = UNSET if error.data is UNSET else msgspec.json.decode(error.data)
    found = _lookup(info, method, error.code)
    if found is None:
        return RpcError(error.code, error.message, data)
    if found.DATA is not None and data is not UNSET:
        try:
            data = info.codec.from_json(found.DATA, data)
        except ValidationError:
            return RpcError(error.code, error.message, data)
    return found(data, message=error.message)


def _lookup(info: ProtocolInfo, method: Method | None, code: int) -> type[TypedError] | None:
    if method is not None:
        for error in method.errors:
            if code == error.CODE:
                return error
    families: tuple[str | None, ...] = (None,) if method is None else method.families
    for family in families:
        found = info.errors.get(family, {}).get(code)
        if found is not None:
            return found
    return None
