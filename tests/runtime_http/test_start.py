"""A server starts with what its first clients need, and imports the rest when somebody needs it."""

from __future__ import annotations

import subprocess
import sys

LATER = ("hypercorn", "h2", "h11", "wsproto", "httpx", "structlog", "prometheus_client", "opentelemetry.sdk", "email")


def test_nothing_is_imported_that_http1_does_not_need() -> None:
    program = f"""
import sys
from protogen.cli import main
from protogen.cli.serve import serve
import protogen_runtime.echo
print(*[name for name in {LATER!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []
