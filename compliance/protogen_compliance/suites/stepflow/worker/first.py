"""First contact: what a worker that has just been met says, before and after the handshake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from protogen_compliance.peer.link import Answer
from protogen_compliance.peer.rpc import Json
from protogen_compliance.suites.stepflow.worker.link import Worker, execution

COMPONENTS = {
    "echo": ("/echo", "/identity"),
    "fail": ("/fail", "/raise", "/error"),
    "slow": ("/sleep", "/slow"),
    "put": ("/put", "/store", "/put_blob"),
    "get": ("/get", "/load", "/get_blob"),
}
"""What each role is called where the user does not say; the first that is listed is taken."""

VERSION = {"runtime_protocol_version": 1}


class First(NamedTuple):
    """Answers in the order of the messages; `executed` is None where no component plays the echo.

    `components` is what plays each role, among what is listed.
    """

    listed_early: Answer
    executed: Answer | None
    initialized: Answer
    notified: Answer
    listed: Answer
    components: dict[str, str]


def names_of(listed: Answer) -> list[str]:
    """The paths of a list of components, as far as it has that shape."""
    found: Json = listed.result.get("components") if isinstance(listed.result, dict) else None
    entries = found if isinstance(found, list) else []
    return [it["component"] for it in entries if isinstance(it, dict) and isinstance(it.get("component"), str)]


def meet(worker: Worker, roles: Mapping[str, Sequence[str]]) -> First:
    """Lists and executes without a handshake, shakes hands, and lists again."""
    early = worker.call("components/list", {})
    known = names_of(early)
    echo = next((name for name in roles["echo"] if name in known), None)
    # A worker that does not list before the handshake may execute before it.
    executed = None
    if echo is not None or not known:
        executed = worker.call("components/execute", execution(echo or roles["echo"][0], {"met": True}))
    initialized = worker.call("initialize", {**VERSION, "observability": {}})
    notified = worker.notify("initialized", {})
    listed = worker.call("components/list", {})
    there = names_of(listed)
    found = {role: name for role, names in roles.items() for name in reversed(names) if name in there}
    return First(early, executed, initialized, notified, listed, found)
