"""Workers over stdio: what becomes of calls and of the process, whatever it does."""

from __future__ import annotations

import logging
import os
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from plugin_rig import (
    CONTEXT,
    MemoryRuntime,
    all_of,
    failure_of,
    name_of,
    opened,
    program,
    running,
    stdio_config,
)

from protogen_runtime.jsonrpc import Success
from protogen_runtime.stepflow.plugins.contract import CannotStart, StepContext
from protogen_runtime.stepflow.plugins.links import Link, no
from protogen_runtime.stepflow.plugins.processes import REPORT_SECONDS
from protogen_runtime.stepflow.plugins.workers import WorkerPlugin


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What people would not mind to wait for, tests do."""
    monkeypatch.setattr("protogen_runtime.stepflow.plugins.processes.STOP_SECONDS", 0.3)
    monkeypatch.setattr("protogen_runtime.stepflow.plugins.processes.REPORT_SECONDS", 0.3)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starts again without a pause."""
    monkeypatch.setattr("protogen_runtime.stepflow.plugins.links.FIRST_PAUSE_SECONDS", 0.01)


ECHO = """
greet()
while True:
    message = read()
    output(message, message["params"]["input"])
"""


def test_a_worker_is_greeted_and_called(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(stdio_config(tmp_path, ECHO)) as plugins:
            value = {"a": [1, None, 2**70, "é\u2028\n"]}
            assert await plugins.execute("/w/x", value, CONTEXT) == value

    running(scenario)


def test_calls_are_answered_in_any_order_while_callbacks_come_and_go(tmp_path: Path) -> None:
    """Both directions at once: nothing is answered before all calls have come and all callbacks are answered."""
    source = """
        greet()
        calls, blobs = [], {}
        while len(calls) < 50:
            message = read()
            calls.append(message)
            number = message["params"]["input"]
            seen = message["params"]["observability"]
            params = {"data": number, "blob_type": "data", "observability": seen}
            write({"jsonrpc": "2.0", "id": f"c{number}", "method": "blobs/put", "params": params})
        while len(blobs) < 50:
            message = read()
            blobs[message["id"]] = message["result"]["blob_id"]
        for message in reversed(calls):
            output(message, blobs["c%d" % message["params"]["input"]])
        read()
    """

    async def scenario() -> None:
        runtime = MemoryRuntime()
        contexts = [StepContext(run_id="r", flow_id="f", step_id=f"s{number}") for number in range(50)]
        async with opened(stdio_config(tmp_path, source), runtime=runtime) as plugins:
            calls = [lambda it=number: plugins.execute("/w/x", it, contexts[it]) for number in range(50)]
            assert await all_of(calls) == [name_of(number) for number in range(50)]
        # Each is made on behalf of the step that it names.
        assert {it.step_id for it in runtime.callers if it is not None} == {f"s{number}" for number in range(50)}

    running(scenario)


def test_its_environment_is_the_configured_one_alone(tmp_path: Path) -> None:
    source = """
        greet()
        output(read(), [dict(os.environ), os.getcwd(), os.getpgrp() == os.getpid()])
        read()
    """

    async def scenario() -> None:
        config = stdio_config(tmp_path, source, ', env: {A: "1", LC_ALL: C.UTF-8}')
        async with opened(config, folder=tmp_path) as plugins:
            environment, directory, leads = await plugins.execute("/w/x", None, CONTEXT)
            assert environment == {"A": "1", "LC_ALL": "C.UTF-8"}
            assert (directory, leads) == (str(tmp_path), True)

    running(scenario)


def test_an_error_of_a_component_restarts_nothing(tmp_path: Path) -> None:
    source = """
        greet()
        while True:
            message = read()
            if message["params"]["component"] == "/fail":
                error = {"code": -32003, "message": "no", "data": None}
                write({"jsonrpc": "2.0", "id": message["id"], "error": error})
            else:
                output(message, os.getpid())
    """

    async def scenario() -> None:
        async with opened(stdio_config(tmp_path, source)) as plugins:
            before = await plugins.execute("/w/pid", None, CONTEXT)
            failed = await failure_of(plugins, "/w/fail")
            assert (failed.kind, failed.code, failed.message) == ("component", -32003, "no")
            assert await plugins.execute("/w/pid", None, CONTEXT) == before

    running(scenario)


def test_stderr_and_stray_lines_are_logs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = """
        print("hello from stdout", flush=True)
        print("hello from stderr", file=sys.stderr, flush=True)
        greet()
        message = read()
        print('{"level": "info"', flush=True)
        print("[1, 2]", flush=True)
        output(message, "ok")
        read()
    """

    async def scenario() -> None:
        async with opened(stdio_config(tmp_path, source)) as plugins:
            assert await plugins.execute("/w/x", None, CONTEXT) == "ok"
            lines = {"hello from stdout", "hello from stderr", '{"level": "info"', "[1, 2]"}
            while not lines <= {record.args[1] for record in caplog.records if isinstance(record.args, tuple)}:
                await trio.lowlevel.checkpoint()

    with caplog.at_level(logging.INFO, "protogen_runtime.stepflow.workers"):
        running(scenario)


def test_records_of_a_workers_log_are_records_of_ours(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With their level, the ids of the run, and whatever else they tell."""
    source = r"""
        greet()
        message = read()
        ids = message["params"]["observability"]
        for level, event in (("warning", "look"), ("debug", "unseen"), ([], "kept as text"), ("info", None)):
            record = {"time": "t", "level": level, "event": event, "orders": 3, **ids}
            print(json.dumps(record), file=sys.stderr, flush=True)
        print("done", file=sys.stderr, flush=True)
        output(message, "ok")
        read()
    """

    async def scenario() -> None:
        async with opened(stdio_config(tmp_path, source)) as plugins:
            await plugins.execute("/w/x", None, CONTEXT)
            while "worker w: done" not in [record.getMessage() for record in caplog.records]:
                await trio.lowlevel.checkpoint()

    with caplog.at_level(logging.INFO, "protogen_runtime.stepflow.workers"):
        running(scenario)
    look, as_text, no_event, _ = caplog.records
    assert (look.levelno, look.getMessage()) == (logging.WARNING, "worker w: look")
    assert vars(look)["members"] == {"orders": 3, **CONTEXT.observability()}
    for record, told in ((as_text, '"event": "kept as text"'), (no_event, '"event": null')):
        assert (record.levelno, vars(record)["members"], told in record.getMessage()) == (logging.INFO, {}, True)


CALL = '{"jsonrpc": "2.0", "id": 1, "method": "blobs/put", "params": {"data": "x" * 1000, "blob_type": "data"}}'

HOSTILE: list[tuple[str, str, str, str]] = [
    ("never answers", "time.sleep(60)", "transport", "worker w: components/execute was not answered within 0.3 s"),
    ("dies", "os.kill(os.getpid(), signal.SIGKILL)", "crash", "its process was ended by signal 9"),
    ("exits", "sys.exit(0)", "crash", "its process ended with status 0"),
    ("says why it exits", 'sys.exit("the disk is full")', "crash", "status 1 (it last printed: the disk is full)"),
    ("closes its output", "os.close(1); time.sleep(60)", "crash", "it has closed its output"),
    ("floods", 'sys.stdout.write("rubbish " * 10_000_000)', "protocol", "a line of more than 16777216 bytes"),
    (
        "floods with lines",
        'sys.stdout.write("rubbish\\n" * 1_000_000)',
        "protocol",
        "1048576 bytes that are no messages",
    ),
    ("calls back for ever", f"while True: write({CALL})", "transport", "was not answered within 0.3 s"),
    ("answers with no output", 'result(message, {"x": 1})', "protocol", 'the member "output"'),
    (
        "answers with both",
        'write({"jsonrpc": "2.0", "id": message["id"], "result": 1, "error": {}})',
        "protocol",
        "both",
    ),
]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("does", "kind", "told"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_a_hostile_worker_leaves_one_failed_step(tmp_path: Path, does: str, kind: str, told: str) -> None:
    """With an error that says what it did; the next call is answered, by a new process where the old one is gone."""
    source = f"""
        greet()
        while True:
            message = read()
            if message["params"]["component"] == "/bad":
                {does}
            else:
                output(message, "good")
    """

    async def scenario() -> None:
        patience = 300 if "0.3 s" in told else 15_000
        config = stdio_config(tmp_path, source, f", executeTimeoutMs: {patience}")
        async with opened(config) as plugins:
            failed = await failure_of(plugins, "/w/bad")
            assert (failed.kind, told in failed.message) == (kind, True), failed.message
            if kind == "protocol" or "0.3 s" not in told:
                assert await plugins.execute("/w/good", None, CONTEXT) == "good"

    running(scenario)


@pytest.mark.parametrize("takes", [True, False, None])
def test_only_a_worker_that_takes_it_is_told_of_a_call_that_was_given_up(tmp_path: Path, takes: bool | None) -> None:
    """The protocol has no such message (spec section 7); ours say that they know it."""
    source = f"""
        message = read()
        assert message["params"]["dialect"] == "0.9"
        result(message, {{"server_protocol_version": 1, "takesCancel": {takes}}})
        read()
        hanging, messages = read(), []
        while True:
            messages.append(read())
            if messages[-1].get("method") == "components/execute":
                output(messages[-1], [hanging["id"], messages[:-1]])
    """

    async def scenario() -> None:
        async with opened(stdio_config(tmp_path, source, ", executeTimeoutMs: 300")) as plugins:
            assert (await failure_of(plugins, "/w/hang")).kind == "transport"
            number, between = await plugins.execute("/w/x", None, CONTEXT)
            told = {"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": number}}
            assert between == ([told] if takes else [])

    running(scenario)


def test_the_second_of_two_answers_is_dropped(tmp_path: Path) -> None:
    source = """
        greet()
        while True:
            message = read()
            output(message, 1)
            output(message, 2)
    """

    async def scenario() -> None:
        async with opened(stdio_config(tmp_path, source)) as plugins:
            assert [await plugins.execute("/w/x", None, CONTEXT) for _ in range(3)] == [1, 1, 1]

    running(scenario)


@pytest.mark.usefixtures("quick")
def test_every_start_is_greeted_and_only_calls_under_way_fail(tmp_path: Path) -> None:
    """Killed again and again; the file tells how often the whole handshake was made."""
    source = """
        greet()
        with open("greeted", "a") as file:
            file.write("x")
        while True:
            message = read()
            if message["params"]["component"] == "/die":
                os._exit(3)
            output(message, os.getpid())
    """

    async def scenario() -> None:
        async with opened(stdio_config(tmp_path, source), folder=tmp_path) as plugins:
            pids = {await plugins.execute("/w/pid", None, CONTEXT)}
            for _ in range(2):
                failed = await failure_of(plugins, "/w/die")
                assert (failed.kind, "its process ended with status 3" in failed.message) == ("crash", True), (
                    failed.message
                )
                pids.add(await plugins.execute("/w/pid", None, CONTEXT))
            assert (len(pids), (tmp_path / "greeted").read_text()) == (3, "xxx")

    running(scenario)


def test_a_worker_that_cannot_be_greeted_keeps_the_runtime_from_starting(tmp_path: Path) -> None:
    async def scenario() -> None:
        with pytest.raises(
            CannotStart, match=r"plugin w: worker w: .*ended with status 7 .it last printed: no licence"
        ):
            async with opened(stdio_config(tmp_path, 'print("no licence", file=sys.stderr)\nsys.exit(7)')):
                raise AssertionError("it started")

    running(scenario)


def test_the_process_and_all_that_it_started_end_with_the_plugin(tmp_path: Path) -> None:
    """A child that ignores SIGTERM, and a worker that goes on reading nothing."""
    source = """
        import subprocess
        greet()
        message = read()
        code = "signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
        child = subprocess.Popen([sys.executable, "-S", "-c", "import signal, time; " + code], stdout=subprocess.PIPE)
        child.stdout.readline()
        output(message, [os.getpid(), child.pid])
        read()
    """

    async def scenario() -> None:
        async with opened(stdio_config(tmp_path, source)) as plugins:
            pids = await plugins.execute("/w/x", None, CONTEXT)
        for pid in pids:
            while _lives(pid):
                await trio.lowlevel.checkpoint()

    running(scenario)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie that nobody waits for is as dead as can be.
    return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"


def test_pauses_between_starts_double_up_to_thirty_seconds() -> None:
    """On a clock of the test's own, with a link that is lost as soon as it is there."""

    class Greeting:
        async def call(self, method: str, params: Any, on_event: Any) -> Success:
            await trio.lowlevel.checkpoint()
            return Success(id=1, result=msgspec.Raw(b'{"server_protocol_version":1}'))

        async def notify(self, method: str, params: Any) -> None:
            await trio.lowlevel.checkpoint()

    starts: list[float] = []

    @asynccontextmanager
    async def connect(callbacks: Any, nursery: trio.Nursery) -> Any:
        starts.append(trio.current_time())

        async def lost() -> str:
            await trio.sleep(70 if len(starts) == 9 else 0)
            return "it was lost"

        async def fate() -> None:
            await trio.lowlevel.checkpoint()

        yield Link(Greeting(), lost, fate, no, no)  # type: ignore[arg-type]  # the plugin calls these two functions only

    async def scenario() -> None:
        plugin = WorkerPlugin("w", connect, MemoryRuntime(), execute_seconds=1)
        async with trio.open_nursery() as nursery:
            await plugin.start(nursery)
            while len(starts) < 11:
                await trio.sleep(1)
            nursery.cancel_scope.cancel()

    trio.run(scenario, clock=trio.testing.MockClock(autojump_threshold=0))
    pauses = [round(after - before) for before, after in pairwise(starts)]
    # The ninth was up for more than a minute: the pauses begin anew.
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30, 71, 2]


def test_a_worker_that_hangs_at_its_start_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protogen_runtime.stepflow.plugins.workers.GREET_SECONDS", 0.3)

    async def scenario() -> None:
        with pytest.raises(CannotStart, match=r"plugin w: worker w: initialize was not answered within 0\.3 s"):
            async with opened(stdio_config(tmp_path, "time.sleep(60)")):
                raise AssertionError("it started")

    running(scenario)


# --- processes that announce a port ----------------------------------------------------------------------

SERVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    checks = 0
    def do_GET(self):
        Handler.checks += 1
        self.send(200 if self.path == "/healthz" and Handler.checks > 2 else 503, b"")
    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if message["method"] == "initialize":
            value = {"server_protocol_version": 1}
        elif message["method"] == "initialized":
            return self.send(202, b"")
        elif message["params"]["component"] == "/die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif message["params"]["component"] == "/linger":
            # As servers do that end in good order: the connections go first.
            threading.Timer(1.5, os._exit, (3,)).start()
            self.close_connection = True
            return self.connection.shutdown(2)
        else:
            value = {"output": [os.getpid(), dict(os.environ), sys.stdin.read(), Handler.checks]}
        self.send(200, json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": value}).encode())
    def send(self, status, body):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(body)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("starting", flush=True)
print('{"port": "many"}', flush=True)
def stop(*_):
    with open("stopped", "w") as file:
        file.write("by SIGTERM")
    os._exit(0)
signal.signal(signal.SIGTERM, stop)
print(json.dumps({"port": server.server_port, "more": 1}), flush=True)
print("listening", flush=True)
server.serve_forever()
"""


def http_config(folder: Path, source: str, health: str = "") -> str:
    """A configuration with a worker that announces its port behind /w/…."""
    routes = 'routes: {"/w/{*component}": [{plugin: w}]}\n'
    return f"plugins: {{w: {{type: stepflow, {program(folder, source)}{health}}}}}\n{routes}"


@pytest.mark.usefixtures("quick")
def test_a_process_announces_its_port_and_is_asked_for_its_health(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        config = http_config(tmp_path, SERVER, ", healthCheck: {path: /healthz, retryDelayMs: 1}, env: {A: b}")
        async with opened(config, folder=tmp_path) as plugins:
            pid, environment, given, checks = await plugins.execute("/w/x", None, CONTEXT)
            assert (environment.pop("A"), given, checks) == ("b", "", 3)
            assert set(environment) <= {"LC_CTYPE"}  # Python's own
            failed = await failure_of(plugins, "/w/die")
            assert (failed.kind, "its process was ended by signal 9" in failed.message) == ("crash", True)
            again, *_ = await plugins.execute("/w/x", None, CONTEXT)
            assert again != pid
        assert (tmp_path / "stopped").read_text() == "by SIGTERM"

    with caplog.at_level(logging.INFO, "protogen_runtime.stepflow.workers"):
        running(scenario)
    told = {record.getMessage() for record in caplog.records}
    assert {"worker w: starting", 'worker w: {"port": "many"}', "worker w: listening"} <= told


@pytest.mark.usefixtures("quick")
def test_a_process_that_ends_in_good_order_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt that is made meanwhile would be lost, too."""
    monkeypatch.setattr("protogen_runtime.stepflow.plugins.processes.REPORT_SECONDS", REPORT_SECONDS)

    async def scenario() -> None:
        config = http_config(tmp_path, SERVER, ", healthCheck: {path: /healthz, retryDelayMs: 1}")
        async with opened(config, folder=tmp_path) as plugins:
            pid, *_ = await plugins.execute("/w/x", None, CONTEXT)
            failed = await failure_of(plugins, "/w/linger")
            assert (failed.kind, "its process ended with status 3" in failed.message) == ("crash", True)
            again, *_ = await plugins.execute("/w/x", None, CONTEXT)
            assert again != pid

    running(scenario)


NEVER_UP: list[tuple[str, str, int, str]] = [
    ("announces nothing", "time.sleep(60)", 300, "but it announced no port within 0.3 s"),
    ("ends at once", 'sys.exit("no licence")', 15_000, "its process ended with status 1 .it last printed: no licence"),
    (
        "does not listen",
        "print('{\"port\": 1}', flush=True); time.sleep(60)",
        1500,
        r"GET http://127\.0\.0\.1:1/health did not succeed: ",
    ),
    ("ends before it serves", "print('{\"port\": 1}', flush=True)", 15_000, "did not succeed: its process ended"),
]


@pytest.mark.parametrize(
    ("source", "patience", "told"), [row[1:] for row in NEVER_UP], ids=[row[0] for row in NEVER_UP]
)
def test_a_process_that_never_serves_keeps_the_runtime_from_starting(
    tmp_path: Path, source: str, patience: int, told: str
) -> None:
    async def scenario() -> None:
        with pytest.raises(CannotStart, match=told):
            async with opened(http_config(tmp_path, source, f", healthCheck: {{timeoutMs: {patience}}}")):
                raise AssertionError("it started")

    running(scenario)
