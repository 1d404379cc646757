"""What a rule says: where, what, what to do, and how to mend it where that changes no meaning."""

from __future__ import annotations

from typing import Any

import msgspec

from protogen.problems import Place


class Edit(msgspec.Struct, frozen=True):
    """A change of the text that changes no meaning: what stands at `pointer` becomes `value`, or goes where `drop`."""

    pointer: str
    value: Any = None
    drop: bool = False


class Finding(msgspec.Struct, frozen=True):
    """One finding of a rule; `pointer` is of the document, "" for all of it. `place` where it is another file's."""

    pointer: str
    what: str
    fix: str
    edit: Edit | None = None
    place: Place | None = None
