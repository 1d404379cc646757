"""A protocol as its document describes it, seen from the side that calls one of its roles."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from protogen import ir
from protogen.build import read_protocol
from protogen.samples import Judge, Sample, make
from protogen.samples.text import read
from protogen_compliance.peer.rpc import Json

STANDARD = (-32700, -32600, -32601, -32602, -32603)
VALID_EACH, BROKEN_EACH = 12, 48
"""Samples for one method: as many as show the rules of a type without flooding the endpoint. Broken ones cost little,
and each rule of each member is broken in a way of its own."""


class NoProtocol(Exception):
    """The document is none, or has no method for the role; the text says why."""


class Described:
    """The protocol, and the role that is judged. Raises NoProtocol."""

    def __init__(self, path: Path, role: str | None) -> None:
        protocol, problems = read_protocol(path, root=path.parent)
        if protocol is None:
            raise NoProtocol(f"{path} is no protocol document: {problems[0].what}")
        self.protocol = protocol
        receivers = [it.receiver for it in protocol.methods if it.kind == "request"]
        if role is not None and role not in receivers:
            there = ", ".join(dict.fromkeys(receivers))
            raise NoProtocol(f"{path} has no method of the role {role!r}; choose one of {there or 'none'}")
        if not receivers:
            raise NoProtocol(f"{path} has no method to call")
        self.role = role or max(dict.fromkeys(receivers), key=receivers.count)

    @property
    def requests(self) -> list[ir.Method]:
        """The methods to call, deprecated ones included."""
        return [it for it in self.protocol.methods if it.receiver == self.role and it.kind == "request"]

    @property
    def notifications(self) -> list[ir.Method]:
        """The notifications to send."""
        return [it for it in self.protocol.methods if it.receiver == self.role and it.kind == "notification"]

    @cached_property
    def judge(self) -> Judge:
        """Says whether values fit types."""
        definitions: dict[str, Json] = self.protocol.schema["definitions"]
        return Judge(definitions)

    def fits(self, type_: ir.Type | None, value: Json) -> bool:
        """Whether a value fits a named type; any value fits what has no name."""
        return not isinstance(type_, ir.NamedType) or self.judge.label(type_.name, value)

    def samples(self, type_: ir.Type | None, *, valid: bool) -> list[tuple[Json, str]]:
        """Values that fit, or do not fit, a named type, each with what is special about it; objects and arrays alone.

        Params of another JSON type are no valid request at all, which is another matter.
        """
        if not isinstance(type_, ir.NamedType):
            return [({}, "no params")] if valid else []
        definitions: dict[str, Json] = self.protocol.schema["definitions"]
        found = [it for it in make(definitions, names=[type_.name], most=200).samples if it.valid == valid]
        each: dict[str, Json] = {}
        for it in found:
            if it.text.lstrip().startswith("{") and _plain(it):
                each.setdefault(it.note, read(it.text))  # the first of those that show the same
        most = VALID_EACH if valid else BROKEN_EACH
        values = [(value, note) for note, value in each.items()]
        return [values[at * len(values) // most] for at in range(most)] if len(values) > most else values

    def minimal(self, type_: ir.Type | None) -> Json:
        """One value that fits."""
        found = self.samples(type_, valid=True)
        return found[0][0] if found else {}

    def errors(self, code: int) -> Iterable[ir.ErrorCode]:
        """The errors of the catalogue that have a code."""
        return [it for it in self.protocol.errors if it.code == code]

    def method(self, name: Json) -> ir.Method | None:
        """The method of that name that the role receives."""
        return next((it for it in self.protocol.methods if it.name == name and it.receiver == self.role), None)

    def responds(self, request: Json) -> Json:
        """The response to a callback: a value that fits the result, or -32601."""
        number, name = request.get("id"), request.get("method")
        for it in self.protocol.methods:
            if it.name == name and it.sender == self.role:
                return {"jsonrpc": "2.0", "id": number, "result": self.minimal(it.result)}
        return {"jsonrpc": "2.0", "id": number, "error": {"code": -32601, "message": "Method not found"}}


def _plain(sample: Sample) -> bool:
    """Whether a sample is JSON to every reader: no lone surrogates, no numbers beyond a double."""
    return "\\ud" not in sample.text.lower() and len(sample.text) < 4000
