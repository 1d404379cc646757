"""The builtin components, and the mock plugin: inputs, outputs, and what they refuse."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from plugin_rig import CONTEXT, MemoryRuntime, RawWorker, Request, failure_of, name_of, opened, running

from protogen_runtime.stepflow.engine.dialects import S1, S2, Dialect, flow_error, retried_as
from protogen_runtime.stepflow.flow.model import FlowError
from protogen_runtime.stepflow.plugins import failures
from protogen_runtime.stepflow.plugins.builtin import BuiltinPlugin
from protogen_runtime.stepflow.plugins.config import BuiltinSettings
from protogen_runtime.stepflow.plugins.contract import StepFailed

CONFIG = 'plugins: {b: {type: builtin}}\nroutes: {"/{*component}": [{plugin: b}]}'
FLOW = {"steps": [], "output": {"$input": "$"}}


def outputs(component: str, value: Any, *, runtime: MemoryRuntime | None = None, folder: Path | None = None) -> Any:
    """The output of a builtin component."""
    found: list[Any] = []

    async def scenario() -> None:
        async with opened(CONFIG, runtime=runtime, folder=folder) as plugins:
            found.append(await plugins.execute(component, value, CONTEXT))

    running(scenario)
    return found[0]


def fails(
    component: str, value: Any, *, runtime: MemoryRuntime | None = None, folder: Path | None = None
) -> StepFailed:
    """How a builtin component fails."""
    found: list[StepFailed] = []

    async def scenario() -> None:
        async with opened(CONFIG, runtime=runtime, folder=folder) as plugins:
            found.append(await failure_of(plugins, component, value))

    running(scenario)
    return found[0]


def test_blobs_are_put_and_got() -> None:
    runtime = MemoryRuntime()
    value = {"data": {"x": None}, "blob_type": "data"}
    assert outputs("/put_blob", value, runtime=runtime) == {"blob_id": name_of({"x": None})}
    assert outputs("/get_blob", {"blob_id": name_of({"x": None})}, runtime=runtime) == {"data": {"x": None}}


BAD_INPUTS: list[tuple[str, Any, str]] = [
    ("/put_blob", {"data": 1}, "Object missing required field `blob_type`"),
    ("/put_blob", {"data": 1, "blob_type": "Json"}, "Invalid enum value 'Json' - at `$.blob_type`"),
    ("/put_blob", [1], "Expected `object`, got `array`"),
    ("/get_blob", {"blob_id": "sha256:x"}, "expected 64 hexadecimal digits in lower case, got 'sha256:x'"),
    ("/get_blob", {"blob_id": 5}, "Expected `str`, got `int` - at `$.blob_id`"),
    ("/eval", {"flow_id": "x"}, "Object missing required field `input`"),
    ("/map", {"workflow": FLOW}, "Object missing required field `items`"),
    ("/map", {"workflow": FLOW, "items": [], "max_concurrency": 0}, "Expected `int` >= 1"),
    ("/iterate", {"flow": [], "initial_input": 1}, "Expected `object`, got `array` - at `$.flow`"),
    ("/create_messages", {}, "Object missing required field `user_prompt`"),
    ("/openai", {"messages": [{"role": "robot", "content": "x"}]}, "Invalid enum value 'robot'"),
    ("/openai", {"messages": [], "max_tokens": "many"}, "Expected `int | null`, got `str`"),
    ("/load_file", {"path": "x", "format": "xml"}, "Invalid enum value 'xml'"),
]


@pytest.mark.parametrize(("component", "value", "told"), BAD_INPUTS)
def test_bad_input_is_told_with_its_place(component: str, value: Any, told: str) -> None:
    failed = fails(component, value)
    assert (failed.kind, failed.code) == ("component", -32103)
    assert failed.message.startswith(f"invalid input for {component}: ")
    assert told in failed.message


def test_null_is_as_good_as_absent() -> None:
    assert outputs("/create_messages", {"user_prompt": "p", "system_instructions": None}) == {
        "messages": [{"role": "user", "content": "p"}]
    }


def test_messages_are_made() -> None:
    assert outputs("/create_messages", {"user_prompt": "p", "system_instructions": "s"}) == {
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "p"}]
    }


def test_unknown_components_and_blobs() -> None:
    failed = fails("/no", None)
    assert (failed.code, failed.message, failed.data) == (-32001, "Component not found: /no", {"component": "/no"})
    missing = fails("/get_blob", {"blob_id": "0" * 64})
    assert (missing.code, missing.message) == (-32000, f"/get_blob: Blob not found: {'0' * 64}")


# --- flows ----------------------------------------------------------------------------------------------


def failing(value: Any) -> Any:
    """A flow that fails for odd numbers."""
    if value % 2:
        return {"outcome": "failed", "error": {"code": 7, "message": "odd", "data": [value]}}
    return {"outcome": "success", "result": value * 10}


def test_eval_succeeds_whatever_the_flow_does() -> None:
    runtime = MemoryRuntime(failing)
    output = outputs("/eval", {"flow_id": "f" * 64, "input": 1}, runtime=runtime)
    assert output["result"] == {"outcome": "failed", "error": {"code": 7, "message": "odd", "data": [1]}}
    assert output["run_id"] == "018f0000-0000-7000-8000-00000000000a"
    (request,) = runtime.requests
    assert (request.flow_id, request.inputs, request.wait) == ("f" * 64, [1], True)


def test_map_runs_one_item_each() -> None:
    runtime = MemoryRuntime(failing)
    value = {"workflow": FLOW, "items": [0, 1, 2], "max_concurrency": 2}
    assert outputs("/map", value, runtime=runtime) == {
        "results": [
            {"outcome": "success", "result": 0},
            {"outcome": "failed", "error": {"code": 7, "message": "odd", "data": [1]}},
            {"outcome": "success", "result": 20},
        ],
        "successful": 2,
        "failed": 1,
    }
    assert runtime.blobs[name_of(FLOW)].blob_type == "flow"
    assert (runtime.requests[0].flow_id, runtime.requests[0].max_concurrency) == (name_of(FLOW), 2)
    empty = {"results": [], "successful": 0, "failed": 0}
    assert outputs("/map", {"workflow": FLOW, "items": []}, runtime=runtime) == empty


def counting(value: Any) -> Any:
    """A flow that goes on until ten."""
    shape = {"result": value} if value >= 10 else {"next": value + 1}
    return {"outcome": "success", "result": shape}


def test_iterate_goes_on_until_there_is_a_result() -> None:
    runtime = MemoryRuntime(counting)
    value = {"flow": FLOW, "initial_input": 7}
    assert outputs("/iterate", value, runtime=runtime) == {"result": 10, "iterations": 4, "terminated": False}
    assert len({request.subflow_key for request in runtime.requests}) == 4
    stopped = outputs("/iterate", {**value, "max_iterations": 2}, runtime=runtime)
    assert stopped == {"result": 9, "iterations": 2, "terminated": True}
    assert outputs("/iterate", {**value, "max_iterations": 0}) == {"result": 7, "iterations": 0, "terminated": True}


@pytest.mark.parametrize("shape", [1, None, {}, {"other": 1}, [{"result": 1}]])
def test_iterate_fails_with_400_for_another_shape(shape: Any) -> None:
    runtime = MemoryRuntime(lambda _: {"outcome": "success", "result": shape})
    failed = fails("/iterate", {"flow": FLOW, "initial_input": 0}, runtime=runtime)
    assert (failed.kind, failed.code) == ("result", 400)
    assert failed.message == "Workflow result must contain either 'result' or 'next' field"


def test_iterate_passes_the_error_of_its_flow_on() -> None:
    failed = fails("/iterate", {"flow": FLOW, "initial_input": 1}, runtime=MemoryRuntime(failing))
    assert (failed.kind, failed.code, failed.message, failed.data) == ("result", 7, "odd", [1])


# --- files ----------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working directory with files, and one outside of it."""
    work = tmp_path / "work"
    (work / "sub").mkdir(parents=True)
    (work / "a.json").write_text('{"x": [1, 12345678901234567890123]}')
    (work / "sub" / "b.yml").write_text("on: yes\nlist: [1, 0x10, ~]\n1: {deep: &d 5, again: *d}\n")
    (work / "c.txt").write_text("é\n", "utf-8")
    (work / "bad.json").write_text("{")
    (work / "bad.yml").write_text("a: [\n")
    (work / "bytes.txt").write_bytes(b"ab\xff")
    (tmp_path / "secret.txt").write_text("secret")
    (work / "link.txt").symlink_to(tmp_path / "secret.txt")
    os.mkfifo(work / "pipe")
    return work


