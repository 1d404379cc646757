"""Dialects of workers that are there: Stepflow 0.11, which spells the handshake otherwise and has no callbacks."""

from __future__ import annotations

from protogen_compliance.dialects import Dialect, Spelling
from protogen_compliance.peer.rpc import Json

NO_CALLBACKS = "a worker of this dialect gets blobs over HTTP and calls nothing back"


def _renamed(value: Json, old: str, new: str) -> Json:
    if not isinstance(value, dict):
        return value
    return {new if name == old else name: member for name, member in value.items()}


DIALECTS: dict[str, Dialect] = {
    "0.11": Dialect(
        spellings={
            "initialize": Spelling(
                "initialize",
                params=lambda params: _renamed(params, "runtime_protocol_version", "runtimeProtocolVersion"),
                result=lambda _, result: _renamed(result, "serverProtocolVersion", "server_protocol_version"),
            )
        },
        deviations={
            "SF-INIT-004": "initialize takes runtimeProtocolVersion and is answered by serverProtocolVersion; expected "
            "runtime_protocol_version and server_protocol_version"
        },
        lacks={"put": NO_CALLBACKS, "get": NO_CALLBACKS},
    )
}
