"""What strangers put into the fields of a node: it answers each in the protocol's words, and goes nowhere for them."""

from __future__ import annotations

import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attack_rig import Target, serving, tell
from http_rig import call, post, split

INTERNAL = -32603
CONFIG = """
[limits]
max_batch = 1000
[push]
max_attempts = 1
request_seconds = 2
"""
LEAKS = ("traceback", "site-packages", "/work/", "/usr/lib", ".py", "apflow.db", "sqlite", "msgspec", "trio", "0x7f")
"""What an answer never says: where the node's files are, and what it is made of."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("node")


@pytest.fixture(scope="module")
def node(folder: Path) -> Generator[Target]:
    with serving(folder, CONFIG, kind="apflow") as target:
        yield target
    errors = (folder / "stderr").read_text()
    assert "Traceback" not in errors
    assert '"level":"error"' not in errors, errors[:2000]


def ask(node: Target, body: bytes) -> Any:
    """The JSON of an answer, which is one of the protocol's whatever was sent."""
    status, headers, data = split(node.ask(post(body, close=True)))
    assert status == 200, (status, data[:200])
    assert headers["content-type"] == "application/json"
    return json.loads(data)


def check(answer: dict[str, Any], sent: str) -> None:
    error = answer.get("error")
    if error is None:
        assert "result" in answer
        return
    assert error["code"] != INTERNAL, (answer, sent)
    # What was sent may come back in `actual`; what is ours may not.
    ours = json.dumps({**error, "data": _without(error.get("data"), ("actual", "task_id", "cycle", "path"))}).lower()
    assert not [leak for leak in LEAKS if leak in ours and leak not in sent.lower()], answer


def _without(data: Any, names: tuple[str, ...]) -> Any:
    if isinstance(data, dict):
        return {name: _without(value, names) for name, value in data.items() if name not in names}
    return [_without(value, names) for value in data] if isinstance(data, list) else data


def new_id() -> str:
    return str(uuid.uuid4())


# --- texts ------------------------------------------------------------------------------------------------------

CANARY_FILE = "/tmp/apflow-attack-canary"
TEXTS: dict[str, list[str]] = {
    "paths": [
        "../../../../etc/passwd",
        "..\\..\\..\\windows\\win.ini",
        "/etc/passwd\0.txt",
        "file:///etc/passwd",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "....//....//etc/passwd",
        "/proc/self/environ",
        "apflow.db",
        "~root/.ssh/id_rsa",
        "C:\\con\\con",
        "\\\\127.0.0.1\\share",
    ],
    "commands": [
        f"; touch {CANARY_FILE}",
        f"| touch {CANARY_FILE}",
        f"&& touch {CANARY_FILE} #",
        f"$(touch {CANARY_FILE})",
        f"`touch {CANARY_FILE}`",
        f"\n/bin/sh -c 'touch {CANARY_FILE}'\n",
        f"__import__('os').system('touch {CANARY_FILE}')",
        f"{{{{ ''.__class__.__mro__[1].__subclasses__() }}}} ${{touch {CANARY_FILE}}}",
        "%(password)s %n%n%n%s %x",
        "{0.__class__.__init__.__globals__}",
        "-rf",
        "--help",
    ],
    "databases": [
        "' OR '1'='1",
        "'; DROP TABLE tasks; --",
        '" OR ""="',
        "1; ATTACH DATABASE '/tmp/x' AS x; --",
        "%' AND 1=randomblob(1000000000) --",
        "\\'; SELECT sqlite_version(); --",
        "{$gt: ''}",
        "*)(uid=*",
    ],
    "unicode": [
        "\u202eevil\u202c",
        "e\u0301" * 50,
        "\u0000",
        "\ufeff\ufffe\uffff",
        "\ufdd0",
        "ﷺ" * 100,
        "😀" * 64,
        "a\u0300\u0301\u0302" * 60,
        "\u0130\u0131\u017f\u212a",
        "\x1b[31mred\x1b[0m\x07",
        "\r\nSet-Cookie: a=b\r\n\r\n<script>alert(1)</script>",
        "٣-٤",
    ],
    "lengths": ["", " ", "x" * 255, "x" * 256, "é" * 256, "x" * 20_000, "9" * 5000],
    "numbers": ["1e400", "-0", "NaN", "Infinity", "0x10", "1_000", "null", "true"],
}
RAW_TEXTS = ['"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"', "1e400", "-1e400", "9" * 400, "1" + "0" * 5000, "[]", "{}"]
"""Values as JSON that no Python text makes: halves of surrogate pairs, numbers beyond any type."""

