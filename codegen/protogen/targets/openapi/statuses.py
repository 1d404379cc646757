"""The HTTP status that stands for an error: JSON-RPC answers all of them with 200, tools of HTTP tell them apart by it.

Knows the codes of JSON-RPC 2.0 and the words that names of errors use.
"""

from __future__ import annotations

from protogen import ir
from protogen.naming import words

STANDARD = {-32700: 400, -32600: 400, -32601: 404, -32602: 422, -32603: 500}
"""The codes that JSON-RPC itself defines."""

STANDARD_NAMES = {
    -32700: ("ParseError", "Parse error"),
    -32600: ("InvalidRequest", "Invalid Request"),
    -32601: ("MethodNotFound", "Method not found"),
    -32602: ("InvalidParams", "Invalid params"),
}
"""Errors that any request may be answered with, declared or not; -32603 is a fault, and so never expected."""

CONFLICT = 409
"""A well-formed request that is refused for what the server knows: every other error of an application."""

_BY_WORDS = (
    (("not", "found"), 404),
    (("unauthorized",), 401),
    (("unauthenticated",), 401),
    (("authentication",), 401),
    (("forbidden",), 403),
    (("permission", "denied"), 403),
)


def status(code: ir.ErrorCode) -> int:
    """The status for an error of the protocol."""
    if code.code in STANDARD:
        return STANDARD[code.code]
    said = [word.lower() for word in words(code.name)]
    for wanted, number in _BY_WORDS:
        if any(tuple(said[at : at + len(wanted)]) == wanted for at in range(len(said))):
            return number
    return CONFLICT
