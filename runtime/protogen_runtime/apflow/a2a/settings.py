"""Settings: what an operator decides about the node as an agent of A2A."""

from __future__ import annotations

from typing import Annotated

import msgspec


class A2ASettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the node is an agent, what its card says, and who runs messages that bring no tasks.

    `url`: where clients reach the node, None for the host that they asked for the card. `default_executor`: the
    executor that runs a message in plain text, None to refuse it. `card_seconds`: how long clients may keep the card.
    `max_receivers`: push configurations of one task.
    """

    enabled: bool = True
    name: str = "protogen task node"
    description: str = "Runs flows of tasks: trees of tasks with dependencies and priorities."
    url: str | None = None
    default_executor: str | None = "echo"
    card_seconds: Annotated[int, msgspec.Meta(ge=0)] = 300
    max_receivers: Annotated[int, msgspec.Meta(ge=0)] = 16
