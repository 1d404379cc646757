"""What a failed step tells the engine, which decides on attempts and words the error of the flow.

Knows neither attempts nor dialects.
"""

from __future__ import annotations

from typing import Final

from protogen_runtime.stepflow.engine import dialects

from .contract import Kind, StepFailed

_KINDS: Final[dict[Kind, dialects.Kind]] = {
    "component": "component",
    "plugin": "plugin",
    # Its error is a FlowError already: that of a flow which the component ran, or played.
    "result": "engine",
    "crash": "crash",
    "transport": "transport",
    # 0.11 counts an answer that is none as lost on the way (spec section 7).
    "protocol": "transport",
    # Its code is one of those that are final in 0.11: no attempt finds a route that is not there.
    "routing": "component",
}


def failure_of(failed: StepFailed, component: str | None = None) -> dialects.StepFailure:
    """The failure as the engine takes it; `component` is the name that the step gives it, for what 0.9 tells where no
    plugin was asked.
    """
    known = failed.component or component
    return dialects.StepFailure(
        failed.code, failed.message, data=failed.data, kind=_KINDS[failed.kind], component=known
    )
