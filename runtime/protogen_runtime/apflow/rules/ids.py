"""Identifiers: one way to write each UUID.

Knows no store and makes no ids.

Clauses: AF-DATA-004.
"""

from __future__ import annotations

import re
from typing import Final

UUID4: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)
"""A UUID of version 4 in either case, to be matched in full (09-validation.md, UUID Validation; A37)."""


def canonical(id: str) -> str:  # noqa: A002  # the protocol's name
    """The id in lower case, the form in which tasks are stored and looked up (A37)."""
    lowered = id.lower()
    # The very same string where nothing changes: 100,000 tasks then share the strings of their ids.
    return id if lowered == id else lowered
