"""The engine: programs from every source, played until the time is over, faults made findings and made small.

The order is the same for the same seed: what was kept, raw requests, the systematic cases of every method, then rounds
of random ones. With one worker the requests are the same, too, as far as the target answers the same.
"""

from __future__ import annotations

import base64
import json
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

import msgspec

from protogen_compliance.fuzz import findings, models, raw
from protogen_compliance.fuzz.checks import Away, Fault
from protogen_compliance.fuzz.description import Description, Json, Operation, describe
from protogen_compliance.fuzz.endpoint import Endpoint
from protogen_compliance.fuzz.findings import Finding, Kept
from protogen_compliance.fuzz.preflight import role_of
from protogen_compliance.fuzz.shrinking import Spent, grafts, shortened, smallest
from protogen_compliance.fuzz.steps import UNKNOWN_MEMBER, Found, Program, Session, Step, call, raw_step
from protogen_compliance.peer.http import Exchange, parse_url

GRAFTED_EXAMPLES = 2
DRAWN = 8
"""Random cases of each kind for each method in a round."""
LINKED = 12
LINKED_STEPS = 10
MUTATED = 60
WALKS = 6
WALK_STEPS = 30
SHRINK_SECONDS = 10.0
SHRINK_PLAYS = 400


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is told. `rounds` ends it earlier than `seconds`, at the same request each time."""

    url: str
    protocol: str
    headers: dict[str, str] = {}
    other_headers: dict[str, str] | None = None
    """Headers of a second identity, which must not see what the first has."""
    role: str | None = None
    without: tuple[str, ...] = ()
    seconds: float = 60.0
    rounds: int | None = None
    seed: int = 0
    workers: int = 1
    go_on: bool = False
    timeout: float = 10.0
    folder: Path | None = None
    """Where programs are kept; None for nowhere."""
    options: dict[str, str] = {}
    """What a protocol's model wants to know."""


class Progress(NamedTuple):
    """How far a run is."""

    phase: str
    seconds: float
    requests: int
    met: int
    found: int


Tell: TypeAlias = Callable[[Progress], None]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A finished run. `met` counts answers by method and status; `documented` are the pairs that the document has."""

    protocol: str
    url: str
    role: str
    seed: int
    seconds: float
    rounds: int
    requests: int
    programs: int
    met: dict[str, dict[str, int]]
    documented: int
    documented_met: int
    findings: list[Finding]
    ended: str = ""
    """Why the run ended before its time; empty where it did not."""

    @property
    def clean(self) -> bool:
        """Whether nothing was found that a MUST forbids."""
        return all(it.level != "must" for it in self.findings)


class Walk(NamedTuple):
    """A walk of the protocol's model, drawn while it is played."""

    origin: str
    chance: str


Work: TypeAlias = Program | Walk


def run(settings: Settings, document: Json, *, on_progress: Tell | None = None) -> Run:
    """Fuzzes the target; raises NoTarget where there is none, ValueError for a bad address."""
    return _Run(settings, describe(settings.protocol, document), on_progress).run()


