"""The smallest server of the stack: the echo protocol, for benchmarks, probes and tutorials."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import trio
from echo_protocol.client import CLIENTS
from echo_protocol.errors import (
    CallbackFailedError,
    SleepTooLongError,
    SumOutOfRangeError,
)
from echo_protocol.methods import PROTOCOL
from echo_protocol.rpc.errors import RpcError
from echo_protocol.types import (
    AddParams,
    AddResult,
    CallbackFailedData,
    CallbackParams,
    CallbackResult,
    CountEvent,
    CountParams,
    CountResult,
    EchoParams,
    EchoResult,
    FailParams,
    FailResult,
    NotifyParams,
    SleepParams,
    SleepResult,
    SleepTooLongData,
    SumOutOfRangeData,
)

from protogen_runtime.dispatch import CallContext, Report, Service
from protogen_runtime.io import stdio
from protogen_runtime.io.http.server import Settings, run
from protogen_runtime.observe import ObserveSettings

_logger = logging.getLogger(__name__)

LONGEST_SLEEP_SECONDS = 60.0
"""What `sleep` and the pauses of `count` wait at most."""

LARGEST = 1.7976931348623157e308


class EchoHandler:
    """Serves the role `server`. What waits is asynchronous, the rest is done at once."""

    def __init__(self) -> None:
        self.notified = 0

    def echo(self, params: EchoParams, _: CallContext) -> EchoResult:
        """Send the value back."""
        return EchoResult(value=params.value)

    def add(self, params: AddParams, _: CallContext) -> AddResult:
        """Add two numbers, exactly where both are whole."""
        try:
            total = params.a + params.b
        except OverflowError:
            total = float("inf")
        if not -LARGEST <= total <= LARGEST:
            raise SumOutOfRangeError(SumOutOfRangeData(a=params.a, b=params.b))
        return AddResult(sum=total)

    def fail(self, params: FailParams, _: CallContext) -> FailResult:
        """Answer with the error that was asked for."""
        raise RpcError(params.code, params.message, params.data)

    async def sleep(self, params: SleepParams, _: CallContext) -> SleepResult:
        """Answer after a while."""
        if params.seconds > LONGEST_SLEEP_SECONDS:
            raise SleepTooLongError(SleepTooLongData(maximum=LONGEST_SLEEP_SECONDS))
        started = trio.current_time()
        await trio.sleep(params.seconds)
        return SleepResult(slept=trio.current_time() - started)

    async def count(self, params: CountParams, context: CallContext) -> CountResult:
        """Send one event per number, then the result."""
        pause = min(params.interval_or_default, LONGEST_SLEEP_SECONDS)
        for number in range(1, params.to + 1):
            await context.emit(CountEvent(number=number))
            await trio.sleep(pause)
        return CountResult(counted=params.to)

    async def callback(self, params: CallbackParams, context: CallContext) -> CallbackResult:
        """Call the client back and answer with what it answered."""
        client: Any = context.client
        try:
            return CallbackResult(result=await client.call(params.method, params.params_or_default))
        except RpcError as error:
            data = CallbackFailedData(code=error.code, message=error.message, data=error.data)
            raise CallbackFailedError(data) from error

    def notify_(self, _: NotifyParams, __: CallContext) -> None:
        """Count what was told."""
        self.notified += 1


def make_service(report: Report | None = None) -> Service:
    """The echo service with a handler of its own."""
    return Service(PROTOCOL, "server", EchoHandler(), clients=CLIENTS, report=report)


def serve_http(settings: Settings) -> None:
    """Serve echo over HTTP until the process is told to end. Errors: CannotServe."""
    run(settings, partial(make_service, _report))


def serve_stdio(settings: ObserveSettings | None = None) -> None:
    """Serve one client on stdin and stdout, one message a line, until stdin ends; logs go to stderr.

    Errors: OSError where the log file of the settings cannot be opened.
    """
    stdio.run(settings or ObserveSettings(), partial(make_service, _report))


def _report(method: str, what: str, error: BaseException) -> None:
    _logger.error("%s: %s", method, what, exc_info=error)
