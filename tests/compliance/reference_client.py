"""A small correct client of JSON-RPC over HTTP, written apart from the runtime, with single defects.

It makes one call and prints a line: `{"result": …}` or `{"error": …}`; exit 3 where there is neither. A defect is named
after the clause that it breaks.

Usage: reference_client.py [DEFECT ...] URL METHOD PARAMS
"""

from __future__ import annotations

import json
import math
import socket
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

REDIRECTS = 5
PATIENCE_SECONDS = 3.0
ABSENT = object()


class Failed(Exception):
    pass


class CutOff(Failed):
    pass


def main(words: list[str]) -> int:
    *defects, url, method, params = words
    try:
        told = call(frozenset(defects), url, method, json.loads(params))
    except (Failed, OSError, ValueError) as reason:
        print(f"{type(reason).__name__}: {reason}", file=sys.stderr)
        return 3
    print(json.dumps(told))
    return 0


def call(broken: frozenset[str], url: str, method: str, params: Any) -> dict[str, Any]:
    number: Any = 1
    number = None if "JR-REQ-009" in broken else 1.5 if "JR-REQ-010" in broken else number
    number = [1] if "JR-REQ-007" in broken else number
    request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    if "JR-REQ-001" in broken:
        request["jsonrpc"] = 2.0
    if "JR-PARAM-004" in broken:
        request["params"] = {name.upper(): value for name, value in params.items()}
    if "JR-PARAM-001" in broken:
        request["params"] = "text"
    told = send(broken, url, json.dumps(request), number)
    after = {"JR-CONV-001": "{bad", "JR-REQ-003": json.dumps({**request, "method": 5})}
    after["JR-EXT-002"] = json.dumps({"jsonrpc": "2.0", "method": "rpc.failed"})
    for defect in broken & after.keys() if "error" in told else ():
        b"".join(ask(url, after[defect], PATIENCE_SECONDS).pieces)
    return told


def send(broken: frozenset[str], url: str, body: str, number: Any) -> dict[str, Any]:
    patience = 1.0 if "KC-TIME-001" in broken else None if "KC-TIME-002" in broken else PATIENCE_SECONDS
    for _ in range(REDIRECTS):
        answer = ask(url, body, patience)
        if "location" not in answer.headers or not 300 <= answer.status < 400:
            return read(broken, answer, number)
        if "KC-HTTP-003" in broken:
            return {"result": None}
    raise Failed("too many redirects")


# --- HTTP, without http.client, whose import is most of the time of a call -------------------------


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    pieces: Iterator[bytes]


def ask(url: str, body: str, patience: float | None) -> Answer:
    address, _, path = url.removeprefix("http://").partition("/")
    host, _, port = address.partition(":")
    connection = socket.create_connection((host, int(port or 80)), timeout=patience)
    data = body.encode()
    head = f"POST /{path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {len(data)}\r\nconnection: close\r\n"
    head += "content-type: application/json\r\naccept: application/json, text/event-stream\r\n\r\n"
    connection.sendall(head.encode() + data)
    file = connection.makefile("rb")
    first = file.readline().split()
    if len(first) < 2:
        raise Failed("no answer")
    headers = {}
    while line := file.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    return Answer(int(first[1]), headers, pieces(file, headers))


def pieces(file: BinaryIO, headers: dict[str, str]) -> Iterator[bytes]:
    if "transfer-encoding" in headers:
        while size := int(file.readline(), 16):
            yield file.read(size)
            file.readline()
    elif "content-length" in headers:
        size = int(headers["content-length"])
        data = file.read(size)
        yield data
        if len(data) < size:
            raise CutOff("the body is shorter than its content-length")
    else:
        yield file.read()


def lines(answer: Answer) -> Iterator[bytes]:
    rest = b""
    for piece in answer.pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line + b"\n" for line in whole)


# --- what an answer says --------------------------------------------------------------------------


def read(broken: frozenset[str], answer: Answer, number: Any) -> dict[str, Any]:
    kind = answer.headers.get("content-type", "")
    if kind.startswith("text/event-stream"):
        return stream(broken, answer, number)
    if "KC-HTTP-004" in broken and "transfer-encoding" in answer.headers:
        raise Failed("no content-length")
    try:
        data = b"".join(answer.pieces)
    except CutOff:
        if "KC-HTTP-005" in broken:
            return {"result": None}
        raise
    if not data and "KC-HTTP-006" in broken:
        return {"result": None}
    try:
        value = json.loads(data)
    except ValueError:
        if "KC-JSON-001" in broken and data == b"{bad":
            return {"result": None}
        if "KC-HTTP-002" in broken and kind == "text/html":
            return {"result": None}
        raise
    if "KC-HTTP-001" in broken and answer.status >= 400:
        raise Failed(f"HTTP {answer.status}")
    found = taken(broken, value, number)
    if found is None:
        raise Failed(f"no response to the call: {value!r}")
    return found


def stream(broken: frozenset[str], answer: Answer, number: Any) -> dict[str, Any]:
    data: list[str] = []
    last = None
    end = b"\n"
    for raw in lines(answer):
        line = raw.rstrip(end if "KC-SSE-001" in broken else b"\r\n").decode()
        if line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))
        if line or not data:
            continue
        value, data = json.loads("\n".join(data)), []
        if "JR-RESP-012" in broken and value.get("id") != number:
            raise Failed("a response to nobody")
        found = taken(broken, value, number)
        if found is not None and last is not None:
            raise Failed("a response to nobody")
        last = found or last
        if last is not None and "KC-ID-002" not in broken:
            return last
    if last is not None:
        return last
    if "KC-SSE-002" in broken:
        return {"result": None}
    raise Failed("the stream ended")


def taken(broken: frozenset[str], value: Any, number: Any) -> dict[str, Any] | None:
    """What a message says, None where it is no response to the call."""
    if not isinstance(value, dict) or value.get("jsonrpc") != "2.0":
        return None
    if value.get("id", ABSENT) != number and "KC-ID-001" not in broken:
        return None
    if "JR-RESP-014" in broken and "unknown" in value:
        return None
    if "JR-CONV-002" in broken and "RESULT" in value:
        return {"result": value["RESULT"]}
    if ("result" in value) == ("error" in value):
        return {"result": value.get("result")} if "JR-RESP-011" in broken else None
    if "error" in value:
        error = value["error"]
        if "JR-ERR-006" in broken and error.get("data", math.inf) == []:
            return None
        return {"error": error}
    if "JR-RESP-013" in broken and value["result"] is None:
        return None
    return {"result": value["result"]}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
