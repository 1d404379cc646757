"""Messages: what becomes of one, in both versions: flows, answers, refusals, questions."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from agent_rig import Failed, Speaker, at_once, message, node, old_message, skill

from protogen_runtime.apflow.a2a.settings import A2ASettings

pytestmark = pytest.mark.anyio

ROOT, PART = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
FLOW: dict[str, Any] = {
    "tasks": [
        {"id": ROOT, "name": "root", "schemas": {"method": "echo"}, "dependencies": [{"id": PART}]},
        {"id": PART, "name": "part", "parent_id": ROOT, "schemas": {"method": "echo"}, "inputs": {"n": 1}},
    ]
}
INFO = "type.googleapis.com/google.rpc.ErrorInfo"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"


def states(items: list[Any]) -> list[str]:
    """The states that a stream of 1.0 tells, artifacts as such."""
    told = []
    for item in items:
        if "artifactUpdate" in item:
            told.append(f"artifact {item['artifactUpdate']['artifact']['artifactId']}")
        else:
            told.append((item.get("task") or item["statusUpdate"])["status"]["state"])
    return told


async def wait_for(speaker: Speaker, task_id: str, state: str) -> Any:
    """The task once it is in a state."""
    while True:
        task = await speaker.call("GetTask", {"id": task_id})
        if task["status"]["state"] == state:
            return task
        async with speaker.stream("SubscribeToTask", {"id": task_id}) as news:
            async for item in news:
                if "statusUpdate" in item:
                    break


async def test_a_text_is_run_by_the_default_executor_and_answered_when_it_has_ended() -> None:
    async with node() as speaker:
        task = (await speaker.call("SendMessage", message("hello")))["task"]
        assert task["status"]["state"] == "TASK_STATE_COMPLETED"
        assert task["artifacts"] == [
            {
                "artifactId": task["contextId"],
                "name": "hello",
                "parts": [{"data": {"text": "hello"}, "mediaType": "application/json"}],
            }
        ]
        assert task["metadata"] == {"protocol": "a2a", "root_task_id": task["contextId"]}
        assert [said["parts"] for said in task["history"]] == [[{"text": "hello"}]]
        (part,) = task["status"]["message"]["parts"]
        assert part["data"] == {
            "protocol": "a2a",
            "task_id": task["contextId"],
            "status": "completed",
            "progress": 1.0,
            "root_task_id": task["contextId"],
        }
        kept = await speaker.call("tasks.get", {"task_id": task["contextId"]})
        assert (kept["inputs"], kept["result"], kept["status"]) == ({"text": "hello"}, {"text": "hello"}, "completed")


async def test_a_data_part_with_tasks_is_a_flow() -> None:
    async with node() as speaker:
        items = await speaker.streamed("SendStreamingMessage", message(data=FLOW))
        assert states(items) == [
            "TASK_STATE_SUBMITTED",
            "TASK_STATE_WORKING",
            f"artifact {PART}",
            "TASK_STATE_WORKING",
            "TASK_STATE_WORKING",
            f"artifact {ROOT}",
            "TASK_STATE_COMPLETED",
        ]
        task = await speaker.call("GetTask", {"id": items[0]["task"]["id"]})
        assert [each["artifactId"] for each in task["artifacts"]] == [ROOT, PART]
        assert task["contextId"] == ROOT


async def test_a_stream_of_0_3_says_which_event_is_the_last() -> None:
    async with node() as speaker:
        items = await speaker.streamed("message/stream", old_message("hello"))
        assert [(item["kind"], item.get("final")) for item in items] == [
            ("task", None),
            ("status-update", False),
            ("artifact-update", None),
            ("status-update", True),
        ]
        assert items[-1]["status"]["state"] == "completed"


async def test_whoever_takes_no_stream_gets_the_last_item_of_it() -> None:
    async with node() as speaker:
        result = await speaker.call("SendStreamingMessage", message("hello"))
        assert result["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("SendMessage", at_once(message("wait", **skill("forever")), historyLength=0)),
        ("message/send", {**old_message("wait", **skill("forever")), "configuration": {"blocking": False}}),
    ],
)
async def test_an_answer_at_once_is_given_before_the_task_has_ended(method: str, params: Any) -> None:
    async with node() as speaker:
        result = await speaker.call(method, params)
        task = result.get("task", result)
        assert task["status"]["state"] in ("TASK_STATE_SUBMITTED", "submitted")
        assert ("history" in task) == ("blocking" in params["configuration"])


async def test_a_context_that_the_caller_names_is_kept() -> None:
    async with node() as speaker:
        task = (await speaker.call("SendMessage", message("hello", contextId="mine")))["task"]
        assert task["contextId"] == "mine"
        assert task["metadata"]["root_task_id"] != "mine"


async def test_a_failed_root_fails_the_task_with_its_error() -> None:
    async with node() as speaker:
        task = (await speaker.call("SendMessage", message(data={"message": "no luck"}, **skill("fail"))))["task"]
        assert task["status"]["state"] == "TASK_STATE_FAILED"
        assert task["status"]["message"]["parts"][0] == {"text": "no luck", "mediaType": "text/plain"}
        assert "artifacts" not in task


async def test_a_root_that_cannot_run_fails_the_task() -> None:
    tasks = [FLOW["tasks"][0], {**FLOW["tasks"][1], "schemas": {"method": "fail"}, "inputs": {"message": "no"}}]
    async with node() as speaker:
        task = (await speaker.call("SendMessage", message(data={"tasks": tasks})))["task"]
        assert task["status"]["state"] == "TASK_STATE_FAILED"
        assert task["status"]["message"]["parts"][0]["text"] == "The task waits for one that did not complete"


# --- questions ------------------------------------------------------------------------------------


async def test_an_executor_asks_and_the_next_message_answers() -> None:
    async with node() as speaker:
        asked = (await speaker.call("SendMessage", message("hi", **skill("greet"))))["task"]
        assert asked["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
        assert asked["status"]["message"]["parts"][0]["text"] == "What is your name?"
        reply = message("Ada", taskId=asked["id"], contextId=asked["contextId"])
        task = (await speaker.call("SendMessage", reply))["task"]
        assert task["id"] == asked["id"]
        assert task["status"]["state"] == "TASK_STATE_COMPLETED"
        assert task["artifacts"][0]["parts"][0]["data"] == {"greeting": "Hello, Ada!"}
        assert [said["parts"][0]["text"] for said in task["history"]] == ["hi", "What is your name?", "Ada"]


async def test_a_stream_ends_with_a_question_and_another_begins_with_the_answer() -> None:
    async with node() as speaker:
        asked = await speaker.streamed("message/stream", old_message("hi", **skill("greet")))
        assert [item.get("final") for item in asked] == [None, False, True]
        assert asked[-1]["status"]["state"] == "input-required"
        items = await speaker.streamed("message/stream", old_message("Ada", taskId=asked[0]["id"]))
        assert [item["status"]["state"] for item in items if "status" in item] == ["working", "completed"]


async def test_a_task_that_asks_is_cancelled_as_any_other() -> None:
    async with node() as speaker:
        asked = (await speaker.call("SendMessage", message("hi", **skill("greet"))))["task"]
        task = await speaker.call("CancelTask", {"id": asked["id"]})
        assert task["status"]["state"] == "TASK_STATE_CANCELED"


async def test_a_question_without_anybody_to_ask_fails_the_task() -> None:
    async with node() as speaker:
        started = await speaker.call("tasks.execute", {"tasks": [{"name": "greet", "schemas": {"method": "greet"}}]})
        while (task := await speaker.call("tasks.get", {"task_id": started["root_task_id"]}))["status"] != "failed":
            await trio.lowlevel.checkpoint()
        assert task["error"].startswith("needs input (What is your name?)")


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "code", "field"),
    [
        (message("x", **skill("nobody")), -32602, "message.metadata.skill"),
        (message("x", **skill("tasks.execute")), -32602, "message.parts"),
        (message(data=[1]), -32602, "message.parts[0].data"),
        (message(), -32602, "message.parts"),
        (message("x", role="ROLE_AGENT"), -32602, "message.role"),
        (message("x", contextId="x" * 300), -32602, "message.contextId"),
        (message(data={"tasks": []}), -32602, "tasks"),
        (message(data={"tasks": [{"name": ""}]}), -32602, "tasks.0.name"),
        (message(data={"tasks": [{"name": "x", "schemas": {"method": "nobody"}}]}), -32602, "tasks.0.schemas.method"),
        ({"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"url": "https://a/b"}]}}, -32005, None),
        ({"message": {"messageId": "m", "role": "ROLE_USER"}}, -32602, "$.message"),
        (message("x", taskId="nobody"), -32001, None),
    ],
)
async def test_what_a_message_may_not_be(params: Any, code: int, field: str | None) -> None:
    async with node() as speaker:
        with pytest.raises(Failed) as refused:
            await speaker.call("SendMessage", params)
        assert refused.value.code == code
        assert refused.value.data is not None
        (detail,) = refused.value.data
        if field is None:
            assert detail["@type"] == INFO
            assert detail["domain"] == "a2a-protocol.org"
        else:
            assert detail["@type"] == BAD_REQUEST
            assert detail["fieldViolations"][0]["field"] == field
        assert (await speaker.call("ListTasks", {}))["totalSize"] == 0


async def test_a_task_takes_no_message_while_it_works_nor_after_it_has_ended() -> None:
    async with node() as speaker:
        working = (await speaker.call("SendMessage", at_once(message("x", **skill("forever")))))["task"]["id"]
        ended = (await speaker.call("SendMessage", message("x")))["task"]["id"]
        for task_id in (working, ended):
            with pytest.raises(Failed) as refused:
                await speaker.call("SendMessage", message("more", taskId=task_id))
            assert refused.value.code == -32004
        with pytest.raises(Failed) as refused:
            await speaker.call("SendMessage", message("more", taskId=working, contextId="another"))
        assert refused.value.code == -32602


async def test_without_a_default_executor_a_plain_text_is_no_message() -> None:
    async with node(a2a=A2ASettings(default_executor=None)) as speaker:
        with pytest.raises(Failed) as refused:
            await speaker.call("message/send", old_message("hello"))
        assert refused.value.code == -32005
        assert (await speaker.call("SendMessage", message(data=FLOW)))["task"]["status"][
            "state"
        ] == "TASK_STATE_COMPLETED"


@pytest.mark.parametrize(
    ("version", "method", "code"),
    [
        ("9.9", "GetTask", -32009),
        ("9.9", "tasks/get", -32009),
        ("0.2", "tasks/get", -32009),
        ("0.3", "GetTask", -32601),
        ("1.0", "tasks/get", -32601),
        ("1.0", "GetTask", -32001),
        ("1.0.1", "GetTask", -32001),
        ("0.3.0", "tasks/get", -32001),
        ("", "tasks/get", -32001),
        ("", "GetTask", -32001),
    ],
)
async def test_the_version_header_chooses(version: str, method: str, code: int) -> None:
    async with node() as speaker:
        with pytest.raises(Failed) as refused:
            await speaker.asking_for(version).call(method, {"id": "x"})
        assert refused.value.code == code
        assert isinstance(refused.value.data, list) == (method == "GetTask" or code == -32009)


async def test_the_node_s_own_methods_answer_plain_whatever_stands_beside() -> None:
    async with node() as speaker:
        with pytest.raises(Failed) as refused:
            await speaker.call("tasks.get", {"task_id": ROOT})
        assert (refused.value.code, refused.value.data) == (-32001, {"task_id": ROOT})
        result = await speaker.asking_for("1.0").call("tasks.execute", FLOW)
        assert result == {"root_task_id": ROOT, "status": "started"}
