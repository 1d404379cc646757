"""Tasks of the agent: read, listed, cancelled, followed, told to receivers; whose they are; what a restart leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
from agent_rig import Failed, Speaker, at_once, message, node, old_message, skill

from protogen_runtime.apflow.a2a.settings import A2ASettings
from protogen_runtime.apflow.executors.settings import ExecutorSettings

pytestmark = pytest.mark.anyio

RECEIVER = "http://127.0.0.1:9/a2a"
"""Nobody is there; what is kept of a receiver can be read all the same."""


async def begun(speaker: Speaker, name: str = "forever", text: str = "x", **members: Any) -> Any:
    """A task that is under way."""
    return (await speaker.call("SendMessage", at_once(message(text, **skill(name), **members))))["task"]


async def ended(speaker: Speaker, text: str = "x", **members: Any) -> Any:
    """A task that has come to its end."""
    return (await speaker.call("SendMessage", message(text, **members)))["task"]


async def refusal(speaker: Speaker, method: str, params: Any) -> int:
    """The code that a call is refused with."""
    with pytest.raises(Failed) as refused:
        await speaker.call(method, params)
    return refused.value.code


async def test_history_is_as_long_as_it_was_asked_for() -> None:
    async with node() as speaker:
        asked = (await speaker.call("SendMessage", message("hi", **skill("greet"))))["task"]
        await speaker.call("SendMessage", message("Ada", taskId=asked["id"]))
        for length, texts in ((0, []), (1, ["Ada"]), (2, ["What is your name?", "Ada"]), (9, 3), (None, 3)):
            params = {"id": asked["id"]} if length is None else {"id": asked["id"], "historyLength": length}
            history = (await speaker.call("GetTask", params)).get("history", [])
            found = [said["parts"][0]["text"] for said in history]
            assert (len(found) if isinstance(texts, int) else found) == texts
            old = await speaker.call("tasks/get", params)
            assert len(old.get("history", [])) == len(found)


# --- lists ----------------------------------------------------------------------------------------


async def test_pages_follow_each_other_from_the_last_change_to_the_first() -> None:
    async with node() as speaker:
        made = [(await ended(speaker, str(number)))["id"] for number in range(5)]
        found: list[str] = []
        token = ""
        for size in (2, 2, 1):
            page = await speaker.call("ListTasks", {"pageSize": 2, "pageToken": token})
            assert (page["totalSize"], page["pageSize"], len(page["tasks"])) == (5, 2, size)
            assert all("artifacts" not in task for task in page["tasks"])
            found += [task["id"] for task in page["tasks"]]
            token = page["nextPageToken"]
        assert (found, token) == (made[::-1], "")
        times = [(await speaker.call("GetTask", {"id": id_}))["status"]["timestamp"] for id_ in found]
        assert times == sorted(times, reverse=True)


async def test_lists_are_narrowed_by_context_state_and_time() -> None:
    async with node() as speaker:
        first = await ended(speaker, contextId="one")
        working = await begun(speaker, contextId="one")
        other = await ended(speaker, contextId="two")

        async def listed(**params: Any) -> list[str]:
            return [task["id"] for task in (await speaker.call("ListTasks", params))["tasks"]]

        async with speaker.stream("SubscribeToTask", {"id": working["id"]}) as news:
            async for item in news:
                if (item.get("task") or item["statusUpdate"])["status"]["state"] == "TASK_STATE_WORKING":
                    break
        assert set(await listed(contextId="one")) == {first["id"], working["id"]}
        assert await listed(status="TASK_STATE_WORKING") == [working["id"]]
        assert set(await listed(status="TASK_STATE_COMPLETED", contextId="two")) == {other["id"]}
        assert first["id"] not in await listed(statusTimestampAfter=first["status"]["timestamp"])
        assert len(await listed(statusTimestampAfter="2020-01-01T00:00:00+02:00")) == 3
        assert await listed(statusTimestampAfter="2999-01-01T00:00:00Z") == []
        page = await speaker.call("ListTasks", {"contextId": "two", "includeArtifacts": True, "historyLength": 0})
        assert page["tasks"][0]["artifacts"] == other["artifacts"]
        assert "history" not in page["tasks"][0]


@pytest.mark.parametrize(
    "params",
    [{"pageToken": "%"}, {"pageToken": "AAAA"}, {"pageSize": 0}, {"pageSize": 101}, {"statusTimestampAfter": "x"}],
)
async def test_what_a_list_may_not_be_asked_for(params: Any) -> None:
    async with node() as speaker:
        assert await refusal(speaker, "ListTasks", params) == -32602


# --- cancelling and following ---------------------------------------------------------------------


async def test_cancelling_ends_the_whole_flow_and_its_streams() -> None:
    tasks = [
        {"id": "11111111-1111-4111-8111-111111111111", "name": "root", "schemas": {"method": "forever"}},
        *(
            {"name": "part", "parent_id": "11111111-1111-4111-8111-111111111111", "schemas": {"method": "forever"}}
            for _ in range(3)
        ),
    ]
    async with node() as speaker:
        task = (await speaker.call("SendMessage", at_once(message(data={"tasks": tasks}))))["task"]
        async with speaker.stream("SubscribeToTask", {"id": task["id"]}) as news:
            assert "task" in await news.receive()
            cancelled = await speaker.call("CancelTask", {"id": task["id"]})
            assert cancelled["status"]["state"] == "TASK_STATE_CANCELED"
            items = [item async for item in news]
        assert items[-1]["statusUpdate"]["status"] == cancelled["status"]
        assert await refusal(speaker, "CancelTask", {"id": task["id"]}) == -32002
        assert await refusal(speaker, "tasks/cancel", {"id": task["id"]}) == -32002
        listed = await speaker.call("tasks.list", {"status": "cancelled"})
        assert listed["total"] == 4


async def test_a_task_that_has_ended_has_no_news() -> None:
    async with node() as speaker:
        task = await ended(speaker)
        for method in ("SubscribeToTask", "tasks/resubscribe"):
            assert await refusal(speaker, method, {"id": task["id"]}) == -32004


async def test_a_follower_that_leaves_holds_nobody_up() -> None:
    async with node() as speaker:
        task = (await speaker.call("SendMessage", message("hi", **skill("greet"))))["task"]
        async with speaker.stream("SubscribeToTask", {"id": task["id"]}) as news:
            await news.receive()
        done = await speaker.call("SendMessage", message("Ada", taskId=task["id"]))
        assert done["task"]["status"]["state"] == "TASK_STATE_COMPLETED"


# --- push configurations --------------------------------------------------------------------------


async def test_push_configurations_are_kept_read_replaced_and_deleted() -> None:
    async with node() as speaker:
        task_id = (await begun(speaker))["id"]
        given = {"taskId": task_id, "url": RECEIVER, "authentication": {"scheme": "Bearer", "credentials": "c"}}
        first = await speaker.call("CreateTaskPushNotificationConfig", given)
        assert first == {**given, "id": first["id"]}
        named = {"taskId": task_id, "id": "mine", "url": RECEIVER}
        assert await speaker.call("CreateTaskPushNotificationConfig", named) == named
        again = {**named, "url": f"{RECEIVER}/2"}
        assert await speaker.call("CreateTaskPushNotificationConfig", again) == again
        listed = await speaker.call("ListTaskPushNotificationConfigs", {"taskId": task_id})
        assert listed["configs"] == [first, again]
        assert await speaker.call("GetTaskPushNotificationConfig", {"taskId": task_id, "id": "mine"}) == again
        old = await speaker.call("tasks/pushNotificationConfig/get", {"id": task_id})
        assert old["pushNotificationConfig"] == {
            "id": first["id"],
            "url": RECEIVER,
            "authentication": {"schemes": ["Bearer"], "credentials": "c"},
        }
        for config_id in (first["id"], "nobody"):
            params = {"taskId": task_id, "id": config_id}
            assert await speaker.call("DeleteTaskPushNotificationConfig", params) == {}
        gone = {"taskId": task_id, "id": first["id"]}
        assert await refusal(speaker, "GetTaskPushNotificationConfig", gone) == -32001
        assert len(await speaker.call("tasks/pushNotificationConfig/list", {"id": task_id})) == 1


@pytest.mark.parametrize(
    "config",
    [
        {"url": "http://169.254.169.254/latest"},
        {"url": "file:///etc/passwd"},
        {"url": "http://[::1]/"},
        {"url": "https://example.com/", "token": "a\r\nb: c"},
        {"url": "https://example.com/", "authentication": {"scheme": "B\nx", "credentials": "c"}},
    ],
)
async def test_a_receiver_that_would_not_be_dialled_is_refused_at_once(config: Any) -> None:
    async with node(executors=ExecutorSettings()) as speaker:
        task_id = (await ended(speaker))["id"]
        assert await refusal(speaker, "CreateTaskPushNotificationConfig", {"taskId": task_id, **config}) == -32602
        params = message("x")
        sent = {**params, "configuration": {"taskPushNotificationConfig": config}}
        assert await refusal(speaker, "SendMessage", sent) == -32602
        assert (await speaker.call("ListTasks", {}))["totalSize"] == 1


async def test_a_task_has_so_many_receivers_and_no_more() -> None:
    async with node(a2a=A2ASettings(max_receivers=2)) as speaker:
        task_id = (await begun(speaker))["id"]
        for name in ("a", "b", "a"):
            await speaker.call("CreateTaskPushNotificationConfig", {"taskId": task_id, "id": name, "url": RECEIVER})
        one_more = {"taskId": task_id, "id": "c", "url": RECEIVER}
        assert await refusal(speaker, "CreateTaskPushNotificationConfig", one_more) == -32602


# --- whose ----------------------------------------------------------------------------------------


async def test_nobody_sees_or_touches_what_is_another_s() -> None:
    async with node() as speaker:
        ada, bob = speaker.as_("ada"), speaker.as_("bob")
        task = (await ada.call("SendMessage", message("hi", **skill("greet"), contextId="shared")))["task"]
        config = {"taskId": task["id"], "id": "p", "url": RECEIVER}
        await ada.call("CreateTaskPushNotificationConfig", config)
        assert task["metadata"]["user_id"] == "ada"
        named, held = {"id": task["id"]}, {"taskId": task["id"], "id": "p"}
        old_config = {"taskId": task["id"], "pushNotificationConfig": {"url": RECEIVER}}
        for method, params in (
            ("GetTask", named),
            ("CancelTask", named),
            ("SubscribeToTask", named),
            ("SendMessage", message("mine", taskId=task["id"])),
            ("SendStreamingMessage", message("mine", taskId=task["id"])),
            ("CreateTaskPushNotificationConfig", {**config, "id": "q"}),
            ("GetTaskPushNotificationConfig", held),
            ("ListTaskPushNotificationConfigs", {"taskId": task["id"]}),
            ("DeleteTaskPushNotificationConfig", held),
            ("tasks/get", named),
            ("tasks/cancel", named),
            ("tasks/resubscribe", named),
            ("message/send", old_message("mine", taskId=task["id"])),
            ("message/stream", old_message("mine", taskId=task["id"])),
            ("tasks/pushNotificationConfig/set", old_config),
            ("tasks/pushNotificationConfig/get", named),
            ("tasks/pushNotificationConfig/list", named),
            ("tasks/pushNotificationConfig/delete", {**named, "pushNotificationConfigId": "p"}),
            ("tasks.get", {"task_id": task["metadata"]["root_task_id"]}),
        ):
            unknown = "00000000-0000-4000-8000-000000000000"
            with pytest.raises(Failed) as refused:
                await bob.call(method, params)
            with pytest.raises(Failed) as nobody:
                await bob.call(method, _renamed(params, task, unknown))
            assert refused.value.code == -32001, method
            # What is another's looks as what is not there.
            told = repr(refused.value.data).replace(task["metadata"]["root_task_id"], unknown)
            assert told.replace(task["id"], unknown) == repr(nobody.value.data), method
        assert (await bob.call("ListTasks", {"contextId": "shared"}))["totalSize"] == 0
        mine = (await bob.call("SendMessage", message("x", contextId="shared")))["task"]
        assert [each["id"] for each in (await bob.call("ListTasks", {}))["tasks"]] == [mine["id"]]
        listed = await ada.call("ListTasks", {"contextId": "shared"})
        assert [each["id"] for each in listed["tasks"]] == [task["id"]]
        assert (await ada.call("ListTaskPushNotificationConfigs", {"taskId": task["id"]}))["configs"] == [config]


async def test_nobody_executes_another_s_tasks_by_a_message() -> None:
    async with node() as speaker:
        root = (await ended(speaker.as_("ada")))["metadata"]["root_task_id"]
        flow = {"tasks": [{"id": root, "name": "x", "schemas": {"method": "echo"}}]}
        assert await refusal(speaker.as_("bob"), "SendMessage", message(data=flow)) == -32602
        named = {"tasks": [{"name": "x", "user_id": "ada", "schemas": {"method": "echo"}}]}
        assert await refusal(speaker.as_("bob"), "SendMessage", message(data=named)) == -32602


def _renamed(params: Any, task: Any, name: str) -> Any:
    if isinstance(params, dict):
        return {key: _renamed(value, task, name) for key, value in params.items()}
    return name if params in (task["id"], task["metadata"]["root_task_id"]) else params


# --- restarts -------------------------------------------------------------------------------------


async def test_a_restart_keeps_what_was_said_and_asks_again(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'apflow.db'}"
    async with node(database) as speaker:
        done = await ended(speaker)
        asked = (await speaker.call("SendMessage", message("hi", **skill("greet"))))["task"]
        lost = await begun(speaker)
        config = {"taskId": asked["id"], "id": "p", "url": RECEIVER}
        await speaker.call("CreateTaskPushNotificationConfig", config)
        async with speaker.stream("SubscribeToTask", {"id": lost["id"]}) as news:
            async for item in news:
                if (item.get("task") or item["statusUpdate"])["status"]["state"] == "TASK_STATE_WORKING":
                    break
    async with node(database) as speaker:
        assert await speaker.call("GetTask", {"id": done["id"]}) == done
        while (task := await speaker.call("GetTask", {"id": lost["id"]}))["status"]["state"] == "TASK_STATE_WORKING":
            await trio.lowlevel.checkpoint()
        assert task["status"]["state"] == "TASK_STATE_FAILED"
        assert task["status"]["message"]["parts"][0]["text"] == "Interrupted by a restart of the node"
        held = await speaker.call("ListTaskPushNotificationConfigs", {"taskId": asked["id"]})
        assert held["configs"] == [config]
        # It runs again, since it is declared idempotent; until it has asked, nothing waits for a message.
        task = None
        while task is None:
            task = await answered(speaker, asked["id"])
        assert task["artifacts"][0]["parts"][0]["data"] == {"greeting": "Hello, Ada!"}


async def answered(speaker: Speaker, task_id: str) -> Any:
    """The task after an answer, None where it waits for none."""
    try:
        return (await speaker.call("SendMessage", message("Ada", taskId=task_id)))["task"]
    except Failed as refused:
        if refused.code != -32004:
            raise
        await trio.lowlevel.checkpoint()
        return None
