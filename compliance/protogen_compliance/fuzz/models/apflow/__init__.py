"""The model of the AI Partner Up Flow Protocol: tasks, their trees, and what executing them has to come to."""

from protogen_compliance.fuzz.models.apflow.walk import TaskModel

MODEL = TaskModel

__all__ = ["MODEL"]
