"""Whom a client trusts, and what is said where a server is not to be trusted.

Knows no transport.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_HOSTNAME_MISMATCH, _ADDRESS_MISMATCH = 62, 64
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL."""

_NO_TLS: Final = frozenset(("WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"))
"""What OpenSSL says of an answer that is no record of TLS; the names differ between its versions."""


def trusting(file: str | os.PathLike[str]) -> ssl.SSLContext:
    """A client's context that trusts the authorities in a file (PEM) and nobody else.

    Errors: ValueError, which names the file.
    """
    try:
        text = Path(file).read_text("ascii")
    except OSError as reason:
        raise ValueError(f"trust: cannot read {os.fspath(file)}: {reason.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"trust: {os.fspath(file)} holds no certificates in PEM form") from None
    try:
        # Without `cadata` it would trust whom the system trusts.
        return ssl.create_default_context(cadata=text or "-")
    except (ssl.SSLError, ValueError):
        raise ValueError(f"trust: {os.fspath(file)} holds no certificates in PEM form") from None


def why_refused(error: BaseException) -> str | None:
    """What to tell of a handshake that failed, None where `error` is about something else."""
    for cause in _chain(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            if cause.verify_code in (_HOSTNAME_MISMATCH, _ADDRESS_MISMATCH):
                return "the server's certificate is for another name; connect by a name that it is for"
            reason = cause.verify_message or "it cannot be verified"
            return (
                f"the server's certificate is not trusted ({reason});"
                " if the server is the right one, give the file of its authority as trust="
            )
        if isinstance(cause, ssl.SSLError):
            if cause.reason in _NO_TLS:
                return "the server does not speak TLS at this port; use the scheme without it, or another port"
            return f"TLS failed: {cause.reason or cause}"
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or found.__context__
