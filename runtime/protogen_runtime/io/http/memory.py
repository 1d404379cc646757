"""Memory of large bodies goes back to the system when they are done with.

Knows the GNU C library; elsewhere this does nothing.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Final

LARGE_BYTES: Final = 256 * 1024
"""From this size on, memory is mapped for itself and unmapped when it is freed, which costs 50 µs for 1 MB."""

_M_MMAP_THRESHOLD: Final = -3


def give_back_large() -> None:
    """Fix the size of what is large. By itself glibc raises it to that of the largest body, and keeps what it freed."""
    if sys.platform != "linux":
        return
    import ctypes

    # Another C library has no mallopt, or ignores the option.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
