"""Raw requests: what is no JSON, no request, or an odd one, and what may come back.

What a request deserves is named by a word: `parse` an error -32700, `invalid` -32600, `method` -32601, `echo` a
response with its id, `silent` no result, `batch` one response a member, `stranger` a refusal, `any` whatever is no
failure of the server.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from protogen_compliance.fuzz import checks
from protogen_compliance.fuzz.checks import INTERNAL, Fault
from protogen_compliance.fuzz.description import Description, Json
from protogen_compliance.fuzz.endpoint import Answer
from protogen_compliance.peer.rpc import MISSING

DEPTH = 100_000
"""Nesting that no recursive parser survives."""


class Raw(NamedTuple):
    """A request as bytes."""

    body: bytes
    expect: str
    headers: Mapping[str, str | None] = {}


def fixed(
    method: str, params: Json, *, known: tuple[str, ...], departures: frozenset[str] = frozenset()
) -> Iterator[Raw]:
    """Requests that are the same for every protocol; `method` with `params` is one that is answered.

    `departures` are ways in which a protocol uses JSON-RPC otherwise: "no version" (a request without jsonrpc, or with
    null, may be served), "no batches" (a batch may be refused as a whole), "null params" (it stands for no params).
    """

    def request(**members: Json) -> bytes:
        whole = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params, **members}
        return json.dumps({name: value for name, value in whole.items() if value is not MISSING}).encode()

    good = request()
    for text in (b"", b"{", b"[", b'"', b"{]", b"nope", good[:-1], good[:-2], good + b"}", good + good, b"\xff" + good):
        yield Raw(text, "parse")
    for encoding in ("utf-16", "utf-32"):
        yield Raw(good.decode().encode(encoding), "parse")
    yield Raw(b"\xef\xbb\xbf" + good, "any")
    yield Raw(good.replace(b'"2.0"', b'"2.\xff"'), "parse")
    for value in (1, "text", None, True, 1.5, {}, {"jsonrpc": "2.0"}, {"id": 1}):
        yield Raw(json.dumps(value).encode(), "invalid")
    for version in ("1.0", "2", 2.0, 2, None, MISSING, "2.0 "):
        may_lack = "no version" in departures and (version is None or version is MISSING)
        yield Raw(request(jsonrpc=version), "any" if may_lack else "invalid")
    for no_name in (1, None, True, [method], {"name": method}, MISSING):
        yield Raw(request(method=no_name), "invalid")
    unknown = f"{method}.x" if f"{method}.x" not in known else "x" * 40
    for name in (unknown, "", " ", f"{method} ", f"{method}\u0000", "rpc.nothing", "__class__", "../" + method):
        if name not in known:
            yield Raw(request(method=name), "method")
    for number in (0, -1, 2**53, 2**63, 10**30, "", "1", "\u00e9\u4e2d\U0001f600", "x" * 500):
        yield Raw(request(id=number), "echo")
    for rare in (1.5, None):
        yield Raw(request(id=rare), "any")
    for no_id in (True, [1], {"a": 1}):
        yield Raw(request(id=no_id), "no-id")
    for value in (1, "text", True, 1.5):
        yield Raw(request(params=value), "refused")
    yield Raw(request(id=MISSING), "silent")
    yield Raw(request(id=MISSING, params=MISSING), "silent")
    yield Raw(request(id=MISSING, method=unknown), "silent")
    for it in _batches(good, request(id=2, method=unknown), request(id=MISSING)):
        yield it._replace(expect="any") if it.expect == "batch" and "no batches" in departures else it
    yield from _odd(good, params)


def _batches(good: bytes, unknown: bytes, notification: bytes) -> Iterator[Raw]:
    yield Raw(b"[]", "invalid")
    for members in ([good], [good, unknown], [good, notification], [b"1", good], [b"[]"], [good] * 5):
        yield Raw(b"[" + b",".join(members) + b"]", "batch")
    yield Raw(b"[" + notification + b"]", "silent")
    yield Raw(b"[" + good, "parse")


def _odd(good: bytes, params: Json) -> Iterator[Raw]:
    """Odd but harmless: whatever comes, the server must not fail."""
    yield Raw(good[:-1] + b', "id": 7}', "any")
    yield Raw(good[:-1] + b', "method": 7}', "any")
    yield Raw(good[:-1] + b', "params": []}', "any")
    yield Raw(good[:-1] + b', "x": {"y": [1, null]}, "": 0}', "any")
    yield Raw(b" \r\n\t" + good + b"\n\n", "any")
    for name, opening, closing in (("list", b"[", b"]"), ("object", b'{"a":', b"}")):
        deep = opening * DEPTH + (b"1" if name == "object" else b"") + closing * DEPTH
        yield Raw(good[:-1] + b', "deep": ' + deep + b"}", "any")
        yield Raw(b'{"jsonrpc": "2.0", "id": 1, "method": "x", "params": ' + deep + b"}", "any")
        yield Raw(deep, "any")
    for number in (b"1e999", b"-1e999", b"1" * 5000, b"0.1e-999", b"NaN", b"-Infinity"):
        yield Raw(good[:-1] + b', "n": ' + number + b"}", "any")
        yield Raw(b'{"jsonrpc": "2.0", "id": ' + number + b', "method": "x"}', "any")
    for text in (b"\\ud800", b"\\udc00\\ud800", b"\\u0000", b"\x01", b"\x7f", b"\xed\xa0\x80"):
        yield Raw(good[:-1] + b', "t": "' + text + b'"}', "any")
        yield Raw(b'{"jsonrpc": "2.0", "id": "' + text + b'", "method": "x"}', "any")
        if isinstance(params, dict):
            yield Raw(good[:-1] + b', "params": {"' + text + b'": 1}}', "any")
    for kind in (None, "text/plain", "application/json; charset=utf-16", "application/x-www-form-urlencoded", "é"):
        yield Raw(good, "any", {"content-type": kind})
    for accept in (None, "text/html", "*/*;q=0", "text/event-stream"):
        yield Raw(good, "any", {"accept": accept})


def mutated(chance: random.Random, bodies: list[bytes]) -> Raw:
    """A request of `bodies`, changed in a few places; a body that still is JSON may be anything."""
    body = bytearray(chance.choice(bodies))
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(len(body) + 1)
        until = min(len(body), at + chance.choice((1, 1, 2, 8, 40)))
        match chance.randrange(6):
            case 0:
                del body[at:until]
            case 1:
                body[at:at] = body[at:until]
            case 2:
                body[at:until] = bytes(chance.randrange(256) for _ in range(until - at))
            case 3:
                body[at:at] = chance.choice(TOKENS)
            case 4:
                body[at:until] = chance.choice(TOKENS)
            case _:
                del body[at:]
    return Raw(bytes(body), "any")


TOKENS = (
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b'"',
        b"\\",
        b"null",
        b"true",
        b"-",
        b"0",
        b"1e9",
        b"1E400",
        b"\x00",
        b"\xff",
    ),
    *(
        b'"id"',
        b'"jsonrpc"',
        b'"2.0"',
        b'"method"',
        b'"params"',
        b'"result"',
        b'"error"',
        b"{}",
        b"[]",
        b"\\u0000",
        b"//",
    ),
)


def judge(answer: Answer, sent: bytes, expect: str, description: Description) -> Iterator[Fault]:
    """What is wrong with the answer to raw bytes."""
    yield from checks.transport(answer, "")
    if answer.fault is not None or (answer.exchange.head and answer.exchange.head.status >= 500):
        return

    def fault(check: str, text: str, *, should: bool = False) -> Fault:
        shown = sent if len(sent) <= 80 else sent[:77] + b"..."
        level: Literal["must", "should"] = "should" if should else "must"
        return Fault(check=check, method="", text=f"{text}; the request was {shown!r}", level=level)

    refused = answer.exchange.head is not None and 400 <= answer.exchange.head.status < 500
    value = answer.value
    responses = value if isinstance(value, list) else [value] if value is not MISSING else []
    if answer.exchange.body.strip() and value is MISSING and not refused:
        yield fault("envelope", f"the answer is no JSON: {answer.exchange.body[:80]!r}")
        return
    if refused and not any(isinstance(it, dict) and "jsonrpc" in it for it in responses):
        return  # HTTP itself refused it, in its own words
    for response in responses:
        broken = checks.envelope(response, response.get("id", MISSING) if isinstance(response, dict) else None)
        if broken is not None:
            yield fault("envelope", broken)
            return
        code = response["error"]["code"] if "error" in response else MISSING
        if code == INTERNAL:
            yield fault("internal", f"the server failed: {response['error']['message']!r}")
            return
        if code is not MISSING and code not in description.codes:
            yield fault("catalogue", f"the code {code} is not in the protocol's catalogue")
            return
        if not isinstance(response["id"], str | int | float | None) or isinstance(response["id"], bool):
            yield fault("raw-id", f"the id {response['id']!r} is no string, number or null")
            return
    yield from _as_expected(answer, sent, expect, responses, fault, refused=refused)


def _as_expected(
    answer: Answer, sent: bytes, expect: str, responses: list[Json], fault: Json, *, refused: bool
) -> Iterator[Fault]:
    one = answer.value if isinstance(answer.value, dict) else {}
    code = answer.code
    told = answer.summary()
    match expect:
        case "parse" if code != -32700 and not (refused and code == -32600):
            yield fault("raw-parse", f"what is no JSON got {told}; expected error -32700")
        case "parse" if one.get("id", MISSING) is not None:
            yield fault("raw-parse-id", f"the id of a parse error is {one.get('id', MISSING)!r}; expected null")
        case "invalid" if code != -32600:
            yield fault("raw-invalid", f"what is no request got {told}; expected error -32600")
        case "method" if code != -32601:
            yield fault("raw-method", f"an unknown method got {told}; expected error -32601")
        case "refused" if code is MISSING:
            yield fault("raw-params", f"params that are neither object nor array got {told}; expected an error")
        case "no-id" if code is MISSING:
            yield fault("raw-id", f"an id that is no string, number or null was accepted: {told}")
        case "echo":
            asked = json.loads(sent)["id"]
            if not checks.same_id(one.get("id", MISSING), asked):
                yield fault("envelope", f"the id is {one.get('id', MISSING)!r}; expected {asked!r}")
        case "stranger" if code is MISSING and not refused:
            yield fault("stranger", f"a request without the right credentials got {told}")
        case "silent" if any("result" in it for it in responses) or (responses and code != -32600):
            yield fault("notification", f"a notification was answered by {told}")
        case "batch":
            yield from _batch(answer, sent, fault)
        case "any" if any("result" in it for it in responses) and not _is_json(sent):
            yield fault("raw-lenient", f"what is no JSON was accepted: {told}", should=True)
        case _:
            pass


def _batch(answer: Answer, sent: bytes, fault: Json) -> Iterator[Fault]:
    """JSON-RPC 2.0 section 6: one response a member, notifications left out."""
    members = json.loads(sent)
    calls = [it["id"] if isinstance(it, dict) else None for it in members if not isinstance(it, dict) or "id" in it]
    if isinstance(answer.value, dict) and answer.code == -32600:
        yield fault("raw-batch", "batches are not supported: a single error -32600 came", should=True)
    elif not isinstance(answer.value, list):
        yield fault("raw-batch", f"a batch got {answer.summary()}; expected an array of responses")
    elif sorted(map(repr, (it["id"] for it in answer.value))) != sorted(map(repr, calls)):
        got = [it["id"] for it in answer.value]
        if len(got) > len(calls) and None in got and len(calls) < len(members):
            yield fault("notification", f"a notification was answered by {answer.summary()}")
            return
        if sorted(map(str, got)) == sorted(map(str, calls)):
            yield fault("envelope", f"the id is {got[0]!r}; expected {calls[0]!r}")
            return
        yield fault("raw-batch", f"a batch with the ids {calls!r} got responses with {got!r}")


def _is_json(body: bytes) -> bool:
    def refuse(text: str) -> Json:
        raise ValueError(text)

    try:
        json.loads(body.decode("utf-8"), parse_int=len, parse_float=len, parse_constant=refuse)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True
