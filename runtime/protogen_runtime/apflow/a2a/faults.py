"""Faults: why a request is refused, and the error that says so in either version of A2A.

One table for both; knows no transport.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import a2a_protocol as v1
import a2a_v03_protocol as v03
from a2a_protocol.rpc.boundary import to_json
from a2a_protocol.rpc.errors import TypedError as TypedErrorV1
from a2a_v03_protocol.rpc.errors import TypedError as TypedErrorV03

from protogen_runtime.apflow.rules.faults import RuleBroken

FaultName: TypeAlias = Literal[
    "InvalidParams",
    "MethodNotFound",
    "TaskNotFound",
    "TaskNotCancelable",
    "UnsupportedOperation",
    "ContentTypeNotSupported",
    "ExtendedCardNotConfigured",
    "VersionNotSupported",
]

Json: TypeAlias = Any

INFO: Final = "type.googleapis.com/google.rpc.ErrorInfo"
BAD_REQUEST: Final = "type.googleapis.com/google.rpc.BadRequest"
DOMAIN: Final = "a2a-protocol.org"
"""`domain` of every cause that A2A itself names (1.0, 9.5 Error Handling)."""


class _Errors:
    """What one fault is in each version; None where that version has no such error."""

    def __init__(self, reason: str, in_v1: type[TypedErrorV1], in_v03: type[TypedErrorV03] | None) -> None:
        self.reason = reason
        self.in_v1 = in_v1
        self.in_v03 = in_v03


TABLE: Final[dict[FaultName, _Errors]] = {
    "InvalidParams": _Errors("INVALID_PARAMS", v1.InvalidParamsError, v03.InvalidParamsError),
    "MethodNotFound": _Errors("METHOD_NOT_FOUND", v1.MethodNotFoundError, v03.MethodNotFoundError),
    "TaskNotFound": _Errors("TASK_NOT_FOUND", v1.TaskNotFoundError, v03.TaskNotFoundError),
    "TaskNotCancelable": _Errors("TASK_NOT_CANCELABLE", v1.TaskNotCancelableError, v03.TaskNotCancelableError),
    "UnsupportedOperation": _Errors(
        "UNSUPPORTED_OPERATION", v1.UnsupportedOperationError, v03.UnsupportedOperationError
    ),
    "ContentTypeNotSupported": _Errors(
        "CONTENT_TYPE_NOT_SUPPORTED", v1.ContentTypeNotSupportedError, v03.ContentTypeNotSupportedError
    ),
    "ExtendedCardNotConfigured": _Errors(
        "EXTENDED_AGENT_CARD_NOT_CONFIGURED",
        v1.ExtendedAgentCardNotConfiguredError,
        v03.AuthenticatedExtendedCardNotConfiguredError,
    ),
    "VersionNotSupported": _Errors("VERSION_NOT_SUPPORTED", v1.VersionNotSupportedError, None),
}


class Fault(Exception):
    """A request that is refused; nothing has changed. `metadata` says what about, `fields` what is wrong where."""

    def __init__(
        self,
        name: FaultName,
        text: str = "",
        *,
        metadata: dict[str, str] | None = None,
        fields: list[tuple[str, str]] | None = None,
    ) -> None:
        super().__init__(name, text)
        self.name: FaultName = name
        self.text = text
        self.metadata = metadata or {}
        self.fields = fields or []

    def in_v1(self) -> TypedErrorV1:
        """The error of 1.0: its data is a list of details of google.rpc (1.0, 9.5 Error Handling)."""
        errors = TABLE[self.name]
        if self.name == "InvalidParams":
            found = [{"field": field, "description": reason} for field, reason in self.fields or [("", self.text)]]
            details = [v1.ErrorDetail(type=BAD_REQUEST, extra={"fieldViolations": found})]
        else:
            details = [
                v1.ErrorDetail(type=INFO, reason=errors.reason, domain=DOMAIN, metadata=self.metadata)
                if self.metadata
                else v1.ErrorDetail(type=INFO, reason=errors.reason, domain=DOMAIN)
            ]
        data = details if errors.in_v1.DATA is not None else to_json(details)
        return errors.in_v1(data, message=self._message(errors.in_v1.MESSAGE))

    def in_v03(self) -> Exception:
        """The error of 0.3; one that only 1.0 knows is worded as 1.0 does."""
        kind = TABLE[self.name].in_v03
        if kind is None:
            # Raised where 0.3 was not asked for either: its class is known by its base alone.
            error = self.in_v1()
            return v03.RpcError(error.code, error.message, to_json(error.data))
        data: dict[str, Json] = {**self.metadata}
        if self.fields:
            data["errors"] = [{"path": field, "message": reason} for field, reason in self.fields]
        message = self._message(kind.MESSAGE)
        return kind(data, message=message) if data else kind(message=message)

    def _message(self, usual: str) -> str:
        return f"{usual}: {self.text}" if self.text else usual


def fault_of(broken: RuleBroken) -> Fault:
    """What the rules of tasks refuse, as A2A says it."""
    if broken.error == "TaskAlreadyExecuting":
        return Fault("UnsupportedOperation", "the task is in progress", metadata=_texts(broken.data))
    faults: list[dict[str, Json]] = broken.data.get("errors", [broken.data])
    fields = [
        (".".join(map(str, fault.get("path") or [fault.get("field", "")])), str(fault.get("reason", broken.error)))
        for fault in faults
    ]
    return Fault("InvalidParams", broken.error, fields=fields)


def _texts(data: dict[str, Json]) -> dict[str, str]:
    return {name: str(value) for name, value in data.items()}


def task_not_found(task_id: str) -> Fault:
    """There is no such task, or none that the caller may see."""
    return Fault("TaskNotFound", metadata={"taskId": task_id[:200]})


def invalid(field: str, reason: str) -> Fault:
    """One field is wrong."""
    return Fault("InvalidParams", fields=[(field, reason)])
