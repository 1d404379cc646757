"""Drives an agent with a2a-sdk 1.x, in an environment of its own: every operation once, and prints what it saw.

Usage: python drive_v1.py URL RECEIVER, where RECEIVER takes pushes. Prints one JSON object: step to what came of it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import httpx
from a2a.client import ClientConfig, ClientFactory  # type: ignore[import-not-found]  # it is in the environment that runs this
from a2a.types import a2a_pb2 as pb  # type: ignore[import-not-found]  # it is in the environment that runs this
from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]  # so it is there

Json = Any


def message(text: str | None = None, *, data: Json = None, **members: Json) -> pb.Message:
    """A message of a user."""
    parts = [pb.Part(text=text)] if text is not None else []
    made = pb.Message(message_id="m-1", role=pb.ROLE_USER, parts=parts, **members)
    if data is not None:
        made.parts.add().data.struct_value.update(data)
    return made


def request(sent: pb.Message, **configuration: Json) -> pb.SendMessageRequest:
    return pb.SendMessageRequest(message=sent, configuration=pb.SendMessageConfiguration(**configuration))


async def items(stream: Any) -> list[Json]:
    return [MessageToDict(item) async for item in stream]


async def refusal(doing: Any) -> str:
    try:
        await doing
    except Exception as error:  # noqa: BLE001 - what kind it is, is what is told
        return type(error).__name__
    return "nothing"


async def drive(url: str, receiver: str) -> dict[str, Json]:
    seen: dict[str, Json] = {}
    async with httpx.AsyncClient() as http:
        factory = ClientFactory(ClientConfig(streaming=False, httpx_client=http))
        whole = await factory.create_from_url(url)
        streaming = await ClientFactory(ClientConfig(streaming=True, httpx_client=http)).create_from_url(url)
        seen["card"] = MessageToDict(whole._card)

        seen["send"] = await items(whole.send_message(request(message("hello"))))
        task_id = seen["send"][0]["task"]["id"]
        seen["stream"] = await items(
            streaming.send_message(
                request(
                    message(data={"tasks": [{"name": "nap", "schemas": {"method": "sleep"}, "inputs": {"seconds": 0}}]})
                )
            )
        )
        seen["get"] = MessageToDict(await whole.get_task(pb.GetTaskRequest(id=task_id, history_length=0)))
        seen["unknown"] = await refusal(whole.get_task(pb.GetTaskRequest(id="nobody")))

        pages: list[Json] = []
        token = ""
        while not pages or token:
            page = await whole.list_tasks(pb.ListTasksRequest(page_size=1, page_token=token))
            pages.append(MessageToDict(page, always_print_fields_with_no_presence=True))
            token = page.next_page_token
        seen["list"] = pages

        metadata = {"skill": "forever"}
        begun = await items(whole.send_message(request(message("wait", metadata=metadata), return_immediately=True)))
        seen["immediately"] = begun
        waiting = begun[0]["task"]["id"]

        set_ = await whole.create_task_push_notification_config(
            pb.TaskPushNotificationConfig(
                task_id=waiting,
                url=receiver,
                token="t-1",
                authentication=pb.AuthenticationInfo(scheme="Bearer", credentials="c-1"),
            )
        )
        seen["push_set"] = MessageToDict(set_)
        one = pb.GetTaskPushNotificationConfigRequest(task_id=waiting, id=set_.id)
        seen["push_get"] = MessageToDict(await whole.get_task_push_notification_config(one))
        every = pb.ListTaskPushNotificationConfigsRequest(task_id=waiting)
        seen["push_list"] = MessageToDict(await whole.list_task_push_notification_configs(every))

        news = streaming.subscribe(pb.SubscribeToTaskRequest(id=waiting))
        first = await anext(aiter(news))
        seen["subscribe_first"] = MessageToDict(first)
        seen["cancel"] = MessageToDict(await whole.cancel_task(pb.CancelTaskRequest(id=waiting)))
        seen["subscribe_rest"] = await items(news)
        seen["cancel_again"] = await refusal(whole.cancel_task(pb.CancelTaskRequest(id=waiting)))
        seen["subscribe_ended"] = await refusal(
            anext(aiter(streaming.subscribe(pb.SubscribeToTaskRequest(id=waiting))))
        )
        await whole.delete_task_push_notification_config(
            pb.DeleteTaskPushNotificationConfigRequest(task_id=waiting, id=set_.id)
        )
        seen["push_deleted"] = MessageToDict(await whole.list_task_push_notification_configs(every))

        asked = await items(whole.send_message(request(message("greet me", metadata={"skill": "greet"}))))
        seen["asked"] = asked
        task = asked[0]["task"]
        reply = message("Ada", task_id=task["id"], context_id=task["contextId"])
        seen["answered"] = await items(streaming.send_message(request(reply)))
        seen["too_late"] = await refusal(items(whole.send_message(request(reply))))

        # The client asks for no card that the card says is not there.
        body = {"jsonrpc": "2.0", "id": "1", "method": "GetExtendedAgentCard", "params": {}}
        answer = await http.post(url, json=body, headers={"A2A-Version": "1.0"})
        seen["extended_card"] = answer.json()["error"]["code"]
    return seen


if __name__ == "__main__":
    print(json.dumps(asyncio.run(drive(*sys.argv[1:3]))))
