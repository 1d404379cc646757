"""What a request means: routes, verbs, media types, and the JSON-RPC it carries. A request in, an answer out.

Knows no sockets; HTTP/1.1 connections and the ASGI application hand their requests to the same endpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias
from urllib.parse import parse_qsl

from msgspec import Raw

from protogen_runtime.dispatch import Service
from protogen_runtime.io.session import names_session
from protogen_runtime.jsonrpc import (
    INVALID_REQUEST,
    Call,
    ErrorObject,
    Exchange,
    Failure,
    Success,
    encode,
)
from protogen_runtime.observe import request_ids

from .access import Guard, Unidentified
from .callbacks import Callbacks
from .deadlines import Deadlines
from .foreign import AsgiApp, Foreign
from .handling import Handling, encode_outcome
from .limits import Limits
from .messages import ACCEPTED, JSON_TYPE, Headers, Reply, Request, refusal
from .routes import Errand, Routes

Page: TypeAlias = Callable[[], Reply]
"""Answers GET at one path: health, metrics."""

Document: TypeAlias = Callable[[Request], Reply]
"""Answers GET at one path, by what the request says."""

Unauthorized: TypeAlias = Callable[[str], ErrorObject]
"""The error with which a protocol refuses somebody unknown, given why."""

MAX_QUERY_MEMBERS: Final = 100
"""Members of a query that is looked at; one with more names no header."""

HEALTHY: Final = Reply(200, b'{"status":"healthy"}', ((b"content-type", JSON_TYPE),))


Begun: TypeAlias = bytes | Reply | Handling | Foreign | Errand
"""What became of a request: JSON to answer with, another answer, or something to run."""


class Endpoint:
    """Serves a service at the path of its protocol, pages at others, and leaves the rest to `app`.

    A POST to the path of the protocol with the query `sessionId=` is for `app`, too, where there is one.
    `unauthorized` words the refusal of somebody unknown at the paths of the protocol; without it a line of text does.
    `documents` are pages that strangers may read, too. `states` are headers of every answer. Members of the query in
    `query_headers` count as headers where there are none. With `routes`, whatever is no page is theirs, the path of the
    protocol included.
    """

    def __init__(
        self,
        service: Service,
        *,
        limits: Limits,
        guard: Guard,
        deadlines: Deadlines,
        pages: Mapping[str, Page] | None = None,
        app: AsgiApp | None = None,
        aliases: Iterable[str] = (),
        unauthorized: Unauthorized | None = None,
        documents: Mapping[str, Document] | None = None,
        states: Headers = (),
        query_headers: Iterable[str] = (),
        routes: Routes | None = None,
    ) -> None:
        self.service = service
        self._usage = service.usage
        self._routes = routes
        self._documents: dict[bytes, Document] = {path.encode(): page for path, page in (documents or {}).items()}
        self._states = states
        self._query_headers = frozenset(name.lower() for name in query_headers)
        self._unauthorized = unauthorized
        self.limits = limits
        self.guard = guard
        self.deadlines = deadlines
        self.callbacks = Callbacks(service.info.instance_header)
        self.in_flight = 0
        self.is_closing = False
        self.tags_requests = False
        self._path = service.info.path.encode()
        self._paths = frozenset((self._path, *(alias.encode() for alias in aliases)))
        self._app = app
        self._pages: dict[bytes, Page] = {path.encode(): page for path, page in (pages or {}).items()}
        if service.info.health_path is not None:
            self._pages.setdefault(service.info.health_path.encode(), lambda: HEALTHY)

    def admit(self, request: Request) -> Reply | None:
        """Decide on a head: a refusal, or None where the body is wanted."""
        if request.target[:1] != b"/":
            _use_absolute_form(request)
        # The handshake of a WebSocket is asked about once more when it is whole, and must not count twice.
        is_handshake = request.method == b"GET" and request.headers.get(b"upgrade", b"").lower() == b"websocket"
        refused = self.guard.check(request, spends=not is_handshake)
        if refused is not None:
            if not isinstance(refused, Unidentified) or not self._is_document(request):
                return self._worded(refused, request)
            if not self.guard.may_ask(request):
                return self.guard.too_many()
        if self._query_headers and b"?" in request.target:
            self._add_query_headers(request)
        path = request.target
        if self._routes is not None:
            path = path.partition(b"?")[0]
            is_page = path in self._pages or path in self._documents
            return self._admit_elsewhere(path, request) if is_page else self._routes.admit(request)
        if path != self._path:
            path = path.partition(b"?")[0]
            if not self._is_ours(request):
                return self._admit_elsewhere(path, request)
        if request.method != b"POST":
            if request.method in (b"GET", b"HEAD") and path in self._pages:
                return None
            return refusal(405, "JSON-RPC takes POST", (b"allow", b"POST"))
        headers = request.headers
        if headers.get(b"content-type") != JSON_TYPE and not _is_json(headers.get(b"content-type", b"")):
            return refusal(415, "JSON-RPC takes application/json in UTF-8")
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            # A small compressed body can be a huge one: whoever wants to send much has a limit for it.
            return refusal(415, "compressed requests are not taken", (b"accept-encoding", b"identity"))
        return None

    def admit_websocket(self, request: Request) -> Reply | None:
        """Decide on the handshake of a WebSocket."""
        refused = self.guard.check(request)
        if refused is None and request.target.partition(b"?")[0] not in self._paths:
            return refusal(404, "nothing is served at this path")
        return None if refused is None else self._worded(refused, request)

    def _worded(self, refused: Reply, request: Request) -> Reply:
        if self._unauthorized is None or not isinstance(refused, Unidentified):
            return refused
        if request.target.partition(b"?")[0] not in self._paths:
            return refused
        # The id of the call is in the body, which nobody reads for a stranger.
        body = encode(Failure(id=None, error=self._unauthorized(refused.reason)))
        kept = tuple(header for header in refused.headers if header[0] != b"content-type")
        return Reply(refused.status, body, ((b"content-type", JSON_TYPE), *kept))

    def _is_document(self, request: Request) -> bool:
        return request.method in (b"GET", b"HEAD") and request.target.partition(b"?")[0] in self._documents

    def _add_query_headers(self, request: Request) -> None:
        members = parse_qsl(request.target.partition(b"?")[2].decode("latin-1"), max_num_fields=MAX_QUERY_MEMBERS)
        found = {name.lower(): value for name, value in members if name.lower() in self._query_headers}
        added = {name.encode(): value.encode("latin-1", "replace") for name, value in found.items()}
        if added:
            # The headers of a connection's requests may be shared.
            request.headers = {**added, **request.headers}

    def _is_ours(self, request: Request) -> bool:
        """Whether a target is the protocol's: its path, but not with a session named in the query (see `session`)."""
        path, _, query = request.target.partition(b"?")
        if path not in self._paths:
            return False
        return self._app is None or request.method != b"POST" or not names_session(query)

    def _admit_elsewhere(self, path: bytes, request: Request) -> Reply | None:
        if path in self._pages or path in self._documents:
            if request.method in (b"GET", b"HEAD"):
                return None
            return refusal(405, "this page can be read", (b"allow", b"GET, HEAD"))
        return None if self._app is not None else refusal(404, "nothing is served at this path")

    def begin(self, request: Request) -> Begun:
        """Answer a whole request that was admitted, or hand out what must be run for its answer."""
        if self.tags_requests:
            self.tag(request)
        if request.refused is not None:
            return request.refused
        if self._routes is not None:
            return self._begin_route(self._routes, request)
        if request.method != b"POST" or (request.target != self._path and not self._is_ours(request)):
            return self._begin_elsewhere(request)
        if self.is_closing:
            return self._busy("the server is shutting down")
        body = bytes(request.body)
        if body[:1] != b"{":
            return self._begin_exchange(request, self._usage.receive(body, max_batch=self.limits.max_batch))
        if self.callbacks.instance_header in request.headers:
            message = self._usage.read(body)
            if isinstance(message, Success | Failure) and self.callbacks.take(message, request.headers):
                return ACCEPTED
        handling = Handling(self, request)
        direct = self.service.direct(body, handling)
        if type(direct) is bytes:
            return direct
        if isinstance(direct, tuple):
            handling.hold(*direct)
            return self._taken(handling)
        message = self._usage.read(body)
        if type(message) is not Call:
            return self._begin_exchange(request, Exchange((message,), batch=False))
        outcome = self.service.start(message, handling)
        if type(outcome) is Raw:
            return encode(Success(id=message.id, result=outcome))
        if isinstance(outcome, ErrorObject):
            return handling.refusal(message, outcome) or b""
        handling.hold(message, outcome)
        return self._taken(handling)

    def tag(self, request: Request) -> None:
        """Give a request its id, unless it has one or ids are switched off."""
        if not self.tags_requests or request.request_id:
            return
        if request_ids.NAME in request.headers:
            request.headers, request.request_id = request_ids.tagged(request.headers)
        else:
            # Whoever reads the headers finds it there (see Request.text_headers): most calls read none.
            request.request_id = request_ids.new()

    def marks(self, request: Request) -> Headers:
        """What the answer to a request carries: its id, and what lets the page of an allowed origin read it."""
        cors = (*self._states, *self.guard.cors(request))
        return (*cors, (request_ids.NAME, request.request_id)) if request.request_id else cors

    def _begin_elsewhere(self, request: Request) -> Begun:
        document = self._documents.get(request.target.partition(b"?")[0])
        if document is not None and request.method in (b"GET", b"HEAD"):
            return document(request)
        page = self._pages.get(request.target.partition(b"?")[0])
        if page is not None and request.method in (b"GET", b"HEAD"):
            return page()
        if self._app is not None:
            return Foreign(self._app, request, self.marks(request))
        return refusal(404, "nothing is served at this path")

    def _begin_route(self, routes: Routes, request: Request) -> Begun:
        path = request.target.partition(b"?")[0]
        if path in self._pages or path in self._documents:
            return self._begin_elsewhere(request)
        if self.is_closing:
            return self._busy("the server is shutting down")
        begun = routes.begin(request, self)
        return self._taken(begun) if isinstance(begun, Errand) else begun

    def _begin_exchange(self, request: Request, exchange: Exchange) -> Begun:
        if exchange.answers:
            known = [self.callbacks.take(answer, request.headers) for answer in exchange.answers]
            if not exchange.work and exchange.reply() is None and not all(known):
                return Reply(400, encode(Failure(id=None, error=INVALID_REQUEST)), ((b"content-type", JSON_TYPE),))
        if not exchange.work:
            reply = exchange.reply()
            return ACCEPTED if reply is None else reply
        handling = Handling(self, request)
        if exchange.is_batch:
            handling.hold_batch(exchange)
            return self._taken(handling)
        work = exchange.work[0]
        outcome = self.service.start(work, handling)
        if isinstance(outcome, Raw):
            return encode_outcome(work, outcome) or ACCEPTED
        if isinstance(outcome, ErrorObject):
            return handling.refusal(work, outcome) or ACCEPTED
        handling.hold(work, outcome)
        return self._taken(handling)

    def _taken(self, handling: Handling | Errand) -> Begun:
        if self.in_flight < self.limits.max_in_flight:
            return handling
        handling.drop()
        return self._busy("too many calls are under way")

    def _busy(self, reason: str) -> Reply:
        return refusal(503, reason, (b"retry-after", b"%d" % self.limits.retry_after_seconds))


def _is_json(content_type: bytes) -> bool:
    kind, _, parameters = content_type.lower().partition(b";")
    if kind.strip() != JSON_TYPE:
        return False
    for parameter in parameters.split(b";"):
        name, _, value = parameter.partition(b"=")
        if name.strip() == b"charset" and value.strip(b' "') not in (b"utf-8", b"utf8"):
            return False
    return True


def _use_absolute_form(request: Request) -> None:
    """`POST http://host/path`: the target's host counts, not the header's (RFC 9112, section 3.2.2)."""
    scheme, mark, rest = request.target.partition(b"://")
    if mark and scheme.lower() in (b"http", b"https"):
        host, _, path = rest.partition(b"/")
        request.headers[b"host"] = host
        request.target = b"/" + path
