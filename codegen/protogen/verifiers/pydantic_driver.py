"""Runs samples through generated pydantic models: `pydantic_driver.py FOLDER MODULE SAMPLES [SKIP]`.

Imports nothing of protogen. pydantic's ValidationError is a refusal, any other exception a crash. The models are used
as their users would: validate_json and dump_json with aliases, leaving unset members out.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pydantic


def main(folder: str, module: str, samples: str, skip: str = "0") -> None:
    """Answers the samples from number `skip` on, one line each."""
    sys.path.insert(0, folder)
    models = importlib.import_module(module)
    adapters: dict[str, Any] = {}
    with Path(samples).open(encoding="utf-8") as lines:
        for at, line in enumerate(lines):
            if at < int(skip):
                continue
            sample = json.loads(line)
            name = sample["type"]
            if name not in adapters:
                adapters[name] = pydantic.TypeAdapter(models.MODELS[name])
            print(json.dumps(answer(adapters[name], sample["text"])), flush=True)


def answer(adapter: Any, text: str) -> dict[str, str]:
    """What became of one sample, as the driver protocol of protogen.verifiers has it."""
    step = "decode"
    try:
        value = adapter.validate_json(text)
        step = "encode"
        return {"out": adapter.dump_json(value, by_alias=True, exclude_unset=True).decode()}
    except pydantic.ValidationError as error:
        return {"refused": str(error)[:2000]} if step == "decode" else {"crashed": f"{step}: {error}"[:2000]}
    except Exception as error:  # noqa: BLE001  # telling a crash from a refusal is what this program is for
        return {"crashed": f"{step}: {type(error).__name__}: {error}"[:2000]}


if __name__ == "__main__":
    main(*sys.argv[1:])
