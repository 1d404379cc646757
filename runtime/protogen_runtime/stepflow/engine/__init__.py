"""The engine: which step runs when, with which input, and what a run comes to.

Pure: a run is a state machine that is told what happened and answers what is to be done. It calls no component.
"""

from .dialects import DIALECTS, S1, S2, Backoff, Dialect, StepFailure, flow_error
from .effects import Effect, ItemCompleted, RunCompleted, RunState, StartStep, StepCompleted, StopStep
from .plan import NotRunnable
from .run import Outcome, ResultOrder, Run
from .state import StepState

__all__ = [
    "DIALECTS",
    "S1",
    "S2",
    "Backoff",
    "Dialect",
    "Effect",
    "ItemCompleted",
    "NotRunnable",
    "Outcome",
    "ResultOrder",
    "Run",
    "RunCompleted",
    "RunState",
    "StartStep",
    "StepCompleted",
    "StepFailure",
    "StepState",
    "StopStep",
    "flow_error",
]
