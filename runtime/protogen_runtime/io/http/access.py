"""Who may ask: Host and Origin allow-lists, keys, tokens, rates. A request in, a refusal or a user out.

Knows no sockets and no JSON-RPC. Everything here is decided on the head, before a body is read.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from .deadlines import Deadlines
from .limits import Limits
from .messages import Headers, Reply, Request, refusal
from .tokens import BadToken, JwtSettings, Tokens

MAX_REMEMBERED_CLIENTS: Final = 10_000
"""Allowances kept; the client that was quiet for longest is forgotten first, and starts again with a full one."""

_MAX_REMEMBERED_VALUES: Final = 256


class Access(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may use a server.

    `hosts`: names (with or without port) that requests may carry as Host, beside addresses and `localhost`: a page
    that rebinds its name to our address still sends its own name. `origins`: web origins whose pages may call; none by
    default, and only these get CORS headers. `keys`: user to secret, presented as `Authorization: Bearer` or
    `X-Api-Key`; `jwt`: whose signed tokens are taken as `Authorization: Bearer`. Where there is either, every request
    needs one.
    """

    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    keys: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    jwt: JwtSettings | None = None


ALWAYS_TAKEN: Final = (b"authorization", b"content-type", b"x-api-key")
"""Headers that pages of allowed origins may send to every server."""


class Unidentified(Reply, frozen=True, kw_only=True):
    """The refusal of somebody who did not show who they are; `reason` is for protocols that word it themselves."""

    reason: str


class Guard:
    """Decides on heads; remembers nothing but allowances, and tokens that were good. Errors: BadKeySet.

    `methods` are those that pages of allowed origins may use, `taken` headers that they may send besides, and `shown`
    headers of answers that they may read.
    """

    def __init__(
        self,
        access: Access,
        limits: Limits,
        deadlines: Deadlines,
        *,
        methods: bytes = b"POST",
        taken: Sequence[bytes] = (),
        shown: Sequence[bytes] = (),
    ) -> None:
        self._shown = ((b"access-control-expose-headers", b", ".join(shown)),) if shown else ()
        # Tells a browser what pages may send; `cors` adds whose pages.
        self._preflight = Reply(
            204,
            b"",
            (
                (b"access-control-allow-methods", methods),
                (b"access-control-allow-headers", b", ".join((*ALWAYS_TAKEN, *taken))),
                (b"access-control-max-age", b"600"),
            ),
        )
        self._hosts = frozenset(host.lower().encode() for host in access.hosts)
        self._origins = frozenset(origin.lower().encode() for origin in access.origins)
        self._digests = {user: hashlib.sha256(key.encode()).digest() for user, key in access.keys.items()}
        self._tokens = None if access.jwt is None else Tokens(access.jwt)
        self._asks_who = bool(self._digests) or self._tokens is not None
        self._limits = limits
        self._deadlines = deadlines
        self._good_hosts: set[bytes] = set()
        self._allowances: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def check(self, request: Request, *, spends: bool = True) -> Reply | None:
        """A refusal, or None, with `request.identity` set where users are told apart; `spends`: it counts as one."""
        headers = request.headers
        host = headers.get(b"host")
        if host not in self._good_hosts:
            refused = self._check_host(host, request.version)
            if refused is not None:
                return refused
        if b"origin" in headers and headers[b"origin"].lower() not in self._origins:
            return refusal(403, "this origin is not allowed; the server's option is `origins`")
        if request.method == b"OPTIONS" and b"origin" in headers:
            return self._preflight
        if self._asks_who:
            try:
                request.identity = self._identify(headers)
            except _Unknown as unknown:
                return unknown.refusal()
        if not spends or self.may_ask(request):
            return None
        return self.too_many()

    def too_many(self) -> Reply:
        """The refusal of a client that has used up its allowance."""
        return refusal(429, "too many requests", (b"retry-after", b"%d" % self._limits.retry_after_seconds))

    def may_ask(self, request: Request) -> bool:
        """Take one from the allowance of the request's client; False where nothing is left of it."""
        rate = self._limits.requests_per_second
        return rate is None or self._spend(request, rate)

    def cors(self, request: Request) -> Headers:
        """What lets the page of an allowed origin read the answer."""
        origin = request.headers.get(b"origin")
        if origin is None or origin.lower() not in self._origins:
            return ()
        return ((b"access-control-allow-origin", origin), (b"vary", b"origin"), *self._shown)

    def _check_host(self, host: bytes | None, version: str) -> Reply | None:
        if host is None:
            # HTTP/1.0 had no Host, and no browser speaks it.
            return None if version == "1.0" else refusal(400, "a request needs a Host header")
        if not self._is_good_host(host.lower()):
            return refusal(421, "this host is not served here; the server's option is `hosts`")
        if len(self._good_hosts) < _MAX_REMEMBERED_VALUES:
            self._good_hosts.add(host)
        return None

    def _is_good_host(self, host: bytes) -> bool:
        if host in self._hosts:
            return True
        name, _, port = host.rpartition(b":")
        if not name or not port.isdigit() or name.endswith(b":"):
            name = host
        if name in self._hosts or name == b"localhost":
            return True
        try:
            ipaddress.ip_address(name.strip(b"[]").decode("ascii"))
        except (ValueError, UnicodeDecodeError):
            return False
        return True

    def _identify(self, headers: Mapping[bytes, bytes]) -> str:
        scheme, _, presented = headers.get(b"authorization", b"").partition(b" ")
        is_bearer = scheme.lower() == b"bearer"
        presented = (presented if is_bearer else headers.get(b"x-api-key", b"")).strip()
        digest = hashlib.sha256(presented).digest()
        found = None
        # Every key is compared, whichever fits: the time tells neither how much of a key was right nor whose it is.
        for user, known in self._digests.items():
            if hmac.compare_digest(known, digest):
                found = user
        if found is not None:
            return found
        if not presented:
            raise _Unknown("a key or token is needed: Authorization: Bearer")
        if is_bearer and self._tokens is not None and presented.count(b".") == 2:
            try:
                return self._tokens.user_of(presented)
            except BadToken as bad:
                raise _Unknown(str(bad), error=b"invalid_token") from None
        raise _Unknown("this key or token is not valid", error=b"invalid_token")

    def _spend(self, request: Request, rate: float) -> bool:
        client = request.identity or (request.client[0] if request.client else "")
        now = self._deadlines.now
        left, then = self._allowances.pop(client, (float(self._limits.burst), now))
        left = min(self._limits.burst, left + (now - then) * rate)
        refused = left < 1
        self._allowances[client] = (left if refused else left - 1, now)
        if len(self._allowances) > MAX_REMEMBERED_CLIENTS:
            self._allowances.popitem(last=False)
        return not refused


class _Unknown(Exception):
    """Nobody we know; `error` is the code of RFC 6750, section 3.1, where something was shown."""

    def __init__(self, reason: str, *, error: bytes = b"") -> None:
        super().__init__(reason)
        self._error = error

    def refusal(self) -> Unidentified:
        """The answer."""
        challenge = b'Bearer error="%b", error_description="%b"' % (self._error, str(self).encode())
        worded = refusal(401, str(self), (b"www-authenticate", challenge if self._error else b"Bearer"))
        return Unidentified(worded.status, worded.body, worded.headers, reason=str(self))
