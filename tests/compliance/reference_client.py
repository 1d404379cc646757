"""A small correct client of JSON-RPC over HTTP, written apart from the runtime, with single defects.

It makes one call and prints a line: `{"result": …}` or `{"error": …}`; exit 3 where there is neither. A defect is named
after the clause that it breaks.

Usage: reference_client.py [DEFECT ...] URL METHOD PARAMS
"""

from __future__ import annotations

import http.client
import json
import math
import sys
from typing import Any
from urllib.parse import urlsplit

REDIRECTS = 5
ABSENT = object()


class Failed(Exception):
    pass


def main(words: list[str]) -> int:
    *defects, url, method, params = words
    try:
        told = call(frozenset(defects), url, method, json.loads(params))
    except (Failed, OSError, http.client.HTTPException, ValueError) as reason:
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
    body = json.dumps(request)
    for _ in range(REDIRECTS):
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        connection.request("POST", parts.path or "/", body, headers)
        answer = connection.getresponse()
        location = answer.getheader("location")
        if location is not None and 300 <= answer.status < 400:
            if "KC-HTTP-003" in broken:
                return {"result": None}
            continue
        return read(broken, answer, number)
    raise Failed("too many redirects")


def read(broken: frozenset[str], answer: http.client.HTTPResponse, number: Any) -> dict[str, Any]:
    kind = answer.getheader("content-type") or ""
    if kind.startswith("text/event-stream"):
        return stream(broken, answer, number)
    if "KC-HTTP-004" in broken and answer.getheader("transfer-encoding"):
        raise Failed("no content-length")
    try:
        data = answer.read()
    except http.client.IncompleteRead:
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


def stream(broken: frozenset[str], answer: http.client.HTTPResponse, number: Any) -> dict[str, Any]:
    data: list[str] = []
    last = None
    end = b"\n"
    for raw in answer:
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
