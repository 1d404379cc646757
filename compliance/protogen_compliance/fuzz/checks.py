"""Checks: what must hold of any answer, whatever the protocol. Each yields what is wrong, worst first.

MUST by JSON-RPC 2.0 and by the protocol's own document; what is graded SHOULD is a warning.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from protogen_compliance.fuzz.description import STANDARD_CODES, Description, Json
from protogen_compliance.fuzz.endpoint import Answer
from protogen_compliance.peer.rpc import MISSING
from protogen_compliance.peer.wire import TimedOut, Unreachable

INTERNAL = -32603
INVALID_PARAMS = -32602

TRACES = re.compile(
    r"""Traceback\ \(most\ recent\ call\ last\) | File\ "[^"]+",\ line\ \d+ | \.py",?\ line\ \d+ | site-packages
      | \bat\ [\w$.<>\ ]*\(?(?:file://)?[^\s()]+\.[cm]?[jt]s:\d+:\d+ | goroutine\ \d+\ \[ | \b[\w/.-]+\.go:\d+
      | \bat\ [\w.$]+\([\w]+\.java:\d+\) | panicked\ at\ | (?<![\w/])/(?:home|usr|var|root|opt|tmp|work|app)/[\w./-]+
      | [A-Z]:\\(?:Users|Program|Windows)""",
    re.VERBOSE,
)
"""Traces of a program's inside: stack traces of several languages and paths of files."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong: the same check, method and code are the same fault."""

    check: str
    method: str
    code: int | None = None
    text: str
    level: Literal["must", "should"] = "must"

    @property
    def key(self) -> tuple[str, str, int | None]:
        """What makes two faults the same."""
        return self.check, self.method, self.code


class Away(Exception):
    """The target no longer takes connections, or no longer answers."""


def judge(answer: Answer, description: Description) -> Iterator[Fault]:
    """All faults of the answer to a well-formed request; where there is no envelope nothing else is judged."""
    method = answer.sent.method

    def fault(check: str, text: str, code: int | None = None, *, should: bool = False) -> Fault:
        return Fault(check=check, method=method, code=code, text=text, level="should" if should else "must")

    yield from transport(answer, method)
    if answer.fault is not None or answer.status >= 500:
        return
    if answer.sent.id is MISSING:
        odd = answer.code == -32600 and not isinstance(answer.sent.params, dict | list)
        if answer.exchange.body.strip() and not odd:
            yield fault("notification", f"a notification was answered by {answer.summary()}")
        return
    # Params that are neither object nor array make it no request, and such has no id (section 5).
    odd = answer.sent.params is not MISSING and not isinstance(answer.sent.params, dict | list)
    nameless = odd and answer.code == -32600 and answer.value.get("id", MISSING) is None
    broken = envelope(answer.value, None if nameless else answer.sent.id)
    if broken is not None:
        yield fault("envelope", f"{broken}; {answer.summary()}")
        return
    kind = answer.exchange.head.media_type if answer.exchange.head else ""
    if kind not in ("application/json", "text/event-stream"):
        yield fault("content-type", f"the content type is {kind!r}; expected application/json")
    if answer.error is None:
        yield from _result(answer, description)
    else:
        yield from _error(answer, description)


def transport(answer: Answer, method: str) -> Iterator[Fault]:
    """What holds of any answer to any bytes: it comes, in time, and is no failure of the server."""
    match answer.fault:
        case Unreachable() as reason:
            raise Away(str(reason))
        case TimedOut() as reason:
            yield Fault(check="time", method=method, text=str(reason))
        case None:
            pass
        case reason:
            yield Fault(check="transport", method=method, text=f"the answer cannot be read: {reason}")
    status = answer.exchange.head.status if answer.exchange.head else 0
    if status >= 500:
        yield Fault(check="http-status", method=method, code=status, text=f"HTTP {status}: {answer.summary()}")
    leak = found_leak(answer)
    if leak is not None:
        yield Fault(check="leak", method=method, text=f"the answer shows the program's inside: {leak!r}")


def envelope(value: Json, request_id: Json) -> str | None:
    """What keeps a value from being the response to a request; None where nothing does."""
    if not isinstance(value, dict):
        return "the answer is no JSON object" if value is not MISSING else "the answer is no JSON"
    if value.get("jsonrpc") != "2.0":
        return f'jsonrpc is {value.get("jsonrpc")!r}; expected "2.0"'
    if ("result" in value) == ("error" in value):
        both = "both result and error" if "result" in value else "neither result nor error"
        return f"the answer has {both}; expected exactly one"
    got = value.get("id", MISSING)
    if not same_id(got, request_id):
        return f"the id is {got!r}; expected {request_id!r}"
    return error_object(value["error"]) if "error" in value else None


def error_object(error: Json) -> str | None:
    """What keeps a value from being an error of JSON-RPC 2.0 (section 5.1)."""
    if not isinstance(error, dict):
        return f"error is {error!r}; expected an object"
    if not isinstance(error.get("code"), int) or isinstance(error.get("code"), bool):
        return f"the error's code is {error.get('code', MISSING)!r}; expected an integer"
    if not isinstance(error.get("message"), str):
        return f"the error's message is {error.get('message', MISSING)!r}; expected a string"
    return None


def same_id(got: Json, asked: Json) -> bool:
    """Whether an id came back as it was, in value and type."""
    return isinstance(got, bool) == isinstance(asked, bool) and type(got) in _kinds(asked) and got == asked


def _kinds(asked: Json) -> tuple[type, ...]:
    number = isinstance(asked, int | float) and not isinstance(asked, bool)
    return (int, float) if number else (type(asked),)


def _result(answer: Answer, description: Description) -> Iterator[Fault]:
    operation = description.operations.get(answer.sent.method)
    if operation is None:
        return
    method = operation.method
    if answer.sent.params is not MISSING:
        wrong = operation.params(answer.sent.params)
        if wrong is not None:
            yield Fault(check="accepted", method=method, text=f"params that the schema refuses were accepted: {wrong}")
    for name, value in answer.events if operation.events is not None else ():
        event = value if name == "message" else {"event": name, "data": value}
        if operation.events is not None and (wrong := operation.events(event)) is not None:
            yield Fault(check="event", method=method, text=f"the event {name!r} is not what the schema says: {wrong}")
    wrong = operation.result(answer.result)
    if wrong is not None:
        yield Fault(check="result", method=method, text=f"the result is not what the schema says: {wrong}")


def _error(answer: Answer, description: Description) -> Iterator[Fault]:
    method, code, error = answer.sent.method, answer.code, answer.error or {}
    if not error["message"].strip():
        yield Fault(check="message", method=method, code=code, text="the error has an empty message")
    if code == INTERNAL:
        yield Fault(check="internal", method=method, code=code, text=f"the server failed: {answer.summary()}")
    elif code not in description.codes:
        text = f"the code {code} is not in the protocol's catalogue; {answer.summary()}"
        yield Fault(check="catalogue", method=method, text=text)
    elif (
        code in description.error_data
        and _says_more(code, error)
        and (wrong := description.error_data[code](error.get("data"))) is not None
    ):
        told = "absent" if "data" not in error else json.dumps(error["data"])[:200]
        text = f"the data of error {code} is {told}: {wrong}"
        yield Fault(check="error-data", method=method, code=code, text=text, level="should")


def _says_more(code: Json, error: dict[str, Json]) -> bool:
    """Whether data is there, or should be: what is no request at all is told by its code alone."""
    return "data" in error or code not in STANDARD_CODES


def found_leak(answer: Answer) -> str | None:
    """A stack trace or a path of a file in an answer that did not come from the request itself; None for none."""
    if answer.error is None and 200 <= answer.status < 300:
        return None  # results hold what clients put in, and what programs are for
    text = answer.exchange.body.decode("utf-8", "replace")
    if answer.error is not None:
        text = "\n".join(_texts(answer.error))
    asked = answer.exchange.sent.decode("utf-8", "replace")
    for found in TRACES.finditer(text):
        if found[0] not in asked:
            return text[max(0, found.start() - 20) : found.end() + 80]
    return None


def _texts(value: Json) -> Iterator[str]:
    """Every string in a JSON value."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            pending += item.values()
        elif isinstance(item, list):
            pending += item
