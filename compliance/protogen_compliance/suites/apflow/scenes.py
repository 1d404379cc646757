"""Scenes: flows that are played once, all at the same time, and that many tests look at.

A scene returns what was sent and what was seen; it judges nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from protogen_compliance.peer.receiver import Callback, Receiver
from protogen_compliance.peer.rpc import MISSING, Json, Reply
from protogen_compliance.peer.wire import Deadline
from protogen_compliance.plugin import Unmet
from protogen_compliance.suites.apflow.node import TICK, Node, Streamed, Task, needs_task, new_id

LONG_SECONDS = 60.0
"""A task that is in progress whenever a test looks at it; cancelled at the end of the run."""

AT_ONCE = 24
"""Scenes played at the same time; most of their time is waiting."""

SCENES: dict[str, Callable[[Node], Json]] = {}


def scene(play: Callable[[Node], Json]) -> Callable[[Node], Json]:
    """Makes a function a scene; tests ask for it by its name as a fixture."""
    SCENES[play.__name__] = play
    return play


class Seen(NamedTuple):
    """A flow: the tasks as they were sent and as they were at the end, by their names."""

    sent: dict[str, Task]
    end: dict[str, Task]
    replies: dict[str, Reply]
    more: dict[str, Json]


def named(*tasks: Task) -> dict[str, Task]:
    """Tasks that we sent, by name."""
    return {task["name"]: task for task in tasks}


def read(sent: Iterable[Task], found: Iterable[Task]) -> dict[str, Task]:
    """Tasks that the node showed, in the order of those that were sent, by the names of these."""
    return {task["name"]: shown for task, shown in zip(sent, found, strict=True)}


@scene
def diamond(node: Node) -> Seen:
    """Six tasks that all complete: root after d, d after b and c, both after a; e alone."""
    a = node.task("a", node.ok(mark="a", nested={"list": [1, 2.5, None, "ü"]}))
    b = node.task("b", node.ok(mark="b"), dependencies=[needs_task(a)])
    c = node.task("c", node.ok(mark="c"), dependencies=[needs_task(a, required=True)])
    d = node.task("d", node.ok(mark="d"), dependencies=[needs_task(b), needs_task(c, required=False)])
    e = node.task("e", node.ok(mark="e"))
    root = node.task("root", node.ok(mark="root"), dependencies=[needs_task(d)])
    sent = node.flow(root, e, d, c, b, a)
    reply = node.call("tasks.execute", {"tasks": sent})
    if reply.result is MISSING:
        raise Unmet(("AF-EXECUTE-004", "AF-TRANS-001"), f"a flow of six tasks was not executed: {reply.summary()}")
    return Seen(named(*sent), read(sent, node.settled(*sent)), {"execute": reply}, {})


@scene
def failure(node: Node) -> Seen:
    """x fails; some wait for it as required, one as optional, one for a task that is blocked."""
    x = node.task("x", node.fails("the planned failure of x"))
    required = node.task("required", node.ok(), dependencies=[needs_task(x, required=True)])
    plain = node.task("plain", node.ok(), dependencies=[needs_task(x)])
    optional = node.task("optional", node.ok(), dependencies=[needs_task(x, required=False)])
    chained = node.task("chained", node.ok(), dependencies=[needs_task(required)])
    root = node.task("root", node.ok())
    sent = node.flow(root, required, plain, optional, chained, x)
    node.execute(*sent)
    settled = read([root, x], node.settled(root, x)) | read([optional], [node.ended(optional)])
    waiting = [required, plain, chained]
    return Seen(named(*sent), settled | read(waiting, node.still(waiting)), {}, {})


def caught(play: Callable[[Node, float], Seen]) -> Callable[[Node], Seen]:
    """Plays a scene again with a slower task where a busy machine let it pass unseen."""

    def patient(node: Node) -> Seen:
        seen = play(node, TICK)
        return seen if seen.more["during"].get("status") == "in_progress" else play(node, 4 * TICK)

    patient.__name__ = play.__name__
    return patient


@scene
@caught
def ordering(node: Node, tick: float) -> Seen:
    """A slow task of low priority, dependants of both kinds and of high priority, and a root that is its parent."""
    slow = node.task("slow", node.slow(tick), priority=3)
    required = node.task("required", node.ok(), priority=0, dependencies=[needs_task(slow, required=True)])
    optional = node.task("optional", node.ok(), priority=0, dependencies=[needs_task(slow, required=False)])
    root = node.task("root", node.ok())
    sent = node.flow(root, required, optional, slow)
    node.execute(*sent)
    during = node.running(slow)
    waiting = node.still([required, optional], seconds=0)
    return Seen(named(*sent), read(sent, node.settled(*sent)), {}, {"during": during, "waiting": waiting})


@scene
@caught
def awaited(node: Node, tick: float) -> Seen:
    """A slow task and dependants of both kinds, all of the same priority."""
    slow = node.task("slow", node.slow(tick))
    required = node.task("required", node.ok(), dependencies=[needs_task(slow, required=True)])
    optional = node.task("optional", node.ok(), dependencies=[needs_task(slow, required=False)])
    sent = node.flow(node.task("root", node.ok()), required, optional, slow)
    node.execute(*sent)
    during = node.running(slow)
    return Seen(named(*sent), read(sent, node.settled(*sent)), {}, {"during": during})


@scene
def running(node: Node) -> Seen:
    """A task that stays in progress, with a child that waits for it."""
    long = node.task("long", node.slow(LONG_SECONDS), inputs={"seconds": LONG_SECONDS})
    waiting = node.task("waiting", node.ok(), dependencies=[needs_task(long)])
    sent = node.flow(long, waiting)
    node.execute(*sent)
    now = node.running(long)
    if now.get("status") != "in_progress":
        raise Unmet(("AF-STATE-007",), f"a task of {LONG_SECONDS:g} s is {now.get('status')!r} soon after its start")
    return Seen(named(*sent), {"long": now, "waiting": node.get(waiting["id"])}, {}, {})


@scene
@caught
def cancelled_running(node: Node, tick: float) -> Seen:
    """A slow task cancelled in progress, with dependants of both kinds; watched beyond the end it would have had."""
    slow = node.task("slow", node.slow(2 * tick))
    required = node.task("required", node.ok(), dependencies=[needs_task(slow, required=True)])
    optional = node.task("optional", node.ok(), dependencies=[needs_task(slow, required=False)])
    root = node.task("root", node.ok())
    sent = node.flow(root, required, optional, slow)
    node.execute(*sent)
    during = node.running(slow)
    reply = node.call("tasks.cancel", {"task_id": slow["id"]})
    just_after = node.get(slow["id"])
    end = read(sent, node.still(sent, seconds=2 * tick + 0.2))
    return Seen(named(*sent), end, {"cancel": reply}, {"during": during, "just_after": just_after})


@scene
def cancelled_waiting(node: Node) -> Seen:
    """A task cancelled while it waits for another, with dependants of both kinds."""
    gate = node.task("gate", node.slow(LONG_SECONDS))
    victim = node.task("victim", node.ok(), dependencies=[needs_task(gate)])
    required = node.task("required", node.ok(), dependencies=[needs_task(victim, required=True)])
    optional = node.task("optional", node.ok(), dependencies=[needs_task(victim, required=False)])
    root = node.task("root", node.ok())
    sent = node.flow(root, required, optional, victim, gate)
    node.execute(*sent)
    before = node.get(victim["id"])
    reply = node.call("tasks.cancel", {"task_id": victim["id"], "error_message": "stopped by the kit"})
    node.ended(optional)
    end = read(sent, node.still(sent))
    node.call("tasks.cancel", {"task_id": gate["id"]})
    return Seen(named(*sent), end, {"cancel": reply}, {"before": before})


@scene
def priorities(node: Node) -> Seen:
    """A gate, and behind it tasks of every priority and one without, sent in an unhelpful order."""
    gate = node.task("gate", node.slow(TICK / 2))
    behind = [
        node.task(f"p{priority}", node.ok(), priority=priority, dependencies=[needs_task(gate)])
        for priority in (3, 1, 2, 0)
    ]
    absent = node.task("absent", node.ok(), dependencies=[needs_task(gate)])
    root = node.task("root", node.ok())
    sent = node.flow(root, behind[0], absent, *behind[1:], gate)
    node.execute(*sent)
    return Seen(named(*sent), read(sent, node.settled(*sent)), {}, {})


@scene
def concurrent(node: Node) -> Seen:
    """Three slow tasks that do not depend on each other, and ten quick ones."""
    slow = [node.task(f"slow{number}", node.slow()) for number in range(3)]
    equal = [node.task(f"equal{number}", node.ok()) for number in range(10)]
    root = node.task("root", node.ok())
    sent = node.flow(root, *slow, *equal)
    node.execute(*sent)
    return Seen(named(*sent), read(sent, node.settled(*sent)), {}, {})


@scene
def raced(node: Node) -> Seen:
    """One slow task, executed ten times at once, and thrice more while it is in progress."""
    task = node.task("raced", node.slow(3 * TICK))
    replies: dict[str, Reply] = {}

    def execute(name: str) -> None:
        replies[name] = node.call("tasks.execute", {"tasks": [task]})

    node.at_once(*(partial(execute, f"first {number}") for number in range(10)))
    during = node.running(task)
    node.at_once(*(partial(execute, f"later {number}") for number in range(3)))
    end = node.settled(task)
    return Seen(named(task), read([task], end), replies, {"during": during})


@scene
def unknown_executor(node: Node) -> Seen:
    """A task whose executor nobody registered, beside one that is."""
    node.ok()
    task = node.task("stranger", schemas={"method": f"no-such-executor-{new_id()[:8]}"})
    reply = node.call("tasks.execute", {"tasks": [task]})
    end = read([task], node.settled(task, blame=("AF-EXEC-008",))) if reply.error is None else {}
    return Seen(named(task), end, {"execute": reply}, {})


@scene
def schema_broken(node: Node) -> Seen:
    """Inputs that fit their input_schema, and the same schema with inputs that do not."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    good, bad = (node.task(name, node.ok(n=value)) for name, value in (("good", 1), ("bad", "one")))
    for task in (good, bad):
        task["schemas"] = {**task["schemas"], "input_schema": schema}
    control = node.call("tasks.execute", {"tasks": [good]})
    if control.result is MISSING:
        raise Unmet(
            ("AF-DATA-012", "AF-EXECUTE-004"), f"a task with a fitting input_schema was refused: {control.summary()}"
        )
    reply = node.call("tasks.execute", {"tasks": [bad]})
    end = read([good], node.settled(good))
    if reply.error is None:
        end |= read([bad], node.settled(bad, blame=("AF-VAL-004",)))
    return Seen(named(good, bad), end, {"execute": reply, "control": control}, {})


