"""Rules about methods and errors: what JSON-RPC reserves, and what a reader of the document will ask for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from protogen import ir

from .findings import Finding
from .subject import Subject

_STANDARD: Final = {-32700: "Parse error", -32600: "Invalid Request", -32601: "Method not found"} | {
    -32602: "Invalid params",
    -32603: "Internal error",
}


def _declared(subject: Subject, name: str) -> dict[str, Any]:
    methods = subject.tree.get("x-methods")
    entry = methods.get(name) if isinstance(methods, dict) else None
    return entry if isinstance(entry, dict) else {}


def without_result(subject: Subject) -> Iterator[Finding]:
    """Requests that do not say what they are answered with."""
    for pointer, method in subject.methods:
        entry = _declared(subject, method.name)
        if method.kind == "request" and entry and "result" not in entry:
            yield Finding(pointer, f'"{method.name}" does not say what its result is', 'add "result"')


def reserved_methods(subject: Subject) -> Iterator[Finding]:
    """Names that JSON-RPC keeps for itself (section 8)."""
    for pointer, method in subject.methods:
        if method.name.startswith("rpc."):
            what = f'"{method.name}": names that begin with "rpc." are reserved by JSON-RPC'
            yield Finding(pointer, what, "choose another name")


def params_not_objects(subject: Subject) -> Iterator[Finding]:
    """Params of a type that is no object: JSON-RPC has objects and arrays, and by name only objects."""
    table = ir.definition_table(subject.protocol)
    for pointer, method in subject.methods:
        if not isinstance(method.params, ir.NamedType):
            continue
        definition = table[method.params.name]
        while isinstance(definition, ir.Alias) and isinstance(definition.type, ir.NamedType):
            definition = table[definition.type.name]
        if isinstance(definition, ir.Enum) or (
            isinstance(definition, ir.Alias) and not isinstance(definition.type, ir.MapType | ir.AnyType)
        ):
            what = f'params of "{method.name}" are "{definition.name}", which is no object'
            yield Finding(f"{pointer}/params", what, "make them an object with a member for it")


def reserved_codes(subject: Subject) -> Iterator[Finding]:
    """Codes that JSON-RPC keeps for itself (section 5.1), in another meaning."""
    for pointer, error in subject.errors:
        if error.code in _STANDARD:
            if _plain(error.message) != _plain(_STANDARD[error.code]):
                what = f'{error.code} of "{error.name}" means "{_STANDARD[error.code]}" in JSON-RPC'
                yield Finding(f"{pointer}/code", what, "choose a code of your own")
        elif -32768 <= error.code < -32099:
            what = f'{error.code} of "{error.name}" is reserved by JSON-RPC (-32768 to -32100)'
            yield Finding(f"{pointer}/code", what, "choose one from -32099 to -32000, or outside of that range")


def _plain(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


def unused_errors(subject: Subject) -> Iterator[Finding]:
    """Errors that no method says it gives, in a document whose methods do say."""
    given = {name for _, method in subject.methods for name in method.errors}
    if not given:
        return
    for pointer, error in subject.errors:
        if error.name not in given and error.code not in _STANDARD:
            yield Finding(pointer, f'no method gives "{error.name}"', 'name it in "errors" of a method, or remove it')
