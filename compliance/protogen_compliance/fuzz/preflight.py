"""Preflight: whether there is anything to fuzz: one sentence where there is not, instead of a run of failures."""

from __future__ import annotations

from protogen_compliance.fuzz.description import Description
from protogen_compliance.fuzz.endpoint import Answer, Endpoint

METHOD_NOT_FOUND = -32601
WALLS = (401, 403)


class NoTarget(Exception):
    """There is nothing to fuzz; the text says why."""


def role_of(endpoint: Endpoint, description: Description, wanted: str | None) -> str:
    """Which role of the protocol the target plays: the first whose methods it knows. Raises NoTarget."""
    roles = (wanted,) if wanted is not None else description.roles
    answer: Answer | None = None
    for role in roles:
        for operation in description.operations.values():
            if operation.role != role or not operation.request:
                continue
            answer = endpoint.call(operation.method, [] if operation.by_position else {})
            _check(answer)
            if answer.code != METHOD_NOT_FOUND:
                return role
    if answer is None:
        raise NoTarget(f"the protocol has no method to call of the role {wanted or description.roles!r}")
    names = ", ".join(roles)
    raise NoTarget(
        f"it answers JSON-RPC, but knows no method of {description.name} ({names}): a wrong address or --role"
    )


def _check(answer: Answer) -> None:
    """Raises NoTarget where the answer is not one of JSON-RPC."""
    if answer.fault is not None:
        raise NoTarget(str(answer.fault))
    if answer.status in WALLS:
        raise NoTarget(f"it wants to know who asks ({answer.summary()}); give --header 'Authorization: …'")
    if not isinstance(answer.value, dict) or not answer.value.keys() & {"result", "error"}:
        raise NoTarget(f"the answer to a request is none of JSON-RPC: {answer.summary()}")
