"""One JSON-RPC message to and from its bytes.

Knows no batches (see `exchange`) and never raises on what the other side sent. Where the standard is silent:
the last of duplicate keys counts; JSON that is not UTF-8, starts with a byte order mark or holds a lone
surrogate, NaN or Infinity is a parse error, and so is nesting beyond the interpreter's recursion limit;
`params` that is neither object nor array (null included) is an invalid request; an id is a string, an integer
of any size, or null. The id of a request may have a fraction or an exponent, too, where a double holds it exactly: its
answer has the same number, perhaps written shorter.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from .errors import INVALID_REQUEST, PARSE_ERROR
from .messages import (
    BadAnswer,
    BadRequest,
    Call,
    ErrorObject,
    Failure,
    Message,
    Notification,
    RequestId,
    Success,
)

ABSENT: Final = Raw()
"""The empty text: no `params` member at all."""


class _Envelope(msgspec.Struct):
    jsonrpc: Literal["2.0"]
    id: str | int | UnsetType | None = UNSET
    method: str | UnsetType = UNSET
    params: Raw = ABSENT
    result: Raw = ABSENT
    error: Raw = ABSENT


class _Loose(msgspec.Struct):
    jsonrpc: Raw = ABSENT
    id: Raw = ABSENT
    method: Raw = ABSENT
    params: Raw = ABSENT
    result: Raw = ABSENT
    error: Raw = ABSENT


class _CallOut(msgspec.Struct):
    id: RequestId
    method: str
    params: Raw | UnsetType
    jsonrpc: str = "2.0"


class _NotificationOut(msgspec.Struct):
    method: str
    params: Raw | UnsetType
    jsonrpc: str = "2.0"


class _SuccessOut(msgspec.Struct):
    id: RequestId
    result: Raw
    jsonrpc: str = "2.0"


class _FailureOut(msgspec.Struct):
    id: RequestId
    error: ErrorObject
    jsonrpc: str = "2.0"


_encode = msgspec.json.Encoder().encode
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_skip = msgspec.json.Decoder(Raw).decode
_decode_loose = msgspec.json.Decoder(_Loose).decode
_decode_id = msgspec.json.Decoder(str | int | None).decode
_decode_fraction = msgspec.json.Decoder(float).decode
_decode_version = msgspec.json.Decoder(Literal["2.0"]).decode
_decode_method = msgspec.json.Decoder(str).decode
_decode_error = msgspec.json.Decoder(ErrorObject).decode


def encode(message: Call | Notification | Success | Failure) -> bytes:
    """The message as compact JSON without a line end; raw members are copied as they are."""
    match message:
        case Call():
            return _encode(_CallOut(message.id, message.method, message.params or UNSET))
        case Notification():
            return _encode(_NotificationOut(message.method, message.params or UNSET))
        case Success():
            return _encode(_SuccessOut(message.id, message.result))
        case Failure():
            return _encode(_FailureOut(message.id, message.error))


def is_text(frame: bytes) -> bool:
    """Whether the bytes are UTF-8; msgspec checks strings only where it decodes them, and raw members are not."""
    if frame.isascii():
        return True
    try:
        frame.decode()
    except UnicodeDecodeError:
        return False
    return True


def decode(frame: bytes) -> Message:
    """Classify one JSON text that is not a batch; never raises on input.

    A text that is not JSON comes back as BadRequest with the parse error.
    """
    if not is_text(frame):
        return BadRequest(id=None, error=PARSE_ERROR)
    return classify(frame)


def classify(text: bytes | Raw) -> Message:
    """`decode` for a text that is known to be UTF-8, such as a member of a batch."""
    try:
        envelope = _decode_envelope(text)
    except msgspec.ValidationError:
        return _explain(text)
    except (msgspec.DecodeError, RecursionError):
        return BadRequest(id=None, error=PARSE_ERROR)
    if envelope.method is not UNSET and not envelope.result and not envelope.error:
        if envelope.params and not _is_structured(envelope.params):
            return BadRequest(id=None if envelope.id is UNSET else envelope.id, error=INVALID_REQUEST)
        if envelope.id is UNSET:
            return Notification(method=envelope.method, params=envelope.params)
        return Call(id=envelope.id, method=envelope.method, params=envelope.params)
    if envelope.method is UNSET and envelope.id is not UNSET:
        if envelope.result and not envelope.error:
            return Success(id=envelope.id, result=envelope.result)
        if envelope.error and not envelope.result:
            error = _error_object(envelope.error)
            if error is None:
                return BadAnswer(id=envelope.id, reason="its error member is not an error object")
            return Failure(id=envelope.id, error=error)
    return _explain(text)


def _is_structured(params: Raw) -> bool:
    return bytes(params).lstrip(b" \t\r\n")[:1] in (b"{", b"[")


def _error_object(text: Raw) -> ErrorObject | None:
    try:
        return _decode_error(text)
    except msgspec.ValidationError:
        return None


def _explain(text: bytes | Raw) -> Message:
    """What an ill-formed envelope is: read member by member, so that the id is echoed wherever it can be."""
    try:
        # A typed pass stops at the first value of a wrong type: only a pass to the end tells whether this is JSON.
        _skip(text)
    except (msgspec.DecodeError, RecursionError):
        return BadRequest(id=None, error=PARSE_ERROR)
    try:
        loose = _decode_loose(text)
    except msgspec.ValidationError:
        return BadRequest(id=None, error=INVALID_REQUEST)
    if loose.method and not loose.result and not loose.error:
        return _read_request(loose)
    known, request_id = _read_id(loose.id)
    if not loose.method and (loose.result or loose.error):
        return BadAnswer(id=request_id, reason=_fault_of_answer(loose, known))
    return BadRequest(id=request_id, error=INVALID_REQUEST)


def _read_request(loose: _Loose) -> Message:
    known, request_id = _read_id(loose.id)
    if not known:
        known, request_id = _read_fraction(loose.id)
    # Duplicate keys: the typed pass stops at the first bad one, but the last one counts.
    method = _read_method(loose.method)
    valid = known and method is not None and _is_version(loose.jsonrpc)
    if not valid or method is None or (loose.params and not _is_structured(loose.params)):
        return BadRequest(id=request_id, error=INVALID_REQUEST)
    if loose.id:
        return Call(id=request_id, method=method, params=loose.params)
    return Notification(method=method, params=loose.params)


def _read_id(text: Raw) -> tuple[bool, RequestId]:
    """Whether the id is a valid one (or absent), and its value, None where it has none."""
    if not text:
        return True, None
    try:
        return True, _decode_id(text)
    except msgspec.ValidationError:
        return False, None


def _read_fraction(text: Raw) -> tuple[bool, RequestId]:
    """As `_read_id`, for a number with a fraction or an exponent that comes back as the same number."""
    from decimal import Decimal  # here, since hardly any client has such ids

    try:
        value = _decode_fraction(text)
    except msgspec.ValidationError:
        return False, None
    is_same = Decimal(bytes(text).decode()) == Decimal(repr(value))
    return is_same, value if is_same else None


def _read_method(text: Raw) -> str | None:
    try:
        return _decode_method(text)
    except msgspec.ValidationError:
        return None


def _is_version(text: Raw) -> bool:
    if not text:
        return False
    try:
        _decode_version(text)
    except msgspec.ValidationError:
        return False
    return True


def _fault_of_answer(loose: _Loose, known: bool) -> str:
    if not _is_version(loose.jsonrpc):
        return 'its jsonrpc member is not "2.0"'
    if not loose.id:
        return "it has no id"
    if not known:
        return "its id is not a string, an integer or null"
    return "it has both a result and an error"
