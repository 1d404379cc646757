"""Runs samples through a Python SDK: `python_driver.py FOLDER PACKAGE SAMPLES [SKIP]`.

Imports nothing of protogen. An exception of the SDK's own classes is a refusal, any other one a crash.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path

OPTIONS = {"constraints": False} if os.environ.get("PROTOGEN_WITHOUT_CONSTRAINTS") else {}


def main(folder: str, package: str, samples: str, skip: str = "0") -> None:
    """Answers the samples from number `skip` on, one line each."""
    sys.path.insert(0, folder)
    sdk = importlib.import_module(package)
    with Path(samples).open(encoding="utf-8") as lines:
        for at, line in enumerate(lines):
            if at < int(skip):
                continue
            sample = json.loads(line)
            print(json.dumps(answer(sdk, package, sample["type"], sample["text"].encode())), flush=True)


def answer(sdk: object, package: str, name: str, text: bytes) -> dict[str, str]:
    """What became of one sample, as the driver protocol of protogen.verifiers has it."""
    step = "decode"
    try:
        value = sdk.decode(name, text, **OPTIONS)  # type: ignore[attr-defined]  # the SDK's root module
        step = "encode"
        return {"out": sdk.encode(value).decode()}  # type: ignore[attr-defined]  # as above
    except Exception as error:  # noqa: BLE001  # telling a crash from a refusal is what this program is for
        how = f"{type(error).__name__}: {error}"[:2000].encode("utf-8", "replace").decode()
        ours = type(error).__module__.split(".")[0] == package
        return {"refused": how} if ours and step == "decode" else {"crashed": f"{step}: {how}"}


if __name__ == "__main__":
    main(*sys.argv[1:])