@scene
def rerun_failed(node: Node) -> Seen:
    """A failed task, executed again in the ways that the protocol leaves open (reading A21)."""
    task = node.task("again", node.fails("it fails each time"))
    node.execute(task)
    (first,) = node.settled(task)
    node.observed.rerun.add(task["id"])
    ways: list[tuple[str, Callable[[], Reply]]] = [
        ("tasks.execute with its id", lambda: node.call("tasks.execute", {"tasks": [task]})),
        ("tasks.update to pending, then tasks.execute", lambda: _reset_and_execute(node, task)),
        ("tasks.execute {task_id}", lambda: node.call("tasks.execute", {"task_id": task["id"]})),
    ]
    replies: dict[str, Reply] = {}
    for way, play in ways:
        replies[way] = play()
        if replies[way].error is None:
            break
    again: Task = first
    if any(reply.error is None for reply in replies.values()):
        again = node.until(
            task["id"],
            lambda it: it.get("status") == "failed" and it.get("completed_at") != first.get("completed_at"),
            what="a second failure",
            blame=("AF-REEX-001",),
        )
    return Seen(named(task), {"first": first, "again": again}, replies, {})


def _reset_and_execute(node: Node, task: Task) -> Reply:
    node.call("tasks.update", {"task_id": task["id"], "updates": {"status": "pending"}})
    return node.call("tasks.execute", {"tasks": [task]})


