"""Queue: which task runs next, decided in memory for all runs at once.

A *run* is what one flow has under way. Of the tasks that are ready, a smaller priority number goes first; among equals
the runs take turns, so that a large one does not starve a small one; within a run the earlier arrival goes first.
Knows nothing of tasks beyond their keys, and neither clock nor store. A step costs the same whatever the size, apart
from the logarithm of how many tasks of one run are ready.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from heapq import heappop, heappush
from typing import Final

import msgspec

PRIORITIES: Final = 4


class Phase(IntEnum):
    """Where a task stands for the queue."""

    WAITING = 0
    """For a dependency; for ever where a required one did not complete."""
    READY = 1
    TAKEN = 2
    """Handed out, and not settled yet."""
    COMPLETED = 3
    LOST = 4
    """Failed or cancelled."""
    IDLE = 5
    """Pending, but no longer to be executed: it neither runs nor lets others run, unless it joins again."""


_UNSETTLED: Final = (Phase.WAITING, Phase.READY, Phase.TAKEN)


class Need(msgspec.Struct, frozen=True):
    """A dependency. `outcome` is that of a task which no run has: completed, not completed, or None: not ended."""

    key: str
    required: bool = True
    outcome: bool | None = None


class Member(msgspec.Struct, frozen=True):
    """A pending task that takes part in a run; `group` names what bounds how many run at once beside it, if anything
    does."""

    key: str
    priority: int = 2
    needs: tuple[Need, ...] = ()
    group: str | None = None


class Node:
    """A task in the queue, which alone changes it."""

    __slots__ = (
        *("group", "key", "needs", "optional_to", "order", "phase"),
        *("priority", "required", "required_by", "run", "unmet"),
    )

    def __init__(self, key: str) -> None:
        self.key = key
        self.run: Run | None = None
        """None where the task is known only because tasks of runs depend on it."""
        self.priority = 2
        self.group: str | None = None
        self.order = 0
        self.phase = Phase.WAITING
        self.unmet = 0
        """Dependencies that are not satisfied."""
        self.needs: tuple[Node, ...] = ()
        self.required = b""
        """For each of `needs` 1 where it is required, else 0."""
        self.required_by: list[Node] | None = None
        self.optional_to: list[Node] | None = None

    def __lt__(self, other: Node) -> bool:
        """Heaps compare nodes where the order is the same, which is when both are one."""
        return False

    def __repr__(self) -> str:
        return f"<Node {self.key} {self.phase.name} unmet={self.unmet}>"

    def count_unmet(self) -> int:
        """Dependencies that are not satisfied now, counted anew."""
        if not self.needs:
            return 0
        return sum(
            need.phase is not Phase.COMPLETED and (need.phase is not Phase.LOST or required)
            for need, required in zip(self.needs, self.required, strict=True)
        )


class Run:
    """The tasks of one flow that are under way."""

    __slots__ = ("arrived", "heaps", "nodes", "open", "outside", "root")

    def __init__(self, root: str) -> None:
        self.root = root
        self.nodes: list[Node] = []
        self.open = 0
        """Tasks that are ready or taken: while there are any, something goes on."""
        self.arrived = 0
        self.heaps: tuple[list[tuple[int, Node]], ...] = ([], [], [], [])
        self.outside: list[Node] = []
        """Tasks of other flows that tasks of this one wait for."""

    def __repr__(self) -> str:
        return f"<Run {self.root}: {self.open} open of {len(self.nodes)}>"


class _Group:
    """Tasks of which only so many may be taken at once."""

    __slots__ = ("free", "parked")

    def __init__(self, limit: int) -> None:
        self.free = limit
        self.parked: deque[Node] = deque()
        """Ready tasks whose turn came when nothing was free."""


class ReadyQueue:
    """All runs with their tasks; a task is in at most one of them. `limits` bounds the taken tasks of each group."""

    def __init__(self, limits: Mapping[str, int] | None = None) -> None:
        self._groups = {name: _Group(limit) for name, limit in (limits or {}).items()}
        self._nodes: dict[str, Node] = {}
        self._runs: dict[str, Run] = {}
        self._turns: tuple[deque[Run], ...] = tuple(deque[Run]() for _ in range(PRIORITIES))
        self._abroad: set[Run] = set()
        """Runs that wait for tasks of others; usually none."""
        self._stalled: list[Run] = []

    def find(self, key: str) -> Node | None:
        """The node of a task that takes part in a run, or that one in a run depends on."""
        return self._nodes.get(key)

    def run_of(self, root: str) -> Run | None:
        """The run of a flow, where it has one."""
        return self._runs.get(root)

    @property
    def runs(self) -> Iterable[Run]:
        """All runs, oldest first."""
        return self._runs.values()

    # --- filling and taking -----------------------------------------------------------------------

    def join(self, root: str, members: Iterable[Member]) -> Run:
        """Let pending tasks take part in the run of `root`, which begins with the first of them.

        One that was settled in this run begins again; one that waits, is ready or is taken stays where it is.
        """
        run = self._runs.get(root)
        if run is None:
            run = self._runs[root] = Run(root)
        entered: list[Node] = []
        needing: list[tuple[Node, tuple[Need, ...]]] = []
        for member in members:
            node = self._nodes.get(member.key)
            if node is None:
                node = self._nodes[member.key] = Node(member.key)
            elif node.phase in _UNSETTLED and node.run is not None:
                continue
            else:
                self._reopen(node)
            node.phase = Phase.WAITING
            if node.run is not run:
                if node.run is not None:
                    # It came from another flow, where others may wait for it.
                    self._look_out(node.run, node)
                self._untie(node)
                node.run = run
                node.order = run.arrived
                run.arrived += 1
                run.nodes.append(node)
            elif not _has_needs(node, member.needs):
                self._untie(node)
            if member.needs and not node.needs:
                needing.append((node, member.needs))
            node.priority, node.group = member.priority, member.group
            entered.append(node)
        for node, needs in needing:
            self._tie(node, needs)
        for node in entered:
            # Counted anew for those that begin again: what they need may have begun again, too.
            node.unmet = node.count_unmet()
            if not node.unmet:
                self._make_ready(node)
        return run

    def take(self) -> Node | None:
        """The next ready task, which counts as taken; None where there is none."""
        for priority, turns in enumerate(self._turns):
            while turns:
                run = turns.popleft()
                heap = run.heaps[priority]
                node = _pop(heap, priority)
                if heap:
                    turns.append(run)
                if node is not None and self._occupy(node):
                    node.phase = Phase.TAKEN
                    return node
        return None

    def put_back(self, node: Node) -> None:
        """Let a taken task be ready again, at its old place, unless it has come to wait for something."""
        if node.phase is Phase.TAKEN:
            self._leave(node)
            node.phase = Phase.WAITING
            node.unmet = node.count_unmet()
            if not node.unmet:
                self._make_ready(node)

    # --- changes ----------------------------------------------------------------------------------

    def settle(self, node: Node, *, completed: bool) -> None:
        """A task has ended, taken or not; what waited for it alone is ready now."""
        if node.phase in (Phase.COMPLETED, Phase.LOST):
            return
        self._leave(node)
        node.phase = Phase.COMPLETED if completed else Phase.LOST
        if completed:
            self._satisfy(node.required_by)
        self._satisfy(node.optional_to)
        self._tell_others(node)

    def retire(self, node: Node) -> None:
        """A task is pending and not to be executed: what had relied on its end waits again, unless it was taken."""
        if node.phase is Phase.IDLE:
            return
        self._leave(node)
        self._reopen(node)
        node.phase = Phase.IDLE
        self._tell_others(node)

    def correct(self, node: Node) -> None:
        """A task that was settled as completed was lost after all; what it had made ready waits again."""
        if node.phase is Phase.COMPLETED:
            node.phase = Phase.LOST
            self._withhold(node.required_by)

    def revise(self, member: Member) -> None:
        """A pending task has another priority, group or other dependencies now."""
        node = self._nodes.get(member.key)
        if node is None or node.run is None:
            return
        self._leave(node)
        if node.phase in (Phase.READY, Phase.TAKEN):
            # One that was taken has not started: it is taken again, as what it is now.
            node.phase = Phase.WAITING
        self._untie(node)
        node.priority, node.group = member.priority, member.group
        self._tie(node, member.needs)
        if node.phase is Phase.WAITING and not node.unmet:
            self._make_ready(node)

    def is_over(self, run: Run, *, ending: int = 0) -> bool:
        """Whether nothing of a run can become ready any more, unless someone intervenes; `ending` of its open tasks
        count as settled, for which nobody waits.
        """
        seen: set[str] = set()
        pending = [run]
        while pending:
            each = pending.pop()
            if each.open > (ending if each is run else 0):
                return False
            seen.add(each.root)
            pending += [
                node.run
                for node in each.outside
                if node.run is not None and node.run.root not in seen and _is_awaited(node, each)
            ]
        return True

    def take_stalled(self) -> list[Run]:
        """Runs with nothing open that had waited for a task of another one, which has ended since this was last asked:
        it may have been all that could still come.
        """
        stalled, self._stalled = self._stalled, []
        return stalled

    def end(self, run: Run) -> list[Node]:
        """Forget a run that is over; returns its tasks that were never taken."""
        left = [node for node in run.nodes if node.phase is Phase.WAITING and node.run is run]
        del self._runs[run.root]
        self._abroad.discard(run)
        for node in run.nodes:
            if node.run is run:
                node.run = None
                node.needs, node.required = (), b""
        for nodes in (run.nodes, dict.fromkeys(run.outside)):
            for node in nodes:
                node.required_by = _in_runs(node.required_by)
                node.optional_to = _in_runs(node.optional_to)
                if node.run is None and not (node.required_by or node.optional_to):
                    self._nodes.pop(node.key, None)
        run.nodes = []
        run.outside = []
        return left

    # --- inside -----------------------------------------------------------------------------------

    def _tie(self, node: Node, needs: Iterable[Need]) -> None:
        assert node.run is not None
        tied: list[Node] = []
        required = bytearray()
        for need in needs:
            wanted = self._nodes.get(need.key)
            if wanted is None:
                # What is not of a run counts by its outcome, until somebody resets, executes or cancels it.
                wanted = self._nodes[need.key] = Node(need.key)
                if need.outcome is not None:
                    wanted.phase = Phase.COMPLETED if need.outcome else Phase.LOST
            if wanted.run is not node.run:
                self._look_out(node.run, wanted)
            if need.required:
                wanted.required_by = _with(wanted.required_by, node)
            else:
                wanted.optional_to = _with(wanted.optional_to, node)
            tied.append(wanted)
            required.append(need.required)
        node.needs = tuple(tied)
        node.required = bytes(required)
        node.unmet = node.count_unmet()

    def _look_out(self, run: Run, node: Node) -> None:
        run.outside.append(node)
        self._abroad.add(run)

    def _tell_others(self, node: Node) -> None:
        if not self._abroad:
            return
        for dependant in (*(node.required_by or ()), *(node.optional_to or ())):
            run = dependant.run
            if run is not None and run is not node.run and not run.open:
                self._stalled.append(run)

    def _occupy(self, node: Node) -> bool:
        group = self._groups.get(node.group or "")
        if group is None:
            return True
        if group.free:
            group.free -= 1
            return True
        group.parked.append(node)
        return False

    def _vacate(self, node: Node) -> None:
        group = self._groups.get(node.group or "")
        if group is not None:
            group.free += 1
            self._call(group, node.group)

    def _call(self, group: _Group, name: str | None) -> None:
        """Let the first of those that had to wait for a group have its turn, if something is free."""
        while group.free and group.parked:
            parked = group.parked.popleft()
            if parked.phase is Phase.READY and parked.run is not None and parked.group == name:
                self._enqueue(parked, parked.run)
                return

    def _untie(self, node: Node) -> None:
        if not node.needs:
            return
        for wanted, required in zip(node.needs, node.required, strict=True):
            dependants = wanted.required_by if required else wanted.optional_to
            # Where the run of `wanted` has ended, it forgot who waited for it.
            if dependants and node in dependants:
                dependants.remove(node)
        node.needs, node.required = (), b""

    def _satisfy(self, dependants: list[Node] | None) -> None:
        for dependant in dependants or ():
            if dependant.phase is Phase.WAITING and dependant.run is not None:
                dependant.unmet -= 1
                if not dependant.unmet:
                    self._make_ready(dependant)

    def _reopen(self, node: Node) -> None:
        """A task that may have been settled is pending again: whom it had satisfied waits for it again."""
        if node.phase is Phase.COMPLETED:
            self._withhold(node.required_by)
        if node.phase in (Phase.COMPLETED, Phase.LOST):
            self._withhold(node.optional_to)

    def _leave(self, node: Node) -> None:
        """A task is no longer ready or taken, if it was."""
        if node.phase in (Phase.READY, Phase.TAKEN):
            assert node.run is not None
            node.run.open -= 1
        if node.phase is Phase.TAKEN:
            self._vacate(node)
        elif node.phase is Phase.READY and (group := self._groups.get(node.group or "")) is not None:
            # It may have been called when something became free, which is another's now.
            self._call(group, node.group)

    def _withhold(self, dependants: list[Node] | None) -> None:
        for dependant in dependants or ():
            if dependant.phase is Phase.READY:
                self._leave(dependant)
                dependant.phase = Phase.WAITING
            if dependant.phase is Phase.WAITING:
                dependant.unmet += 1

    def _make_ready(self, node: Node) -> None:
        if node.phase is not Phase.WAITING:
            return
        assert node.run is not None
        node.phase = Phase.READY
        node.run.open += 1
        self._enqueue(node, node.run)

    def _enqueue(self, node: Node, run: Run) -> None:
        heap = run.heaps[node.priority]
        if not heap:
            self._turns[node.priority].append(run)
        heappush(heap, (node.order, node))


def _pop(heap: list[tuple[int, Node]], priority: int) -> Node | None:
    """The first entry that still says what is so: entries of tasks that were withdrawn stay until they come up."""
    while heap:
        _, node = heappop(heap)
        if node.phase is Phase.READY and node.priority == priority:
            return node
    return None


def _is_awaited(node: Node, run: Run) -> bool:
    """Whether a task of a run waits for one that has not ended."""
    dependants = (*(node.required_by or ()), *(node.optional_to or ()))
    return node.phase in _UNSETTLED and any(it.run is run and it.phase is Phase.WAITING for it in dependants)


def _has_needs(node: Node, needs: Sequence[Need]) -> bool:
    return len(node.needs) == len(needs) and all(
        tied.key == need.key and bool(required) == need.required
        for tied, required, need in zip(node.needs, node.required, needs, strict=True)
    )


def _with(nodes: list[Node] | None, node: Node) -> list[Node]:
    if nodes is None:
        return [node]
    nodes.append(node)
    return nodes


def _in_runs(nodes: list[Node] | None) -> list[Node] | None:
    return [node for node in nodes or () if node.run is not None] or None
