"""An HTTP API beside the path of the protocol, or in its place: methods and paths, each with a function that answers.

Knows neither sockets nor JSON-RPC, nor what the functions do. What waits runs in a task of the connection, and is
cancelled when the client has gone.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, Protocol, TypeAlias, cast
from urllib.parse import unquote_to_bytes

import msgspec
import trio
from msgspec import Raw

from protogen_runtime.dispatch import AnswerEarly, Channel, Emit, Later
from protogen_runtime.dispatch.channels import TransportError
from protogen_runtime.jsonrpc import INTERNAL_ERROR, ErrorObject
from protogen_runtime.observe import Observation, Observer, Operation

from .handling import Responder
from .messages import Headers, Reply, Request, refusal

NO_BODY: Final = Raw(b"null")


class Stream(msgspec.Struct, frozen=True):
    """An answer in pieces, which are sent as they come; the generator is closed when the client has gone.

    Without a content-length in `headers` the length is open. A generator that raises breaks the answer off.
    """

    status: int
    pieces: AsyncGenerator[bytes, None]
    headers: Headers = ()


Answer: TypeAlias = Reply | Stream

Answering: TypeAlias = Callable[[Request, Mapping[str, str]], Answer | Awaitable[Answer]]
"""Answers a request, whose path had these values in the places of `{name}`. A `Later` is of a Reply."""

Admitting: TypeAlias = Callable[[Request], Reply | None]
"""Decides on a head, before the body is read: it refuses, sets how large the body may be, or where it goes."""


class Route(msgspec.Struct, frozen=True):
    """What is served at a path, such as `/runs/{id}`: each `{name}` is one segment. `admit` None takes everything."""

    method: str
    path: str
    answer: Answering
    admit: Admitting | None = None

    @property
    def name(self) -> str:
        """The route as metrics and logs name it."""
        return f"{self.method} {self.path}"


class Refuse(Protocol):
    """Words the refusals of the router itself: 404, 405, 503 and what a path cannot say."""

    def __call__(self, status: int, reason: str, *headers: tuple[bytes, bytes]) -> Reply:
        """The answer."""
        ...


class Host(Protocol):
    """What a running answer needs of the endpoint that began it."""

    in_flight: int

    def marks(self, request: Request) -> Headers:
        """What every answer to the request carries."""
        ...


Found: TypeAlias = tuple[dict[str, Route], dict[str, str]]


class Routes:
    """The routes of one API. `refuse` words refusals; `fail` answers for what a function raised.

    `taken` are headers, in lower case, that pages of allowed origins may send, and `shown` those that they may read.
    """

    def __init__(
        self,
        routes: Iterable[Route],
        *,
        refuse: Refuse = refusal,
        fail: Callable[[Route, Exception], Reply],
        observer: Observer | None = None,
        taken: Sequence[bytes] = (),
        shown: Sequence[bytes] = (),
    ) -> None:
        self.taken = tuple(taken)
        self.shown = tuple(shown)
        self._refuse = refuse
        self._fail = fail
        self._observer = observer
        self._exact: dict[bytes, dict[str, Route]] = {}
        self._patterns: list[tuple[tuple[bytes, ...], dict[str, Route]]] = []
        by_path: dict[str, dict[str, Route]] = {}
        for route in routes:
            by_path.setdefault(route.path, {})[route.method] = route
        for path, methods in by_path.items():
            if "GET" in methods:
                methods.setdefault("HEAD", methods["GET"])
            if "{" in path:
                self._patterns.append((tuple(path.encode().split(b"/")), methods))
            else:
                self._exact[path.encode()] = methods
        if observer is not None:
            names = [route.name for methods in by_path.values() for route in methods.values()]
            observer.expect(names, [status.value for status in HTTPStatus if 400 <= status < 500])

    @property
    def methods(self) -> bytes:
        """Every method that is taken somewhere, as CORS lists them."""
        tables = [*self._exact.values(), *(methods for _, methods in self._patterns)]
        return ", ".join(sorted({method for methods in tables for method in methods})).encode()

    def admit(self, request: Request) -> Reply | None:
        """Decide on a head: a refusal, or None where the body is wanted."""
        found = self._find(request)
        if isinstance(found, Reply):
            return found
        route = found[0]
        return None if route.admit is None else route.admit(request)

    def begin(self, request: Request, host: Host) -> Reply | Errand:
        """Answer a whole request that was admitted, or hand out what must be run for its answer."""
        found = self._find(request)
        if isinstance(found, Reply):
            return found
        route, values = found
        observation = None if self._observer is None else self._observer.begin(_work(route), _Link(request))
        try:
            answer = route.answer(request, values)
        except Exception as error:  # noqa: BLE001 - whatever a function raises, its client gets an answer
            answer = self._fail(route, error)
        if isinstance(answer, Reply):
            self.end(observation, answer)
            return answer
        if observation is not None and self._observer is not None:
            self._observer.suspend(observation)
        return Errand(self, host, request, route, answer, observation)

    def end(self, observation: Observation | None, answer: Answer | None) -> None:
        """An answer has been given, or its client has gone (None)."""
        if observation is None or self._observer is None:
            return
        if answer is None:
            self._observer.end(observation, "cancelled")
        elif answer.status < 400:
            self._observer.end(observation, b"")
        elif answer.status < 500:
            self._observer.end(observation, ErrorObject(answer.status, HTTPStatus(answer.status).phrase))
        else:
            self._observer.end(observation, INTERNAL_ERROR)

    def resume(self, observation: Observation | None) -> None:
        """The answer to a request goes on in this task."""
        if observation is not None and self._observer is not None:
            self._observer.resume(observation)

    def fail(self, route: Route, error: Exception) -> Reply:
        """The answer for what a function raised."""
        return self._fail(route, error)

    def _find(self, request: Request) -> tuple[Route, Mapping[str, str]] | Reply:
        path = request.target.partition(b"?")[0]
        values: dict[str, str] = {}
        methods = self._exact.get(path)
        if methods is None:
            parts = path.split(b"/")
            for pattern, found in self._patterns:
                if len(pattern) != len(parts) or not _fits(pattern, parts):
                    continue
                read = _values(pattern, parts)
                if read is None:
                    return self._refuse(400, "the path is no UTF-8 text: percent-encode it anew")
                methods, values = found, read
                break
            else:
                return self._refuse(404, "nothing is served at this path")
        route = methods.get(request.method.decode("latin-1"))
        if route is None:
            allowed = ", ".join(methods)
            return self._refuse(405, f"this path takes {allowed}", (b"allow", allowed.encode()))
        return route, values


def _fits(pattern: tuple[bytes, ...], parts: list[bytes]) -> bool:
    return all(part if known[:1] == b"{" else known == part for known, part in zip(pattern, parts, strict=True))


def _values(pattern: tuple[bytes, ...], parts: list[bytes]) -> dict[str, str] | None:
    try:
        return {
            known[1:-1].decode(): unquote_to_bytes(part).decode()
            for known, part in zip(pattern, parts, strict=True)
            if known[:1] == b"{"
        }
    except UnicodeDecodeError:
        return None


class Errand:
    """One request whose answer waits, or comes in pieces. Cancel `scope` when the client has gone."""

    def __init__(
        self,
        routes: Routes,
        host: Host,
        request: Request,
        route: Route,
        answer: Stream | Awaitable[Answer],
        observation: Observation | None,
    ) -> None:
        self.scope = trio.CancelScope()
        self._routes = routes
        self._host = host
        self._request = request
        self._route = route
        self._answer = answer
        self._observation = observation
        self._is_parked = False

    def park(self, answer: Callable[[Reply], None], wake: Callable[[], None]) -> bool:
        """Leave it to whoever knows the answer to call `answer`; see `Handling.park`."""
        del wake
        later = self._answer
        if not isinstance(later, Later):
            return False

        def settle() -> None:
            self.unpark()
            try:
                reply = cast("Reply", later.result())
            except Exception as error:  # noqa: BLE001 - whatever a function raises, its client gets an answer
                reply = self._routes.fail(self._route, error)
            self._routes.end(self._observation, reply)
            answer(reply)

        self._is_parked = True
        self._host.in_flight += 1
        later.tell(settle)
        return True

    def unpark(self) -> None:
        """It is going to be run or dropped."""
        if self._is_parked:
            self._is_parked = False
            self._host.in_flight -= 1
            cast("Later[Reply]", self._answer).tell(None)

    def drop(self) -> None:
        """It will not be run after all."""
        if inspect.iscoroutine(self._answer):
            self._answer.close()
        elif isinstance(self._answer, Later):
            self._answer.withdraw()
        if self._request.sink is not None:
            self._request.sink.close()
        self._routes.end(self._observation, None)

    async def run(self, responder: Responder) -> None:
        """Wait for the answer and send it. Errors: those of the responder."""
        self._host.in_flight += 1
        answer: Answer | None = None
        try:
            with self.scope:
                self._routes.resume(self._observation)
                answer = await self._wait()
                if isinstance(answer, Stream):
                    await self._send(answer, responder)
        finally:
            self._host.in_flight -= 1
            if self._request.sink is not None:
                self._request.sink.close()
            self._routes.end(self._observation, None if self.scope.cancelled_caught else answer)
        if isinstance(answer, Reply):
            await responder.reply(answer)

    async def _wait(self) -> Answer:
        if isinstance(self._answer, Stream):
            return self._answer
        try:
            return await self._answer
        except Exception as error:  # noqa: BLE001 - whatever a function raises, its client gets an answer
            return self._routes.fail(self._route, error)

    async def _send(self, answer: Stream, responder: Responder) -> None:
        pieces = answer.pieces
        try:
            await responder.begin_stream(answer.status, (*answer.headers, *self._host.marks(self._request)))
            if self._request.method != b"HEAD":
                async for piece in pieces:
                    await responder.send(piece)
        except Exception as error:  # noqa: BLE001 - the client must see that the answer is not whole
            self._routes.fail(self._route, error)
            await responder.abort()
        else:
            await responder.end()
        finally:
            with trio.CancelScope(shield=True):
                # A generator that cleans up ends at once: it holds a file or a subscription.
                await pieces.aclose()


def _work(route: Route) -> Operation:
    return Operation(id=None, method=route.name, params=NO_BODY)


class _Headers(Mapping[str, str]):
    """The headers of a request as text, of which one or two are asked for, if any."""

    __slots__ = ("_request",)

    def __init__(self, request: Request) -> None:
        self._request = request

    def get(self, key: str, default: Any = None) -> Any:
        """See Mapping."""
        if key == "x-request-id" and self._request.request_id:
            return self._request.request_id.decode("latin-1")
        value = self._request.headers.get(key.encode("latin-1", "replace"))
        return default if value is None else value.decode("latin-1")

    def __getitem__(self, key: str) -> str:
        return self._request.text_headers()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._request.text_headers())

    def __len__(self) -> int:
        return len(self._request.text_headers())


class _Link:
    """What an observer asks of a request; nobody calls back over it."""

    __slots__ = ("_request",)

    def __init__(self, request: Request) -> None:
        self._request = request

    @property
    def headers(self) -> Mapping[str, str]:
        """See Link."""
        return _Headers(self._request)

    @property
    def identity(self) -> str | None:
        """See Link."""
        return self._request.identity

    @property
    def deadline(self) -> float | None:
        """See Link."""
        return None

    @property
    def emit(self) -> Emit | None:
        """See Link."""
        return None

    @property
    def answer(self) -> AnswerEarly | None:
        """See Link."""
        return None

    @property
    def has_answered(self) -> bool:
        """See Link."""
        return False

    @property
    def frame(self) -> bytes:
        """See Link."""
        return b""

    @property
    def channel(self) -> Channel:
        """See Link. Errors: TransportError."""
        raise TransportError("the caller of an HTTP API cannot be called")


def json_reply(status: int, value: Any, *headers: tuple[bytes, bytes]) -> Reply:
    """An answer with JSON."""
    return Reply(status, msgspec.json.encode(value), ((b"content-type", b"application/json"), *headers))