TASK_FIELDS = (
    *("name", "id", "user_id", "parent_id", "status", "priority", "inputs", "schemas", "params", "result", "error"),
    *("dependencies", "progress", "created_at", "started_at", "updated_at", "completed_at", "origin_type"),
    *("original_task_id", "has_references", "schedule_type", "schedule_expression", "schedule_enabled"),
    *("schedule_start_at", "schedule_end_at", "next_run_at", "last_run_at", "max_runs", "run_count", "x-unknown"),
)


def placements(text: str) -> Iterator[dict[str, Any]]:
    """Calls with the text, given as JSON, at each place where a text can stand."""
    mark = "\1"

    def at(method: str, params: object, **beside: object) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params, **beside}

    tasks: list[dict[str, Any]] = [{"name": "x", field: mark} for field in TASK_FIELDS]
    tasks += [
        {"name": "x", "inputs": {"key": mark}},
        {"name": "x", "inputs": {"a": [{"b": mark}]}},
        {"name": "x", "params": {"retry": mark}},
        {"name": "x", "schemas": {"method": mark}},
        {"name": "x", "schemas": {"method": "echo", "type": mark}},
        {"name": "x", "schemas": {"method": "echo", "model": mark}},
        {"name": "x", "schemas": {"method": "echo", "input_schema": mark}},
        {"name": "x", "schemas": {"method": "echo", "input_schema": {"$ref": mark}}},
        {"name": "x", "schemas": {"method": "echo", "input_schema": {"$schema": mark}}},
        {"name": "x", "schemas": {"method": "echo", "input_schema": {"$id": mark}}},
        {"name": "x", "schemas": {"method": "echo", "input_schema": {"pattern": mark}}},
        {"name": "x", "schemas": {"method": "echo", "input_schema": {"type": mark}}},
        {"name": "x", "dependencies": [{"id": mark}]},
        {"name": "x", "dependencies": [{"id": new_id(), "required": mark}]},
        *(
            {"name": "x", "schedule_enabled": True, "schedule_type": kind, "schedule_expression": mark}
            for kind in ("once", "interval", "cron", "daily", "weekly", "monthly")
        ),
    ]
    for task in tasks:
        yield at("tasks.create", task)
        yield at("tasks.execute", {"tasks": [task]})
        yield at("tasks.update", {"task_id": new_id(), "updates": task})
    for name in ("get", "delete", "cancel", "tree", "copy"):
        yield at(f"tasks.{name}", {"task_id": mark})
    yield at("tasks.children", {"parent_id": mark})
    yield at("tasks.cancel", {"task_id": new_id(), "error_message": mark})
    for field in ("status", "user_id", "limit", "offset", "x-unknown"):
        yield at("tasks.list", {field: mark})
    for name, inputs in (
        ("fail", {"message": mark}),
        ("sleep", {"seconds": mark}),
        ("system_info", {"key": mark}),
        ("aggregate_results", {"key": mark}),
        ("http", {"url": mark}),
        ("http", {"url": "http://192.0.2.1/", "method": mark, "headers": {"x": mark}}),
        ("command", {"command": mark}),
        ("command_executor", {"command": mark}),
        ("remote", {"url": mark, "method": mark}),
    ):
        yield at("tasks.execute", {"tasks": [{"name": "x", "schemas": {"method": name}, "inputs": inputs}]})
    running = {"tasks": [{"name": "x", "schemas": {"method": "echo"}}]}
    yield at("tasks.execute", running, metadata=mark)
    yield at("tasks.execute", running, configuration={"push_notification_config": {"url": mark}})
    yield at("tasks.execute", running, configuration={"push_notification_config": mark})
    for headers in ({"x": mark}, {"Authorization": mark}):
        config = {"url": "http://192.0.2.1/", "headers": headers}
        yield at("tasks.execute", running, configuration={"push_notification_config": config})
    yield at(mark, {})
    yield {**at("tasks.list", {}), "id": mark}
    yield {**at("tasks.list", {}), "x-unknown": mark}
    del text


