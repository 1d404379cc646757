"""The echo server as a program, whose `echo` of null tells how many tasks live in it.

Usage: victim.py SETTINGS. Everything else is what `protogen serve echo --config SETTINGS --announce` does.
"""

from __future__ import annotations

import sys
from pathlib import Path

import trio
from echo_protocol.client import CLIENTS
from echo_protocol.methods import PROTOCOL
from echo_protocol.types import EchoParams, EchoResult

from protogen_runtime.dispatch import CallContext, Service
from protogen_runtime.echo import EchoHandler
from protogen_runtime.io.http.server import Settings, override, read_settings, run


class CountingHandler(EchoHandler):
    """Echo, and the number of tasks."""

    def echo(self, params: EchoParams, context: CallContext) -> EchoResult:
        """Send the value back; null is the question for the tasks."""
        if params.value is None:
            return EchoResult(value=trio.lowlevel.current_statistics().tasks_living)
        return super().echo(params, context)


def make_service() -> Service:
    """The service."""
    return Service(PROTOCOL, "server", CountingHandler(), clients=CLIENTS)


if __name__ == "__main__":
    run(override(read_settings(Path(sys.argv[1]), Settings), port=0, announce=True), make_service)
