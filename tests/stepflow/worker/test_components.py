"""Components: what a signature says, which component a path means, and what is refused at registration."""

from __future__ import annotations

import json
from typing import Any, Literal

import msgspec
import pytest
from plugin_rig import running
from stepflow_protocol import WorkerClient
from stepflow_protocol.errors import ComponentNotFoundError, InvalidValueError
from stepflow_protocol.types import (
    ComponentExecuteParams,
    ComponentInferSchemaParams,
    ComponentInfoParams,
    ComponentListParams,
    ObservabilityContext,
)
from worker_components import app
from worker_rig import execute_message, post, serving

from protogen_runtime.stepflow.worker import App, BadComponent, BlockingContext, Context

SCHEMAS: list[tuple[str, str | None, Any, Any]] = [
    ("/echo", "Give the input back.", None, None),
    (
        "/add",
        "Adds two numbers.",
        {
            "title": "Two",
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer", "default": 1}},
            "required": ["a"],
        },
        {"type": "object", "additionalProperties": {"type": "integer"}},
    ),
    (
        "/model",
        None,
        {
            "title": "Model",
            "type": "object",
            "properties": {"name": {"minLength": 2, "title": "Name", "type": "string"}},
            "required": ["name"],
        },
        None,
    ),
    ("/convert/a", None, None, {"type": "string"}),
]


@pytest.mark.parametrize(("path", "description", "taken", "given"), SCHEMAS)
def test_info_says_what_the_signature_says(path: str, description: str | None, taken: Any, given: Any) -> None:
    async def scenario() -> None:
        async with serving(app) as url, WorkerClient.http(url) as client:
            info = (await client.components_info(ComponentInfoParams(component=path))).info
            assert info.component == path
            assert info.description == (msgspec.UNSET if description is None else description)
            assert info.input_schema == (msgspec.UNSET if taken is None else taken)
            if given is not None:
                assert info.output_schema == given

    running(scenario)


PATHS = [
    ("/convert/json", None, "literal"),
    ("/convert/a", None, "one a"),
    ("/convert/2/times", "x", "xx"),
    ("/convert/2/more", None, "rest 2/more"),
    ("/convert/a/b/c", None, "rest a/b/c"),
]


@pytest.mark.parametrize(("path", "value", "output"), PATHS)
def test_a_literal_path_wins_then_one_segment_then_the_rest(path: str, value: Any, output: str) -> None:
    async def scenario() -> None:
        async with serving(app) as url, WorkerClient.http(url) as client:
            params = ComponentExecuteParams(
                component=path, input=value, attempt=1, observability=ObservabilityContext()
            )
            assert (await client.components_execute(params)).output == output

    running(scenario)


@pytest.mark.parametrize("path", ["/convert", "/convert/", "convert/a", "", "/convert//"])
def test_a_path_without_component_is_not_found(path: str) -> None:
    async def scenario() -> None:
        async with serving(app) as url, WorkerClient.http(url) as client:
            with pytest.raises(ComponentNotFoundError) as caught:
                await client.components_info(ComponentInfoParams(component=path))
            assert caught.value.data.component == path

    running(scenario)


def test_a_part_of_the_path_that_does_not_fit_is_an_invalid_value() -> None:
    async def scenario() -> None:
        async with serving(app) as url, WorkerClient.http(url) as client:
            for path, name in (("/convert/xml", "format"), ("/convert/two/times", "count")):
                seen = ObservabilityContext()
                params = ComponentExecuteParams(component=path, input="x", attempt=1, observability=seen)
                with pytest.raises(InvalidValueError) as caught:
                    await client.components_execute(params)
                assert (caught.value.data["component"], caught.value.data["parameter"]) == (path, name)

    running(scenario)


def test_list_leaves_out_patterns_and_keeps_the_order() -> None:
    async def scenario() -> None:
        async with serving(app) as url, WorkerClient.http(url) as client:
            listed = [it.component for it in (await client.components_list(ComponentListParams())).components]
            assert listed[:3] == ["/echo", "/add", "/point"]
            assert [path for path in listed if "{" in path or path == "/convert/a"] == []

    running(scenario)


def test_infer_schema_asks_the_component_or_gives_what_it_always_returns() -> None:
    async def scenario() -> None:
        async with serving(app) as url, WorkerClient.http(url) as client:
            for path, schema in (
                ("/shape", {"type": "array", "items": {"type": "null"}}),
                ("/convert/json", {"type": "string"}),
                ("/echo", msgspec.UNSET),
            ):
                asked = ComponentInferSchemaParams(component=path, input_schema={"type": "null"})
                assert (await client.components_infer_schema(asked)).output_schema == schema

    running(scenario)


INPUTS = [
    ("/add", {"a": "x"}, [{"path": "$.a", "message": "Expected `int`, got `str`"}]),
    ("/add", {}, [{"path": "$", "message": "Object missing required field `a`"}]),
    ("/point", {"x": 1, "tags": ["", 2]}, [{"path": "$.tags[1]", "message": "Expected `str`, got `int`"}]),
    ("/model", {"name": "a"}, [{"path": "$.name", "message": "String should have at least 2 characters"}]),
]


