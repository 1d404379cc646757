"""Tokens: signed statements of who somebody is (JWT, RFC 7519), checked with the public keys of their issuer.

Knows no HTTP. Three algorithms are taken, and each key is good for one of them only, so that neither a header nor a
public key can be made into a signature: there is no `none` and nothing symmetric.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

if TYPE_CHECKING:
    import jwt

_logger = logging.getLogger(__name__)

MIN_RSA_BITS: Final = 2048
"""Shorter keys can be broken (NIST SP 800-131A)."""

MAX_REMEMBERED_TOKENS: Final = 1024
"""Tokens that were found good: to check a signature takes some 50 µs, to find it here one. Only their digests are
kept; each is forgotten when it expires or the keys change."""

MAX_KEYS: Final = 64
"""Keys of one set: a token that names none of them is tried with each that has its algorithm."""

MAX_USER_LENGTH: Final = 255

_ALGORITHMS: Final[Mapping[tuple[str, str | None], str]] = {
    ("RSA", None): "RS256",
    ("EC", "P-256"): "ES256",
    ("OKP", "Ed25519"): "EdDSA",
}
"""Type and curve of a key to the one algorithm that it is good for (RFC 7518; RFC 8037)."""

_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

Text = Annotated[str, msgspec.Meta(min_length=1)]


class JwtSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose tokens are taken. `key_set`: a file with the issuer's public keys (JWKS, RFC 7517), read again when it
    changes; `issuer` and `audience` are what `iss` and `aud` must say; `user_claim` names the user.
    """

    key_set: Text
    issuer: Text
    audience: Text
    user_claim: Text = "sub"
    leeway_seconds: Annotated[float, msgspec.Meta(ge=0, le=300)] = 30.0


class BadKeySet(Exception):
    """A file of keys cannot be used; the message is one line that says why."""


class BadToken(Exception):
    """A token is not taken; the message says why, and tells nothing that its bearer must not know."""


class _Key(msgspec.Struct, frozen=True):
    id: str | None
    algorithm: str
    key: Any
    """As PyJWT has it; of one class for each algorithm."""


class Tokens:
    """Checks tokens. Errors: BadKeySet, where there is no usable key to begin with."""

    def __init__(self, settings: JwtSettings, *, wall_clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._wall_clock = wall_clock
        self._file = Path(settings.key_set)
        self._known: OrderedDict[bytes, tuple[str, float]] = OrderedDict()
        self._mark = _mark_of(self._file)
        self._keys = read_key_set(self._file)

    def user_of(self, token: bytes) -> str:
        """The user that a token speaks for. Errors: BadToken."""
        self._read_again()
        now = self._wall_clock()
        digest = hashlib.sha256(token).digest()
        known = self._known.get(digest)
        if known is not None:
            if now < known[1]:
                self._known.move_to_end(digest)
                return known[0]
            del self._known[digest]
        claims = self._claims(token)
        user = claims.get(self._settings.user_claim)
        if not isinstance(user, str) or not 1 <= len(user) <= MAX_USER_LENGTH:
            raise BadToken("the token names no user")
        self._known[digest] = (user, float(claims["exp"]) + self._settings.leeway_seconds)
        if len(self._known) > MAX_REMEMBERED_TOKENS:
            self._known.popitem(last=False)
        return user

    def _claims(self, token: bytes) -> dict[str, Any]:
        import jwt

        try:
            header = jwt.get_unverified_header(token)
            algorithm, key_id = header.get("alg"), header.get("kid")
            # `crit` names extensions that whoever reads the token must understand; we have none (RFC 7515, 4.1.11).
            if "crit" in header:
                raise BadToken("the token is not valid")
            for key in self._keys:
                if key.algorithm == algorithm and key_id in (None, key.id):
                    try:
                        return self._decode(token, key)
                    except jwt.InvalidSignatureError:
                        continue
        except jwt.ExpiredSignatureError:
            raise BadToken("the token has expired") from None
        except jwt.ImmatureSignatureError:
            raise BadToken("the token is not valid yet") from None
        except (jwt.InvalidIssuerError, jwt.InvalidAudienceError):
            raise BadToken("the token is for somebody else") from None
        except (jwt.PyJWTError, ValueError, OverflowError, RecursionError):
            # Whatever a stranger puts there: headers nested too deep, numbers that are none.
            raise BadToken("the token is not valid") from None
        raise BadToken("the token is not valid")

    def _decode(self, token: bytes, key: _Key) -> dict[str, Any]:
        import jwt

        settings = self._settings
        return jwt.decode(
            token,
            key.key,
            algorithms=[key.algorithm],
            issuer=settings.issuer,
            audience=settings.audience,
            leeway=settings.leeway_seconds,
            options={"require": ["exp", "iss", "aud", settings.user_claim]},
        )

    def _read_again(self) -> None:
        """Take the keys of a file that has changed; those of before stay where it cannot be used."""
        mark = _mark_of(self._file)
        if mark == self._mark:
            return
        self._mark = mark
        try:
            self._keys = read_key_set(self._file)
        except BadKeySet as reason:
            _logger.warning("access.jwt.key_set: %s; the keys of before stay", reason)
            return
        self._known.clear()


class _KeySet(msgspec.Struct):
    keys: list[msgspec.Raw]


class _Stated(msgspec.Struct):
    """What a key says of itself (RFC 7517, section 4)."""

    kty: str
    crv: str | None = None
    kid: str | None = None
    alg: str | None = None
    use: str | None = None
    key_ops: list[str] | None = None


def read_key_set(file: Path) -> tuple[_Key, ...]:
    """The keys of a file that can check signatures; others are left out (RFC 7517, section 5). Errors: BadKeySet."""
    try:
        given = msgspec.json.decode(file.read_bytes(), type=_KeySet)
    except OSError as reason:
        raise BadKeySet(f"cannot read {file}: {reason.strerror}") from None
    except msgspec.ValidationError:
        raise BadKeySet(f"{file} is no key set: expected an object with the member keys, a list") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadKeySet(f"{file} is not JSON; expected a key set, an object with the member keys") from None
    found = tuple(key for each in given.keys[:MAX_KEYS] if (key := _key_of(each)) is not None)
    if not found:
        raise BadKeySet(f"{file} has no public key for RS256 (of {MIN_RSA_BITS} bits or more), ES256 or EdDSA")
    return found


def _key_of(text: msgspec.Raw) -> _Key | None:
    import jwt

    try:
        stated = msgspec.json.decode(text, type=_Stated)
        members = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    algorithm = _ALGORITHMS.get((stated.kty, stated.crv))
    if algorithm is None or stated.alg not in (None, algorithm) or stated.use not in (None, "sig"):
        return None
    if stated.key_ops is not None and "verify" not in stated.key_ops:
        return None
    # The private half is none of our business, wherever it comes from.
    public = {name: value for name, value in members.items() if name not in _PRIVATE}
    try:
        key = _load(jwt, {**public, "alg": algorithm})
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
        # Members of the wrong type reach the library, which does not check them.
        return None
    if algorithm == "RS256" and key.key.key_size < MIN_RSA_BITS:
        return None
    return _Key(stated.kid, algorithm, key)


def _load(library: Any, members: dict[str, Any]) -> jwt.PyJWK:
    key: jwt.PyJWK = library.PyJWK(members)
    return key


def _mark_of(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
