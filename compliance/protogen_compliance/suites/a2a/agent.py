"""An agent under test: messages sent to it, tasks asked after."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import NamedTuple

from protogen_compliance.peer.http import Exchange, Url
from protogen_compliance.peer.rpc import MISSING, Json, Reply, RpcPeer, parse_json
from protogen_compliance.peer.sse import Event
from protogen_compliance.peer.stdio import Line
from protogen_compliance.peer.wire import TimedOut, Unreachable
from protogen_compliance.plugin import Lacking, Lost, Unmet

TERMINAL = ("TASK_STATE_COMPLETED", "TASK_STATE_FAILED", "TASK_STATE_CANCELED", "TASK_STATE_REJECTED")
STOPPED = (*TERMINAL, "TASK_STATE_INPUT_REQUIRED", "TASK_STATE_AUTH_REQUIRED")
SLOW_SECONDS = 1.0
SILENT_REQUESTS = 5


class Streamed(NamedTuple):
    """A streamed answer: the responses of its events in their order, and whether it came to its end."""

    reply: Reply
    responses: list[Json]
    ended: bool


class Agent:
    """The agent, for one test."""

    def __init__(self, url: Url, headers: Mapping[str, str], skills: Mapping[str, str], *, patience: float) -> None:
        self.peer = RpcPeer(url, headers={"a2a-version": "1.0", **headers}, patience=patience)
        self.log: list[Exchange | Line] = []
        self._skills = skills
        self._silent = 0

    def call(self, method: str, params: Json, *, version: str | None = "1.0") -> Reply:
        """Sends a request under a version of A2A; None leaves the header out. Raises Lost."""
        request = {"jsonrpc": "2.0", "id": self.peer.next_id(), "method": method, "params": params}
        reply = self.peer.send(json.dumps(request).encode(), headers={"a2a-version": version})
        self.log.append(reply.exchange)
        self._silent = self._silent + 1 if isinstance(reply.fault, TimedOut) else 0
        if isinstance(reply.fault, Unreachable) or self._silent >= SILENT_REQUESTS:
            raise Lost(f"the agent went away: {reply.fault}")
        return reply

    def stream(self, method: str, params: Json, *, until: Callable[[list[Event]], bool] | None = None) -> Streamed:
        """Sends a request and reads its events; those that are no JSON are MISSING."""
        request = {"jsonrpc": "2.0", "id": self.peer.next_id(), "method": method, "params": params}
        reply, seen, ended = self.peer.stream(json.dumps(request).encode(), until=until)
        self.log.append(reply.exchange)
        responses: list[Json] = []
        for _, event in seen:
            try:
                responses.append(parse_json(event.data.encode()))
            except ValueError:
                responses.append(MISSING)
        return Streamed(reply, responses, ended)

    def message(self, text: str = "hello", *, slow: bool = False, **members: Json) -> Json:
        """A message of a user; a slow one asks for the skill that waits. Raises Lacking where none is named."""
        made: Json = {"messageId": str(uuid.uuid4()), "role": "ROLE_USER", "parts": [{"text": text}], **members}
        if slow:
            if "slow" not in self._skills:
                raise Lacking("a skill that takes a while is needed: --executor slow=SKILL")
            made["metadata"] = {"skill": self._skills["slow"]}
            made["parts"] = [{"data": {"seconds": SLOW_SECONDS}}]
        return made

    def send(self, message: Json, **configuration: Json) -> Reply:
        """SendMessage."""
        params: Json = {"message": message}
        if configuration:
            params["configuration"] = configuration
        return self.call("SendMessage", params)

    def task(self, **members: Json) -> Json:
        """A task that has come to an end, as a setup; raises Unmet, and Lacking where messages are answered at once."""
        reply = self.send(self.message(**members))
        result = reply.result
        if not isinstance(result, dict):
            raise Unmet(("AA-SEND-001",), f"a message was answered with {reply.summary()}")
        if "task" not in result:
            raise Lacking("the agent answers with messages and makes no tasks")
        state = (result["task"].get("status") or {}).get("state")
        if state not in TERMINAL:
            raise Unmet(("AA-SEND-002",), f"the task of a message is {state!r}; expected it to have come to an end")
        return result["task"]
