"""A served process from outside: ids and pages over HTTP, lines on stderr, numbers of two workers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


@contextmanager
def served(folder: Path, config: str, *options: str) -> Iterator[tuple[httpx.Client, subprocess.Popen[bytes]]]:
    """A client of `protogen serve echo` with these settings; its standard error is `folder/stderr`."""
    (folder / "serve.toml").write_text(config, "utf-8")
    command = [sys.executable, "-P", "-c", "from protogen.cli import main; main()", "serve", "echo", "--announce"]
    command += ["--port", "0", "--config", str(folder / "serve.toml"), *options]
    with (
        (folder / "stderr").open("wb") as errors,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        assert process.stdout is not None
        try:
            port = json.loads(process.stdout.readline())["port"]
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False) as client:
                yield client, process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def call(client: httpx.Client, method: str, params: object, **headers: str) -> httpx.Response:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/", json=body, headers=names)


def total(client: httpx.Client, name: str) -> float:
    return sum(
        sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
        if sample.name == name
    )


@pytest.mark.parametrize(
    ("method", "params", "accept"),
    [
        ("echo", {"value": 1}, "application/json"),
        ("sleep", {"seconds": 0}, "application/json"),
        ("count", {"to": 2}, "text/event-stream"),
        ("nobody", {}, "application/json"),
    ],
)
def test_every_way_to_answer_carries_the_id(
    client: httpx.Client, method: str, params: dict[str, object], accept: str
) -> None:
    kept = call(client, method, params, x_request_id="order-17", accept=accept)
    made = [call(client, method, params, x_request_id=f"bad {n}", accept=accept) for n in range(3)]
    again = [call(client, method, params, accept=accept) for _ in range(3)]
    assert kept.headers["x-request-id"] == "order-17"
    ids = [answer.headers["x-request-id"] for answer in (*made, *again)]
    assert len(set(ids)) == 6
    assert all(len(it) == 32 for it in ids)


def test_batch_and_notification_carry_the_id(client: httpx.Client) -> None:
    notification = {"jsonrpc": "2.0", "method": "notify", "params": {"topic": "x"}}
    answers = [client.post("/", json=body, headers={"x-request-id": "b"}) for body in (notification, [notification])]
    assert [(answer.status_code, answer.headers["x-request-id"]) for answer in answers] == [(202, "b"), (202, "b")]


def test_pages(client: httpx.Client) -> None:
    assert client.get("/health").json() == {"status": "healthy"}
    assert client.get("/ready").json() == {"status": "ready"}
    assert client.get("/metrics").headers["content-type"].startswith("text/plain")
    assert client.post("/metrics").status_code == 405


def test_numbers_move_with_what_happens(client: httpx.Client) -> None:
    names = ("protogen_calls_total", "protogen_received_bytes_total", "protogen_sent_bytes_total")
    before = [total(client, name) for name in names]
    call(client, "echo", {"value": "x" * 10_000})
    after = [total(client, name) for name in names]
    assert after[0] == before[0] + 1
    assert all(b - a > 10_000 for a, b in zip(before[1:], after[1:], strict=True))
    assert total(client, "protogen_connections_open") >= 1


def test_refusals_are_counted_by_bound(client: httpx.Client) -> None:
    def refused() -> dict[str, float]:
        text = client.get("/metrics").text
        families = text_string_to_metric_families(text)
        return {it.labels["bound"]: it.value for family in families for it in family.samples if "bound" in it.labels}

    before = refused()
    client.post("/", content=b"{}", headers={"content-type": "text/plain"})
    client.post("/", content=b"{}", headers={"host": "example.org"})
    client.get("/nothing-here")
    after = refused()
    assert {name for name, number in after.items() if number > before.get(name, 0)} == {"media_type", "host", "path"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with served(tmp_path_factory.mktemp("one"), "") as (found, _):
        yield found


def test_lines_of_calls_are_flushed_at_the_end(tmp_path: Path) -> None:
    with served(tmp_path, '[observe]\ncalls = "all"\nslow_seconds = 0.05\n') as (client, _):
        call(client, "echo", {"value": 1}, x_request_id="r1", traceparent=f"00-{TRACE_ID}-00f067aa0ba902b7-01")
        call(client, "sleep", {"seconds": 0.1}, x_request_id="r2", authorization="Bearer very-secret")
        with pytest.raises(httpx.ReadTimeout):
            client.post(
                "/",
                json={"jsonrpc": "2.0", "id": 3, "method": "sleep", "params": {"seconds": 60}},
                headers={"x-request-id": "r3"},
                timeout=0.2,
            )
    text = (tmp_path / "stderr").read_text("utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(it["event"], it["request_id"], it["outcome"]) for it in lines] == [
        ("call", "r1", "ok"),
        ("slow call", "r2", "ok"),
        ("slow call", "r3", "cancelled"),
    ]
    assert lines[0]["trace_id"] == TRACE_ID
    assert "very-secret" not in text


def test_deadline_is_told_from_a_caller_that_has_gone(tmp_path: Path) -> None:
    with served(tmp_path, "[limits]\ncall_seconds = 0.1\n") as (client, _):
        answer = call(client, "sleep", {"seconds": 30}).json()
        assert answer["error"]["message"] == "Deadline exceeded"
    (line,) = [json.loads(line) for line in (tmp_path / "stderr").read_text("utf-8").splitlines()]
    assert (line["event"], line["outcome"]) == ("call", "deadline")


def wait_until(condition: object) -> None:
    assert callable(condition)
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until


def test_two_workers_answer_for_both(tmp_path: Path) -> None:
    with served(tmp_path, "", "--workers", "2") as (client, _):
        base = str(client.base_url)

        def seen_by_all() -> bool:
            for _ in range(4):
                with httpx.Client(base_url=base, timeout=20, trust_env=False) as other:
                    call(other, "echo", {"value": 1})
            with httpx.Client(base_url=base, timeout=20, trust_env=False) as other:
                return total(other, "protogen_calls_total") >= 20

        wait_until(seen_by_all)
