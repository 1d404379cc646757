"""The log: records into a bounded queue, one JSON object per line out of a thread. Putting never blocks.

Knows nothing of calls. A sink that is slow or stuck costs records, which are counted, and never time of the caller.
structlog writes the lines and is what handlers log with; it is imported by the thread, off the start of a server.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Literal, Protocol, TypeAlias

from . import text

Level: TypeAlias = Literal["debug", "info", "warning", "error", "critical"]
LEVELS: Final[dict[str, int]] = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}

QUEUE_RECORDS: Final = 8192
"""Records that wait to be written: at 10,000 calls a second most of a second, in about 4 MiB."""

BATCH_SECONDS: Final = 0.05
"""How long a record may wait for others: waking the thread for each would cost more than the record."""

MAX_LINE_BYTES: Final = 16 * 1024
"""A line that is longer after all bounds on values is replaced by one that says so."""

PREPARE_SECONDS: Final = 2.0
"""When the thread imports what it and the first scrape need, if no record came before: after the first answers."""

FLUSH_SECONDS: Final = 2.0
"""How long `close` waits for a sink that does not take what is left."""


class Sink(Protocol):
    """Where lines go, such as a binary file; called in the log's thread only. Errors: OSError, ValueError if closed."""

    def write(self, data: bytes, /) -> object:
        """Take whole lines."""
        ...

    def flush(self) -> object:
        """Hand them on."""
        ...


class Record:
    """One line to be: what happened, when (seconds since the epoch), and members that are safe already.

    `members` may hold an exception under "error", captured by `text.capture`; the thread writes it out.
    """

    __slots__ = ("event", "level", "members", "time")

    def __init__(self, event: str, level: Level, members: dict[str, Any], when: float) -> None:
        self.event = event
        self.level: Level = level
        self.members = members
        self.time = when


class Line(Protocol):
    """A record as the thread sees it; `members` may be made there, on first use."""

    @property
    def event(self) -> str:
        """What happened."""
        ...

    @property
    def level(self) -> Level:
        """How bad it is."""
        ...

    @property
    def members(self) -> dict[str, Any]:
        """What else is to be told."""
        ...

    @property
    def time(self) -> float:
        """Seconds since the epoch."""
        ...


class LogCounts:
    """What became of the records; read by the metrics."""

    __slots__ = ("dropped", "written")

    def __init__(self) -> None:
        self.written = 0
        self.dropped = 0


class Log:
    """Takes records from any thread and writes them from its own; a context manager that starts and closes it.

    `prepare` is called once in the thread when nothing was to do for a while: the place for slow imports.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        level: Level = "info",
        queue_records: int = QUEUE_RECORDS,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self.counts = LogCounts()
        self._sink = sink
        self._lowest = LEVELS[level]
        self._queue: deque[Line] = deque()
        self._most = queue_records
        self._prepare = prepare
        self._armed = False
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._told_dropped = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; in a process that was forked afterwards the log must be started again."""
        self._closing.clear()
        # A daemon: a sink that is stuck must not keep the process from ending.
        self._thread = threading.Thread(target=self._drain, name="protogen-log", daemon=True)
        self._thread.start()

    def close(self, timeout: float = FLUSH_SECONDS) -> bool:
        """Write what waits and stop; False where the sink did not take it in time. What is left counts as dropped."""
        thread, self._thread = self._thread, None
        if thread is None:
            return True
        self._closing.set()
        self._wake.set()
        thread.join(timeout)
        left = len(self._queue)
        self._queue.clear()
        self.counts.dropped += left
        return not thread.is_alive() and left == 0

    def __enter__(self) -> Log:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def lowest(self) -> int:
        """The number of the lowest level that is written, as the standard library numbers them."""
        return self._lowest

    def takes(self, level: str) -> bool:
        """Whether records of this level are written."""
        return LEVELS.get(level, 0) >= self._lowest

    def put(self, record: Line) -> None:
        """Queue a record, or count it where the queue is full; never blocks and never raises."""
        queue = self._queue
        if len(queue) >= self._most:
            self.counts.dropped += 1
            return
        queue.append(record)
        if not self._armed:
            self._armed = True
            self._wake.set()

    def tell(self, event: str, level: Level = "info", /, **members: object) -> None:
        """Log something; an exception given as `error` is written with its traceback."""
        if not self.takes(level):
            return
        error = members.pop("error", None)
        safe = text.safe_members(members)
        if isinstance(error, BaseException):
            safe["error"] = text.capture(error)
        self.put(Record(text.line(event, 256), level, safe, time.time()))

    # --- in the thread ----------------------------------------------------------------------------

    def _drain(self) -> None:
        render: Renderer | None = None
        is_early = self._wake.wait(PREPARE_SECONDS)
        if not is_early and self._prepare is not None:
            self._prepare()
        while True:
            self._wake.wait()
            if render is None and self._queue:
                render = make_renderer()
            self._closing.wait(BATCH_SECONDS)
            is_last = self._closing.is_set()
            # Disarmed before the queue is read: whoever puts a record from now on wakes the thread again.
            self._wake.clear()
            self._armed = False
            while render is not None and (lines := self._take(render)):
                self._write(lines)
            if is_last:
                return

    def _take(self, render: Renderer) -> list[bytes]:
        lines: list[bytes] = []
        queue = self._queue
        # At most so many at once: a write of some hundred kilobytes is enough for one system call.
        while queue and len(lines) < 256:
            try:
                record = queue.popleft()
            except IndexError:
                # `close` gave up and cleared the queue meanwhile.
                break
            lines.append(_render_anyway(render, record))
        dropped = self.counts.dropped
        if dropped > self._told_dropped:
            lost = dropped - self._told_dropped
            self._told_dropped = dropped
            lines.append(render(Record("log records dropped", "warning", {"records": lost}, time.time())))
        return lines

    def _write(self, lines: list[bytes]) -> None:
        try:
            self._sink.write(b"".join(lines))
            self._sink.flush()
        except (OSError, ValueError):
            # Disk full, pipe closed: nobody can be told but the metrics. The next lines may fit again.
            self.counts.dropped += len(lines)
            self._told_dropped += len(lines)
            return
        self.counts.written += len(lines)