LOADED: list[tuple[dict[str, str], Any, str]] = [
    ({"path": "a.json"}, {"x": [1, 12345678901234567890123]}, "json"),
    ({"path": "sub/b.yml"}, {"on": "yes", "list": [1, 16, None], "1": {"deep": 5, "again": 5}}, "yaml"),
    ({"path": "sub/../c.txt"}, "é\n", "text"),
    ({"path": "a.json", "format": "text"}, '{"x": [1, 12345678901234567890123]}', "text"),
    ({"path": "a.json", "format": "yaml"}, {"x": [1, 12345678901234567890123]}, "yaml"),
]


@pytest.mark.parametrize(("value", "data", "known"), LOADED)
def test_files_are_loaded(folder: Path, value: dict[str, str], data: Any, known: str) -> None:
    path = (folder / value["path"]).resolve()
    assert outputs("/load_file", value, folder=folder) == {
        "data": data,
        "metadata": {"resolved_path": str(path), "size_bytes": path.stat().st_size, "format": known},
    }


NOT_LOADED: list[tuple[str, str]] = [
    ("none.txt", "No such file or directory"),
    ("../secret.txt", "it is outside of the working directory"),
    ("link.txt", "it is outside of the working directory"),
    ("/etc/hostname", "it is outside of the working directory"),
    ("sub", "it is no file"),
    ("pipe", "it is no file"),
    ("a\x00b", "it is no path"),
    ("bad.json", "it is no JSON: "),
    ("bad.yml", "line 2, column 1: the text is neither YAML nor JSON"),
    ("bytes.txt", "its byte 2 is not UTF-8"),
]


