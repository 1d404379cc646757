"""Servers of the Model Context Protocol over stdio: each of their tools is a component (spec section 11).

Knows of that protocol what tools need: the handshake, lists of tools, and calls of them. A server is a program that is
kept running like a worker's; nothing that it may ask of a client is offered.
"""

from __future__ import annotations

import os
from collections.abc import Coroutine, Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw

from protogen_runtime.dispatch import Codec, Link, Method, Outcome, Sdk, Service, Usage
from protogen_runtime.jsonrpc import METHOD_NOT_FOUND, Failure, Notification, RequestId, Work

from .config import Program
from .contract import BAD_REQUEST, ComponentInfo, Json, StepContext, StepFailed, is_object
from .links import GREET_SECONDS, Connect, Greeted, LinkedPlugin
from .links import Link as Way

PROTOCOL_VERSION: Final = "2025-06-18"
"""What we ask for. A server may answer with another one: tools are listed and called alike in all so far."""

MAX_PAGES: Final = 1000
"""Of a list of tools; a server that always has another one would never be done."""

INITIALIZE: Final = "initialize"

EXECUTION_FAILED: Final = -32100

_PONG: Final = Raw(b"{}")


class _InitializeResult(msgspec.Struct, rename="camel"):
    protocol_version: str


class _Tool(msgspec.Struct, rename="camel"):
    name: str
    description: str | None = None
    input_schema: Json = None


class _Tools(msgspec.Struct, rename="camel"):
    tools: list[_Tool]
    next_cursor: str | None = None


class _CallResult(msgspec.Struct, rename="camel"):
    content: list[Json]
    is_error: bool = False


class McpPlugin(LinkedPlugin[str]):
    """A plugin whose components are the tools of a server; it is greeted with the version that the server speaks.

    The input is the arguments of the tool, an object or null; the output is the content that the tool gives, a list of
    parts such as `{"type": "text", "text": …}`, as in the original.
    """

    noun = "MCP server"

    def __init__(self, name: str, connect: Connect, *, execute_seconds: float | None) -> None:
        super().__init__(name, connect, _Client(), execute_seconds=execute_seconds)

    async def components(self) -> list[ComponentInfo]:
        """See Plugin; the tools as the server lists them now."""
        link = (await self._ready()).link
        found: list[ComponentInfo] = []
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = await self._page(link, cursor)
            found += [
                ComponentInfo(component=f"/{tool.name}", description=tool.description, input_schema=tool.input_schema)
                for tool in page.tools
            ]
            cursor = page.next_cursor
            if cursor is None:
                return found
        raise self._malformed(f"its list of tools has more than {MAX_PAGES} pages")

    async def _page(self, link: Way, cursor: str | None) -> _Tools:
        answer = await self._ask(link, "tools/list", {} if cursor is None else {"cursor": cursor}, GREET_SECONDS)
        if isinstance(answer, Failure):
            raise self._failed(answer)
        try:
            return msgspec.json.decode(answer.result, type=_Tools)
        except (msgspec.DecodeError, RecursionError) as error:
            raise self._malformed(f"its list of tools is none: {error}") from None

    async def execute(self, component: str, value: Json, context: StepContext) -> Json:
        """See Plugin; a tool that says it has failed is a component that has."""
        del context
        tool = component.removeprefix("/")
        if value is not None and not is_object(value):
            kind = type(value).__name__
            raise StepFailed(BAD_REQUEST, f"{component}: a tool takes its arguments as an object, got {kind}")
        link = (await self._ready()).link
        params = {"name": tool, "arguments": {} if value is None else value}
        answer = await self._ask(link, "tools/call", params, self._execute_seconds)
        if isinstance(answer, Failure):
            raise self._failed(answer)
        try:
            result = msgspec.json.decode(answer.result, type=_CallResult)
        except (msgspec.DecodeError, RecursionError) as error:
            raise self._malformed(f"its answer to tools/call is none: {error}") from None
        if result.is_error:
            raise StepFailed(EXECUTION_FAILED, f"{component}: {_text(result.content)}", {"content": result.content})
        return result.content

    async def _greet(self, link: Way) -> Greeted[str]:
        params = {
            "protocolVersion": PROTOCOL_VERSION,
            "capabilities": {},
            "clientInfo": {"name": "protogen-stepflow", "version": "0"},
        }
        answer = await self._ask(link, INITIALIZE, params, GREET_SECONDS)
        if isinstance(answer, Failure):
            error = answer.error
            raise self._malformed(f"it answered initialize with the error {error.code}: {error.message}")
        try:
            spoken = msgspec.json.decode(answer.result, type=_InitializeResult).protocol_version
        except (msgspec.DecodeError, RecursionError) as error:
            raise self._malformed(f"its answer to initialize is none: {error}") from None
        await self._tell(link, "notifications/initialized", {})
        return Greeted(link, spoken)


def with_surroundings(program: Program) -> Program:
    """The program in our own environment with its own on top: servers are started by tools that look around in it."""
    return msgspec.structs.replace(program, env={**os.environ, **program.env})


def _text(content: list[Json]) -> str:
    """What the parts of a content say in words."""
    texts = [part["text"] for part in content if is_object(part) and isinstance(part.get("text"), str)]
    return " ".join(texts) or "the tool failed"


class _Nothing(msgspec.Struct, frozen=True):
    """A protocol without a table: what `_Client` serves is said there."""

    codec: Codec
    methods: Mapping[str, Method] = {}
    name: str = "mcp"
    path: str = "/"
    health_path: str | None = None
    instance_header: str = ""


class _Plain:
    """A codec for no types."""

    def decode(self, name: str, data: bytes | Raw) -> Any:
        """See Codec."""
        raise LookupError(name)

    def encode(self, value: Any) -> bytes:
        """See Codec."""
        return msgspec.json.encode(value)

    def encode_as(self, name: str, value: Any) -> bytes:
        """See Codec."""
        raise LookupError(name)


def _cancelled(request_id: RequestId, method: str) -> Notification | None:
    """What a server is told of a request that was given up; the handshake is never cancelled."""
    if method == INITIALIZE:
        return None
    params = {"requestId": request_id, "reason": "it was given up"}
    return Notification(method="notifications/cancelled", params=Raw(msgspec.json.encode(params)))


class _Client(Service):
    """What a server may ask of us: whether we are there. Its notifications are news that nothing here depends on."""

    def __init__(self) -> None:
        super().__init__(
            _Nothing(_Plain()), "client", object(), sdk=Sdk(StepFailed, StepFailed), usage=Usage(withdraw=_cancelled)
        )

    def start(self, work: Work, link: Link) -> Outcome | Coroutine[Any, Any, Outcome]:
        """See Service."""
        return _PONG if work.method == "ping" else METHOD_NOT_FOUND
