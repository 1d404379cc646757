"""Errands: A2A's tasks as the node keeps them, beside the tasks that they have executed.

An *errand* is one execution of a flow that a message asked for. Knows neither who may see one nor what becomes of it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Final

import a2a_protocol as v1
import msgspec
from a2a_protocol import CODEC, TaskState
from msgspec import UNSET, Raw

from protogen_runtime.apflow.records import ERRANDS, owner_of
from protogen_runtime.store import Compare, Condition, Delete, Equal, Get, Insert, Record, Select, Store, each

from .faults import invalid

_LATEST: Final = ("-changed",)


class Receiver(msgspec.Struct, frozen=True, kw_only=True):
    """Where news of an errand are sent, in the words of which version."""

    id: str
    url: str
    token: str | None = None
    scheme: str | None = None
    credentials: str | None = None
    is_v03: bool = False


class Errand(msgspec.Struct, kw_only=True):
    """One errand. `task` is replaced as a whole whenever it changes; `root` is the root of its flow."""

    task: v1.Task
    root: str
    user: str | None = None
    receivers: tuple[Receiver, ...] = ()
    is_ended: bool = False

    @property
    def id(self) -> str:
        """Its id as A2A's task."""
        return self.task.id

    @property
    def state(self) -> TaskState:
        """The state of A2A's task."""
        return self.task.status.state


class _Document(msgspec.Struct, kw_only=True):
    task: Raw
    root: str
    user: str | None = None
    receivers: tuple[Receiver, ...] = ()
    is_ended: bool = False


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which errands to list: those of `user`, None for everybody's, and what else must be so where it is given."""

    user: str | None = None
    context: str | None = None
    state: TaskState | None = None
    changed_after: str | None = None
    """A time as the node writes times."""
    token: str | None = None
    """Where the page begins: what the page before gave."""
    limit: int = 50


class ErrandPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of errands, the last changed first, how many there are on all, and where the next one begins."""

    errands: Sequence[Errand]
    total: int
    token: str


class Errands:
    """The errands of a store that was opened with `records.SCHEMA`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def save(self, errand: Errand) -> None:
        """Keep an errand as it is now; returns once that is durable."""
        document = _Document(
            task=Raw(CODEC.encode(errand.task)),
            root=errand.root,
            user=errand.user,
            receivers=errand.receivers,
            is_ended=errand.is_ended,
        )
        fields = {
            "owner": owner_of(errand.user),
            "context": errand.task.context_id or "",
            "state": errand.state,
            # Never the same for two, so that a page can begin behind it.
            "changed": f"{errand.task.status.timestamp}/{errand.id}",
            "live": None if errand.is_ended else 1,
        }
        record = Record(errand.id, msgspec.json.encode(document), fields)
        await self._store.write(Insert(ERRANDS, [record], existing="replace"))

    async def remove(self, errand_id: str) -> None:
        """Forget an errand."""
        await self._store.write(Delete(ERRANDS, [Equal("key", errand_id)]))

    async def find(self, errand_id: str) -> Errand | None:
        """The errand, or None where there is none."""
        record = await self._store.read(Get(ERRANDS, errand_id))
        return None if record is None else _errand_of(record)

    async def live(self) -> list[Errand]:
        """The errands that have not ended, oldest first."""
        return [_errand_of(record) async for record in each(self._store, ERRANDS, [Equal("live", 1)])]

    async def page(self, wanted: Wanted) -> ErrandPage:
        """One page. Errors: Fault for a token that no page gave."""
        where: list[Condition] = []
        if wanted.user is not None:
            where.append(Equal("owner", owner_of(wanted.user)))
        if wanted.context is not None:
            where.append(Equal("context", wanted.context))
        if wanted.state is not None:
            where.append(Equal("state", wanted.state))
        if wanted.changed_after is not None:
            # Behind every id that may follow the time.
            where.append(Compare("changed", ">", f"{wanted.changed_after}/~"))
        total = (await self._store.read(Select(ERRANDS, where, limit=0, total=True))).total
        if wanted.token is not None:
            where.append(Compare("changed", "<", _place(wanted.token)))
        page = await self._store.read(Select(ERRANDS, where, order=_LATEST, limit=wanted.limit + 1))
        records = page.records[: wanted.limit]
        more = len(page.records) > wanted.limit
        token = _token(str(records[-1].fields["changed"])) if more and records else ""
        return ErrandPage(errands=[_errand_of(record) for record in records], total=total or 0, token=token)


def _errand_of(record: Record) -> Errand:
    document = msgspec.json.decode(record.document, type=_Document)
    return Errand(
        task=CODEC.decode("Task", document.task),
        root=document.root,
        user=document.user,
        receivers=document.receivers,
        is_ended=document.is_ended,
    )


def _token(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _place(token: str) -> str:
    try:
        place = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, UnicodeError):
        place = ""
    if not place or "\0" in place or len(place) > len(token):
        raise invalid("pageToken", "no page gave this token")
    return place


def receiver_of(config: v1.TaskPushNotificationConfig, receiver_id: str, *, is_v03: bool) -> Receiver:
    """A push configuration as it is kept."""
    given = config.authentication
    return Receiver(
        id=receiver_id,
        url=config.url,
        token=config.token or None,
        scheme=None if given is UNSET else given.scheme,
        credentials=None if given is UNSET else given.credentials or None,
        is_v03=is_v03,
    )


def config_of(receiver: Receiver, task_id: str) -> v1.TaskPushNotificationConfig:
    """A push configuration as callers get it."""
    authentication: v1.AuthenticationInfo | None = None
    if receiver.scheme is not None:
        authentication = v1.AuthenticationInfo(scheme=receiver.scheme, credentials=receiver.credentials or UNSET)
    return v1.TaskPushNotificationConfig(
        id=receiver.id,
        task_id=task_id,
        url=receiver.url,
        token=receiver.token or UNSET,
        authentication=UNSET if authentication is None else authentication,
    )
