"""Drives an agent with a2a-sdk 0.3.x, in an environment of its own: every operation once, and prints what it saw.

Usage: python drive_v03.py URL RECEIVER, where RECEIVER takes pushes. Prints one JSON object: step to what came of it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import httpx
from a2a import types  # type: ignore[import-not-found]  # it is in the environment that runs this
from a2a.client import ClientConfig, ClientFactory  # type: ignore[import-not-found]  # it is in the environment that runs this

Json = Any


def shown(value: Any) -> Json:
    return None if value is None else value.model_dump(mode="json", by_alias=True, exclude_none=True)


def message(text: str | None = None, *, data: Json = None, **members: Json) -> types.Message:
    """A message of a user."""
    part = types.TextPart(text=text) if text is not None else types.DataPart(data=data)
    return types.Message(message_id="m-1", role=types.Role.user, parts=[types.Part(root=part)], **members)


async def events(stream: Any) -> list[Json]:
    """What a stream told, and the task as the client had put it together by then."""
    return [[shown(task), shown(update)] async for task, update in stream]


async def refusal(doing: Any) -> Json:
    try:
        await doing
    except Exception as error:  # noqa: BLE001 - what kind it is, is what is told
        inner = getattr(error, "error", None)
        return [type(error).__name__, getattr(inner, "code", None)]
    return "nothing"


async def drive(url: str, receiver: str) -> dict[str, Json]:
    seen: dict[str, Json] = {}
    async with httpx.AsyncClient() as http:
        whole = await ClientFactory.connect(url, ClientConfig(streaming=False, httpx_client=http))
        streaming = await ClientFactory.connect(url, ClientConfig(streaming=True, httpx_client=http))
        polling = await ClientFactory.connect(url, ClientConfig(streaming=False, polling=True, httpx_client=http))
        seen["card"] = shown(await whole.get_card())

        seen["send"] = await events(whole.send_message(message("hello")))
        task_id = seen["send"][0][0]["id"]
        nap = {"tasks": [{"name": "nap", "schemas": {"method": "sleep"}, "inputs": {"seconds": 0}}]}
        seen["stream"] = await events(streaming.send_message(message(data=nap)))
        seen["get"] = shown(await whole.get_task(types.TaskQueryParams(id=task_id, history_length=0)))
        seen["unknown"] = await refusal(whole.get_task(types.TaskQueryParams(id="nobody")))

        begun = await events(polling.send_message(message("wait", metadata={"skill": "forever"})))
        seen["immediately"] = begun
        waiting = begun[0][0]["id"]

        set_ = await whole.set_task_callback(
            types.TaskPushNotificationConfig(
                task_id=waiting,
                push_notification_config=types.PushNotificationConfig(
                    url=receiver,
                    token="t-1",
                    authentication=types.PushNotificationAuthenticationInfo(schemes=["Bearer"], credentials="c-1"),
                ),
            )
        )
        seen["push_set"] = shown(set_)
        config_id = set_.push_notification_config.id
        one = types.GetTaskPushNotificationConfigParams(id=waiting, push_notification_config_id=config_id)
        seen["push_get"] = shown(await whole.get_task_callback(one))

        # The client of this version has neither of these: they are asked for as it asks for others.
        async def call(method: str, params: Json) -> Json:
            body = {"jsonrpc": "2.0", "id": "1", "method": method, "params": params}
            answer = await http.post(url, json=body)
            return answer.json()

        listed = await call("tasks/pushNotificationConfig/list", {"id": waiting})
        seen["push_list"] = shown(types.ListTaskPushNotificationConfigResponse.model_validate(listed).root)

        news = streaming.resubscribe(types.TaskIdParams(id=waiting))
        first = await anext(aiter(news))
        seen["subscribe_first"] = [shown(first[0]), shown(first[1])]
        seen["cancel"] = shown(await whole.cancel_task(types.TaskIdParams(id=waiting)))
        seen["subscribe_rest"] = await events(news)
        seen["cancel_again"] = await refusal(whole.cancel_task(types.TaskIdParams(id=waiting)))
        seen["subscribe_ended"] = await refusal(anext(aiter(streaming.resubscribe(types.TaskIdParams(id=waiting)))))
        gone = await call("tasks/pushNotificationConfig/delete", {"id": waiting, "pushNotificationConfigId": config_id})
        seen["push_delete"] = shown(types.DeleteTaskPushNotificationConfigResponse.model_validate(gone).root)
        seen["push_deleted"] = await refusal(whole.get_task_callback(one))

        asked = await events(streaming.send_message(message("greet me", metadata={"skill": "greet"})))
        seen["asked"] = asked
        task = asked[-1][0]
        reply = message("Ada", task_id=task["id"], context_id=task["contextId"])
        seen["answered"] = await events(whole.send_message(reply))
        seen["too_late"] = await refusal(events(whole.send_message(reply)))
        seen["stream_too_late"] = await refusal(events(streaming.send_message(reply)))
        seen["extended_card"] = (await call("agent/getAuthenticatedExtendedCard", {}))["error"]["code"]
    return seen


if __name__ == "__main__":
    print(json.dumps(asyncio.run(drive(*sys.argv[1:3]))))
