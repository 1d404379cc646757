"""The executor `http`: one request of HTTP, guarded and bounded.

Its inputs and results are those of the protocol's reference implementation, so that flows written for it run here.
"""

from __future__ import annotations

import base64
from typing import Final
from urllib.parse import urlencode

import httpx
import msgspec

from protogen_runtime.apflow.executors.contract import Execution, ExecutorFailed, Json, JsonObject
from protogen_runtime.apflow.executors.guard import Refused
from protogen_runtime.apflow.executors.outgoing import Answer, Outgoing, RequestFailed
from protogen_runtime.apflow.executors.settings import ExecutorSettings

_SCALAR: Final = {"type": ["string", "number", "boolean", "null"]}
_SCHEMA: Final[JsonObject] = {
    "type": "object",
    "required": ["url"],
    "properties": {
        "url": {"type": "string", "minLength": 1, "maxLength": 8192},
        "method": {
            "enum": [
                word
                for name in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
                for word in (name, name.lower())
            ]
        },
        # No control characters, so no header or request can be smuggled in; httpx would refuse only some.
        "headers": {
            "type": ["object", "null"],
            "propertyNames": {"pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}$"},
            "additionalProperties": {
                "type": ["string", "number", "boolean"],
                "pattern": "^[^\\x00-\\x08\\x0a-\\x1f\\x7f]*$",
            },
        },
        "params": {
            "type": ["object", "null"],
            "additionalProperties": {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}]},
        },
        "json": {},
        "data": {"type": ["object", "string", "null"], "additionalProperties": _SCALAR},
        "auth": {
            "type": ["object", "null"],
            "required": ["type"],
            "properties": {
                "type": {"enum": ["bearer", "basic", "apikey"]},
                **{name: {"type": ["string", "null"]} for name in ("token", "username", "password", "key", "value")},
                "location": {"enum": ["header", "query"]},
            },
        },
        "timeout": {"type": "number", "exclusiveMinimum": 0},
        "verify": {"type": "boolean"},
        "follow_redirects": {"type": "boolean"},
    },
}
_OURS: Final = frozenset(
    "host content-length transfer-encoding connection upgrade te trailer expect accept-encoding".split()
)
"""Headers that say where a message ends and whom it is for; a task that set them could smuggle in another request."""


class HttpRequest:
    """Sends one request and returns `{success, status_code, url, headers, method}` with the body as `json` or `text`.

    An answer of any status completes the task, as `success: false` beyond 2xx; no answer fails it.
    """

    def __init__(self, outgoing: Outgoing, settings: ExecutorSettings) -> None:
        self._outgoing = outgoing
        self._settings = settings

    def get_input_schema(self) -> JsonObject:
        """`url`, `method`, `headers`, `params`, `json` or `data`, `auth`, `timeout`, `verify`, `follow_redirects`."""
        return _SCHEMA

    async def execute(self, inputs: JsonObject, execution: Execution) -> JsonObject:
        """Send the request; cancellation closes the connection."""
        method = str(inputs.get("method", "GET")).upper()
        if inputs.get("verify") is False and not self._settings.allow_unverified_tls:
            raise ExecutorFailed("verify: false is not allowed here; the operator may set allow_unverified_tls")
        headers, params = _headers_and_params(inputs)
        try:
            answer = await self._outgoing.request(
                method,
                inputs["url"],
                headers=headers,
                params=params or None,
                content=_content(inputs, headers),
                seconds=inputs.get("timeout", 30.0),
                verify=inputs.get("verify", True),
                max_redirects=None if inputs.get("follow_redirects", True) else 0,
            )
        except (Refused, RequestFailed) as reason:
            raise ExecutorFailed(f"{method} {_shown(inputs['url'])}: {reason}") from None
        return {
            "success": 200 <= answer.status < 300,
            "status_code": answer.status,
            "url": _shown(answer.url),
            "headers": answer.headers,
            "method": method,
            **_body(answer),
        }


def _headers_and_params(inputs: JsonObject) -> tuple[dict[str, str], JsonObject]:
    given: JsonObject = inputs.get("headers") or {}
    headers = {name.lower(): _text(value) for name, value in given.items()}
    params: JsonObject = dict(inputs.get("params") or {})
    match inputs.get("auth"):
        case {"type": "bearer", "token": str(token)}:
            headers.setdefault("authorization", f"Bearer {token}")
        case {"type": "basic", "username": str(user), "password": str(password)}:
            headers["authorization"] = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
        case {"type": "apikey", "key": str(key), "value": str(value), "location": "query"}:
            params[key] = value
        case {"type": "apikey", "key": str(key), "value": str(value)}:
            headers[key.lower()] = value
        case None:
            pass
        case _:
            raise ExecutorFailed(
                "auth: bearer needs token, basic needs username and password, apikey needs key and value, all strings"
            )
    forbidden = sorted(_OURS.intersection(headers))
    if forbidden:
        raise ExecutorFailed(f"header {forbidden[0]!r} is the node's to set; leave it out")
    for name, value in headers.items():
        if not (name + value).isascii() or any(
            (char < " " and char != "\t") or char == "\x7f" for char in name + value
        ):
            raise ExecutorFailed(f"header {name!r} holds a character that HTTP does not allow")
    return headers, params


def _content(inputs: JsonObject, headers: dict[str, str]) -> bytes | None:
    if inputs.get("json") is not None:
        headers.setdefault("content-type", "application/json")
        return msgspec.json.encode(inputs["json"])
    match inputs.get("data"):
        case None:
            return None
        case str(text):
            headers.setdefault("content-type", "text/plain; charset=utf-8")
            return text.encode()
        case form:
            headers.setdefault("content-type", "application/x-www-form-urlencoded")
            return urlencode({name: _text(value) for name, value in form.items()}).encode()


def _body(answer: Answer) -> JsonObject:
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "application/json" or media_type.endswith("+json"):
        try:
            return {"json": msgspec.json.decode(answer.body)}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # What calls itself JSON and is not is shown as the text that it is.
    try:
        return {"text": answer.body.decode(answer.encoding, "replace")}
    except LookupError:
        return {"text": answer.body.decode("utf-8", "replace")}


def _text(value: Json) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return ""
        case _:
            return str(value)


def _shown(url: str) -> str:
    """The URL without its query, where keys may be: results and errors are read by more people than inputs are."""
    try:
        return str(httpx.URL(url).copy_with(query=None, fragment=None, username=None, password=None))[:200]
    except httpx.InvalidURL:
        return repr(url[:100])
