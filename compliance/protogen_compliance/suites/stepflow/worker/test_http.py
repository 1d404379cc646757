"""Streamable HTTP: statuses, headers, health, and the port that a started worker prints."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from protogen_compliance.peer.http import Connection, parse_url, request_bytes
from protogen_compliance.peer.link import HttpLink
from protogen_compliance.peer.rpc import MISSING, Json, parse_json
from protogen_compliance.peer.wire import Deadline, PeerFault
from protogen_compliance.plugin import Record, Settings, Unmet
from protogen_compliance.registry import clause, needs, profile
from protogen_compliance.suites.stepflow.worker.conftest import Watched
from protogen_compliance.suites.stepflow.worker.first import First
from protogen_compliance.suites.stepflow.worker.link import execution

HTTP = profile("http")
LARGE = 200 * 1024 * 1024


@HTTP
@clause("SF-HTTP-001")
def test_post_to_the_root(worker: Watched, over_http: HttpLink) -> None:
    answer = worker.call("initialize", {"runtime_protocol_version": 1})
    assert answer.status == 200, f"POST {over_http.url.path}: expected 200, got {answer.summary()}"


@HTTP
@clause("SF-HTTP-004")
def test_plain_answer(worker: Watched, over_http: HttpLink) -> None:
    answer = worker.call("components/list", {})
    assert answer.status == 200, f"expected 200, got {answer.status}"
    kind = answer.head.media_type if answer.head else ""
    assert kind == "application/json", f"the content type is {kind!r}; expected application/json"
    assert isinstance(answer.value, dict), f"expected one response, got {answer.summary()}"


@HTTP
@clause("SF-HTTP-005", "SF-INIT-010")
def test_notification_is_accepted(first: First) -> None:
    assert first.notified.status == 202, f"initialized: expected 202, got {first.notified.summary()}"


@HTTP
@clause("SF-HTTP-006")
@needs("SF-SSE-012")
def test_answer_to_a_callback_is_accepted(worker: Watched, over_http: HttpLink) -> None:
    answer = worker.good("put", 1)
    if not answer.posted:
        raise Unmet(("SF-SSE-003",), "the component that stores a blob made no callback")
    statuses = {it.head.status for it in answer.posted}
    assert statuses == {202}, f"answers to callbacks were acknowledged by {sorted(statuses)}; expected 202"


@HTTP
@clause("SF-HTTP-007")
def test_answer_to_no_callback(worker: Watched, over_http: HttpLink, record: Record) -> None:
    answer = worker.send({"jsonrpc": "2.0", "id": "nope", "result": {"blob_id": "0" * 64}})
    assert answer.status in (400, 202), f"expected 400, got {answer.summary()}"
    if answer.status == 202:
        record.warn("a response with an unknown id was acknowledged by 202")


@HTTP
@clause("SF-HTTP-008")
@pytest.mark.parametrize(
    ("method", "params"),
    [("components/execute", execution("/no-such-component", 1)), ("components/nope", {}), ("components/info", {})],
)
def test_errors_have_status_200(worker: Watched, over_http: HttpLink, method: str, params: Json) -> None:
    answer = worker.call(method, params)
    assert answer.status == 200, f"{method}: expected HTTP 200 with an error, got HTTP {answer.status}"


@HTTP
@clause("SF-HTTP-009")
def test_other_content_types(worker: Watched, over_http: HttpLink) -> None:
    message = worker.message("components/list", {})
    good = worker.send(message, headers={"content-type": "application/json; charset=utf-8"})
    assert good.result is not MISSING, f"application/json; charset=utf-8 gave {good.summary()}"
    for kind in ("text/plain", None):
        answer = worker.send(message, headers={"content-type": kind})
        assert answer.status == 415, f"content type {kind!r}: expected 415, got HTTP {answer.status}"


@HTTP
@clause("SF-HTTP-010")
def test_accept_without_the_media_types(worker: Watched, over_http: HttpLink, record: Record) -> None:
    answer = worker.send(worker.message("components/list", {}), headers={"accept": "text/html"})
    record.note(f"Accept: text/html gave {answer.status}")
    assert answer.status in (406, 200), f"expected 406 or 200, got {answer.status}"


@HTTP
@clause("SF-HTTP-011")
def test_other_paths_and_verbs(worker: Watched, over_http: HttpLink) -> None:
    body = json.dumps(worker.message("components/list", {})).encode()
    elsewhere = over_http.peer.send(body, path="/nope")
    put = over_http.peer.send(body, method="PUT")
    worker.link.log += [elsewhere.exchange, put.exchange]
    assert elsewhere.head.status == 404, f"POST /nope: expected 404, got {elsewhere.head.status}"
    assert put.head.status == 405, f"PUT /: expected 405, got {put.head.status}"
    assert put.head.get("allow"), "PUT /: 405 has no header Allow"


@HTTP
@clause("SF-HTTP-012")
def test_connections_are_kept(worker: Watched, over_http: HttpLink) -> None:
    deadline = Deadline(10.0)
    connection = Connection(over_http.url.address, deadline)
    try:
        for number in range(10):
            body = json.dumps(worker.message("components/list", {})).encode()
            incoming = connection.ask(request_bytes("POST", over_http.url.path, over_http.peer.headers, body), deadline)
            value = parse_json(incoming.body(deadline))
            assert isinstance(value, dict), f"call {number + 1} of a connection was answered with {value!r}"
    except PeerFault as reason:
        pytest.fail(f"ten calls on one connection: {reason}")
    finally:
        connection.wire.close()


@HTTP
@clause("SF-HTTP-013")
def test_body_that_is_too_large(worker: Watched, over_http: HttpLink, record: Record) -> None:
    head = request_bytes("POST", over_http.url.path, {**over_http.peer.headers, "content-length": str(LARGE)}, b"")
    deadline = Deadline(15.0)
    connection = Connection(over_http.url.address, deadline)
    sent = 0
    refused = threading.Event()
    try:
        connection.wire.send(head, deadline)
        while sent < LARGE and not refused.is_set():
            connection.wire.send(b" " * 1_048_576, deadline)
            del connection.wire.log[1:]
            sent += 1_048_576
            if _readable(connection):
                refused.set()
    except PeerFault:
        refused.set()
    finally:
        connection.wire.close()
    record.note(f"a body of 200 MiB was cut off after {sent // 1_048_576} MiB")
    assert refused.is_set(), "a body of 200 MiB was read to its end; expected 413 before"
    after = worker.call("components/list", {})
    assert after.result is not MISSING, f"after a body that was too large components/list gave {after.summary()}"


def _readable(connection: Connection) -> bool:
    import select

    ready, _, _ = select.select([connection.wire], [], [], 0)
    return bool(ready)


# --- health ---------------------------------------------------------------------------------------


@HTTP
@clause("SF-HEALTH-001")
def test_health(worker: Watched, over_http: HttpLink) -> None:
    reply = over_http.peer.send(b"", path="/health", method="GET")
    worker.link.log.append(reply.exchange)
    assert 200 <= reply.head.status < 300, f"GET /health: expected 2xx, got {reply.head.status}"


@HTTP
@clause("SF-HEALTH-002")
@needs("SF-HEALTH-001")
def test_health_says_healthy(worker: Watched, over_http: HttpLink) -> None:
    reply = over_http.peer.send(b"", path="/health", method="GET")
    worker.link.log.append(reply.exchange)
    assert reply.member("status") == "healthy", f"the body is {reply.summary()}; expected status healthy"


@HTTP
@clause("SF-HEALTH-003")
@needs("SF-HEALTH-002")
def test_health_names_the_instance(worker: Watched, over_http: HttpLink) -> None:
    reply = over_http.peer.send(b"", path="/health", method="GET")
    worker.link.log.append(reply.exchange)
    lacking = [name for name in ("instanceId", "timestamp", "service") if not isinstance(reply.member(name), str)]
    assert not lacking, f"the body of /health lacks {', '.join(lacking)}: {reply.summary()}"


@HTTP
@clause("SF-HEALTH-004")
@needs("SF-HEALTH-001")
def test_health_during_an_execution(worker: Watched, over_http: HttpLink) -> None:
    params = worker.params("slow", {"seconds": 1.0})
    thread = threading.Thread(target=lambda: worker.call("components/execute", params), daemon=True)
    thread.start()
    reply = over_http.peer.send(b"", path="/health", method="GET", patience=1.0)
    thread.join(10)
    assert reply.fault is None, f"during an execution GET /health gave {reply.fault}"


# --- a started worker -----------------------------------------------------------------------------


@profile("subprocess")
@clause("SF-PROC-001")
def test_port_is_open_when_it_is_printed(settings: Settings) -> None:
    from protogen_compliance.targets import NoTarget, parse_target, started

    try:
        with started(parse_target(settings.target).command) as port, socket.create_connection(("127.0.0.1", port), 5):
            pass
    except (NoTarget, OSError) as reason:
        pytest.fail(f"the worker printed a port that takes no connection: {reason}")


@profile("subprocess")
@clause("SF-PROC-007")
@needs("SF-PROC-001")
def test_nothing_else_is_waited_for(worker: Watched, settings: Settings) -> None:
    from protogen_compliance.targets import parse_target, started

    # Nobody reads what it prints from here on but the thread of `started`.
    with started(parse_target(settings.target).command) as port:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
        except OSError as reason:
            raise Unmet(("SF-PROC-001",), f"the port that was printed takes no connection: {reason}") from None
        link = HttpLink(
            parse_url(f"http://127.0.0.1:{port}/"),
            worker.link.seen,
            headers=settings.headers,
            patience=settings.timeout,
        )
        fresh = Watched(link, worker.components, worker.link.seen, worker.dialect)
        for number in range(20):
            answer = fresh.call("components/list", {})
            assert answer.result is not MISSING, f"call {number + 1} of a started worker gave {answer.summary()}"
        link.close()
