"""/openai: a completion of a chat, from any server that offers `POST …/chat/completions` as OpenAI does.

Knows no model. The key is sent to that server alone, and is in no error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import httpx
import msgspec

from protogen_runtime.stepflow.plugins.config import BuiltinSettings
from protogen_runtime.stepflow.plugins.contract import BAD_REQUEST, Json, StepContext, StepFailed

from .component import describe, read_input
from .messages import ChatMessage

DEFAULT_URL: Final = "https://api.openai.com/v1"

FAILED: Final = -32100
UNREACHABLE: Final = -32102
"""0.11's codes for a component that failed, and for a resource that it needs (spec section 4)."""

ANSWER_SECONDS: Final = 300.0
"""How long the server may take: models that think take minutes."""

MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
"""What a frame may have; the longest completions of today are a hundredth of it."""


class _Input(msgspec.Struct):
    messages: list[ChatMessage]
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    temperature: float | None = None
    api_key: str | None = None


class _Output(msgspec.Struct):
    response: str


class _Content(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Content


class _Completion(msgspec.Struct):
    choices: list[_Choice]


class _Told(msgspec.Struct):
    message: str


class _Refusal(msgspec.Struct):
    error: _Told


class OpenAI:
    """{messages, max_tokens?, temperature?, api_key?} to {response}.

    The server is the configured one, else that of OPENAI_BASE_URL; the key is the input's, else OPENAI_API_KEY. Without
    a key, none is sent to a server of one's own.
    """

    info = describe("/openai", "A completion of a chat by a model.", _Input, _Output)

    def __init__(self, settings: BuiltinSettings, environment: Mapping[str, str]) -> None:
        url = settings.openai_url or environment.get("OPENAI_BASE_URL") or DEFAULT_URL
        self._url = f"{url.rstrip('/')}/chat/completions"
        self._needs_key = url.rstrip("/") == DEFAULT_URL
        self._key = environment.get("OPENAI_API_KEY")
        self._model = settings.openai_model

    async def execute(self, value: Json, context: StepContext) -> Json:
        """See Component."""
        del context
        given = read_input("/openai", value, _Input)
        key = given.api_key or self._key
        if not key and self._needs_key:
            raise StepFailed(BAD_REQUEST, "/openai: there is no key; set OPENAI_API_KEY, or give api_key in the input")
        body: dict[str, Json] = {"model": self._model, "messages": msgspec.to_builtins(given.messages)}
        if given.max_tokens is not None:
            body["max_tokens"] = given.max_tokens
        if given.temperature is not None:
            body["temperature"] = given.temperature
        headers = {"authorization": f"Bearer {key}"} if key else {}
        status, answer = await self._post(body, headers)
        if not 200 <= status < 300:
            raise StepFailed(FAILED, f"/openai: {self._url} answered with HTTP status {status}{_reason(answer)}")
        try:
            choices = msgspec.json.decode(answer, type=_Completion).choices
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise StepFailed(FAILED, f"/openai: the answer of {self._url} is no completion: {error}") from None
        if not choices:
            raise StepFailed(FAILED, f"/openai: the answer of {self._url} has no choices")
        return {"response": choices[0].message.content or ""}

    async def _post(self, body: Json, headers: Mapping[str, str]) -> tuple[int, bytes]:
        try:
            async with (
                httpx.AsyncClient(timeout=httpx.Timeout(ANSWER_SECONDS, connect=10)) as http,
                http.stream("POST", self._url, json=body, headers=headers) as response,
            ):
                answer = bytearray()
                async for piece in response.aiter_bytes():
                    answer += piece
                    if len(answer) > MAX_ANSWER_BYTES:
                        raise StepFailed(FAILED, f"/openai: the answer has more than {MAX_ANSWER_BYTES} bytes")
                return response.status_code, bytes(answer)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            raise StepFailed(UNREACHABLE, f"/openai: {self._url}: {reason}") from None
        except (UnicodeEncodeError, ValueError):
            raise StepFailed(BAD_REQUEST, "/openai: the key holds characters that no header may have") from None


def _reason(answer: bytes) -> str:
    try:
        return f": {msgspec.json.decode(answer, type=_Refusal).error.message[:300]}"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
