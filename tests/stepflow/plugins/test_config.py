"""Configuration files: what is read, in both dialects, and every fault with its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from protogen_runtime.stepflow.engine.dialects import Backoff
from protogen_runtime.stepflow.flow.faults import show
from protogen_runtime.stepflow.flow.model import Failed, FlowError, Success
from protogen_runtime.stepflow.plugins.config import (
    BadConfig,
    BlobApiSettings,
    BuiltinSettings,
    Health,
    McpSettings,
    MockSettings,
    Program,
    RetrySettings,
    StoreSettings,
    WorkerSettings,
    load_config,
    parse_config,
)
from protogen_runtime.stepflow.plugins.mock import Behaviour, Broken

WHOLE = """
plugins:
  builtin: {type: builtin}
  python:
    type: stepflow
    command: uv
    args: [--project, "${ROOT}/sdk", run, "${MODULE:-worker}", 8080, true]
    env: {LEVEL: "${LEVEL:-INFO}", EMPTY: "${NONE:-}", SET: "${ROOT}", PORT: 1}
    healthCheck: {path: /ok, timeoutMs: 500, retryDelayMs: 20}
  remote: {type: stepflow, url: "http://127.0.0.1:8080", executeTimeoutMs: 1500, lenient: true}
  old: {type: stepflow, transport: stdio, command: ./worker}
  session: {type: stepflow, transport: session, url: "https://h/"}
  tools: {type: mcp, command: npx, args: [x]}
routes:
  "/python/{*component}":
    - plugin: python
      conditions: [{path: $.kind, value: {a: no}}]
      componentAllow: [/udf]
    - {plugin: remote, componentDeny: [/x], component: "/v1/{component}"}
  "/{*component}": [{plugin: builtin}]
