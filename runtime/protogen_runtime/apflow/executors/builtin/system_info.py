"""The executor `system_info`: processor, memory and disk of the machine the node runs on. It starts no program."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from protogen_runtime.apflow.executors.contract import JsonObject

_GIBIBYTE: Final = 1024**3
SCHEMA: Final[JsonObject] = {
    "type": "object",
    "properties": {"resource": {"enum": ["cpu", "memory", "disk", "all"]}},
}


class SystemInfo:
    """Returns what is known of `resource`, or of all three under their names."""

    def get_input_schema(self) -> JsonObject:
        """`resource`: "cpu", "memory", "disk" or "all" (the default)."""
        return SCHEMA

    async def execute(self, inputs: JsonObject, execution: object) -> JsonObject:
        """Look."""
        resource = inputs.get("resource", "all")
        if resource == "all":
            return {name: look() for name, look in _LOOKS.items()}
        return _LOOKS[resource]()


def _cpu() -> JsonObject:
    return {
        "system": platform.system(),
        "brand": _first_line(Path("/proc/cpuinfo"), "model name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
    }


def _memory() -> JsonObject:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"system": platform.system(), "total_bytes": total, "total_gb": round(total / _GIBIBYTE, 2)}


def _disk() -> JsonObject:
    total, used, free = shutil.disk_usage("/")
    return {
        "system": platform.system(),
        "total_bytes": total,
        "used_bytes": used,
        "available_bytes": free,
        "used_percent": f"{100 * used / (used + free):.0f}%",
    }


def _first_line(file: Path, name: str) -> str | None:
    try:
        lines = file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), None)


_LOOKS: Final[dict[str, Callable[[], JsonObject]]] = {"cpu": _cpu, "memory": _memory, "disk": _disk}
