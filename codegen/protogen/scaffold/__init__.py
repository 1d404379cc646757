"""What `protogen init` begins: a protocol of one's own, or a node that serves one. Knows no command line."""

from __future__ import annotations

from .documents import Copied, copied
from .node import LANGUAGES, Node, node_files
from .placing import place, refuse_existing
from .protocol import protocol_files
from .requests import requests

__all__ = [
    "LANGUAGES",
    "Copied",
    "Node",
    "copied",
    "node_files",
    "place",
    "protocol_files",
    "refuse_existing",
    "requests",
]