def attack(node: Target, text: str) -> int:
    """Send a text, given as JSON, everywhere; how many answers came."""
    marked = json.dumps("\1")
    bodies = [json.dumps(message).replace(marked, text) for message in placements(text)]
    # As names of members and of headers, too.
    if text.startswith('"'):
        bodies += [
            f'{{"jsonrpc":"2.0","id":1,"method":"tasks.create","params":{params}}}'
            for params in (f'{{"name":"x",{text}:1}}', f'{{"name":"x","inputs":{{{text}:1}}}}')
        ]
        config = f'{{"push_notification_config":{{"url":"http://192.0.2.1/","headers":{{{text}:"x"}}}}}}'
        params = '{"tasks":[{"name":"x","schemas":{"method":"echo"}}]}'
        bodies.append(f'{{"jsonrpc":"2.0","id":1,"method":"tasks.execute","params":{params},"configuration":{config}}}')
    answers = ask(node, ("[" + ",".join(bodies) + "]").encode("utf-8", "surrogatepass"))
    if isinstance(answers, dict):
        # A text that is no Unicode makes the whole of it no JSON.
        check(answers, text)
        answers = [ask(node, body.encode("utf-8", "surrogatepass")) for body in bodies]
    assert len(answers) == len(bodies)
    for answer in answers:
        check(answer, text)
    return len(answers)


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("most", [3, pytest.param(1000, marks=pytest.mark.soak, id="full")])
def test_texts_that_mean_harm_are_only_texts(node: Target, kind: str, most: int) -> None:
    Path(CANARY_FILE).unlink(missing_ok=True)
    answered = sum(attack(node, json.dumps(text)) for text in TEXTS[kind][:most])
    tell(f"{kind}: {answered} calls answered")
    assert not Path(CANARY_FILE).exists()


def test_values_that_are_hardly_json(node: Target) -> None:
    tell(f"{sum(attack(node, text) for text in RAW_TEXTS)} calls answered")


@pytest.mark.parametrize("kind", ["paths", "commands", "databases", "unicode"])
def test_what_is_taken_comes_back_as_it_was(node: Target, kind: str) -> None:
    for text in TEXTS[kind]:
        given = {"name": text[:255] or "x", "inputs": {text: [text]}, "x-unknown": {text: text}}
        answer = ask(node, call("tasks.create", given))
        if "\ufdd0" in text:
            # The SDK's own mark for names without a name, which nobody may send as a name.
            continue
        task = ask(node, call("tasks.get", {"task_id": answer["result"]["id"]}))["result"]
        assert {name: task[name] for name in given} == given


# --- shapes -----------------------------------------------------------------------------------------------------


def deep(opening: str, closing: str, depth: int) -> str:
    return opening * depth + "1" + closing * depth


@pytest.mark.parametrize("depth", [50, 199, 201, 400, 480, 900, 1100, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_nesting_is_answered_at_any_depth(node: Target, depth: int, opening: str, closing: str) -> None:
    value = deep(opening, closing, depth)
    for place in ('"inputs":{"a":%s}', '"x":%s', '"params":{"a":%s}', '"schemas":{"method":"echo","input_schema":%s}'):
        for message in (
            '{"jsonrpc":"2.0","id":1,"method":"tasks.create","params":{"name":"x",%s}}',
            '{"jsonrpc":"2.0","id":1,"method":"tasks.execute","params":{"tasks":[{"name":"x",%s}]}}',
            '{"jsonrpc":"2.0","id":1,"method":"tasks.list","params":{},%s}',
        ):
            answer = ask(node, (message % (place % value)).encode())
            check(answer, "")
            made = answer.get("result", {}).get("id")
            if made is not None:
                for name in ("tasks.get", "tasks.tree", "tasks.copy"):
                    assert "result" in ask(node, call(name, {"task_id": made}))
    # What was taken runs to its end.
    task = f'{{"id":"{(made := new_id())}","name":"x","schemas":{{"method":"echo"}},"inputs":{{"a":{value}}}}}'
    body = f'{{"jsonrpc":"2.0","id":1,"method":"tasks.execute","params":{{"tasks":[{task}],"use_streaming":true}}}}'
    ended = node.ask(post(body, close=True))
    assert (b"task_completed" in ended) == (depth < 200)
    assert depth >= 200 or ask(node, call("tasks.get", {"task_id": made}))["result"]["status"] == "completed"


REDOS = ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "^([a-zA-Z]+)*$", "(x+x+)+y", "^(.*)*$", "^((a?){30}){30}$", "(.*a){20}"]


@pytest.mark.parametrize("pattern", REDOS)
def test_patterns_take_no_time(node: Target, pattern: str) -> None:
    def seconds(inputs: dict[str, Any], schema: dict[str, Any]) -> float:
        body = call(
            "tasks.create", {"name": "x", "inputs": inputs, "schemas": {"method": "echo", "input_schema": schema}}
        )
        taken: list[float] = []
        for _ in range(5):
            began = time.perf_counter()
            check(ask(node, body), pattern)
            taken.append(time.perf_counter() - began)
        return min(taken)

    inputs = {"a": "a" * 5000 + "!"}
    normal = seconds(inputs, {"properties": {"a": {"type": "string"}}})
    ours = seconds(inputs, {"properties": {"a": {"pattern": pattern}}})
    tell(f"{pattern}: {1e3 * (ours - normal):+.1f} ms")
    assert ours - normal < 0.010


ROOT, PART = new_id(), new_id()
TREES: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "none": list,
    "one that is its own parent": lambda: [{"id": ROOT, "name": "x", "parent_id": ROOT}],
    "one that waits for itself": lambda: [{"id": ROOT, "name": "x", "dependencies": [{"id": ROOT}]}],
    "two roots": lambda: [{"name": "x"}, {"name": "y"}],
    "the same twice": lambda: [{"id": ROOT, "name": "x"}, {"id": ROOT, "name": "y", "parent_id": ROOT}],
    "the same in capitals": lambda: [{"id": ROOT, "name": "x"}, {"id": ROOT.upper(), "name": "y", "parent_id": ROOT}],
    "a circle of 10,000 parents": lambda: chain(10_000, "parent_id", closed=True),
    "a circle of 10,000 dependencies": lambda: chain(10_000, "dependencies", closed=True),
    "10,000 dependencies of one task": lambda: [
        {"id": ROOT, "name": "x", "dependencies": [{"id": new_id()} for _ in range(10_000)]}
    ],
    "one dependency 10,000 times": lambda: [
        {"id": ROOT, "name": "x", "dependencies": [{"id": PART}] * 10_000},
        {"id": PART, "name": "y", "parent_id": ROOT, "dependencies": [{"id": ROOT}]},
    ],
}


