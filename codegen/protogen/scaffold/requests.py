"""Requests that the tests of a new node send: for each method one that is valid and one that is not."""

from __future__ import annotations

import random
from typing import Any

from protogen import ir
from protogen.mocking import Values
from protogen.samples import make
from protogen.samples.text import read

Json = Any

MOST_SAMPLES = 200
LONGEST = 4000
"""Characters of the text of broken params: what people may have to read."""


def requests(protocol: ir.Protocol, role: str) -> list[dict[str, Json]]:
    """`name`, `method`, `valid`, and `params` where there are some, in the order of the methods."""
    values = Values(protocol)
    found: list[dict[str, Json]] = []
    for method in ir.served(protocol, role):
        if method.kind == "notification":
            continue
        taken, params = _valid(protocol, method, values)
        if taken:
            found.append({"name": method.name, "method": method.name, "valid": True, **params})
        broken = _broken(protocol, method)
        if broken is not None:
            name = f"{method.name} with broken params"
            found.append({"name": name, "method": method.name, "valid": False, "params": broken})
    return found


def _valid(protocol: ir.Protocol, method: ir.Method, values: Values) -> tuple[bool, dict[str, Json]]:
    """Whether valid params are known, and they: those of an example, else made from their type."""
    for example in protocol.examples:
        sent = example.request
        if example.valid and example.method == method.name and isinstance(sent, dict):
            return True, {"params": sent["params"]} if "params" in sent else {}
    if not isinstance(method.params, ir.NamedType):
        return method.params is None, {}
    try:
        made = values.value(method.params.name, random.Random(method.name))
    except LookupError:
        return False, {}
    params = _positional(protocol, method, made) if method.param_structure == "by-position" else made
    return isinstance(params, dict | list), {"params": params}


def _positional(protocol: ir.Protocol, method: ir.Method, params: Json) -> Json:
    """Params as an array in the order of their members; None where one that is absent stands before another."""
    if not isinstance(method.params, ir.NamedType) or not isinstance(params, dict):
        return None
    definition = ir.definition_table(protocol)[method.params.name]
    if not isinstance(definition, ir.Record):
        return None
    order = [field.wire for field in definition.fields]
    there = [wire for wire in order if wire in params]
    return [params[wire] for wire in there] if there == order[: len(there)] and len(there) == len(params) else None


def _broken(protocol: ir.Protocol, method: ir.Method) -> Json | None:
    """The shortest object that is no valid params, where there is one."""
    if not isinstance(method.params, ir.NamedType) or method.param_structure == "by-position":
        return None
    definitions: dict[str, Json] = protocol.schema["definitions"]
    samples = make(definitions, names=[method.params.name], most=MOST_SAMPLES).samples
    texts = [it.text for it in samples if not it.valid and it.text.startswith("{") and "\\ud" not in it.text.lower()]
    text = min((text for text in texts if len(text) < LONGEST), key=lambda text: (len(text), text), default=None)
    return None if text is None else read(text)
