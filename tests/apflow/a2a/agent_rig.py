"""A node that is spoken to as an agent: without sockets, or as a process."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from email.message import Message as HttpMessage
from pathlib import Path
from typing import Any

import asking
import msgspec
import trio
from msgspec import Raw

from protogen_runtime.apflow.executors import ExecutorRegistry
from protogen_runtime.apflow.executors.settings import ExecutorSettings
from protogen_runtime.apflow.push import PushSettings
from protogen_runtime.dispatch import Service
from protogen_runtime.jsonrpc import Call, ErrorObject
from protogen_runtime.nodes.apflow import Settings, open_node

SECONDS = 20
"""What a test may take that waits for nothing but the machine."""
ENDED_SECONDS = 60
LOCAL = ExecutorSettings(allow_private_addresses=True)
FAST = PushSettings(initial_seconds=0.01, max_attempts=3, request_seconds=5)


class Link:
    """What a transport gives to a call; answers that come before the last one are kept."""

    deadline = None
    channel: Any = None
    emit = None
    has_answered = False

    def __init__(self, message: Mapping[str, Any], user: str | None, headers: Mapping[str, str], streams: bool) -> None:
        self.headers = headers
        self.identity = user
        self.frame = msgspec.json.encode(message)
        self._streams = streams
        self.send, self.answers = trio.open_memory_channel[Any](1000)

    @property
    def answer(self) -> Any:
        return self._keep if self._streams else None

    async def _keep(self, result: Raw, is_last: bool) -> None:
        self.has_answered = is_last
        await self.send.send(json.loads(bytes(result)))


class Failed(Exception):
    """An error that was answered."""

    def __init__(self, error: ErrorObject) -> None:
        super().__init__(error.code, error.message)
        self.code = error.code
        self.message = error.message
        self.data = json.loads(bytes(error.data)) if isinstance(error.data, Raw) else None


class Speaker:
    """Calls methods of a node as one user; `version` is the version header, None for none."""

    def __init__(self, service: Service, user: str | None = None, version: str | None = None) -> None:
        self._service = service
        self._user = user
        self._headers = {} if version is None else {"a2a-version": version}

    def as_(self, user: str) -> Speaker:
        return Speaker(self._service, user)

    def asking_for(self, version: str) -> Speaker:
        return Speaker(self._service, self._user, version)

    async def call(self, method: str, params: Any = None) -> Any:
        """The result. Errors: Failed."""
        return await self._run(self._link(method, params, streams=False), method, params)

    @asynccontextmanager
    async def stream(self, method: str, params: Any) -> AsyncGenerator[trio.MemoryReceiveChannel[Any]]:
        """The results as they come, all of them; the call is given up when the block is left."""
        link = self._link(method, params, streams=True)
        async with trio.open_nursery() as nursery:

            async def run() -> None:
                with link.send:
                    last = await self._run(link, method, params)
                    if not link.has_answered:
                        await link.send.send(last)

            nursery.start_soon(run)
            with link.answers:
                yield link.answers
            nursery.cancel_scope.cancel()

    async def streamed(self, method: str, params: Any) -> list[Any]:
        """All results of a stream that ends."""
        async with self.stream(method, params) as answers:
            return [each async for each in answers]

    def _link(self, method: str, params: Any, *, streams: bool) -> Link:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return Link(message, self._user, self._headers, streams)

    async def _run(self, link: Link, method: str, params: Any) -> Any:
        text = Raw() if params is None else Raw(msgspec.json.encode(params))
        outcome = self._service.start(Call(id=1, method=method, params=text), link)
        if not isinstance(outcome, Raw | ErrorObject):
            outcome = await outcome
        if isinstance(outcome, ErrorObject):
            raise Failed(outcome)
        return json.loads(bytes(outcome))


@asynccontextmanager
async def node(database: str = "memory:", **settings: Any) -> AsyncGenerator[Speaker]:
    """A node with the executors of `asking`, in this process."""
    given = {"executors": LOCAL, "push": FAST, **settings}
    with trio.fail_after(SECONDS):
        async with open_node(Settings(database=database, **given), register=_register) as service:
            yield Speaker(service)


def _register(registry: ExecutorRegistry) -> None:
    registry.add_module(asking)


def message(text: str | None = None, *, data: Any = None, **members: Any) -> dict[str, Any]:
    """Params that send a message of 1.0; `members` are the message's."""
    parts: list[dict[str, Any]] = [] if text is None else [{"text": text}]
    parts += [] if data is None else [{"data": data}]
    return {"message": {"messageId": "m-1", "role": "ROLE_USER", "parts": parts, **members}}


def old_message(text: str, **members: Any) -> dict[str, Any]:
    """Params that send a message of 0.3."""
    parts = [{"kind": "text", "text": text}]
    return {"message": {"kind": "message", "messageId": "m-1", "role": "user", "parts": parts, **members}}


def skill(name: str) -> dict[str, Any]:
    """Members of a message that name a skill."""
    return {"metadata": {"skill": name}}


def at_once(params: dict[str, Any], **configuration: Any) -> dict[str, Any]:
    """Params that want an answer at once."""
    return {**params, "configuration": {"returnImmediately": True, **configuration}}


@contextmanager
def process(folder: Path, config: str = "") -> Generator[str]:
    """A node as a process, with the executors of `asking`; its URL. It has ended when the block is left."""
    file = folder / "serve.toml"
    modules = f'modules = ["{Path(asking.__file__).as_posix()}"]\nallow_private_addresses = true\n'
    file.write_text(f"[executors]\n{modules}{config}", "utf-8")
    command = [*(sys.executable, "-P", "-m", "protogen", "serve", "apflow", "--port", "0", "--announce")]
    command += ["--db", f"sqlite:///{folder / 'apflow.db'}", "--config", str(file)]
    served = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert served.stdout is not None
    try:
        yield f"http://127.0.0.1:{json.loads(served.stdout.readline())['port']}/"
        served.terminate()
        assert served.wait(ENDED_SECONDS) == 0
    finally:
        served.kill()
        served.wait()
        served.stdout.close()


def fetch(url: str, body: Any = None, headers: Mapping[str, str] | None = None) -> tuple[int, HttpMessage, bytes]:
    """Status, headers and body of a GET, or of a POST where there is a body to send."""
    data = None if body is None else json.dumps(body).encode()
    given = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, data, given)
    try:
        with urllib.request.urlopen(request, timeout=ENDED_SECONDS) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.headers, refused.read()