def chain(count: int, how: str, *, closed: bool) -> list[dict[str, Any]]:
    ids = [new_id() for _ in range(count)]
    tasks: list[dict[str, Any]] = [{"id": each, "name": "x", "parent_id": ids[0]} for each in ids]
    tasks[0]["parent_id"] = None
    for index, task in enumerate(tasks):
        before = ids[index - 1] if index or closed else None
        if before is not None:
            task[how] = before if how == "parent_id" else [{"id": before}]
    return tasks


@pytest.mark.parametrize("tree", TREES)
def test_trees_that_are_none_are_refused_in_time(node: Target, tree: str) -> None:
    began = time.perf_counter()
    answer = ask(node, call("tasks.execute", {"tasks": TREES[tree]()}))
    tell(f"{tree}: {time.perf_counter() - began:.2f} s")
    assert answer["error"]["code"] in (-32002, -32005, -32011, -32012, -32602), answer["error"]
    check(answer, "")
    assert len(json.dumps(answer)) < 1_000_000
    assert "error" in ask(node, call("tasks.get", {"task_id": ROOT}))


@pytest.mark.parametrize("how", ["parent_id", "dependencies"])
def test_a_chain_of_thousands_can_be_asked_for(node: Target, how: str) -> None:
    tasks = chain(3_000, how, closed=False)
    root = tasks[0]["id"]
    assert ask(node, call("tasks.execute", {"tasks": tasks}))["result"]["root_task_id"] == root
    status, _, body = split(node.ask(post(call("tasks.tree", {"task_id": root}), close=True)))
    assert (status, body.count(b'"task":')) == (200, 3_000)
    for name in ("children", "copy", "cancel"):
        member = "parent_id" if name == "children" else "task_id"
        check(ask(node, call(f"tasks.{name}", {member: root})), "")


def test_more_tasks_than_one_execution_takes(node: Target) -> None:
    """As many tasks as a body has room for cost no more than their bytes."""
    body = call("tasks.execute", {"tasks": []}).replace(b"[]", b"[" + b",".join([b'{"name":"x"}'] * 1_100_000) + b"]")
    before = node.resident_bytes()
    began = time.perf_counter()
    answer = ask(node, body)
    tell(f"1,100,000 tasks: {time.perf_counter() - began:.2f} s, {(node.resident_bytes() - before) / 2**20:+.0f} MiB")
    assert answer["error"]["code"] == -32602
    assert answer["error"]["data"]["field"] == "tasks"


# --- places -----------------------------------------------------------------------------------------------------


@contextmanager
def canary() -> Iterator[tuple[int, list[Any]]]:
    """A port at every address of this machine, and who came."""
    came: list[Any] = []
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:

        def accept() -> None:
            while True:
                try:
                    client, address = listener.accept()
                except OSError:
                    return
                came.append(address)
                client.close()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listener.getsockname()[1], came
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


