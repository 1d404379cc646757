"""Version 0.3: its messages as those of 1.0, and what 1.0 says as 0.3 does. Pure."""

from __future__ import annotations

from typing import Final

import a2a_protocol as v1
import a2a_v03_protocol as v03
from msgspec import UNSET

from protogen_runtime.apflow.executors.shapes import is_object

from . import mapping

STATES: Final[dict[v1.TaskState, v03.TaskState]] = {
    "TASK_STATE_UNSPECIFIED": "unknown",
    "TASK_STATE_SUBMITTED": "submitted",
    "TASK_STATE_WORKING": "working",
    "TASK_STATE_COMPLETED": "completed",
    "TASK_STATE_FAILED": "failed",
    "TASK_STATE_CANCELED": "canceled",
    "TASK_STATE_INPUT_REQUIRED": "input-required",
    "TASK_STATE_REJECTED": "rejected",
    "TASK_STATE_AUTH_REQUIRED": "auth-required",
}


# --- what callers send ----------------------------------------------------------------------------


def read_request(params: v03.MessageSendParams) -> v1.SendMessageRequest:
    """A message to the agent. `blocking` is the default here, too, as the answer of most agents shows it to be."""
    given = params.configuration
    configuration: v1.SendMessageConfiguration | None = None
    if given is not UNSET:
        push = given.push_notification_config
        configuration = v1.SendMessageConfiguration(
            accepted_output_modes=given.accepted_output_modes,
            history_length=given.history_length,
            return_immediately=given.blocking is False,
            task_push_notification_config=UNSET if push is UNSET else read_push_config("", push),
        )
    return v1.SendMessageRequest(
        message=read_message(params.message),
        configuration=UNSET if configuration is None else configuration,
        metadata=params.metadata,
    )


def read_message(message: v03.Message) -> v1.Message:
    """A message."""
    return v1.Message(
        message_id=message.message_id,
        role="ROLE_USER" if message.role == "user" else "ROLE_AGENT",
        parts=[_read_part(part) for part in message.parts],
        context_id=message.context_id,
        task_id=message.task_id,
        reference_task_ids=message.reference_task_ids,
        extensions=message.extensions,
        metadata=message.metadata,
    )


def _read_part(part: v03.Part) -> v1.Part:
    match part:
        case v03.TextPart():
            return v1.Part(text=part.text, metadata=part.metadata)
        case v03.DataPart():
            return v1.Part(data=part.data, metadata=part.metadata)
        case _:
            file: v03.FileWithBytes | v03.FileWithUri = part.file.value
            if isinstance(file, v03.FileWithUri):
                return v1.Part(url=file.uri, filename=file.name, media_type=file.mime_type, metadata=part.metadata)
            return v1.Part(raw_=file.bytes, filename=file.name, media_type=file.mime_type, metadata=part.metadata)


def read_push_config(task_id: str, config: v03.PushNotificationConfig) -> v1.TaskPushNotificationConfig:
    """Where to send news. Of several schemes the first counts: there is one set of credentials."""
    given = config.authentication
    authentication: v1.AuthenticationInfo | None = None
    if given is not UNSET and given.schemes:
        authentication = v1.AuthenticationInfo(scheme=given.schemes[0], credentials=given.credentials)
    return v1.TaskPushNotificationConfig(
        id=config.id,
        task_id=task_id or UNSET,
        url=config.url,
        token=config.token,
        authentication=UNSET if authentication is None else authentication,
    )


# --- what callers get -----------------------------------------------------------------------------


def write_task(task: v1.Task) -> v03.Task:
    """A task."""
    return v03.Task(
        id=task.id,
        context_id=task.context_id or "",
        status=_write_status(task.status),
        artifacts=UNSET if task.artifacts is UNSET else [_write_artifact(each) for each in task.artifacts],
        history=UNSET if task.history is UNSET else [_write_message(each) for each in task.history],
        metadata=task.metadata,
    )


def write_item(item: v1.StreamResponse) -> v03.StreamItem:
    """An item of a stream; `final` where nothing follows."""
    if item.status_update is not UNSET:
        update = item.status_update
        return v03.TaskStatusUpdateEvent(
            task_id=update.task_id,
            context_id=update.context_id,
            status=_write_status(update.status),
            final=mapping.ends_stream(item),
            metadata=update.metadata,
        )
    if item.artifact_update is not UNSET:
        added = item.artifact_update
        return v03.TaskArtifactUpdateEvent(
            task_id=added.task_id,
            context_id=added.context_id,
            artifact=_write_artifact(added.artifact),
            append=added.append,
            last_chunk=added.last_chunk,
            metadata=added.metadata,
        )
    if item.task is not UNSET:
        return write_task(item.task)
    assert item.message is not UNSET
    return _write_message(item.message)


def write_push_config(config: v1.TaskPushNotificationConfig) -> v03.TaskPushNotificationConfig:
    """Where news are sent."""
    given = config.authentication
    authentication: v03.PushNotificationAuthenticationInfo | None = None
    if given is not UNSET:
        authentication = v03.PushNotificationAuthenticationInfo(schemes=[given.scheme], credentials=given.credentials)
    return v03.TaskPushNotificationConfig(
        task_id=config.task_id or "",
        push_notification_config=v03.PushNotificationConfig(
            id=config.id,
            url=config.url,
            token=config.token,
            authentication=UNSET if authentication is None else authentication,
        ),
    )


def _write_status(status: v1.TaskStatus) -> v03.TaskStatus:
    return v03.TaskStatus(
        state=STATES[status.state],
        message=UNSET if status.message is UNSET else _write_message(status.message),
        timestamp=status.timestamp,
    )


def _write_artifact(artifact: v1.Artifact) -> v03.Artifact:
    return v03.Artifact(
        artifact_id=artifact.artifact_id,
        parts=[_write_part(part) for part in artifact.parts],
        name=artifact.name,
        description=artifact.description,
        extensions=artifact.extensions,
        metadata=artifact.metadata,
    )


def _write_message(message: v1.Message) -> v03.Message:
    return v03.Message(
        message_id=message.message_id,
        role="user" if message.role == "ROLE_USER" else "agent",
        parts=[_write_part(part) for part in message.parts],
        context_id=message.context_id,
        task_id=message.task_id,
        reference_task_ids=message.reference_task_ids,
        extensions=message.extensions,
        metadata=message.metadata,
    )


def _write_part(part: v1.Part) -> v03.Part:
    if part.text is not UNSET:
        return v03.TextPart(text=part.text, metadata=part.metadata)
    if part.url is not UNSET:
        uri = v03.FileWithUri(uri=part.url, mime_type=part.media_type, name=part.filename)
        return v03.FilePart(file=v03.FileContent(uri), metadata=part.metadata)
    if part.raw_ is not UNSET:
        data = v03.FileWithBytes(bytes=part.raw_, mime_type=part.media_type, name=part.filename)
        return v03.FilePart(file=v03.FileContent(data), metadata=part.metadata)
    # 0.3 has objects only.
    return v03.DataPart(data=part.data if is_object(part.data) else {"value": part.data}, metadata=part.metadata)