stateStore: {type: sqlite, databaseUrl: "sqlite:state.db?mode=rwc", autoMigrate: false, maxConnections: 5}
workingDirectory: work
"""


def test_a_whole_file_of_0_9(tmp_path: Path) -> None:
    file = tmp_path / "stepflow-config.yml"
    file.write_text(WHOLE)
    config = load_config(file, environment={"ROOT": "/r", "LEVEL": ""})
    assert config.plugins == {
        "builtin": BuiltinSettings(),
        "python": WorkerSettings(
            program=Program(
                command="uv",
                args=("--project", "/r/sdk", "run", "worker", "8080", "true"),
                env={"LEVEL": "INFO", "EMPTY": "", "SET": "/r", "PORT": "1"},
            ),
            health=Health(path="/ok", timeout_seconds=0.5, retry_seconds=0.02),
        ),
        "remote": WorkerSettings(url="http://127.0.0.1:8080", execute_seconds=1.5, lenient=True),
        "old": WorkerSettings(transport="stdio", program=Program(command="./worker")),
        "session": WorkerSettings(transport="session", url="https://h/"),
        "tools": McpSettings(program=Program(command="npx", args=("x",))),
    }
    assert config.metadata == StoreSettings(
        kind="sqlite", url="sqlite:state.db?mode=rwc", auto_migrate=False, max_connections=5
    )
    assert config.working_directory == tmp_path / "work"
    assert config.routes.find("/python/udf", {"kind": {"a": "no"}}).plugin == "python"
    assert config.routes.find("/python/udf", {"kind": 1}).component == "/v1/udf"
    assert config.warnings == ()


def test_what_0_11_adds(tmp_path: Path) -> None:
    config = parse_config(
        """
        dialect: "0.11"
        storageConfig:
          metadata: {type: sqlite, databaseUrl: "sqlite:m.db"}
          blobs: {type: filesystem, directory: blobs}
          journal: {type: inMemory}
        retry: {transportMaxRetries: 5, backoff: {type: exponential, minDelayMs: 10, maxDelayMs: 2000}}
        blobApi: {enabled: true, url: "http://b/api", blobThreshold: 10}
        leaseManager: {type: noOp}
        recovery: {enabled: true}
        """,
        folder=tmp_path,
    )
    assert (config.dialect, config.working_directory) == ("0.11", tmp_path)
    assert config.metadata == StoreSettings(kind="sqlite", url="sqlite:m.db")
    assert (config.blobs, config.journal) == (
        StoreSettings(kind="filesystem", directory="blobs"),
        StoreSettings(kind="inMemory"),
    )
    backoff = Backoff(grows="exponential", first=0.01, longest=2.0)
    assert config.retry == RetrySettings(transport_max_retries=5, backoff=backoff)
    assert config.blob_api == BlobApiSettings(enabled=True, url="http://b/api", threshold_bytes=10)
    assert config.warnings == ()
    assert parse_config('{"storageConfig": {"type": "inMemory"}}').metadata == StoreSettings()


def test_json_is_read_as_well_as_yaml() -> None:
    """With what is JSON and no YAML: tabs between, and pairs of surrogate escapes."""
    text = (
        '{\t"plugins":\t{"m": {"type": "mock", "components": {"/c": {"behaviors": {"\\ud83d\\ude00": {"error": "x"}, '
    )
    text += '"{\\"a\\": 1}": {"outcome": "success", "result": 1}, "null": {"error": "n"}}}}}}}'
    (plugin,) = parse_config(text).plugins.values()
    assert isinstance(plugin, MockSettings)
    assert plugin.components["/c"].behaviours == (
        Behaviour("😀", Broken("x")),
        Behaviour({"a": 1}, Success(1)),
        Behaviour(None, Broken("n")),
    )


def test_behaviours_have_any_value_as_their_input() -> None:
    config = parse_config("""
        plugins:
          m:
            type: mock
            components:
              /c:
                input_schema: {type: object}
                behaviors:
                  {input: a, deep: [1, {b: null}]}: {outcome: success, result: {x: yes, 1: 2}}
                  5: {outcome: failed, error: {code: 8, message: no, data: [1]}}
                  "5": {error: text}
                  null: {outcome: success, result: null}
    """)
    (plugin,) = config.plugins.values()
    assert isinstance(plugin, MockSettings)
    component = plugin.components["/c"]
    assert component.input_schema == {"type": "object"}
    assert component.behaviours == (
        Behaviour({"input": "a", "deep": [1, {"b": None}]}, Success({"x": "yes", "1": 2})),
        Behaviour(5, Failed(FlowError(8, "no", [1]))),
        Behaviour("5", Broken("text")),
        Behaviour(None, Success(None)),
    )


def test_scalars_are_those_of_yaml_1_2() -> None:
    config = parse_config("""
        plugins:
          m:
            type: mock
            components:
              /c:
                behaviors:
                  [yes, on, 012, 0x1f, 0o17, 1e3, .5, ~, True, "1", !!str 1]: {error: x}
    """)
    (plugin,) = config.plugins.values()
    assert isinstance(plugin, MockSettings)
    (behaviour,) = plugin.components["/c"].behaviours
    assert behaviour.value == ["yes", "on", 12, 31, 15, 1000.0, 0.5, None, True, "1", "1"]


def test_all_faults_are_told_at_once_with_their_places() -> None:
    text = """plugins:
  a: {type: buildin}
  b: {type: stepflow}
  c: {type: stepflow, url: "ftp://x", command: y}
  d: {type: stepflow, url: 5, healthCheck: {timeoutMs: -1}}
  e: {type: stepflow, command: x, args: ["${NOT_SET}"], env: [1]}
  f: {type: mock, components: {/c: {behaviors: {x: {result: 1}}}}}
  g: 7
  h: {type: stepflow, transport: stdio, url: "http://h/"}
routes:
  /x/{y}:
    - plugin: z
  "/{*component}": [{plugin: a, conditions: [{path: "$.a[", value: 1}, {path: a}], component: "/{other}"}]
  bad: []
  /list: {plugin: a}
