"""Card: what the node says of itself to clients of A2A, in one document for both versions (A39).

Knows no transport: a base URL in, bytes out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import a2a_protocol as v1
import msgspec
from a2a_v03_protocol import PROTOCOL as PROTOCOL_V03
from apflow_protocol import PROTOCOL

from .requests import EXECUTE
from .settings import A2ASettings

PATHS: Final = ("/.well-known/agent-card.json", "/.well-known/agent.json", "/.well-known/agent-card")
"""Where cards are looked for: since A2A 0.3, by 0.2, by the node's own protocol (06-interfaces.md, A2A; A39)."""

EXTENSION: Final = "urn:aipartnerup:apflow"
"""Names the node's own protocol, whose version the card must state somewhere (01-overview.md; A45)."""

BINDING: Final = "JSONRPC"
MODES: Final = ["application/json", "text/plain"]


class Card(msgspec.Struct, frozen=True):
    """A card as it is sent; `tag` changes with its text."""

    body: bytes
    tag: bytes


def make_card(
    settings: A2ASettings, *, url: str, version: str, executors: Sequence[str] = (), asks_who: bool = False
) -> Card:
    """The card of a node that is reached at `url`, with a skill for flows and one for each executor."""
    card: dict[str, Any] = {
        "name": settings.name,
        "description": settings.description,
        "version": version,
        "supportedInterfaces": [
            {"url": url, "protocolBinding": BINDING, "protocolVersion": each}
            for each in (v1.PROTOCOL.version, PROTOCOL_V03.version)
        ],
        "url": url,
        "preferredTransport": BINDING,
        "protocolVersion": f"{PROTOCOL_V03.version}.0",
        # Not `push_notifications` beside (A39): readers that know protocol buffers take both for one, and refuse them.
        "capabilities": {
            "streaming": True,
            "pushNotifications": True,
            "stateTransitionHistory": False,
            "extendedAgentCard": False,
            "extensions": [
                {
                    "uri": EXTENSION,
                    "description": "The methods tasks.* of the AI Partner Up Flow Protocol at the same address.",
                    "required": False,
                    "params": {"protocolVersion": PROTOCOL.version},
                }
            ],
        },
        "defaultInputModes": MODES,
        "defaultOutputModes": MODES,
        "skills": [_FLOWS, *(_skill(name) for name in executors)],
        "supportsAuthenticatedExtendedCard": False,
    }
    if asks_who:
        # One object that both versions read: each ignores the other's members.
        card["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer", "httpAuthSecurityScheme": {"scheme": "Bearer"}}
        }
        card["security"] = [{"bearer": []}]
        card["securityRequirements"] = [{"schemes": {"bearer": {"list": []}}}]
    body = msgspec.json.encode(card)
    return Card(body, b'"%s"' % hashlib.sha256(body).hexdigest()[:32].encode())


_FLOWS: Final = {
    "id": EXECUTE,
    "name": "Execute tasks",
    "description": 'Runs a flow of tasks: a data part {"tasks": [...]} as tasks.execute takes it.',
    "tags": ["tasks", "flow", "workflow"],
    "examples": ['{"tasks": [{"name": "greet", "schemas": {"method": "echo"}, "inputs": {"text": "hello"}}]}'],
}


def _skill(executor: str) -> dict[str, Any]:
    return {
        "id": executor,
        "name": executor,
        "description": f"Runs one task with the executor {executor}; its data and text parts are the inputs.",
        "tags": ["executor"],
    }


def is_known(tags: bytes | None, card: Card) -> bool:
    """Whether one of the tags that a client has is the card's (RFC 9110, If-None-Match: weakly compared)."""
    if tags is None:
        return False
    found = [tag.strip().removeprefix(b"W/") for tag in tags.split(b",")]
    return card.tag in found or found == [b"*"]
