"""An endpoint under test, and the methods that are known of it."""

from __future__ import annotations

import itertools
import json
from typing import NamedTuple

from protogen_compliance.peer.http import parse_url
from protogen_compliance.peer.link import Answer, HttpLink, Seen, StdioLink
from protogen_compliance.peer.rpc import MISSING, Json
from protogen_compliance.peer.wire import Garbled, TimedOut, Unreachable
from protogen_compliance.plugin import Lost, Settings

METHOD_NOT_FOUND = -32601
SILENT_REQUESTS = 5
NO_SUCH_METHOD = "kit.no-such-method"


class Known(NamedTuple):
    """A method that succeeds with these params; `required` are names of params that must be there, by a description."""

    method: str
    params: Json
    required: tuple[str, ...] = ()


class Endpoint:
    """The endpoint, for one test."""

    _ids = itertools.count(1)

    def __init__(self, link: HttpLink | StdioLink, seen: Seen) -> None:
        self.link = link
        self._seen = seen

    def send(self, body: bytes | Json, *, patience: float | None = None) -> Answer:
        """Sends a message of any kind; JSON unless it is bytes. Raises Lost where nobody is there any more."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = self.link.exchange(data, patience=patience)
        gone = isinstance(answer.fault, Unreachable) or (
            isinstance(self.link, StdioLink) and isinstance(answer.fault, Garbled)
        )
        if gone:
            raise Lost(f"the endpoint went away: {answer.fault}")
        wanted = isinstance(body, dict) and "id" in body
        if self._seen.silence(silent=wanted and isinstance(answer.fault, TimedOut)) >= SILENT_REQUESTS:
            raise Lost(f"the endpoint stopped answering: {answer.fault}, {SILENT_REQUESTS} times in a row")
        return answer

    def message(self, method: str, params: Json = MISSING, /, *, id: Json = MISSING, **members: Json) -> Json:  # noqa: A002 - the member's name
        """A request with an id that nobody has used, or with the given one; params are left out where MISSING."""
        number = next(self._ids) if id is MISSING else id
        made = {"jsonrpc": "2.0", "id": number, "method": method, **members}
        if params is not MISSING:
            made["params"] = params
        return made

    def call(self, method: str, params: Json = MISSING, /, *, id: Json = MISSING) -> Answer:  # noqa: A002 - the member's name
        """Sends a well-formed request."""
        return self.send(self.message(method, params, id=id))

    def nothing(self, *, id: Json = MISSING, **members: Json) -> Answer:  # noqa: A002 - the member's name
        """A well-formed request of a method that is not there: the control that every endpoint allows."""
        return self.send(self.message(NO_SUCH_METHOD, id=id, **members))

    def notify(self, method: str, params: Json = MISSING) -> Answer:
        """Sends a notification; over stdio what comes within a while is taken for its answer."""
        made: Json = {"jsonrpc": "2.0", "method": method}
        if params is not MISSING:
            made["params"] = params
        return self.send(made)


def open_link(settings: Settings, seen: Seen) -> HttpLink | StdioLink:
    """A link to the target."""
    if settings.url:
        return HttpLink(parse_url(settings.url), seen, headers=settings.headers, patience=settings.timeout)
    return StdioLink(settings.command, seen, patience=settings.timeout)


def wanted(settings: Settings) -> list[Known]:
    """The methods that the user named, with their params; raises ValueError, which says what was expected."""
    found: list[Known] = []
    for text in settings.methods:
        name, sign, params = text.partition("=")
        value: Json = MISSING
        if sign:
            try:
                value = json.loads(params)
            except ValueError as reason:
                raise ValueError(
                    f"--method {name}: expected JSON params after '=', got {params!r} ({reason})"
                ) from None
            if not isinstance(value, dict | list):
                raise ValueError(f"--method {name}: params are an object or an array, got {params!r}")
        found.append(Known(name, value))
    return found


def described(document: Json) -> list[Known]:
    """The methods of an OpenRPC document that can be called without guessing: an example, or no required params."""
    listed = document.get("methods") if isinstance(document, dict) else None
    found: list[Known] = []
    for it in listed if isinstance(listed, list) else []:
        if not isinstance(it, dict) or not isinstance(it.get("name"), str):
            continue
        params = [param for param in it.get("params") or [] if isinstance(param, dict)]
        required = tuple(str(param.get("name")) for param in params if param.get("required"))
        for example in it.get("examples") or []:
            given = example.get("params") if isinstance(example, dict) else None
            if isinstance(given, list) and all(isinstance(one, dict) for one in given):
                by_name = {str(one.get("name")): one.get("value") for one in given}
                found.append(Known(it["name"], by_name, required))
                break
        else:
            if not required:
                found.append(Known(it["name"], {}, ()))
    return found
