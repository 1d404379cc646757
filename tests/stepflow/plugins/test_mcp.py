"""Plugins of type mcp: a server written here, its good and bad manners, and a published one."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from interop_env import environment
from plugin_rig import CONTEXT, all_of, failure_of, opened, running

from protogen_runtime.stepflow.plugins.contract import CannotStart

ROUTES = 'routes: {"/tools/{*component}": [{plugin: t}]}\n'

SERVER = """
import json, os, sys
TOOLS = [{"name": f"tool{n}", "inputSchema": {"type": "object"}} for n in range(5)]
TOOLS[0] = {"name": "echo", "description": "Echo.", "inputSchema": {"type": "object"}, "outputSchema": {}, "title": "E"}
def write(message):
    sys.stdout.write(json.dumps(message) + "\\n")
    sys.stdout.flush()
def result(message, value):
    write({"jsonrpc": "2.0", "id": message["id"], "result": value})
def text(message, value, **more):
    result(message, {"content": [{"type": "text", "text": value}], **more})
seen = []
waiting = []
for line in sys.stdin:
    message = json.loads(line)
    method = message.get("method")
    seen.append(message if method in (None, "notifications/cancelled") or "hang" in line else method)
    if method == "initialize":
        assert message["params"]["protocolVersion"] == "2025-06-18", message
        assert message["params"]["clientInfo"]["name"], message
        write({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "hello"}})
        write({"jsonrpc": "2.0", "id": "p1", "method": "ping"})
        write({"jsonrpc": "2.0", "id": "p2", "method": "roots/list"})
        result(message, {"protocolVersion": "2024-11-05", "capabilities": {"tools": {}}, "serverInfo": {"name": "s"}})
    elif method == "tools/list":
        at = int(message["params"].get("cursor", "0"))
        page = {"tools": TOOLS[at:at + 2]}
        result(message, page if at + 2 >= len(TOOLS) else {**page, "nextCursor": str(at + 2)})
    elif method == "tools/call":
        name, arguments = message["params"]["name"], message["params"]["arguments"]
        if name == "echo":
            text(message, json.dumps(arguments), isError=False, structuredContent=arguments)
        elif name == "both":
            waiting.append(message)
            if len(waiting) == 2:
                for other in reversed(waiting):
                    text(other, other["params"]["arguments"]["n"])
        elif name == "fail":
            text(message, "no luck", isError=True)
        elif name == "wordless":
            result(message, {"content": [], "isError": True})
        elif name == "rubbish":
            result(message, {"content": "none"})
        elif name == "die":
            os._exit(9)
        elif name == "hang":
            pass
        elif name == "seen":
            print("a line that is no message")
            text(message, json.dumps([seen, os.getcwd(), os.environ.get("GIVEN"), "PATH" in os.environ]))
        else:
            error = {"code": -32602, "message": f"Unknown tool: {name}"}
            write({"jsonrpc": "2.0", "id": message["id"], "error": error})
