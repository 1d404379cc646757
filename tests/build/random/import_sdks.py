"""Imports the Python SDKs of a folder and lets each read some values: `import_sdks.py FOLDER`; prints what failed.

An answer is a value or an exception of the SDK's own; anything else says that the code does not hold together.
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

VALUES = (b"null", b"{}", b"[]", b'""', b"0", b"true", b'{"kind": "a", "x": [1.5]}')


def main(folder: str) -> None:
    """Prints `{name: what failed}` for the packages that `packages.json` lists."""
    faults: dict[str, str] = {}
    library: dict[str, ModuleType] = {}
    for name, package in json.loads(Path(folder, "packages.json").read_text("utf-8")).items():
        sys.path.insert(0, str(Path(folder, name)))
        # The library is the same text in each, and most of the work.
        sys.modules.update({f"{package}{below}": module for below, module in library.items()})
        try:
            _tried(package)
        except Exception:  # noqa: BLE001 - what generated code may raise is not known
            faults[name] = traceback.format_exc()[-3000:].encode("utf-8", "replace").decode()
        sys.path.pop(0)
        if not library:
            names = [each for each in sys.modules if each.startswith((f"{package}.rpc", f"{package}._jsonrpc"))]
            library = {each.removeprefix(package): sys.modules[each] for each in names}
        # msgspec looks its base classes up by the module that they were made in: that one stays.
        kept = {module.__name__ for module in library.values()}
        for module in [each for each in sys.modules if each.partition(".")[0] == package]:
            if module not in kept:
                del sys.modules[module]
    print(json.dumps(faults))


def _tried(package: str) -> None:
    root = Path(sys.path[0], package)
    sdk: Any = importlib.import_module(package)
    for file in root.glob("*.py"):
        importlib.import_module(f"{package}.{file.stem}")
    for name in importlib.import_module(f"{package}.types").TYPES:
        for value in VALUES:
            try:
                sdk.decode(name, value)
            except sdk.ValidationError:
                continue


if __name__ == "__main__":
    main(*sys.argv[1:])
