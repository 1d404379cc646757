"""Runs: flows that are kept, runs of them that survive the process, and the blobs that both use.

Knows no transport: what serves runs to the world is built on `contract`, and given `open_runs` by the wiring.
"""

from .limits import Limits
from .opening import open_runs
from .records import SCHEMA

__all__ = ["SCHEMA", "Limits", "open_runs"]
