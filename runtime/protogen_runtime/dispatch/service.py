"""A handler object bound to the method table of its protocol: from a call to its outcome.

Knows no transport, starts no task and reads no clock: what a synchronous handler gives is there at once, what an
asynchronous one gives is handed out as a coroutine for the transport to run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from inspect import isawaitable, iscoroutinefunction
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import UNSET, Raw

from protogen_runtime.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    Call,
    ErrorObject,
    Failure,
    Success,
    Work,
    encode,
)

from .context import CallContext, Link
from .direct import Answer, DirectCall, Read, call_class, exact_params, make_reader
from .later import Later, Outcome, Telling
from .sdk import Channel, Codec, Method, ProtocolInfo, Sdk, free_class, sdk_of
from .usage import STANDARD, Usage

Report: TypeAlias = Callable[[str, str, BaseException], None]
"""Told (method, what failed, exception) of every failure that the caller is not told the reason of."""

Explain: TypeAlias = Callable[[str, bytes, Exception], Exception | None]
"""Told (method, params as JSON object, the SDK's ValidationError) of refused params; gives the SDK's error to answer
with, None for the usual one."""

Served: TypeAlias = bytes | ErrorObject | Coroutine[Any, Any, Outcome]
"""What became of a call that was read in one pass: its whole answer, an error to answer with, or what waits."""

Direct: TypeAlias = bytes | tuple[Call, Coroutine[Any, Any, Outcome]]
"""A whole answer, or a call and what waits for its outcome."""

_NULL: Final = Raw(b"null")
_OPENING_BRACKET: Final = ord("[")


class _Bound:
    """One method of the table with the function that serves it, laid out for the calls to come."""

    __slots__ = (
        "at_once",
        "free",
        "function",
        "is_async",
        "make_client",
        "method",
        "params",
        "positional",
        "result",
        "serve",
        "write_event",
        "write_result",
    )

    def __init__(
        self,
        method: Method,
        function: Callable[..., Any],
        at_once: Callable[..., Any] | None,
        make_client: Callable[[Channel], Any] | None,
        codec: Codec,
        sdk: Sdk,
    ) -> None:
        self.method = method
        self.function = function
        self.at_once = at_once
        self.is_async = iscoroutinefunction(function)
        self.make_client = make_client
        self.write_event = _event_writer(codec, method)
        self.write_result = _result_writer(codec, method)
        self.params = method.params
        self.positional = method.positional
        self.result = method.result
        self.free = free_class(sdk, method.result)
        self.serve: Callable[[DirectCall, Link], Served]


class Service:
    """Serves one role of a protocol with the methods of `handler`, which has a function for each row of the table.

    A function takes (params, context), or (context) where the method has no params; it gives a result of the SDK's
    class, or `msgspec.Raw`, JSON that is sent as it is; `def` runs inline and must not block, `async def` runs in a
    task of its own; a `def` that gives a `Later` needs no task. Beside an `async def` there may be a `def` with the
    name `…_nowait`, which is asked first: it gives the result where there is nothing to wait for, and None where the
    other one is to run, for which nothing must have happened yet. A method that the handler lacks is not found.
    `clients` are the generated classes that call each role back (`CLIENTS` of an SDK). `report` is told of failures.
    `explain` words the refusal of params where the protocol says how. `usage` is how the protocol uses JSON-RPC.
    """

    def __init__(
        self,
        info: ProtocolInfo,
        role: str,
        handler: object,
        *,
        clients: Mapping[str, Callable[[Any], Any]] | None = None,
        sdk: Sdk | None = None,
        report: Report | None = None,
        explain: Explain | None = None,
        usage: Usage = STANDARD,
    ) -> None:
        self.info = info
        self.role = role
        self.usage = usage
        self.report = report
        self._explain = explain
        self._codec: Codec = info.codec
        self._encode = info.codec.encode
        self._decode = info.codec.decode
        self._sdk = sdk_of(info) if sdk is None else sdk
        self._methods: dict[str, _Bound] = {}
        for name, method in info.methods.items():
            function = getattr(handler, method.function, None)
            if method.receiver == role and function is not None:
                make_client = (clients or {}).get(method.sender)
                at_once = getattr(handler, f"{method.function}_nowait", None)
                bound = _Bound(method, function, at_once, make_client, self._codec, self._sdk)
                self._methods[name] = bound
                bound.serve = partial(self._serve, bound)
        self._reader: Read | None = None

    @property
    def method_names(self) -> frozenset[str]:
        """The methods that are served: those of the role that the handler has."""
        return frozenset(self._methods)

    def start(self, work: Work, link: Link) -> Outcome | Coroutine[Any, Any, Outcome]:
        """The outcome of one call or notification, or the coroutine that gives it; raises nothing.

        A coroutine that is not run must be closed.
        """
        bound = self._methods.get(work.method)
        if bound is None:
            return METHOD_NOT_FOUND
        context = CallContext(
            work.method,
            work.id if type(work) is Call else None,
            link,
            bound.make_client,
            bound.write_event,
            bound.write_result,
        )
        try:
            arguments = self._arguments(bound, work.params, context)
            result = None if bound.at_once is None else bound.at_once(*arguments)
            if result is None:
                if bound.is_async:
                    return self._run(bound, arguments)
                result = bound.function(*arguments)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises, its caller gets an answer
            return self.failure(bound.method, error)
        if isawaitable(result):
            return self.finish(bound, result)
        return self._result(bound, result)

    def direct(self, frame: bytes, link: Link) -> Direct | None:
        """The short way for a frame that is one well-formed call; None, and nothing done, where it is not; see `start`.

        Whatever comes of it is what `start` would give.
        """
        call = self.read(frame)
        return None if call is None else finished(call, call.bound.serve(call, link))

    def read(self, frame: bytes) -> DirectCall | None:
        """The call that a frame is, where it is one that can be read in one pass."""
        if self._reader is None:
            # Made on use: 0.1 ms a method, and a server of pipes or WebSockets has none.
            self._reader = make_reader(self.direct_classes())
        return self._reader(frame)

    def direct_classes(self) -> list[type[DirectCall]]:
        """The classes of calls that can be read in one pass."""
        found: list[type[DirectCall]] = []
        for name, bound in self._methods.items():
            params = exact_params(self._sdk.types, self._sdk.exact, bound.params)
            if params is not None and bound.method.kind == "request":
                found.append(call_class(name, params, bound))
        return found

    def _serve(self, bound: _Bound, call: DirectCall, link: Link) -> Served:
        context = CallContext(
            call.method,
            call.id,
            link,
            bound.make_client,
            bound.write_event,
            bound.write_result,
            False,
        )
        try:
            result = None if bound.at_once is None else bound.at_once(call.params, context)
            if result is None:
                if bound.is_async:
                    return self._run(bound, (call.params, context))
                result = bound.function(call.params, context)
        except Exception as error:  # noqa: BLE001 - as in `start`
            return self.failure(bound.method, error)
        if bound.free is not None and bound.free.guarantees(result):
            try:
                return self._encode(Answer(call.id, result))
            except Exception as error:  # noqa: BLE001 - as in `_result`
                self._tell(bound.method, "its result breaks its schema", error)
                return INTERNAL_ERROR
        if isinstance(result, Later):
            return _Awaited(self, bound, result)  # pyright: ignore[reportUnknownArgumentType]  # of anything
        if isawaitable(result):
            return self.finish(bound, result)
        if type(result) is Raw and bound.result is not None:
            return encode(Success(id=call.id, result=result))
        outcome = self._result(bound, result)
        return outcome if isinstance(outcome, ErrorObject) else encode(Success(id=call.id, result=outcome))

    def _arguments(self, bound: _Bound, params: Raw, context: CallContext) -> tuple[Any, ...]:
        if bound.params is None:
            return (context,)
        if bound.positional or not params:
            return self._params(bound, params), context
        try:
            return self._decode(bound.params, params), context
        except self._sdk.invalid as error:
            raise _BadParams(error, params) from error

    async def _run(self, bound: _Bound, arguments: tuple[Any, ...]) -> Outcome:
        # The handler is called in here: a coroutine that is closed before it runs leaves nothing behind.
        return await self.finish(bound, bound.function(*arguments))

    def outcome_of(self, bound: _Bound, later: Later[Any]) -> Outcome:
        """What became of a call that a handler left to somebody else."""
        try:
            result = later.result()
        except Exception as error:  # noqa: BLE001 - as above
            return self.failure(bound.method, error)
        return self._result(bound, result)

    async def finish(self, bound: _Bound, running: Awaitable[Any]) -> Outcome:
        """The same for what must be waited for."""
        try:
            result = await running
        except Exception as error:  # noqa: BLE001 - as above
            return self.failure(bound.method, error)
        return self._result(bound, result)

    def _params(self, bound: _Bound, params: Raw) -> Any:
        name = bound.params
        assert name is not None
        text: bytes | Raw = params or b"{}"
        if memoryview(text)[0] == _OPENING_BRACKET:
            text = _by_name(bound.positional, params)
        try:
            return self._decode(name, text)
        except self._sdk.invalid as error:
            raise _BadParams(error, text) from error

    def _result(self, bound: _Bound, result: Any) -> Outcome:
        if bound.result is None:
            return _NULL
        if type(result) is Raw:
            # JSON that the handler answers for, such as a stored document that was checked when it was kept.
            return result
        try:
            if bound.free is not None and bound.free.guarantees(result):
                return Raw(self._encode(result))
            return Raw(self._codec.encode_as(bound.result, result))
        except Exception as error:  # noqa: BLE001 - a result is the handler's: it can be anything
            self._tell(bound.method, "its result breaks its schema", error)
            return INTERNAL_ERROR

    # --- the one place that turns exceptions into errors ------------------------------------------

    def failure(self, method: Method, error: Exception) -> ErrorObject:
        """The error to answer with where a handler or its params failed; no text of foreign origin is in it."""
        if isinstance(error, _BadParams):
            worded = self._worded(method, error)
            if worded is None:
                return ErrorObject(INVALID_PARAMS.code, INVALID_PARAMS.message, error.data())
            error = worded
        if not isinstance(error, self._sdk.answer):
            self._tell(method, "the handler failed", error)
            return INTERNAL_ERROR
        try:
            return self._stated(error)
        except Exception as fault:  # noqa: BLE001 - the error's data is the handler's: it can be anything
            self._tell(method, "the data of its error breaks its schema", fault)
            return INTERNAL_ERROR

    def _worded(self, method: Method, error: _BadParams) -> Exception | None:
        if self._explain is None:
            return None
        try:
            return self._explain(method.name, bytes(error.params), error.fault)
        except Exception as fault:  # noqa: BLE001 - it looks at whatever strangers send, and they get an answer
            self._tell(method, "the refusal of its params could not be worded", fault)
            return None

    def _stated(self, error: Any) -> ErrorObject:
        if type(error.code) is not int or not isinstance(error.message, str):
            raise TypeError(f"expected an integer code and a text, got {error.code!r} and {error.message!r}")
        stated = ErrorObject(error.code, error.message, UNSET)
        if error.data is not UNSET:
            name: str | None = getattr(error, "DATA", None)
            text = self._codec.encode(error.data) if name is None else self._codec.encode_as(name, error.data)
            stated = ErrorObject(error.code, error.message, Raw(text))
        # What cannot be written (a lone surrogate in the message) must fail here, where it can still be answered.
        msgspec.json.encode(stated)
        return stated

    def _tell(self, method: Method, what: str, error: BaseException) -> None:
        if self.report is not None:
            self.report(method.name, what, error)


class _Awaited(Telling):
    """The outcome of a handler that gave a `Later`."""

    __slots__ = ("_bound", "_later", "_service")

    def __init__(self, service: Service, bound: _Bound, later: Later[Any]) -> None:
        super().__init__()
        self._service = service
        self._bound = bound
        self._later = later

    def tell(self, listener: Callable[[Outcome], None] | None) -> None:
        """See Telling."""
        if listener is None:
            self._later.tell(None)
        else:
            self._later.tell(lambda: listener(self._service.outcome_of(self._bound, self._later)))

    def _make(self) -> Coroutine[Any, Any, Outcome]:
        return self._service.finish(self._bound, self._later)

    def _discard(self) -> None:
        self._later.tell(None)
        self._later.withdraw()


def finished(call: DirectCall, served: Served) -> Direct:
    """What `Service.direct` gives for a call that was served."""
    if type(served) is bytes:
        return served
    if isinstance(served, ErrorObject):
        return encode(Failure(id=call.id, error=served))
    assert not isinstance(served, bytes)
    return Call(id=call.id, method=call.method), served


class _BadParams(Exception):
    """Carries the SDK's ValidationError of the params, told apart from one that a handler raises later."""

    def __init__(self, fault: Any, params: bytes | Raw) -> None:
        super().__init__(fault)
        self.fault = fault
        self.params = params

    def data(self) -> Raw:
        """`{"errors": [{"path", "message"}]}` as JSON."""
        return Raw(msgspec.json.encode(self.fault.as_data()))


def _by_name(positional: tuple[str, ...], params: Raw) -> bytes | Raw:
    """Params by position as an object; unchanged where there are too many, for the schema to refuse."""
    values: list[Raw] = msgspec.json.decode(params, type=list[Raw])
    if len(values) > len(positional):
        return params
    return msgspec.json.encode(dict(zip(positional, values, strict=False)))


def _event_writer(codec: Codec, method: Method) -> Callable[[Any], bytes] | None:
    name = method.events
    if name is None:
        return None
    return lambda event: codec.encode_as(name, event)


def _result_writer(codec: Codec, method: Method) -> Callable[[Any], bytes] | None:
    name = method.result
    if name is None:
        return None
    return lambda result: result if type(result) is Raw else codec.encode_as(name, result)
