"""Resources: where templates and schemas stand, in a checkout and in an installed wheel alike.

Knows the two layouts and nothing about what the files say.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

FOLDERS = ("templates", "schemas")
"""What a data root holds; a folder that lacks one of them is not a data root."""


class DataMissing(Exception):
    """Neither place holds the templates and schemas: the installation is incomplete.

    A single file missing below the data root is not reported by this class.
    """


@cache
def data_root() -> Path:
    """Return the absolute folder that holds `templates/` and `schemas/`.

    Looks beside this file and never on `sys.path`. A wheel has `_data` there. A checkout does not, so there the
    checkout's own files are used: the copy that an editable install leaves in site-packages is stale as soon as a
    template changes, and it stands beside no module. Raises DataMissing, which names both places.
    """
    package = Path(__file__).resolve().parent
    return find_data_root(packaged=package / "_data", checkout=package.parent.parent)


def find_data_root(*, packaged: Path, checkout: Path) -> Path:
    """Return the first of both that holds all of FOLDERS; raises DataMissing where neither does."""
    for root in (packaged, checkout):
        if all((root / folder).is_dir() for folder in FOLDERS):
            return root
    raise DataMissing(
        f"expected {' and '.join(f'{folder}/' for folder in FOLDERS)} in {str(packaged)!r} (installed) "
        f"or in {str(checkout)!r} (checkout), found them in neither; "
        "install protogen-jsonrpc again, or run from a complete checkout"
    )
