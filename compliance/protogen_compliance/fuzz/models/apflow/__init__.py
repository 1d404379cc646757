"""The model of the AI Partner Up Flow Protocol: tasks, their trees, and what executing them has to come to."""

from protogen_compliance.fuzz.models.apflow.walk import TaskModel

MODELS = (TaskModel,)
IGNORED = {"tasks.create": frozenset({"id"})}
"""The node chooses the id of a task that is created; it may read what a client says, or not (reading A15)."""

__all__ = ["IGNORED", "MODELS"]