@pytest.mark.parametrize(("path", "told"), NOT_LOADED)
def test_what_a_flow_may_not_read_is_refused(folder: Path, path: str, told: str) -> None:
    failed = fails("/load_file", {"path": path}, folder=folder)
    assert failed.code == -32103
    assert told in failed.message
    assert "secret" not in failed.message.replace(path, "")


@pytest.mark.parametrize("settings", ["loadFile: {roots: [..]}", "loadFile: {anywhere: true}"])
def test_the_configuration_may_allow_more(folder: Path, settings: str) -> None:
    async def scenario() -> None:
        config = f'plugins: {{b: {{type: builtin, {settings}}}}}\nroutes: {{"/{{*component}}": [{{plugin: b}}]}}'
        async with opened(config, folder=folder) as plugins:
            assert (await plugins.execute("/load_file", {"path": "link.txt"}, CONTEXT))["data"] == "secret"

    running(scenario)


# --- openai ---------------------------------------------------------------------------------------------


class Model(RawWorker):
    """A server of completions."""

    def __init__(self, body: bytes, status: str = "200 OK") -> None:
        super().__init__()
        self._body = body
        self._status = status

    async def take(self, request: Request) -> None:
        self.requests.append(request)
        await request.answer(self._body, status=self._status)


def ask(model: Model, value: Any, environment: dict[str, str]) -> Any:
    """The output of /openai, or how it fails."""
    found: list[Any] = []

    async def scenario() -> None:
        async with model.serving():
            settings = BuiltinSettings(openai_url=f"{model.url}/v1/", openai_model="m")
            plugin = BuiltinPlugin(settings, MemoryRuntime(), directory=Path(), environment=environment)
            try:
                found.append(await plugin.execute("/openai", value, CONTEXT))
            except StepFailed as failed:
                found.append(failed)

    running(scenario)
    return found[0]


GOOD = json.dumps({"choices": [{"message": {"role": "assistant", "content": "hello"}}], "usage": {}}).encode()
MESSAGES = [{"role": "user", "content": "hi"}]


def test_a_completion_is_asked_for_with_everything_that_was_given() -> None:
    model = Model(GOOD)
    value = {"messages": MESSAGES, "max_tokens": 5, "temperature": 0.5, "api_key": "mine"}
    assert ask(model, value, {"OPENAI_API_KEY": "theirs"}) == {"response": "hello"}
    (request,) = model.requests
    assert (request.path, request.headers["authorization"]) == ("/v1/chat/completions", "Bearer mine")
    assert request.message == {"model": "m", "messages": MESSAGES, "max_tokens": 5, "temperature": 0.5}


def test_the_key_of_the_environment_is_sent_and_none_where_there_is_none() -> None:
    model = Model(GOOD)
    assert ask(model, {"messages": MESSAGES}, {"OPENAI_API_KEY": "theirs"}) == {"response": "hello"}
    assert model.requests[0].headers["authorization"] == "Bearer theirs"
    assert model.requests[0].message == {"model": "m", "messages": MESSAGES}
    model = Model(GOOD)
    assert ask(model, {"messages": MESSAGES}, {}) == {"response": "hello"}
    assert "authorization" not in model.requests[0].headers


BAD_COMPLETIONS: list[tuple[bytes, str, str]] = [
    (b'{"error": {"message": "no such key"}}', "401 Unauthorized", "HTTP status 401: no such key"),
    (b"oops", "500 Internal Server Error", "answered with HTTP status 500"),
    (b"oops", "200 OK", "is no completion"),
    (b'{"choices": []}', "200 OK", "has no choices"),
]