def _render_anyway(render: Renderer, record: Line) -> bytes:
    try:
        return render(record)
    except Exception as fault:  # noqa: BLE001 - one record that cannot be written must not end the log
        members = {"of": record.event, "fault": type(fault).__name__}
        return render(Record("log record not writable", "error", members, record.time))


class Renderer(Protocol):
    """Makes the line of a record."""

    def __call__(self, record: Line, /) -> bytes:
        """The line with its line feed."""
        ...


def make_renderer() -> Renderer:
    """What makes JSON lines of records, by structlog's processors."""
    import msgspec
    from structlog.processors import JSONRenderer

    _configure_now()
    encode = msgspec.json.Encoder().encode

    def serialise(members: object, **_: object) -> bytes:
        return encode(members)

    to_json = JSONRenderer(serializer=serialise)

    def render(record: Line) -> bytes:
        members = record.members
        captured = members.pop("error", None)
        line: dict[str, Any] = {
            "time": timestamp(record.time),
            "level": record.level,
            "event": record.event,
            **{name: value for name, value in members.items() if name not in ("time", "level", "event")},
        }
        if isinstance(captured, traceback.TracebackException):
            line.update(text.exception(captured))
        elif captured is not None:
            line["error"] = captured
        found = to_json(None, record.level, line)
        written = found if isinstance(found, bytes) else found.encode()
        if len(written) > MAX_LINE_BYTES:
            kept = {name: line[name] for name in ("time", "level", "event", "request_id", "method") if name in line}
            written = encode({**kept, "too_long_bytes": len(written)})
        return written + b"\n"

    return render


def timestamp(seconds: float) -> str:
    """Seconds since the epoch as RFC 3339 in UTC with microseconds."""
    whole = int(seconds // 1)
    date = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
    return f"{date}.{int((seconds - whole) * 1_000_000):06d}Z"


class StandardHandler(logging.Handler):
    """Leads the records of the standard library's logging (hypercorn, trio, libraries) into the log.

    Members that a record has in `extra={"members": {...}}` are told as those of the line.
    """

    def __init__(self, log: Log, context: Context = dict) -> None:
        super().__init__()
        self._log = log
        self._context = context

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record."""
        log = self._log
        level = _level_of(record.levelno)
        if not log.takes(level):
            return
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = str(record.msg)
        more = text.safe_members(getattr(record, "members", {}))
        members: dict[str, Any] = {**more, "logger": text.line(record.name, 128), **self._context()}
        if record.exc_info is not None and record.exc_info[1] is not None:
            members["error"] = text.capture(record.exc_info[1])
        log.put(Record(text.line(message), level, members, record.created))


def _level_of(number: int) -> Level:
    if number >= 50:
        return "critical"
    if number >= 40:
        return "error"
    if number >= 30:
        return "warning"
    return "info" if number >= 20 else "debug"


class _QueueLogger:
    """What structlog calls at the end of its chain, by the name of the level."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def msg(self, record: Record) -> None:
        self._log.put(record)

    debug = info = warning = error = critical = msg


Context: TypeAlias = Callable[[], dict[str, str]]
"""Gives the members that tie records to the call that runs now: request id, method, trace."""


_waiting: Final[list[Callable[[], None]]] = []
"""What configures structlog once it is imported: that takes 0.2 s, which no start of a server pays."""


def configure(log: Log, *, context: Context = dict) -> Callable[[], None]:
    """Let this process's structlog and standard logging write to `log`; returns what undoes that.

    Only for the entry of a program: it replaces what was configured.
    """
    handler = StandardHandler(log, context)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(log.lowest)
    is_configured = threading.Event()

    def configure_structlog() -> None:
        _configure_structlog(log, context)
        is_configured.set()

    _waiting[:] = [configure_structlog]
    if "structlog" in sys.modules:
        _configure_now()

    def undo() -> None:
        _waiting.clear()
        root.removeHandler(handler)
        root.setLevel(before)
        # Not by sys.modules: the log's thread may be in the middle of importing it.
        if is_configured.is_set():
            sys.modules["structlog"].reset_defaults()

    return undo


def get_logger(**members: object) -> Any:
    """A structlog logger for handlers; its records carry `members` and what is known of the call that runs."""
    import structlog

    _configure_now()
    return structlog.get_logger(**members)


def _configure_now() -> None:
    while _waiting:
        _waiting.pop()()


def _configure_structlog(log: Log, context: Context) -> None:
    import structlog

    def to_record(_: Any, name: str, members: Any) -> Any:
        level: Any = "error" if name == "exception" else "warning" if name == "warn" else name
        event = members.pop("event", "")
        error = _exception_of(members.pop("exc_info", None))
        safe: dict[str, Any] = {**context(), **text.safe_members(members)}
        if error is not None:
            safe["error"] = text.capture(error)
        record = Record(text.line(str(event)), level if level in LEVELS else "info", safe, time.time())
        return (record,), {}

    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, to_record],
        wrapper_class=structlog.make_filtering_bound_logger(log.lowest),
        logger_factory=lambda *_: _QueueLogger(log),
        cache_logger_on_first_use=False,
    )


def _exception_of(given: object) -> BaseException | None:
    """The exception that structlog's `exc_info` means: itself, or the one being handled."""
    if isinstance(given, BaseException):
        return given
    return sys.exc_info()[1] if given else None
