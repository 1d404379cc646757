"""The error of a flow that a failed step leaves, in the words of either dialect (spec section 4).

Knows no attempts: what is told here is what is left when nobody tries again.
"""

from __future__ import annotations

from protogen_runtime.stepflow.flow.model import FlowError

from .contract import INTERNAL, TRANSPORT, Dialect, StepFailed

GENERAL = 500
"""The only code that 0.9 has for what plugins and workers fail with."""


def flow_error(failed: StepFailed, step_id: str, dialect: Dialect) -> FlowError:
    """What the result of the step, and of all that uses it, says.

    A component whose own flow failed passes that error on, in both dialects.
    """
    if failed.kind == "result":
        return FlowError(failed.code, failed.message, failed.data)
    if dialect == "0.11":
        code = INTERNAL if failed.kind == "routing" else failed.code
        return FlowError(code, failed.message, failed.data)
    told = f"component server error({failed.code}): {failed.message}" if failed.kind == "component" else failed.message
    entry = {"error": told} if failed.data is None else {"error": told, "attachments": [failed.data]}
    return FlowError(GENERAL, f'step "{step_id}" failed', {"stack": [entry]})


def is_retried(failed: StepFailed) -> bool:
    """Whether another attempt is made without the flow asking for it, in the dialect that does so (0.11)."""
    return failed.kind in ("transport", "protocol") or failed.code == TRANSPORT
