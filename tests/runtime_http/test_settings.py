"""What can be wrong before a server begins: one line each, and what to do."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from http_rig import call, post, split

from protogen_runtime.io.http.limits import REASONS, Limits
from protogen_runtime.io.http.server import MAX_NOT_SENT_BYTES, Settings, Tls, bind

COMMAND = [sys.executable, "-c", "from protogen.cli import main; main()", "serve", "echo"]


def serve(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("port = ", "is not TOML"),
        ("prot = 1", "unknown field `prot`"),
        ("[limits]\nidle_seconds = 0", "limits.idle_seconds: expected a number above 0, got 0.0"),
        ("[limits]\nidle = 1", "unknown field `idle`"),
        ("port = 70000", "port 70000: expected 0 to 65535"),
        ('host = "256.1.1.1"', "give an address of this machine"),
        ('host = "192.0.2.1"', "is no address of this machine"),
        ('[tls]\ncertificate = "/nope.pem"\nkey = "/nope.pem"', "cannot read /nope.pem"),
        ("workers = 0", "workers: expected 1 or more"),
    ],
)
def test_bad_setting_is_one_line_and_exit_2(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "serve.toml"
    file.write_text(text)
    done = serve("--config", str(file))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert said in done.stderr


def test_certificate_without_its_key_is_one_line(tmp_path: Path, certificate: tuple[Tls, Path]) -> None:
    file = tmp_path / "serve.toml"
    tls, authority = certificate
    file.write_text(f'[tls]\ncertificate = "{authority}"\nkey = "{tls.key}"')
    done = serve("--config", str(file))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "are no certificate and its key" in done.stderr


def test_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = serve("--port", str(taken.getsockname()[1]))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "is in use; choose another one" in done.stderr


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_server_announces_serves_and_ends(workers: int, number: signal.Signals) -> None:
    arguments = ["--port", "0", "--announce", "--workers", str(workers)]
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    port = json.loads(process.stdout.readline())["port"]
    for _ in range(4):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(post(call("add", [1, 2]), close=True))
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        assert json.loads(split(answer)[2])["result"] == {"sum": 3}
        # Only our connections say this: the hook is installed in every worker.
        assert b"hypercorn" not in answer
        assert answer.index(b"date: ") < answer.index(b"content-type: ")
    process.send_signal(number)
    _, complaints = process.communicate(timeout=20)
    assert (process.returncode, complaints) == (0, b"")


def test_server_that_is_told_to_end_says_so_and_finishes_what_runs() -> None:
    with subprocess.Popen([*COMMAND, "--port", "0", "--announce"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        address = ("127.0.0.1", json.loads(process.stdout.readline())["port"])
        with (
            socket.create_connection(address, timeout=10) as busy,
            socket.create_connection(address, timeout=10) as probe,
            socket.create_connection(address, timeout=10) as caller,
            socket.create_connection(address, timeout=10) as idle,
        ):
            probe.sendall(b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert split(probe.recv(65536))[0] == 200
            busy.sendall(post(call("sleep", {"seconds": 1.5})))
            # Heads that are on their way when the server is told.
            probe.sendall(b"GET /ready HTTP/1.1\r\nHost: localhost\r\n")
            caller.sendall(post(call("add", [1, 2]))[:-5])
            idle.sendall(post(call("add", [1, 2])))
            assert b'{"sum":3}' in idle.recv(65536)
            process.send_signal(signal.SIGTERM)
            assert idle.recv(1) == b""
            probe.sendall(b"\r\n")
            status, headers, body = split(probe.recv(65536))
            assert (status, headers["connection"]) == (503, "close")
            assert json.loads(body) == {"status": "not ready", "failing": ["shutdown"]}
            caller.sendall(post(call("add", [1, 2]))[-5:])
            status, headers, _ = split(caller.recv(65536))
            assert (status, headers["retry-after"]) == (503, "1")
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address, timeout=10)
            status, _, body = split(busy.recv(65536))
            assert (status, json.loads(body)["result"]["slept"] >= 1.5) == (200, True)
        assert process.wait(20) == 0


def test_stdio_serves_one_message_a_line() -> None:
    lines = call("add", [1, 2]) + b"\n" + call("sleep", {"seconds": 0.1}, 2) + b"\n"
    done = subprocess.run([*COMMAND, "--stdio"], input=lines, capture_output=True, timeout=30, check=True)
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [1, 2]
    assert serve("--stdio", "--port", "1").returncode == 2


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="this system keeps what it likes")
def test_kernel_keeps_little_of_an_answer_that_is_not_read() -> None:
    with bind(Settings(port=0)) as listener, socket.socket() as client:
        listener.listen()
        client.connect(listener.getsockname())
        listener.setblocking(True)
        with listener.accept()[0] as connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == MAX_NOT_SENT_BYTES


def test_manual_lists_every_limit_as_it_is() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs/how-to/serve.md").read_text("utf-8")
    for name, reason in REASONS.items():
        value = getattr(Limits(), name)
        shown = "off" if value is None else f"{value:g}" if isinstance(value, float) else value
        assert f"| `{name}` | {shown} | {reason} |" in text


def test_settings_are_all_known_to_the_manual() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs/how-to/serve.md").read_text("utf-8")
    assert [name for name in Settings.__struct_fields__ if name not in text and name != "announce"] == []
