"""The error objects that JSON-RPC 2.0 itself defines: one place for their codes and texts.

Knows no application error and no exception; section 5.1 of the specification is the source.
"""

from __future__ import annotations

from typing import Final

from .messages import ErrorObject

PARSE_ERROR: Final = ErrorObject(code=-32700, message="Parse error")
INVALID_REQUEST: Final = ErrorObject(code=-32600, message="Invalid Request")
METHOD_NOT_FOUND: Final = ErrorObject(code=-32601, message="Method not found")
INVALID_PARAMS: Final = ErrorObject(code=-32602, message="Invalid params")
INTERNAL_ERROR: Final = ErrorObject(code=-32603, message="Internal error")

STANDARD_ERRORS: Final = {
    error.code: error for error in (PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL_ERROR)
}
"""The five predefined errors by code."""

RESERVED_CODES: Final = range(-32768, -31999)
"""Codes that the specification keeps for itself and for implementations (-32768 to -32000)."""