@pytest.mark.parametrize(("path", "value", "errors"), INPUTS)
def test_input_that_does_not_fit_is_told_by_place(path: str, value: Any, errors: Any) -> None:
    async def scenario() -> None:
        async with serving(app) as url:
            answer = await post(url, execute_message(path, value))
            assert answer.status == 200
            error = answer.json["error"]
            assert (error["code"], error["data"]) == (-32003, {"component": path, "errors": errors})
            assert error["message"].startswith(f"{path}: its input does not fit: {errors[0]['path']}: ")

    running(scenario)


FAILURES = [
    ("value", -32004, "ValueError", "/raise: ValueError: bad é value ?"),
    ("own", -32005, None, "not there"),
    ("code", -32099, None, "mine"),
    ("connection", -32005, "ConnectionRefusedError", "/raise: ConnectionRefusedError: nobody at port 1"),
    ("permission", -32007, "PermissionError", "/raise: PermissionError: not for you"),
    ("exit", -32004, "SystemExit", "/raise: SystemExit: 3"),
    ("group", -32005, None, "second"),
    ("object", -32603, None, "/raise: its output is no JSON: object is none"),
    ("nan", -32603, None, "/raise: its output is no JSON: NaN and Infinity are no JSON"),
    ("surrogate", -32603, None, "/raise: its output is no JSON: a lone surrogate is no text"),
]


@pytest.mark.parametrize(("what", "code", "exception", "message"), FAILURES)
def test_what_a_component_raises_is_an_error_of_the_protocol(
    what: str, code: int, exception: str | None, message: str
) -> None:
    async def scenario() -> None:
        async with serving(app) as url:
            answer = await post(url, execute_message("/raise", what))
            error = answer.json["error"]
            assert (answer.status, error["code"]) == (200, code)
            assert error["message"].startswith(message)
            if exception is not None:
                assert (error["data"]["component"], error["data"]["exception"]) == ("/raise", exception)
            # The worker goes on.
            assert (await post(url, execute_message("/echo", what))).json["result"] == {"output": what}

    running(scenario)


def test_reasons_stay_in_the_log_where_the_app_says_so() -> None:
    quiet = App(tells_reasons=False)

    @quiet.component("/secret")
    async def secret() -> None:
        raise ValueError("the password is x")

    async def scenario() -> None:
        async with serving(quiet) as url:
            answer = await post(url, execute_message("/secret"))
            error = {"code": -32004, "message": "Component execution failed", "data": {"component": "/secret"}}
            assert answer.json["error"] == error

    running(scenario)


# --- what is refused at registration ----------------------------------------------------------------------


async def two_inputs(a: int, b: int) -> None: ...
async def star(*values: int) -> None: ...
async def generates() -> Any:
    yield 1


def wrong_context(value: Any, context: Context) -> None: ...
async def wrong_blocking(value: Any, context: BlockingContext) -> None: ...
async def unknown_type(value: App) -> None: ...
async def fine(value: Any) -> None: ...
async def with_format(format: Literal["a"]) -> None: ...  # noqa: A002 - paths name it


REFUSED = [
    ("/x", two_inputs, "has the parameters 'a' and 'b'"),
    ("/x", star, r"\*values.* cannot be given by name"),
    ("/x", generates, "yields"),
    ("/x", wrong_context, "takes BlockingContext, got Context"),
    ("/x", wrong_blocking, "takes Context, got BlockingContext"),
    ("/x", unknown_type, "its input: .* is not understood"),
    ("/x/{format}", fine, "has no parameter 'format'"),
    ("x", fine, "a route is a path"),
    ("/x//y", fine, "empty segment"),
    ("/{*rest}/x", fine, "takes the rest"),
    ("/echo", fine, "path of another component"),
]


@pytest.mark.parametrize(("path", "function", "message"), REFUSED)
def test_a_function_that_cannot_be_a_component_is_refused(path: str, function: Any, message: str) -> None:
    made = App()
    made.component("/echo")(fine)
    with pytest.raises(BadComponent, match=message):
        made.component(path)(function)


def test_two_patterns_with_one_meaning_are_refused() -> None:
    made = App()
    made.component("/a/{format}/b")(with_format)
    made.component("/c/{format}/b")(with_format)
    with pytest.raises(BadComponent, match=r"means the same as /a/\{format\}/b"):

        @made.component("/a/{other}/b")
        async def again(other: str) -> None: ...


@pytest.mark.parametrize("options", [{"concurrency": 0}, {"backlog": -1}, {"seconds": 0}, {"run_seconds": -1.0}])
def test_an_app_without_room_or_time_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="got"):
        App(**options)


def test_json_on_the_wire_is_ascii_and_means_the_same() -> None:
    async def scenario() -> None:
        async with serving(app) as url:
            answer = await post(url, execute_message("/echo", {"é": "😀\u2028\\u00e9\\"}))
            assert answer.body.isascii()
            assert json.loads(answer.body)["result"]["output"] == {"é": "😀\u2028\\u00e9\\"}

    running(scenario)
