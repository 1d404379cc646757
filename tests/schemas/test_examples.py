"""Examples of each protocol: what is marked valid conforms, and what is not fails in the one part it is about."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest

METHOD_TYPES = ("params", "result", "events")


@pytest.fixture(scope="session")
def jsonrpc(protocols: dict[str, Any]) -> Any:
    """The envelopes that every message must have."""
    return protocols["jsonrpc"]


def test_examples_are_written_in_their_format(described: Any, meta: Any) -> None:
    assert described.example_files
    for path in described.example_files:
        assert meta(json.loads(path.read_text("utf-8")), "Examples") == [], path.name


def test_names_of_examples_are_unique(described: Any) -> None:
    assert [name for name, n in Counter(e["name"] for e in described.examples).items() if n > 1] == []


def test_value_is_judged_as_it_is_marked(described: Any) -> None:
    values = [example for example in described.examples if "type" in example]
    wrong = [e["name"] for e in values if described.accepts(e["type"], e["value"]) is not e["valid"]]
    assert wrong == []


def test_exchange_is_judged_as_it_is_marked(described: Any, jsonrpc: Any) -> None:
    for example in described.examples:
        if "method" not in example:
            continue
        faults = [part for part, sound in _parts(example, described, jsonrpc).items() if not sound]
        assert faults == [] if example["valid"] else len(faults) == 1, (example["name"], faults)
        if not example["valid"]:
            assert ("error" in example) == (faults == ["request"]), example["name"]


def test_refused_request_is_answered_by_the_error_it_names(described: Any) -> None:
    codes = {error["code"] for error in described.document["x-errors"].values()} | {-32602, -32600}
    for example in described.examples:
        if "error" in example:
            assert example["error"] in codes, example["name"]
            if "response" in example:
                assert example["response"]["error"]["code"] == example["error"], example["name"]


def _parts(example: dict[str, Any], described: Any, jsonrpc: Any) -> dict[str, bool]:
    """Which parts of an exchange conform."""
    method = described.document["x-methods"][example["method"]]
    request = example["request"]
    envelope = "Notification" if method["kind"] == "notification" else "Request"
    sound = {
        "request": request.get("method") == example["method"]
        and jsonrpc.accepts(envelope, request)
        and _params_fit(request.get("params", {}), method, described)
    }
    if "events" in example:
        sound["events"] = all(described.accepts(method["events"]["$ref"], event) for event in example["events"])
    if "response" in example:
        response = example["response"]
        sound["response"] = (
            method["kind"] == "request"
            and jsonrpc.accepts("Response", response)
            and (response["id"] == request.get("id"))
            and _answer_fits(response, method, described, refused="error" in example)
        )
    return sound


def _params_fit(params: Any, method: dict[str, Any], described: Any) -> bool:
    if "params" not in method:
        return params == {}
    reference = method["params"]["$ref"]
    if isinstance(params, list) and method.get("paramStructure") in ("by-position", "either"):
        names = list(described.definitions[reference.rpartition("/")[2]]["properties"])
        params = dict(zip(names, params, strict=False))
    fits: bool = described.accepts(reference, params)
    return fits


def _answer_fits(response: dict[str, Any], method: dict[str, Any], described: Any, *, refused: bool) -> bool:
    if "result" in response:
        fits: bool = described.accepts(method["result"]["$ref"], response["result"])
        return fits
    error = response["error"]
    table = described.document["x-errors"]
    entries = {name: entry for name, entry in table.items() if entry["code"] == error["code"]}
    listed = [entry for name, entry in entries.items() if name in method.get("errors", ())]
    if not listed:
        # Codes outside the table are the application's own; those in it are for methods that list them, but any
        # request that does not conform may be refused as the table says.
        return refused or not entries
    data = error.get("data")
    return data is None or all("data" not in e or described.accepts(e["data"]["$ref"], data) for e in listed)


@pytest.mark.parametrize("protocol", ["stepflow/0.9", "stepflow/0.11", "apflow/1.0"])
def test_every_method_has_right_and_wrong_examples(protocol: str, protocols: dict[str, Any]) -> None:
    described = protocols[protocol]
    counted = Counter((e["method"], e["valid"]) for e in described.examples if "method" in e)
    few = [(m, valid) for m in described.document["x-methods"] for valid in (True, False) if counted[m, valid] < 3]
    assert few == []


def test_every_definition_is_exercised(described: Any) -> None:
    """Each definition is the type of an example, or is reached from one that is; shared ones are so elsewhere."""
    methods = described.document.get("x-methods", {})
    exchanged = [methods[name] for name in {e["method"] for e in described.examples if "method" in e}]
    references = [method[part]["$ref"] for method in exchanged for part in METHOD_TYPES if part in method]
    references += [error["data"]["$ref"] for error in described.document["x-errors"].values() if "data" in error]
    used = {e["type"] for e in described.examples if "type" in e} | {ref.rpartition("/")[2] for ref in references}
    waiting = list(used)
    while waiting:
        inner = set(re.findall(r"'#/(?:\$defs|definitions)/(\w+)'", repr(described.definitions[waiting.pop()])))
        waiting += inner - used
        used |= inner
    assert sorted(set(described.definitions) - used - described.shared.keys()) == []
