"""/create_messages: the messages of a chat from instructions and a prompt.

Knows no model.
"""

from __future__ import annotations

from typing import Literal

import msgspec
import trio

from protogen_runtime.stepflow.plugins.contract import Json, StepContext

from .component import describe, read_input


class ChatMessage(msgspec.Struct):
    """One message of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


class Messages(msgspec.Struct):
    """A chat."""

    messages: list[ChatMessage]


class _Input(msgspec.Struct):
    user_prompt: str
    system_instructions: str | None = None


class CreateMessages:
    """{system_instructions?, user_prompt} to {messages}."""

    info = describe("/create_messages", "Messages of a chat from instructions and a prompt.", _Input, Messages)

    async def execute(self, value: Json, context: StepContext) -> Json:
        """See Component."""
        del context
        await trio.lowlevel.checkpoint()
        return self.execute_nowait(value)

    def execute_nowait(self, value: Json) -> Json:
        """The same at once."""
        given = read_input("/create_messages", value, _Input)
        messages = [{"role": "user", "content": given.user_prompt}]
        if given.system_instructions is not None:
            messages.insert(0, {"role": "system", "content": given.system_instructions})
        return {"messages": messages}
