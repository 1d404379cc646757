"""References of a lowered schema: `#/definitions/<name>` to a name and back.

Knows nothing else of schemas.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

_PREFIX = "#/definitions/"


def reference_to(name: str) -> str:
    """The reference to a definition: JSON pointer escapes, then those of a URI fragment."""
    return _PREFIX + quote(name.replace("~", "~0").replace("/", "~1"), safe="~!$&'()*+,;=:@-._")


def definition_name(reference: str) -> str:
    """The name a reference points to. Errors: ValueError where it is not one of a lowered schema."""
    if not reference.startswith(_PREFIX):
        raise ValueError(f"expected a reference below {_PREFIX}, got {reference!r}")
    return unquote(reference[len(_PREFIX) :]).replace("~1", "/").replace("~0", "~")
