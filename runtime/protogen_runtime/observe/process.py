"""All that observes one server process, made from an operator's settings and put around its service.

Knows no transport; a transport adds to `Instruments.traffic`, mounts `pages`, and calls `publish` about once a second.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from math import inf
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from protogen_runtime.dispatch import Service

from .calls import SLOW_SECONDS, CallObserver, Logged, context
from .log import Level, Log, configure
from .metrics import Metrics, Snapshot, Traffic, prepare
from .pages import Answer, Readiness, health, metrics_page
from .serving import Observed
from .spans import configured_spans

PUBLISH_SECONDS: Final = 1.0
"""How far behind the numbers of other workers may be."""

FILE_SECONDS: Final = 15.0
"""How often the file with the metrics is written: as often as Prometheus asks by default."""


class ObserveSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator decides about observation.

    `calls`: which calls get a line in the log; `slow_seconds`: what counts as slow; `log_file`: where lines are added,
    standard error without one; `metrics`: whether /metrics is there; `tracing`: whether spans go to an SDK of
    OpenTelemetry where the process has one; `request_ids`: whether answers carry x-request-id; `metrics_file`: where
    the text of /metrics is written now and then and at the end, for servers without a port and collectors of files;
    `shared_folder`: where several workers share their numbers, made by the server.
    """

    calls: Logged = "notable"
    slow_seconds: float = SLOW_SECONDS
    log_level: Level = "info"
    log_file: str | None = None
    metrics: bool = True
    tracing: bool = True
    request_ids: bool = True
    metrics_file: str | None = None
    shared_folder: str | None = None


class Instruments:
    """What observes a process. `service` is what a transport must serve."""

    def __init__(self, settings: ObserveSettings, service: Service, log: Log) -> None:
        self.log = log
        self.metrics = Metrics()
        self.metrics.read_log(lambda: (log.counts.written, log.counts.dropped))
        self.readiness = Readiness(log=log)
        self.tags_requests = settings.request_ids
        spans = configured_spans(service.info.name) if settings.tracing else None
        self.observer = CallObserver(
            self.metrics, log=log, logged=settings.calls, slow_seconds=settings.slow_seconds, spans=spans
        )
        if service.report is None:
            service.report = self.observer.report
        self.service = Observed(service, self.observer)
        self._has_metrics = settings.metrics
        folder = settings.shared_folder
        self._shared = None if folder is None else SharedNumbers(Path(folder), str(os.getpid()))
        self._next_publication = 0.0
        self._file = None if settings.metrics_file is None else Path(settings.metrics_file)
        self._next_file = -inf
        self._file_fails = False

    @property
    def traffic(self) -> Traffic:
        """The numbers that the transport adds to."""
        return self.metrics.traffic

    @property
    def pages(self) -> Mapping[str, Callable[[], Answer]]:
        """The pages by their paths."""
        pages: dict[str, Callable[[], Answer]] = {"/health": health, "/ready": self.readiness.page}
        if self._has_metrics:
            pages["/metrics"] = lambda: metrics_page(self.metrics, self._others)
        return pages

    def publish(self, now: float) -> None:
        """Let the other workers know the numbers of this one, at most once in PUBLISH_SECONDS."""
        if self._shared is not None and now >= self._next_publication:
            self._next_publication = now + PUBLISH_SECONDS
            self._shared.publish(self.metrics.snapshot())
        if self._file is not None and now >= self._next_file:
            is_first = self._next_file == -inf
            self._next_file = now + FILE_SECONDS
            if not is_first:
                self._write_metrics(self._file)

    def close(self) -> None:
        """Write what is written at the end."""
        if self._file is not None:
            self._write_metrics(self._file)

    def _write_metrics(self, file: Path) -> None:
        new = file.with_name(f"{file.name}.{os.getpid()}")
        try:
            # All at once: whoever reads sees the old numbers or the new ones.
            new.write_bytes(self.metrics.render(self._others())[1])
            new.replace(file)
            self._file_fails = False
        except OSError as error:
            if not self._file_fails:
                self.log.tell("the metrics cannot be written", "warning", file=str(file), reason=str(error.strerror))
            self._file_fails = True

    def _others(self) -> list[Snapshot]:
        return [] if self._shared is None else self._shared.others()


class SharedNumbers:
    """A folder in which each process of a server keeps its numbers, so that any of them can answer for all."""

    def __init__(self, folder: Path, name: str) -> None:
        self._file = folder / f"{name}.json"
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(Snapshot)

    def publish(self, snapshot: Snapshot) -> None:
        """Write this process's numbers, all at once; a full disk leaves the old ones."""
        new = self._file.with_suffix(".new")
        with suppress(OSError):
            new.write_bytes(self._encoder.encode(snapshot))
            new.replace(self._file)

    def others(self) -> list[Snapshot]:
        """The numbers of the other processes; of those that have ended the last ones, without what was under way."""
        found: list[Snapshot] = []
        for file in sorted(self._file.parent.glob("*.json")):
            if file == self._file:
                continue
            with suppress(OSError, msgspec.DecodeError, msgspec.ValidationError):
                snapshot = self._decoder.decode(file.read_bytes())
                if not _is_alive(file.stem):
                    snapshot.in_flight = 0
                    snapshot.traffic.open_connections = 0
                found.append(snapshot)
        return found


def _is_alive(name: str) -> bool:
    try:
        os.kill(int(name), 0)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


@contextmanager
def observing(settings: ObserveSettings, service: Service, *, sink: BinaryIO | None = None) -> Generator[Instruments]:
    """Observe a service in this process: the process's structlog and standard logging write to its log meanwhile.

    Lines that wait are written at the end. Errors: OSError where the log file cannot be opened.
    """
    with _opened(settings, sink) as stream:
        log = Log(stream, level=settings.log_level, prepare=prepare if settings.metrics else None)
        # The log's thread and nobody else writes: unbuffered, so that a crash loses nothing that was handed on.
        with log:
            restore = configure(log, context=context)
            instruments = Instruments(settings, service, log)
            try:
                yield instruments
            finally:
                restore()
                instruments.close()


@contextmanager
def _opened(settings: ObserveSettings, sink: BinaryIO | None) -> Generator[BinaryIO]:
    if sink is not None:
        yield sink
    elif settings.log_file is None:
        yield sys.stderr.buffer
    else:
        with Path(settings.log_file).open("ab") as file:
            yield file
