"""The corpus of the fuzzer holds, cut in every way, and so do some thousand mutations of it; no engine is needed.

A finding of a soak run becomes a file here, named after what it shows.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import fuzz_targets
import pytest
from fuzz_targets import CORPUS, TARGETS, mutations, pieces, seeds

from protogen_runtime.jsonrpc import Exchange, Frame, LineFramer, ServerSentEvent, SseParser, receive

MUTATIONS = 1500
CUTS = (0, 1, 2, 3, 6, 7, 11)
"""One of each way to cut and more; see `pieces`."""


@pytest.mark.parametrize("name", TARGETS)
def test_corpus_holds_in_every_chunking(name: str) -> None:
    files = seeds(name)
    assert len(files) >= 15
    for file in files:
        data = file.read_bytes()
        for cut in (int.from_bytes(data[:2], "big"), *CUTS):
            try:
                TARGETS[name](cut.to_bytes(2, "big") + data[2:])
            except Exception as fault:
                raise AssertionError(f"{file.name} with cut {cut}") from fault


@pytest.mark.parametrize("name", TARGETS)
def test_mutations_of_the_corpus_hold(name: str) -> None:
    for data in islice(mutations(name, seed=20), MUTATIONS):
        try:
            TARGETS[name](data)
        except Exception as fault:
            raise AssertionError(f"put this into {CORPUS / name}: {data!r}") from fault


def test_folders_of_the_corpus_are_those_of_the_targets() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)


def test_pieces_are_the_stream() -> None:
    stream = bytes(range(256)) * 5
    for cut in range(200):
        found = list(pieces(cut.to_bytes(2, "big") + stream))
        assert b"".join(found) == stream
    assert list(pieces(b"\0\1abc")) == [b"a", b"b", b"c"]


def test_memory_stays_flat_over_a_stream_without_an_end() -> None:
    framer, parser = LineFramer(1000), SseParser(1000)
    feeds: list[tuple[Callable[[bytes], object], bytes]] = [
        (framer.feed, b"x" * 1000),
        (parser.feed, b"data\n" * 200),
        (parser.feed, b"data: xxxxx\n" * 100),
        (parser.feed, b"event: x\nid: 7\n:comment\n" * 40),
    ]
    tracemalloc.start()
    try:
        for feed, piece in feeds:
            feed(piece)
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(200):
                feed(piece)
            assert tracemalloc.get_traced_memory()[0] - before < 5_000, piece[:20]
    finally:
        tracemalloc.stop()


# --- the checks themselves: each must find a parser with a planted fault -----------------------------------------


class ForgetsAtChunkEnds(LineFramer):
    def feed(self, data: bytes) -> list[Frame]:
        found = super().feed(data)
        self._buffer.clear()
        return found


class KeepsTooLongLines(LineFramer):
    def __init__(self, _: int) -> None:
        super().__init__(1_000_000)


class CountsNoEmptyLines(SseParser):
    def feed(self, chunk: bytes) -> list[object]:  # type: ignore[override]  # a fault is planted here
        found: list[object] = list(super().feed(chunk))
        self._data_bytes = sum(map(len, self._data))
        return found


class SplitsCrLfAcrossChunks(SseParser):
    def feed(self, chunk: bytes) -> list[object]:  # type: ignore[override]  # a fault is planted here
        self._after_cr = False
        return list(super().feed(chunk))


class RenamesEvents(SseParser):
    def feed(self, chunk: bytes) -> list[object]:  # type: ignore[override]  # a fault is planted here
        return [ServerSentEvent(data=it.data) if isinstance(it, ServerSentEvent) else it for it in super().feed(chunk)]


def receives_more(frame: bytes, *, max_batch: int) -> Exchange:
    return receive(frame, max_batch=max_batch + 1)


def answers_notifications(frame: bytes, *, max_batch: int) -> Exchange:
    return receive(frame.replace(b'"method":"b"', b'"method":"b","id":9'), max_batch=max_batch)


def takes_bad_text(frame: bytes, *, max_batch: int) -> Exchange:
    return receive(frame.decode("utf-8", "replace").encode(), max_batch=max_batch)


class LimitsOfOthers(fuzz_targets.RequestParser):
    def __init__(self, limits: object, *arguments: object, **more: object) -> None:
        super().__init__(fuzz_targets.Limits(), *arguments, **more)  # type: ignore[arg-type]  # a fault is planted here


FAULTS = [
    ("lines", "LineFramer", ForgetsAtChunkEnds),
    ("lines", "LineFramer", KeepsTooLongLines),
    ("sse", "SseParser", CountsNoEmptyLines),
    ("sse", "SseParser", SplitsCrLfAcrossChunks),
    ("sse", "SseParser", RenamesEvents),
    ("exchange", "receive", receives_more),
    ("exchange", "receive", answers_notifications),
    ("exchange", "receive", takes_bad_text),
    ("http", "RequestParser", LimitsOfOthers),
]


@pytest.mark.parametrize(("name", "what", "faulty"), FAULTS, ids=lambda it: getattr(it, "__name__", it))
def test_planted_fault_is_found(name: str, what: str, faulty: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_targets, what, faulty)
    broken: set[Path] = set()
    for file in seeds(name):
        for cut in CUTS:
            try:
                TARGETS[name](cut.to_bytes(2, "big") + file.read_bytes()[2:])
            except AssertionError:
                broken.add(file)
    assert broken
