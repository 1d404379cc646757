"""Consistency: how the fields of one task must fit each other.

Knows no other task.
"""

from __future__ import annotations

from apflow_protocol import Task

from .faults import FieldFault, Path


def faults_of_task(task: Task, *, at: Path = ()) -> list[FieldFault]:
    """Every fault of a task as it is stored: fields against its status, timestamps, schedule, provenance."""
    raise NotImplementedError