class _Run:
    """One run; its members are shared by the workers."""

    def __init__(self, settings: Settings, description: Description, on_progress: Tell | None) -> None:
        self._settings = settings
        self._on_progress = on_progress
        self._began = time.monotonic()
        self._deadline = self._began + settings.seconds
        self._url = parse_url(settings.url)
        if self._url.path == "/":
            self._url = self._url._replace(path=description.path)
        self._description = description
        self._lock = threading.Lock()
        self._found: dict[tuple[str, str, int | None], Finding] = {}
        self._met: Counter[tuple[str, int]] = Counter()
        self._kept: list[Kept] = []
        self._requests = 0
        self._programs = 0
        self._rounds = 0
        self._phase = "preflight"
        self._away = ""

    def run(self) -> Run:
        """The whole run."""
        settings = self._settings
        session = self._session()
        try:
            role = role_of(session.ours, self._description, settings.role)
        finally:
            self._close(session)
        left_out = {*settings.without, *models.left_out(self._description.name)}
        ignored = models.ignored(self._description.name)
        null_params = "null params" in models.departures(self._description.name)
        chosen = {
            name: operation.but_for(ignored.get(name, frozenset()), null=null_params)
            for name, operation in self._description.operations.items()
            if operation.role == role and name not in left_out
        }
        self._description = self._description._replace(operations=chosen)
        for phase, works in self._phases():
            self._phase = phase
            self._work(works)
            if self._over() or self._away or (self._found_must() and not settings.go_on):
                break
        return self._finished(role)

    def _phases(self) -> Iterator[tuple[str, Iterable[Work]]]:
        from protogen_compliance.fuzz.schemathesis_cases import Cases

        cases = Cases(self._description.document)
        sources = _Sources(self._description, cases, self._settings)
        if self._settings.folder is not None:
            programs = [it.program for it in findings.read(self._settings.folder)]
            known = {"", *self._description.operations}
            yield (
                "kept",
                [it for it in programs if all(step.kind == "act" or step.method in known for step in it.steps)],
            )
        yield "systematic", sources.systematic()
        while self._settings.rounds is None or self._rounds < self._settings.rounds:
            self._rounds += 1
            yield f"round {self._rounds}", sources.round(self._rounds)

    # --- workers ----------------------------------------------------------------------------------

    def _session(self) -> Session:
        settings = self._settings

        def endpoint(headers: dict[str, str]) -> Endpoint:
            made = Endpoint(self._url, self._description, headers=headers, patience=settings.timeout)
            made.forget()
            return made

        theirs = endpoint(settings.other_headers) if settings.other_headers is not None else None
        new_model = models.find(self._description.name, self._description.operations.keys())
        factory = None
        if new_model is not None:
            factory = lambda session: new_model(session, settings.options)  # noqa: E731 - a def would need its types twice
        return Session(self._description, endpoint(settings.headers), theirs, factory)

    def _work(self, works: Iterable[Work]) -> None:
        """Plays all works of a phase; makes them in this thread, since schemathesis is not made for several."""
        if self._settings.workers == 1:
            session = self._session()
            for work in works:
                if self._done():
                    break
                self._one(session, work)
            self._close(session)
            return
        pending: queue.Queue[Work | None] = queue.Queue(maxsize=4 * self._settings.workers)
        raised: list[BaseException] = []

        def worker() -> None:
            session = self._session()
            try:
                while (work := pending.get()) is not None:
                    if not (self._done() or raised):
                        self._one(session, work)
            except BaseException as reason:  # noqa: BLE001 - whatever ends a worker ends the run: raised again below
                raised.append(reason)
                while pending.get() is not None:
                    pass
            finally:
                self._close(session)

        threads = [threading.Thread(target=worker, daemon=True) for _ in range(self._settings.workers)]
        for thread in threads:
            thread.start()
        for work in works:
            if self._done() or raised:
                break
            pending.put(work)
        for _ in threads:
            pending.put(None)
        for thread in threads:
            thread.join()
        if raised:
            raise raised[0]

    def _close(self, session: Session) -> None:
        session.ours.close()
        if session.theirs is not None:
            session.theirs.close()

    def _one(self, session: Session, work: Work) -> None:
        try:
            program, fault = self._walk(session, work) if isinstance(work, Walk) else (work, session.play(work))
            exchanges = session.exchanges
            self._account(session, program)
            if fault is not None:
                self._record(session, fault, program, exchanges)
        except Away as reason:
            with self._lock:
                if not self._away:
                    self._away = str(reason)
                    program = work if isinstance(work, Program) else Program(origin=work.origin, steps=[])
                    text = f"the target went away: {reason}"
                    fault = Fault(check="alive", method=_last_method(program), text=text)
                    self._found[fault.key] = findings.finding(self._description.name, fault, program, session.exchanges)

    def _walk(self, session: Session, walk: Walk) -> tuple[Program, Fault | None]:
        chance = random.Random(walk.chance)
        session.begin()
        model = session.new_model()
        assert model is not None, "walks are drawn only where there is a model"
        steps: list[Step] = []
        fault: Fault | None = None
        try:
            while len(steps) < WALK_STEPS and not self._over():
                action, arguments = model.draw(chance)
                steps.append(Step(kind="act", method=action, params=arguments))
                model.play(action, arguments)
        except Found as found:
            fault = found.fault
        return Program(origin=walk.origin, steps=steps), fault

    def _account(self, session: Session, program: Program) -> None:
        """Adds what a program did to the run, and keeps it where it met an answer that none had met before."""
        with self._lock:
            self._programs += 1
            self._requests += session.requests
            new = [pair for pair in session.met if pair not in self._met and pair[0] in self._description.operations]
            self._met.update(session.met)
            if new and program.steps:
                method, status = new[0]
                name = f"met-{method.replace('/', '_')}-{status}"
                self._kept.append(Kept(name=name, program=program))
            session.requests = 0
            session.met.clear()
            warnings, session.warnings = session.warnings, []
            for fault, exchanges in warnings:
                self._add(fault, program, exchanges)
        if self._on_progress is not None:
            self._on_progress(self._progress())

    def _add(self, fault: Fault, program: Program, exchanges: list[Exchange]) -> bool:
        """Counts a fault; whether it is a new one. The caller holds the lock."""
        known = self._found.get(fault.key)
        if known is not None:
            known.times += 1
            return False
        self._found[fault.key] = findings.finding(self._description.name, fault, program, exchanges)
        return True

    def _record(self, session: Session, fault: Fault, program: Program, exchanges: list[Exchange]) -> None:
        with self._lock:
            if not self._add(fault, program, exchanges):
                return
        plays = 0
        ends = time.monotonic() + SHRINK_SECONDS
        last: tuple[Program, list[Exchange], str] | None = None

        def shows(candidate: Program) -> bool:
            nonlocal plays, last
            plays += 1
            if plays > SHRINK_PLAYS or time.monotonic() > ends:
                raise Spent
            again = session.play(candidate)
            session.warnings.clear()
            if again is None or again.key != fault.key:
                return False
            last = candidate, session.exchanges, again.text
            return True

        found = self._found[fault.key]
        if shows(program):
            smallest(program, shows)
        if last is None:
            found.repeats = False
        else:
            small, exchanged, text = last
            found.program = small
            found.text = text
            found.exchanges = findings.finding(self._description.name, fault, small, exchanged).exchanges
        with self._lock:
            self._requests += session.requests
            session.requests = 0
            session.met.clear()
            session.warnings.clear()

    # --- the state of the run ---------------------------------------------------------------------

    def _done(self) -> bool:
        """Whether a phase ends here: what is systematic is finished, so that it finds all causes that it can."""
        enough = self._rounds > 0 and self._found_must() and not self._settings.go_on
        return self._over() or bool(self._away) or enough

    def _over(self) -> bool:
        return time.monotonic() >= self._deadline

    def _found_must(self) -> bool:
        return any(it.level == "must" for it in self._found.values())

    def _documented(self) -> tuple[int, int]:
        """How many pairs of method and status the document has, and how many of them were met."""
        pairs = {(it.method, status) for it in self._description.operations.values() for status in it.statuses}
        return len(pairs), len(pairs & self._met.keys())

    def _progress(self) -> Progress:
        seconds = time.monotonic() - self._began
        return Progress(self._phase, seconds, self._requests, self._documented()[1], len(self._found))

    def _finished(self, role: str) -> Run:
        settings = self._settings
        found = findings.by_cause(self._found.values())
        if settings.folder is not None:
            kept = [Kept(name=it.id, finding=it.title, program=it.program) for it in found if it.program.steps]
            findings.keep(settings.folder, [*kept, *self._kept])
        documented, met = self._documented()
        table: dict[str, dict[str, int]] = {}
        for (method, status), count in sorted(self._met.items()):
            table.setdefault(method, {})[str(status)] = count
        return Run(
            protocol=self._description.name,
            url=settings.url,
            role=role,
            seed=settings.seed,
            seconds=round(time.monotonic() - self._began, 3),
            rounds=self._rounds,
            requests=self._requests,
            programs=self._programs,
            met=table,
            documented=documented,
            documented_met=met,
            findings=found,
            ended=self._away,
        )


