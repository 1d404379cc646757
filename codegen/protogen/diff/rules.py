"""What can differ between two versions of a protocol: one table of rules, and what each does to messages and to code.

A rule says whether a type then refuses messages that it took (narrows) or takes messages that it refused (widens).
Which of the two breaks anybody depends on who reads the type: `judge()` decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

Effect = Literal["narrows", "widens", "breaks", "adds", "documents"]
"""On messages: refuses some that were valid; takes some that were not; both, or reads the same bytes differently;
only adds what nobody meets unasked; only says something else about them."""

Direction = Literal["asked", "answered"]
"""The way of a message: towards whoever implements the method (params), or back from there (results, events, error
data)."""

Upgrade = Literal["handlers", "callers", "any"]
"""Who may be of the new version while the other side is still of the old one."""

Category = Literal["wire-breaking", "source-breaking", "safe"]

CATEGORIES: Final[tuple[Category, ...]] = ("wire-breaking", "source-breaking", "safe")


class Rule(msgspec.Struct, frozen=True):
    """One kind of difference; `source`: code that was written with the old SDK may have to change."""

    id: str
    effect: Effect
    source: bool
    title: str


RULES: Final[tuple[Rule, ...]] = (
    # methods
    Rule("method-removed", "breaks", True, "a method is gone"),
    Rule("method-added", "adds", False, "a new method"),
    Rule("method-kind-changed", "breaks", True, "a request became a notification, or the other way round"),
    Rule("method-direction-changed", "breaks", True, "a method is sent or received by another role"),
    Rule("params-structure-narrowed", "narrows", False, "params by name or by position, where both were taken"),
    Rule("params-structure-widened", "widens", False, "params by name and by position, where one was taken"),
    Rule("params-structure-changed", "breaks", False, "params by position instead of by name, or the other way round"),
    Rule("params-added", "adds", True, "a method without params takes some, none of them required"),
    Rule("params-required", "narrows", True, "a method without params requires some"),
    Rule("params-removed", "adds", True, "a method takes no params any more"),
    Rule("events-added", "widens", True, "a method streams events, where it answered once"),
    Rule("events-removed", "narrows", True, "a method no longer streams events"),
    Rule("event-framing-changed", "breaks", False, "events travel in another form"),
    Rule("retry-added", "adds", False, "a method may be tried again"),
    Rule("retry-removed", "breaks", False, "a method must not be tried again, as old callers do"),
    Rule("deprecated", "documents", False, "a method, type or member is deprecated, or no longer so"),
    # errors, roles, transport
    Rule("error-added", "adds", False, "a new error, or a method that gives one more"),
    Rule("error-removed", "adds", True, "an error is gone"),
    Rule("method-error-removed", "adds", False, "a method no longer gives an error"),
    Rule("error-code-changed", "breaks", False, "an error has another code"),
    Rule("error-message-changed", "documents", False, "an error has another message"),
    Rule("role-removed", "adds", True, "a role is gone"),
    Rule("role-added", "adds", False, "a new role"),
    Rule("transport-changed", "breaks", False, "another HTTP path, health path or header"),
    Rule("protocol-removed", "breaks", True, "a protocol is gone"),
    Rule("protocol-added", "adds", False, "a new protocol"),
    Rule("protocol-renamed", "adds", True, "the protocol has another name, and so have its packages"),
    # definitions
    Rule("type-removed", "adds", True, "a named type is gone"),
    Rule("type-renamed", "adds", True, "a named type has another name"),
    Rule("type-replaced", "adds", True, "another named type stands in the place of one"),
    Rule("type-added", "adds", False, "a new named type"),
    # members
    Rule("property-added", "adds", False, "a new optional member of an object that takes unknown ones"),
    Rule("property-added-to-closed", "widens", False, "a new optional member of an object that refused unknown ones"),
    Rule("required-property-added", "narrows", True, "a new required member"),
    Rule("property-removed", "adds", True, "an optional member is gone from an object that takes unknown ones"),
    Rule("property-removed-from-closed", "narrows", True, "a member is gone from an object that refuses unknown ones"),
    Rule("required-property-removed", "widens", True, "a required member is gone"),
    Rule("property-required", "narrows", True, "an optional member became required"),
    Rule("property-optional", "widens", True, "a required member became optional"),
    Rule("default-changed", "breaks", False, "an absent member means another value"),
    Rule("object-closed", "narrows", False, "unknown members are refused, or bound, where any were taken"),
    Rule("object-opened", "widens", False, "unknown members are taken where they were refused, or bound"),
    # values
    Rule("type-changed", "breaks", True, "values of another type"),
    Rule("type-narrowed", "narrows", True, "fewer types of values"),
    Rule("type-widened", "widens", True, "more types of values"),
    Rule("null-refused", "narrows", True, "null is refused where it was taken"),
    Rule("null-allowed", "widens", True, "null is taken where it was refused"),
    Rule("const-changed", "breaks", False, "another constant"),
    Rule("enum-value-removed", "narrows", True, "a value of an enum is gone"),
    Rule("enum-value-added", "widens", False, "a new value of an enum"),
    Rule("known-value-removed", "adds", True, "an open enum no longer names a value, and still takes it"),
    Rule("known-value-added", "adds", False, "an open enum names one more value, which it took before"),
    Rule("enum-closed", "narrows", True, "only listed values are taken, where any were"),
    Rule("enum-opened", "widens", True, "any value is taken, where only listed ones were"),
    Rule("arm-removed", "narrows", True, "a union has lost an alternative"),
    Rule("arm-added", "widens", False, "a union has a new alternative"),
    Rule("known-arm-removed", "adds", True, "an open union no longer names an alternative, and still takes it"),
    Rule("known-arm-added", "adds", False, "an open union names one more alternative, which it took before"),
    Rule("union-closed", "narrows", True, "a union refuses alternatives that it does not name"),
    Rule("union-opened", "widens", True, "a union takes alternatives that it does not name"),
    Rule("bound-tightened", "narrows", False, "a smaller range of numbers, lengths or counts"),
    Rule("bound-loosened", "widens", False, "a larger range of numbers, lengths or counts"),
    Rule("constraint-added", "narrows", False, "a further condition (pattern, uniqueItems, not, if …)"),
    Rule("constraint-removed", "widens", False, "a condition less"),
    Rule("constraint-changed", "breaks", False, "another condition, which nobody can compare with the old one"),
    Rule("tuple-changed", "breaks", True, "an array has other places"),
    Rule("format-changed", "documents", False, "another format, which nobody checks unless asked"),
    Rule("documentation", "documents", False, "other words about the same thing"),
)
RULE: Final = {rule.id: rule for rule in RULES}
"""RULES by id."""

BREAKS: Final[dict[Upgrade, frozenset[tuple[Effect, Direction]]]] = {
    # New handlers must take what old callers ask, and answer what old callers take.
    "handlers": frozenset({("narrows", "asked"), ("widens", "answered")}),
    # New callers must ask what old handlers take, and take what old handlers answer.
    "callers": frozenset({("widens", "asked"), ("narrows", "answered")}),
    "any": frozenset({("narrows", "asked"), ("widens", "answered"), ("widens", "asked"), ("narrows", "answered")}),
}
"""Which effect breaks messages of which direction, by who may be newer than the other."""


def judge(rule: Rule, directions: Iterable[Direction], upgrade: Upgrade) -> Category:
    """The category of a difference in a type that messages of these directions hold."""
    if rule.effect == "breaks" or any((rule.effect, direction) in BREAKS[upgrade] for direction in directions):
        return "wire-breaking"
    return "source-breaking" if rule.source else "safe"