URLS = (
    "http://127.0.0.1:{}/",
    "http://localhost:{}/",
    "http://LOCALHOST.:{}/",
    "http://127.1:{}/",
    "http://127.255.255.254:{}/",
    "http://2130706433:{}/",
    "http://0x7f000001:{}/",
    "http://0x7f.0.0.1:{}/",
    "http://0177.0.0.1:{}/",
    "http://017700000001:{}/",
    "http://0:{}/",
    "http://0.0.0.0:{}/",
    "http://[::1]:{}/",
    "http://[::]:{}/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:{}/",
    "http://[::ffff:7f00:1]:{}/",
    "http://[::127.0.0.1]:{}/",
    "http://[64:ff9b::7f00:1]:{}/",
    "http://①②⑦.⓪.⓪.①:{}/",
    "http://127。0。0。1:{}/",
    "http://127.0.0.1.:{}/",
    "http://example.com@127.0.0.1:{}/",
    "http://user:password@localhost:{}/",
    "http://127.0.0.1:{}#@example.com/",
    "http://127.0.0.1:{}\\@example.com/",
    "http://127.0.0.1%00.example.com:{}/",
    "http:///127.0.0.1:{}/",
    "//127.0.0.1:{}/",
    "http:127.0.0.1:{}",
    " http://127.0.0.1:{}/",
    "HTTP://127.0.0.1:{}/",
    "https://127.0.0.1:{}/",
    "ws://127.0.0.1:{}/",
    "ftp://127.0.0.1:{}/x",
    "gopher://127.0.0.1:{}/_GET",
    "file://127.0.0.1:{}/etc/passwd",
    "http://" + socket.gethostname() + ":{}/",
    "http://ip6-localhost:{}/",
)
REFS = (
    "http://127.0.0.1:{}/s.json",
    "https://localhost:{}/s",
    "file:///etc/passwd",
    "//127.0.0.1:{}/s",
    "ftp://[::1]:{}/",
)


def executions(url: str) -> Iterator[bytes]:
    def execute(method: str, inputs: dict[str, Any], **beside: object) -> bytes:
        task = {"name": "x", "schemas": {"method": method}, "inputs": inputs}
        params = {"tasks": [task]}
        return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tasks.execute", "params": params, **beside}).encode()

    yield execute("echo", {}, configuration={"push_notification_config": {"url": url}})
    yield execute("echo", {}, configuration={"push_notification_config": {"url": url, "headers": {"Host": "a"}}})
    yield execute("http", {"url": url})
    yield execute("rest_executor", {"url": url, "method": "POST", "body": "x"})
    yield execute("remote", {"url": url, "method": "echo", "inputs": {}})


def wait_until_idle(node: Target) -> None:
    ends = time.monotonic() + 60
    for status in ("pending", "in_progress"):
        while ask(node, call("tasks.list", {"status": status, "limit": 1}))["result"]["total"]:
            assert time.monotonic() < ends


def test_urls_that_lead_back_home_are_never_followed(tmp_path: Path) -> None:
    with serving(tmp_path, CONFIG, kind="apflow") as node, canary() as (port, came):
        with socket.create_connection(("127.0.0.1", port)) as knocking:
            assert knocking.recv(1) == b""
        assert len(came) == 1
        accepted = 0
        for form in URLS:
            for body in executions(form.format(port)):
                answer = ask(node, body)
                check(answer, body.decode())
                accepted += "result" in answer
        wait_until_idle(node)
        done = ask(node, call("tasks.list", {"status": "completed", "limit": 1000}))["result"]["tasks"]
        assert {task["schemas"]["method"] for task in done} <= {"echo"}
        tell(f"{len(URLS)} forms, {accepted} executions begun, {len(came) - 1} hits")
        assert len(came) == 1
    assert "Traceback" not in (tmp_path / "stderr").read_text()


@pytest.mark.parametrize("ref", REFS)
def test_a_schema_fetches_nothing(node: Target, ref: str) -> None:
    with canary() as (port, came):
        url = ref.format(port)
        schemas: list[dict[str, Any]] = [
            {"$ref": url},
            {"$schema": url},
            {"$id": url, "$ref": "#/definitions/a"},
            {"$id": url, "$ref": "other.json"},
            {"properties": {"a": {"$ref": f"{url}#/a"}}},
            {"definitions": {"a": {"$ref": url}}, "$ref": "#/definitions/a"},
            {"allOf": [{"$ref": url}], "anyOf": [{"$dynamicRef": url}, {"$recursiveRef": url}]},
        ]
        for schema in schemas:
            task = {"name": "x", "schemas": {"method": "echo", "input_schema": schema}, "inputs": {"a": 1}}
            check(ask(node, call("tasks.create", task)), url)
            check(ask(node, call("tasks.execute", {"tasks": [task]})), url)
        assert came == []
