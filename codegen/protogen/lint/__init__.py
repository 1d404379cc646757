"""Lint: what a protocol document says that it had better say otherwise. The build takes such documents; people stumble.

`RULES` is the table; `run()` finds, `fix()` mends what can be mended without a change of meaning.
"""

from .fixes import fix
from .rules import CATEGORIES, RULES, Rule
from .running import Found, run

__all__ = ["CATEGORIES", "RULES", "Found", "Rule", "fix", "run"]