@scene
def reset(node: Node) -> Seen:
    """A failed task that tasks.update sets to pending, and what depends on it."""
    task = node.task("again", node.fails("it failed"), priority=1, params={"kept": True})
    node.execute(task)
    (first,) = node.settled(task)
    node.observed.rerun.add(task["id"])
    reply = node.call("tasks.update", {"task_id": task["id"], "updates": {"status": "pending"}})
    return Seen(named(task), {"first": first, "reset": node.get(task["id"])}, {"update": reply}, {})


@scene
def rerun_completed(node: Node) -> Seen:
    """A chain a, b, c that completed; then a is executed again, alone."""
    a = node.task("a", node.ok(mark="a"))
    b = node.task("b", node.ok(mark="b"), dependencies=[needs_task(a)])
    c = node.task("c", node.ok(mark="c"), dependencies=[needs_task(b)])
    sent = node.flow(a, c, b)
    node.execute(*sent)
    first = read(sent, node.settled(*sent))
    node.observed.rerun.update(task["id"] for task in sent)
    reply = node.call("tasks.execute", {"tasks": [a]})
    again = first
    if reply.error is None:
        node.settled(a)
        again = read(sent, node.still(sent, seconds=0.3))
    return Seen(named(*sent), again, {"execute": reply}, {"first": first})


