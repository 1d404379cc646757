"""Nodes: the reference servers, put together from their protocol, a store, and the server shell.

Each module here is what `protogen serve NAME` runs; nothing else imports one.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def version_of() -> str:
    """The version of the distribution that serves, 0 where it was not installed as one."""
    try:
        return version("protogen-jsonrpc")
    except PackageNotFoundError:
        return "0"
