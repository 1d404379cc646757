"""The short way gives what the long way gives, or leaves a frame to it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from typing import Any

import pytest
from echo_protocol.methods import PROTOCOL
from msgspec import Raw

from protogen_runtime.dispatch import Joined, Service
from protogen_runtime.echo import make_service
from protogen_runtime.jsonrpc import Call, ErrorObject, Failure, Success, decode, encode
from protogen_runtime.observe import CallObserver, Metrics, Observed

ECHO = b'{"jsonrpc":"2.0","id":1,"method":"echo","params":{"value":1}}'


class Link:
    """A transport that gives a call nothing."""

    headers: Mapping[str, str] = {}
    identity = None
    deadline = None
    channel: Any = None
    emit = None
    answer = None
    has_answered = False
    frame = b""


def long_way(service: Service, frame: bytes) -> bytes | None:
    """The answer to a frame by `decode` and `start`; None where it is not a call that is answered at once."""
    message = decode(frame)
    if not isinstance(message, Call):
        return None
    outcome = service.start(message, Link())
    if isinstance(outcome, ErrorObject):
        return encode(Failure(id=message.id, error=outcome))
    assert isinstance(outcome, Raw)
    return encode(Success(id=message.id, result=outcome))


DIRECT = [
    ECHO,
    b' { "params" : { "value" : [ 1 , 2.50 ] } , "method" : "echo" , "id" : "a" , "jsonrpc" : "2.0" } ',
    b'{"jsonrpc":"2.0","id":null,"method":"echo","params":{"value":null}}',
    b'{"jsonrpc":"2.0","id":123456789012345678901234567890,"method":"echo","params":{"value":9007199254740993}}',
    '{"jsonrpc":"2.0","id":"ü","method":"echo","params":{"value":"😀"}}'.encode(),
    rb'{"jsonrpc":"2.0","id":1,"method":"echo","params":{"value":"\u00fc\ud83d\ude00\n"}}',
    rb'{"jsonrpc":"2\u002e0","id":1,"method":"\u0065cho","params":{"value":1}}',
    b'{"jsonrpc":"2.0","id":1,"method":"echo","params":{"value":1},"params":{"value":2}}',
    b'{"jsonrpc":"2.0","id":1,"id":2,"method":"echo","params":{"value":1}}',
    b'{"jsonrpc":"2.0","id":1,"method":"add","params":{"a":1,"b":2.5}}',
    b'{"jsonrpc":"2.0","id":1,"method":"add","params":{"a":1e308,"b":1e308}}',
    b'{"jsonrpc":"2.0","id":1,"method":"fail","params":{"code":7,"message":"no","data":[1]}}',
    b'{"jsonrpc":"2.0","id":1,"method":"fail","params":{"code":7,"message":"\\u00fc"}}',
]
LEFT = [
    b"",
    b"[]",
    b"{}",
    b"null",
    b"[" + ECHO + b"]",
    ECHO + b"x",
    ECHO[:-1],
    b"\xef\xbb\xbf" + ECHO,
    ECHO.decode().encode("utf-16"),
    ECHO.replace(b'"id":1,', b""),
    ECHO.replace(b'"id":1', b'"id":1.0'),
    ECHO.replace(b'"id":1', b'"id":true'),
    ECHO.replace(b'"id":1', b'"id":[]'),
    ECHO.replace(b'"2.0"', b'"2.1"'),
    ECHO.replace(b'"2.0"', b"2.0"),
    ECHO.replace(b'"jsonrpc":"2.0",', b""),
    ECHO.replace(b'"echo"', b'"nothing"'),
    ECHO.replace(b'"echo"', b"1"),
    ECHO.replace(b'"echo"', b'"add","method":"echo"'),
    ECHO.replace(b'"echo"', b'"notify"'),
    ECHO.replace(b'{"value":1}', b"[1]"),
    ECHO.replace(b'{"value":1}', b"{}"),
    ECHO.replace(b'{"value":1}', b"null"),
    ECHO.replace(b'{"value":1}', b'{"value":1,"more":2}'),
    ECHO.replace(b'{"value":1}', b'{"value":NaN}'),
    ECHO.replace(b'{"value":1}', b'{"value":"\xff"}'),
    ECHO.replace(b'{"value":1}', rb'{"value":"\ud800"}'),
    ECHO.replace(b'{"value":1}', rb'{"value":1,"\ufdd0extra":{}}'),
    ECHO.replace(b'{"value":1}', '{"value":1,"\ufdd0extra":{}}'.encode()),
    ECHO.replace(b'{"value":1}', b'{"value":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    ECHO.replace(b',"params":{"value":1}', b""),
    ECHO.replace(b'"id":1', b'"id":1,"result":1'),
    ECHO.replace(b'"id":1', b'"id":1,"more":1'),
    b'{"jsonrpc":"2.0","id":1,"method":"fail","params":{"code":1.0,"message":"no"}}',
]


@pytest.mark.parametrize("frame", DIRECT)
def test_short_way_answers_as_the_long_one(frame: bytes) -> None:
    for service in (make_service(), Observed(make_service(), CallObserver(Metrics())), Joined(make_service())):
        assert service.direct(frame, Link()) == long_way(service, frame)


@pytest.mark.parametrize("frame", LEFT, ids=lambda frame: frame[:60].decode("latin-1"))
def test_everything_else_is_left_to_the_long_way(frame: bytes) -> None:
    assert make_service().direct(frame, Link()) is None


def test_mutations_are_answered_alike_or_left() -> None:
    # Seeded: the same frames each time.
    chance = random.Random(3)
    service = make_service()
    alphabet = b'{}[]",:0123456789.eE+-\\u \ntruefalsn\x00\x80\xef\xb7\x90'
    short = 0
    for frame, _ in itertools.product(DIRECT, range(250)):
        changed = bytearray(frame)
        for _ in range(chance.randrange(1, 3)):
            place = chance.randrange(len(changed))
            match chance.randrange(3):
                case 0:
                    changed[place] = chance.choice(alphabet)
                case 1:
                    del changed[place]
                case _:
                    changed.insert(place, chance.choice(alphabet))
        answer = service.direct(bytes(changed), Link())
        if answer is not None:
            short += 1
            assert answer == long_way(service, bytes(changed)), bytes(changed)
    assert short > 100


def test_what_waits_is_handed_out_with_its_call() -> None:
    frame = b'{"jsonrpc":"2.0","id":7,"method":"sleep","params":{"seconds":0}}'
    found = make_service().direct(frame, Link())
    assert isinstance(found, tuple)
    call, running = found
    running.close()
    assert (call.id, call.method) == (7, "sleep")


def test_observer_hears_of_the_short_way() -> None:
    metrics = Metrics()
    service = Observed(make_service(), CallObserver(metrics))
    service.direct(ECHO, Link())
    service.direct(b'{"jsonrpc":"2.0","id":1,"method":"fail","params":{"code":7,"message":"no"}}', Link())
    counted = metrics.snapshot().calls
    assert (counted["echo"].outcomes, counted["fail"].outcomes) == ({"ok": 1}, {"other": 1})
    assert metrics.in_flight == 0


def test_handler_that_fails_says_nothing() -> None:
    class Broken:
        def echo(self, params: Any, context: Any) -> Any:
            raise KeyError("secret")

        def add(self, params: Any, context: Any) -> Any:
            return {"sum": "not a number"}

    told: list[tuple[str, str]] = []
    service = Service(PROTOCOL, "server", Broken(), report=lambda method, what, error: told.append((method, what)))
    add = b'{"jsonrpc":"2.0","id":1,"method":"add","params":{"a":1,"b":2}}'
    for frame in (ECHO, add):
        answer = service.direct(frame, Link())
        assert answer == b'{"id":1,"error":{"code":-32603,"message":"Internal error"},"jsonrpc":"2.0"}'
    assert told == [("echo", "the handler failed"), ("add", "its result breaks its schema")]