stateStore: {type: postgres}
retry: {transportMaxRetries: many}
dialect: 0.9
workingDirectory: [1]
"""
    with pytest.raises(BadConfig) as told:
        parse_config(text, name="c.yml", environment={})
    assert [(f"{it.line}:{it.column} {show(it.at)}", it.what) for it in told.value.faults] == [
        ("2:7 $.plugins.a.type", "there is no type 'buildin'"),
        ("3:3 $.plugins.b", "expected url or command, got neither"),
        ("4:3 $.plugins.c", "expected url or command, got both"),
        ("5:23 $.plugins.d.url", "expected a text, got a number"),
        ("5:45 $.plugins.d.healthCheck.timeoutMs", "expected a number from 0 on, got -1"),
        ("6:42 $.plugins.e.args[0]", "the variable NOT_SET is not set"),
        ("6:57 $.plugins.e.env", "expected a mapping, got a list"),
        ("7:49 $.plugins.f.components./c.behaviors.x", "expected what the component does"),
        ("8:3 $.plugins.g", "expected a mapping with the member type, got a number"),
        ("9:41 $.plugins.h.url", "a worker over stdio is a command"),
        ("12:7 $.routes./x/{y}[0].plugin", "there is no plugin 'z'"),
        ("12:7 $.routes./x/{y}[0]", "/x/{y} has no parameter {component}"),
        ("13:47 $.routes./{*component}[0].conditions[0].path", "the '[' of the path '$.a[' is not closed"),
        ("13:72 $.routes./{*component}[0].conditions[1]", "expected a path and a value"),
        ("13:84 $.routes./{*component}[0].component", "{other} is no parameter of /{*component}"),
        ("14:3 $.routes.bad", "a route is a path such as \"/python/{*component}\", got 'bad'"),
        ("15:3 $.routes./list", "expected a list of rules, got a mapping"),
        ("16:14 $.stateStore.type", "there is no type 'postgres'"),
        ("17:9 $.retry.transportMaxRetries", "expected a number from 0 on, got a text"),
        ("19:1 $.workingDirectory", "expected a text, got a list"),
    ]
    first, *_ = str(told.value).splitlines()
    fix = "write one of builtin, stepflow, mcp, mock (did you mean builtin?)"
    assert first == f"c.yml:2:7: $.plugins.a.type: there is no type 'buildin'; {fix}"


UNREADABLE: list[tuple[str, str]] = [
    ("a: [", "c:2:1: the text is neither YAML nor JSON: did not find expected node content; correct the text there"),
    ("\x00", "c: the text is neither YAML nor JSON: control characters are not allowed; correct the text there"),
    ("a: 1\nb: 2\na: 3", "c:3:1: $.a: the key 'a' is there twice; leave one of them"),
    ("a: &x [*x]", "c:1:8: $.a[0]: *x holds itself; write the value out"),
    ("a: *x", "c:1:4: $.a: there is no anchor &x above; correct the name"),
    ("a: 1\n---\nb: 2", "c:2:1: the file holds two documents; leave one of them"),
    ("", "c: expected a mapping with plugins and routes, got nothing; see the reference"),
    ("- a", "c:1:1: expected a mapping with plugins and routes, got a list; see the reference"),
]


@pytest.mark.parametrize(("text", "told"), UNREADABLE)
def test_a_text_that_cannot_be_read(text: str, told: str) -> None:
    with pytest.raises(BadConfig) as error:
        parse_config(text, name="c")
    assert str(error.value) == told


BOMB = "\n".join(["a0: &a0 [1]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12))])


@pytest.mark.parametrize("text", ["[" * 100_000, BOMB, '{"a":' * 100_000], ids=["deep", "aliases", "deep JSON"])
def test_hostile_texts_cost_nothing(text: str) -> None:
    with pytest.raises(BadConfig) as error:
        parse_config(text, name="c")
    assert len(str(error.value)) < 300


def test_keys_that_mean_nothing_are_told_of() -> None:
    config = parse_config("plugins: {a: {type: builtin, comand: x}}\nroute: {}\nrouting: []", name="c")
    assert config.warnings == (
        "line 2: $.route: this key means nothing here (did you mean routes?)",
        "line 3: $.routing: this key means nothing here (did you mean routes?)",
        "line 1: $.plugins.a.comand: this key means nothing here",
    )


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="the file cannot be read: No such file or directory; check its name"):
        load_config(tmp_path / "none.yml")
    (tmp_path / "latin.yml").write_bytes(b"a: \xff")
    with pytest.raises(BadConfig, match="byte 3 is not UTF-8; save the file as UTF-8"):
        load_config(tmp_path / "latin.yml")


def test_the_same_settings_come_from_json() -> None:
    value = {"plugins": {"b": {"type": "builtin", "openai": {"baseUrl": "http://h/v1", "model": "m"}}}}
    assert parse_config(json.dumps(value)).plugins == {"b": BuiltinSettings(openai_url="http://h/v1", openai_model="m")}