"""


def config(folder: Path, source: str, settings: str = "") -> str:
    """A configuration with a server of the given source behind /tools/…."""
    file = folder / "server.py"
    file.write_text(textwrap.dedent(source), "utf-8")
    program = json.dumps({"command": sys.executable, "args": ["-P", "-S", str(file)]})[1:-1]
    return f"plugins: {{t: {{type: mcp, {program}, env: {{GIVEN: here}}{settings}}}}}\n{ROUTES}"


def texts(content: Any) -> list[str]:
    return [part["text"] for part in content]


def test_tools_are_listed_and_called(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(config(tmp_path, SERVER), folder=tmp_path) as plugins:
            listed = await plugins.components()
            assert [info.component for info in listed] == ["/echo", "/tool1", "/tool2", "/tool3", "/tool4"]
            assert (listed[0].description, listed[0].input_schema) == ("Echo.", {"type": "object"})

            content = await plugins.execute("/tools/echo", {"a": [1, "é"]}, CONTEXT)
            assert content == [{"type": "text", "text": '{"a": [1, "\\u00e9"]}'}]
            assert texts(await plugins.execute("/tools/echo", None, CONTEXT)) == ["{}"]
            calls = [lambda n=n: plugins.execute("/tools/both", {"n": n}, CONTEXT) for n in ("1", "2")]
            assert [texts(content) for content in await all_of(calls)] == [["1"], ["2"]]

            (told,) = texts(await plugins.execute("/tools/seen", {}, CONTEXT))
            seen, folder, given, has_path = json.loads(told)
            assert seen[0] == "initialize"
            answers = {message["id"]: message for message in seen if isinstance(message, dict)}
            assert answers["p1"]["result"] == {}
            assert answers["p2"]["error"]["code"] == -32601
            assert seen.count("notifications/initialized") == 1
            assert (folder, given, has_path) == (str(tmp_path), "here", True)

    running(scenario)


@pytest.mark.parametrize(
    ("tool", "value", "kind", "code", "message"),
    [
        ("fail", {}, "component", -32100, "/fail: no luck"),
        ("wordless", {}, "component", -32100, "/wordless: the tool failed"),
        ("none", {}, "component", -32602, "Unknown tool: none"),
        ("echo", [1], "component", -32103, "/echo: a tool takes its arguments as an object, got list"),
        ("echo", "x", "component", -32103, "/echo: a tool takes its arguments as an object, got str"),
    ],
)
def test_a_tool_that_fails_is_a_component_that_does(
    tmp_path: Path, tool: str, value: Any, kind: str, code: int, message: str
) -> None:
    async def scenario() -> None:
        async with opened(config(tmp_path, SERVER)) as plugins:
            failed = await failure_of(plugins, f"/tools/{tool}", value)
            assert (failed.kind, failed.code, failed.message) == (kind, code, message)
            assert texts(await plugins.execute("/tools/echo", {}, CONTEXT)) == ["{}"]

    running(scenario)


def test_what_is_no_answer_fails_the_step(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(config(tmp_path, SERVER, ", executeTimeoutMs: 500")) as plugins:
            failed = await failure_of(plugins, "/tools/rubbish", {})
            assert (failed.kind, failed.message.startswith("MCP server t: its answer to tools/call")) == (
                "protocol",
                True,
            )
            failed = await failure_of(plugins, "/tools/hang", {})
            assert (failed.kind, failed.message) == (
                "transport",
                "MCP server t: tools/call was not answered within 0.5 s",
            )

    running(scenario)


def test_a_call_that_was_given_up_is_cancelled_as_servers_know_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(config(tmp_path, SERVER, ", executeTimeoutMs: 500"), folder=tmp_path) as plugins:
            await failure_of(plugins, "/tools/hang", {})
            (told,) = texts(await plugins.execute("/tools/seen", {}, CONTEXT))
            cancelled = json.loads(told)[0][-2]
            assert (cancelled["method"], set(cancelled["params"])) == (
                "notifications/cancelled",
                {"requestId", "reason"},
            )
            assert cancelled["params"]["requestId"] == json.loads(told)[0][-3]["id"]

    running(scenario)


def test_a_server_that_died_is_started_and_greeted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protogen_runtime.stepflow.plugins.links.FIRST_PAUSE_SECONDS", 0.01)

    async def scenario() -> None:
        async with opened(config(tmp_path, SERVER)) as plugins:
            failed = await failure_of(plugins, "/tools/die", {})
            assert (failed.kind, "ended with status 9" in failed.message) == ("crash", True)
            (told,) = texts(await plugins.execute("/tools/seen", {}, CONTEXT))
            assert json.loads(told)[0].count("initialize") == 1

    running(scenario)


ANSWERED = "import json, sys\nid = json.loads(sys.stdin.readline())['id']\n"
BAD_STARTS = {
    "error": (
        'print(json.dumps({"jsonrpc": "2.0", "id": id, "error": {"code": -32602, "message": "too new"}}), flush=True)',
        "it answered initialize with the error -32602: too new",
    ),
    "no version": (
        'print(json.dumps({"jsonrpc": "2.0", "id": id, "result": {}}), flush=True)',
        "its answer to initialize is none",
    ),
    "end": ("sys.exit(3)", "ended with status 3"),
}


@pytest.mark.parametrize("case", BAD_STARTS)
def test_a_server_that_cannot_be_greeted_is_named(tmp_path: Path, case: str) -> None:
    source, told = BAD_STARTS[case]

    async def scenario() -> None:
        with pytest.raises(CannotStart) as caught:
            async with opened(config(tmp_path, f"{ANSWERED}{source}\nsys.stdin.read()")):
                raise AssertionError("it cannot be used")
        assert str(caught.value).startswith("plugin t: MCP server t: ")
        assert told in str(caught.value)

    running(scenario)


def test_a_list_of_tools_without_an_end_is_refused(tmp_path: Path) -> None:
    source = """
    import json, sys
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message:
            result = {"protocolVersion": "1", "tools": [], "nextCursor": "again"}
            print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
    """

    async def scenario() -> None:
        async with opened(config(tmp_path, source)) as plugins:
            assert await plugins.components() == []  # it is logged, and left out
            with pytest.raises(Exception, match="more than 1000 pages"):
                await plugins.plugin("t").components()

    running(scenario)


@pytest.mark.interop
def test_a_published_server_is_a_plugin(root: Path) -> None:
    python = environment(root, "interop-mcp")

    async def scenario() -> None:
        settings = json.dumps({"command": str(python), "args": ["-m", "mcp_server_time", "--local-timezone=UTC"]})[1:-1]
        async with opened(f"plugins: {{t: {{type: mcp, {settings}}}}}\n{ROUTES}") as plugins:
            assert {info.component for info in await plugins.components()} == {"/get_current_time", "/convert_time"}
            asked = {"source_timezone": "UTC", "time": "12:30", "target_timezone": "Asia/Kolkata"}
            (text,) = texts(await plugins.execute("/tools/convert_time", asked, CONTEXT))
            assert json.loads(text)["time_difference"] == "+5.5h"
            failed = await failure_of(plugins, "/tools/convert_time", {"time": "12:30"})
            assert failed.kind == "component"

    # The first start compiles all that the server imports.
    running(scenario, seconds=90)