@scene
def scheduled_twice(node: Node) -> Seen:
    """A task on an interval of a second that may run twice, watched beyond the time of a third run."""
    schedule = {"schedule_enabled": True, "schedule_type": "interval", "schedule_expression": "1", "max_runs": 2}
    made = node.create(**node.ok(), **schedule)
    node.observed.rerun.add(made)
    blame = ("AF-TIME-007",)
    node.until(made, lambda it: (it.get("run_count") or 0) >= 2, what="a second run", blame=blame, within=8.0)
    threading.Event().wait(1.5)
    return Seen({}, {"scheduled": node.get(made)}, {}, {})


@scene
def streamed(node: Node) -> Streamed:
    """A slow task and a root that waits for it, streamed by `use_streaming`."""
    slow = node.task("slow", node.slow())
    root = node.task("root", node.ok(), dependencies=[needs_task(slow)])
    return node.stream("tasks.execute", {"tasks": node.flow(root, slow), "use_streaming": True})


@scene
def streamed_by_metadata(node: Node) -> Streamed:
    """A task streamed by `metadata.stream`."""
    params = {"tasks": [node.task("root", node.ok())]}
    return node.stream("tasks.execute", params, metadata={"stream": True})


class Pushed(NamedTuple):
    """What was executed with callbacks, and the callbacks."""

    sent: dict[str, Task]
    reply: Reply
    callbacks: list[Callback]


def _push(node: Node, *, statuses: tuple[int, ...], settled: Callable[[list[Callback]], bool]) -> Pushed:
    slow = node.task("slow", node.slow(TICK / 2))
    root = node.task("root", node.ok(mark="pushed"), dependencies=[needs_task(slow)])
    with Receiver(statuses=statuses) as receiver:
        config = {
            "url": receiver.url("/cb"),
            "headers": {"Authorization": "Bearer kit", "X-Kit": "1"},
            "method": "POST",
        }
        configuration = {"push_notification_config": config}
        reply = node.call("tasks.execute", {"tasks": node.flow(root, slow)}, configuration=configuration)
        end = Deadline(4.0)
        found = receiver.wait(1, end) if reply.error is None else []
        while found and not settled(found):
            more = receiver.wait(len(found) + 1, end)
            if len(more) == len(found):
                break
            found = more
    return Pushed(named(root, slow), reply, found)


def _ended(callbacks: list[Callback]) -> bool:
    return sum(b"completed" in callback.body for callback in callbacks) >= 2


def _repeated(callbacks: list[Callback]) -> bool:
    bodies = [callback.body for callback in callbacks]
    return _ended(callbacks) and len(set(bodies)) < len(bodies)


@scene
def pushed(node: Node) -> Pushed:
    """A slow task and a root that waits for it, with callbacks."""
    return _push(node, statuses=(), settled=_ended)


@scene
def pushed_twice(node: Node) -> Pushed:
    """The same, with a receiver whose first answer is a server error."""
    return _push(node, statuses=(500,), settled=_repeated)


class Scenes:
    """Plays scenes in threads of their own, each with its own Node."""

    def __init__(self, make_node: Callable[[], Node]) -> None:
        self._make_node = make_node
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="scene")
        self._playing: dict[str, tuple[Node, Future[Json]]] = {}

    def start(self, name: str) -> None:
        """Begins to play a scene unless it has been begun."""
        if name not in self._playing:
            node = self._make_node()
            self._playing[name] = (node, self._threads.submit(SCENES[name], node))

    def watch(self, name: str, node: Node, *, within: float = 30.0) -> Json:
        """What the scene returned or raised; its exchanges are added to the log of `node`."""
        self.start(name)
        own, playing = self._playing[name]
        try:
            return playing.result(timeout=within)
        except TimeoutError:
            raise Unmet(("AF-IND-005", "AF-TRANS-001"), f"the flow {name!r} was not over within {within:g} s") from None
        finally:
            node.log += own.log

    def ended(self, name: str) -> Json:
        """What a scene returned; None where it was not begun, is still playing, or raised."""
        if name not in self._playing:
            return None
        playing = self._playing[name][1]
        return playing.result() if playing.done() and playing.exception() is None else None

    def close(self) -> None:
        """Lets go of the threads; whatever still plays ends at its own deadlines."""
        self._threads.shutdown(wait=False, cancel_futures=True)
