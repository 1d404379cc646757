"""Go names for everything in a protocol, all collisions settled.

Knows Go's rules for identifiers and the initialisms that Go programmers write in capitals, not what is declared.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from protogen import ir
from protogen.naming import Claim, Collision, settle, words

INITIALISMS = frozenset(
    "acl api ascii cpu css dns eof guid html http https id ip json jwt rpc sla sql sse ssh tcp tls ttl udp ui uid uri"
    " url utf8 uuid vm xml".split()
)
"""Words in capitals throughout, after the list that Go's own linters grew up with."""

API = frozenset({"Decode", "Encode", "ErrorFor", "Methods", "ProtocolName", "ProtocolVersion", "Validate"})
"""What every generated package declares under a fixed name."""

MEMBERS = frozenset({"Extra", "MarshalJSON", "UnmarshalJSON"})
"""What every generated struct declares beside the fields of its record."""

CLIENT_MEMBERS = frozenset(
    "Call Close Send GobDecode GobEncode MarshalJSON MarshalXML ReadByte ReadRune UnmarshalJSON UnmarshalXML UnreadByte"
    " UnreadRune WriteByte".split()
)
"""What clients have anyway, and names of methods for which `go vet` knows a signature."""

KEYWORDS = frozenset(
    "break case chan const continue default defer else fallthrough for func go goto if import interface map package"
    " range return select struct switch type var".split()
)


@lru_cache(maxsize=4096)
def exported(source: str) -> str:
    """`task_ids` as `TaskIDs`: an exported Go identifier for any text, however strange."""
    name = suffix(source)
    return name if unicodedata.category(name[0]) == "Lu" else f"X{name}"


def suffix(source: str) -> str:
    """The same for what is put behind another name, where any letter or digit may come first."""
    name = "".join(_word(word) for word in words(source))
    if not name.isascii():
        name = "".join(letter for letter in name if _allowed(letter))
    return name or "Value"


def _word(word: str) -> str:
    lower = word.lower()
    if lower in INITIALISMS:
        return word.upper()
    if lower.endswith("s") and lower[:-1] in INITIALISMS:
        return lower[:-1].upper() + "s"
    return word[:1].upper() + (word[1:].lower() if word.isupper() else word[1:])


def _allowed(letter: str) -> bool:
    """Whether Go takes it inside an identifier (letters and decimal digits)."""
    category = unicodedata.category(letter)
    return category[0] == "L" or category == "Nd"


_SIGNS = {"-": " Minus ", "+": " Plus ", ".": " Point "}


def value_word(value: ir.Json) -> str:
    """What stands for an enum's value in the name of its constant."""
    if value is None:
        return "Null"
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, (int, float)):
        return "".join(_SIGNS.get(sign, sign) for sign in str(value))
    return value or "Empty"


def package_name(module: str) -> str:
    """The package of a module path: its last element that is no version, as Go identifiers go."""
    parts = [part for part in module.split("/") if not re.fullmatch(r"v[0-9]+", part)] or [module]
    name = re.sub(r"[^a-z0-9]", "", parts[-1].lower())
    if not name or name[0].isdigit():
        name = f"p{name}"
    return f"{name}protocol" if name in KEYWORDS or name in {"rpc", "main"} else name


def settle_names(claims: Iterable[Claim], reserved: frozenset[str]) -> dict[str, str]:
    """Exported names for the claims, none of them reserved. Raises Collision where pins leave no way out."""
    wanted = [Claim(claim.key, claim.source, pin=_pinned(claim.pin)) for claim in claims]
    for claim in wanted:
        if claim.pin in reserved:
            raise Collision(str(claim.pin), (claim.key, "the SDK itself"))
    return settle(wanted, exported, reserved=reserved, empty="Value")


def _pinned(pin: str | None) -> str | None:
    """A pin as Go can use it: as it is where that is an exported identifier, else in Go's style."""
    if pin is None or re.fullmatch(r"[A-Z][A-Za-z0-9_]*", pin):
        return pin
    return exported(pin)


def types(protocol: ir.Protocol) -> dict[str, str]:
    """Go names of the definitions by IR name. They go first: what is derived from them makes way."""
    return settle_names(
        (Claim(definition.name, definition.name, pin=definition.pin) for definition in protocol.definitions), API
    )


def derived(
    protocol: ir.Protocol, table: dict[str, str], wrapped: Iterable[tuple[str, int, str]], tuples: Iterable[str]
) -> dict[str, str]:
    """Go names of what is made from definitions, methods, errors and roles, by keys such as `value:<enum>:<index>`.

    `wrapped` are the arms that need a type of their own (union, index, arm name), `tuples` names for tuples.
    """
    claims: list[Claim] = []

    def claim(key: str, name: str) -> None:
        claims.append(Claim(key, name))

    for definition in protocol.definitions:
        name = table[definition.name]
        if isinstance(definition, ir.Enum):
            for at, value in enumerate(definition.values):
                claim(f"value:{definition.name}:{at}", name + suffix(value.name or value_word(value.value)))
        elif isinstance(definition, ir.Union):
            claim(f"variant:{definition.name}", f"{name}Variant")
            if definition.open and definition.tag is not None:
                claim(f"unknown:{definition.name}", f"Unknown{name}")
    for union, at, arm in wrapped:
        claim(f"arm:{union}:{at}", table[union] + suffix(arm))
    for name in tuples:
        claim(f"tuple:{name}", name)
    for method in protocol.methods:
        claim(f"method:{method.name}", f"{_pinned(method.pin) or exported(method.name)}Method")
    for error in protocol.errors:
        name = _pinned(error.pin) or exported(error.name)
        claim(f"error:{error.name}", name if name.endswith("Error") else f"{name}Error")
        claim(f"code:{error.name}", f"Code{name}")
    for role in protocol.roles:
        name = exported(role.name)
        for key, text in ROLE_NAMES.items():
            claim(f"{key}:{role.name}", text.format(name))
    return settle(claims, str, reserved=API | frozenset(table.values()))


ROLE_NAMES = {
    "client": "{}Client",
    "new-client": "New{}Client",
    "from": "{}From",
    "handler": "{}Handler",
    "unimplemented": "Unimplemented{}Handler",
    "dispatcher": "New{}Dispatcher",
    "with": "With{}Handler",
}
"""What is declared for a role."""


def methods(protocol: ir.Protocol, receiver: str) -> dict[str, str]:
    """Go names of the methods that one calls on a role, and `stream:<name>` for those that stream."""
    called = ir.served(protocol, receiver)
    table = settle_names((Claim(m.name, m.name, pin=m.pin) for m in called), CLIENT_MEMBERS)
    streams = [Claim(f"stream:{m.name}", f"{table[m.name]}Stream") for m in called if m.events is not None]
    return table | settle(streams, str, reserved=CLIENT_MEMBERS | frozenset(table.values()))


def fields(record: ir.Record) -> dict[str, str]:
    """Go names of a record's fields by wire name, and `default:<wire>` for the methods that apply defaults."""
    claims = [Claim(field.wire, field.wire, pin=field.pin) for field in record.fields]
    table = settle_names(claims, MEMBERS)
    methods = [
        Claim(f"default:{field.wire}", f"{table[field.wire]}OrDefault")
        for field in record.fields
        if field.default is not ir.UNSET
    ]
    return table | settle(methods, str, reserved=MEMBERS | frozenset(table.values()))