@pytest.mark.parametrize(("body", "status", "told"), BAD_COMPLETIONS)
def test_a_bad_completion_is_a_failure_that_tells_no_key(body: bytes, status: str, told: str) -> None:
    failed = ask(Model(body, status), {"messages": MESSAGES, "api_key": "top-secret"}, {})
    assert isinstance(failed, StepFailed)
    assert (failed.code, told in failed.message) == (-32100, True), failed.message
    assert "top-secret" not in failed.message


def test_openai_itself_needs_a_key() -> None:
    async def scenario() -> None:
        plugin = BuiltinPlugin(BuiltinSettings(), MemoryRuntime(), directory=Path(), environment={})
        with pytest.raises(StepFailed, match="there is no key; set OPENAI_API_KEY"):
            await plugin.execute("/openai", {"messages": MESSAGES}, CONTEXT)

    running(scenario)


def test_components_have_schemas() -> None:
    async def scenario() -> None:
        async with opened(CONFIG) as plugins:
            infos = await plugins.components()
            names = ["create_messages", "eval", "get_blob", "iterate", "load_file", "map", "openai", "put_blob"]
            assert [info.component for info in infos] == [f"/{name}" for name in names]
            assert all(info.input_schema and info.output_schema and info.description for info in infos)

    running(scenario)


# --- mock -----------------------------------------------------------------------------------------------

MOCK = """
plugins:
  m:
    type: mock
    components:
      /c:
        output_schema: {type: string}
        behaviors:
          {input: a}: {outcome: success, result: {output: b}}
          {input: null}: {outcome: failed, error: {code: 8, message: no, data: [1]}}
          null: {error: broken}
routes: {"/{*component}": [{plugin: m}]}
"""


def test_a_mock_does_what_it_is_told() -> None:
    async def scenario() -> None:
        async with opened(MOCK) as plugins:
            assert await plugins.execute("/c", {"input": "a"}, CONTEXT) == {"output": "b"}
            failed = await failure_of(plugins, "/c", {"input": None})
            assert (failed.kind, failed.code, failed.message, failed.data) == ("result", 8, "no", [1])
            broken = await failure_of(plugins, "/c", None)
            assert (broken.kind, broken.message, broken.component) == ("plugin", "broken", "/c")
            unknown = await failure_of(plugins, "/c", {"input": "a", "more": 1})
            assert unknown.message == 'No behavior defined for /c on {"input":"a","more":1}'
            assert (await failure_of(plugins, "/d", None)).code == -32001
            (info,) = await plugins.components()
            assert (info.component, info.output_schema) == ("/c", {"type": "string"})

    running(scenario)


# --- what the engine makes of failures ------------------------------------------------------------------


STEP_FAILED = 'step "s" failed'


def stack(cause: str) -> dict[str, Any]:
    """The data of an error in 0.9."""
    attachments = ["Component: /c", "Component execution failed for step 's'"]
    return {"stack": [{"error": 'step "s" failed', "attachments": attachments}, {"error": cause}]}


ERRORS: list[tuple[StepFailed, Dialect, FlowError, Any]] = [
    (
        StepFailed(-32003, "no"),
        S1,
        FlowError(500, 'step "s" failed', stack("component server error(-32003): no")),
        "component",
    ),
    (StepFailed(-32100, "no", {"a": 1}), S2, FlowError(-32100, "no", {"a": 1}), "component"),
    (StepFailed(-32001, "no"), S2, FlowError(-32001, "no"), None),
    (StepFailed(-32302, "gone", kind="transport"), S1, FlowError(500, 'step "s" failed', stack("gone")), "component"),
    (StepFailed(-32302, "gone", kind="transport"), S2, FlowError(-32302, "gone"), "transport"),
    (StepFailed(-32302, "died", kind="crash"), S1, FlowError(500, 'step "s" failed', stack("died")), "crash"),
    (StepFailed(-32302, "died", kind="crash"), S2, FlowError(-32302, "died"), "transport"),
    (StepFailed(-32303, "junk", kind="protocol"), S2, FlowError(-32303, "junk"), "transport"),
    (StepFailed(-32202, "no rule", kind="routing"), S2, FlowError(-32202, "no rule"), None),
    (StepFailed(8, "own", [1], kind="result"), S1, FlowError(8, "own", [1]), "component"),
    (StepFailed(8, "own", [1], kind="result"), S2, FlowError(8, "own", [1]), "component"),
]


@pytest.mark.parametrize(("failed", "dialect", "error", "retried"), ERRORS)
def test_the_engine_words_and_retries_what_failed(
    failed: StepFailed, dialect: Dialect, error: FlowError, retried: Any
) -> None:
    failure = failures.failure_of(failed, "/c")
    assert flow_error(dialect, "s", failure) == error
    assert retried_as(dialect, failure) == retried