def _last_method(program: Program) -> str:
    return program.steps[-1].method if program.steps and program.steps[-1].kind != "act" else ""


class _Sources:
    """Makes the programs of a run."""

    def __init__(self, description: Description, cases: Json, settings: Settings) -> None:
        self._description = description
        self._cases = cases
        self._settings = settings
        self._tamed = models.tamer(description.name)
        self._departures = models.departures(description.name)
        self._model = models.find(description.name, description.operations.keys())

    def _params(self, method: str, params: Json) -> Json:
        """Params that ask for nothing that takes long, where the protocol's model knows such."""
        return self._tamed(method, params) if self._tamed is not None else params

    def _example(self) -> tuple[str, Json]:
        """A request that is likely to be answered by a result and to change nothing."""
        found: list[tuple[bool, bool, str, Json]] = []
        for operation in self._description.operations.values():
            empty: Json = [] if operation.by_position else {}
            good = [it for it in (empty, *operation.examples) if operation.params(it) is None]
            if good and operation.request:
                found.append((not operation.idempotent, good[0] != empty, operation.method, good[0]))
        if not found:
            return next(iter(self._description.operations)), {}
        _, _, method, params = min(found, key=lambda it: it[:2])
        return method, self._params(method, params)

    def systematic(self) -> Iterator[Program]:
        """What every run begins with: raw requests, examples, coverage of the schema."""
        method, params = self._example()
        for it in raw.fixed(method, params, known=tuple(self._description.operations), departures=self._departures):
            yield Program(origin="raw", steps=[raw_step(it.body, it.expect, dict(it.headers))])
        if self._settings.other_headers is not None:
            body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
            for value in (None, "nobody", "Bearer nobody"):
                headers: dict[str, str | None] = dict.fromkeys(self._settings.headers, value)
                yield Program(origin="credentials", steps=[raw_step(body, "stranger", headers)])
        for operation in self._description.operations.values():
            yield from self._of_examples(operation)
        yield from self._tour()
        for operation in self._description.operations.values():
            for case in self._cases.coverage(operation.method):
                yield Program(origin=f"coverage: {case.about}", steps=[self._step(operation, case)])
            if operation.request:
                yield Program(origin="no params", steps=[Step(method=operation.method, bare=True)])
                yield from self._grafted(operation)

    def _tour(self) -> Iterator[Program]:
        """The short walks of the protocol's model."""
        for about, actions in self._model.tour() if self._model is not None else ():
            steps = [Step(kind="act", method=action, params=arguments) for action, arguments in actions]
            yield Program(origin=f"tour: {about}", steps=steps)

    def _grafted(self, operation: Operation) -> Iterator[Program]:
        """Valid examples with one member changed or left out: nothing else in them can be what a server refuses.

        Identifiers come from a call before, where the document links one to the method.
        """
        made = [case.params for case in self._cases.coverage(operation.method) if case.params is not None]
        seen: set[str] = set()
        for example in [it for it in operation.examples if isinstance(it, dict)][:GRAFTED_EXAMPLES]:
            before, uses = self._provider(operation)
            candidates = [*shortened(example), *(graft for other in made for graft in grafts(example, other))]
            for candidate in candidates:
                key = json.dumps(candidate, sort_keys=True)
                if key in seen or any(name not in candidate or candidate[name] != example[name] for name in uses):
                    continue
                seen.add(key)
                if operation.params(candidate) is not None:
                    step = call(operation.method, self._params(operation.method, candidate), uses=uses)
                    yield Program(origin="one member changed", steps=[*before, step])

    def _provider(self, operation: Operation) -> tuple[list[Step], dict[str, str]]:
        """A call whose result has what a method wants to be given, and what to take from it."""
        for source in self._description.operations.values():
            links = [link for link in source.links if link.target == operation.method]
            needed = operation.needed & {link.param for link in links}
            if needed and source is not operation and source.examples:
                pointers = {link.param: link.pointer for link in reversed(links)}
                step = call(source.method, self._params(source.method, source.examples[0]), name="before")
                return [step], {name: f"before#{pointers[name]}" for name in sorted(needed)}
        return [], {}

    def _of_examples(self, operation: Operation) -> Iterator[Program]:
        for params in operation.examples:
            sent = self._params(operation.method, params)
            if not operation.request:
                yield Program(origin="example", steps=[Step(kind="notify", method=operation.method, params=sent)])
                continue
            steps = [call(operation.method, sent, name="plain")]
            if isinstance(sent, dict) and operation.params({**sent, UNKNOWN_MEMBER: 1}) is None:
                steps.append(call(operation.method, {**sent, UNKNOWN_MEMBER: {"a": [1]}}, like="plain"))
            yield Program(origin="example", steps=steps)

    def round(self, number: int) -> Iterator[Work]:
        """One round of random programs."""
        seed = f"{self._settings.seed}/{number}"
        chance = random.Random(seed)
        if self._model is not None:
            for at in range(WALKS):
                yield Walk(f"walk {seed}/{at}", f"{seed}/walk/{at}")
        pool: dict[str, list[Json]] = {}
        for operation in self._description.operations.values():
            pool[operation.method] = [self._params(operation.method, it) for it in operation.examples]
            for step in self._drawn(operation, chance, positive=True):
                if step.kind == "call":
                    pool[operation.method].append(step.params)
                yield Program(origin=f"random {seed}", steps=[step])
        for _ in range(LINKED):
            yield self._linked(chance, pool, f"linked {seed}")
        for operation in self._description.operations.values():
            for step in self._drawn(operation, chance, positive=False):
                yield Program(origin=f"random {seed}", steps=[step])
        bodies = [
            json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
            for method, all_params in pool.items()
            for params in all_params
        ]
        for _ in range(MUTATED if bodies else 0):
            it = raw.mutated(chance, bodies)
            yield Program(origin=f"mutated {seed}", steps=[raw_step(it.body, it.expect)])

    def _drawn(self, operation: Operation, chance: random.Random, *, positive: bool) -> list[Step]:
        """Random cases of a method."""
        found = self._cases.drawn(operation.method, positive=positive, chance=chance.getrandbits(64), count=DRAWN)
        return [self._step(operation, case) for case in found]

    def _step(self, operation: Operation, case: Json) -> Step:
        if case.body is not None:
            return Step(kind="bytes", method=operation.method, body=base64.b64encode(case.body).decode())
        params = self._params(operation.method, case.params)
        return Step(kind="call" if operation.request else "notify", method=operation.method, params=params)

    def _linked(self, chance: random.Random, pool: dict[str, list[Json]], origin: str) -> Program:
        """A sequence in which params take identifiers from results before them, as the document's links say."""
        steps: list[Step] = []
        made: list[tuple[str, Operation]] = []
        methods = [name for name, params in pool.items() if params and self._description.operations[name].request]
        while methods and len(steps) < LINKED_STEPS:
            operation = self._description.operations[chance.choice(methods)]
            params = chance.choice(pool[operation.method])
            uses: dict[str, str] = {}
            for name, source in chance.sample(made, len(made)):
                for link in source.links:
                    if link.target == operation.method and link.param not in uses and chance.random() < 0.8:
                        uses[link.param] = f"{name}#{link.pointer}"
            name = f"s{len(steps)}"
            steps.append(Step(name=name, method=operation.method, params=params, uses=uses))
            made.append((name, operation))
        if self._settings.other_headers is not None:
            steps += [step for name, source in made for step in self._prying(name, source, pool)]
        return Program(origin=origin, steps=steps)

    def _prying(self, name: str, source: Operation, pool: dict[str, list[Json]]) -> Iterator[Step]:
        """The second identity asks for what the first one's call made."""
        for link in source.links:
            params = next((it for it in pool.get(link.target, ()) if isinstance(it, dict)), None)
            if params is not None and link.target in self._description.operations:
                uses = {link.param: f"{name}#{link.pointer}"}
                yield Step(method=link.target, params=params, uses=uses, other=True, secret=True)
