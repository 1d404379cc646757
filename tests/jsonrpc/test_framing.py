"""Lines and server-sent events: any chunking of a stream gives the same frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protogen_runtime.jsonrpc import (
    Frame,
    FrameTooLong,
    LineFramer,
    ServerSentEvent,
    SseParser,
    encode_comment,
    encode_event,
    encode_line,
)

LINES: list[tuple[bytes, list[Frame]]] = [
    (b"", []),
    (b"a\n", [b"a"]),
    (b"a\nb", [b"a", b"b"]),
    (b"a\r\nb\r\n", [b"a", b"b"]),
    (b"\n\n \t\r\n", []),
    (b'{"a":1}\n\n{"b":2}\n', [b'{"a":1}', b'{"b":2}']),
    ("é€\n".encode(), ["é€".encode()]),
    (b"12345678\n", [b"12345678"]),
    (b"123456789\nx\n", [FrameTooLong(8), b"x"]),
    (b"1234567890123456789\n1\n1234567890", [FrameTooLong(8), b"1", FrameTooLong(8)]),
]


def in_chunks(data: bytes, sizes: list[int]) -> list[bytes]:
    chunks = []
    for size in sizes:
        chunks.append(data[:size])
        data = data[size:]
    return [*chunks, data]


@pytest.mark.parametrize(("data", "want"), LINES)
def test_lines_whole_and_byte_by_byte(data: bytes, want: list[Frame]) -> None:
    for chunks in ([data], [data[i : i + 1] for i in range(len(data))]):
        framer = LineFramer(8)
        assert [frame for chunk in chunks for frame in framer.feed(chunk)] + framer.finish() == want


def test_frames_come_as_soon_as_their_line_ends() -> None:
    framer = LineFramer()
    assert framer.feed(b'{"a":1}\n{"b"') == [b'{"a":1}']
    assert framer.feed(b":2}") == []
    assert framer.feed(b"\n") == [b'{"b":2}']
    assert framer.finish() == []


def test_line_is_one_line() -> None:
    assert encode_line(b"{}") == b"{}\n"


@given(st.binary(max_size=60), st.lists(st.integers(0, 7), max_size=20))
def test_any_chunking_gives_the_same_lines(data: bytes, sizes: list[int]) -> None:
    def read(chunks: list[bytes]) -> list[Frame]:
        framer = LineFramer(8)
        return [frame for chunk in chunks for frame in framer.feed(chunk)] + framer.finish()

    assert read(in_chunks(data, sizes)) == read([data])


def test_dropped_line_takes_no_memory() -> None:
    framer = LineFramer(10)
    assert framer.feed(b"x" * 11) == [FrameTooLong(10)]
    for _ in range(1000):
        assert framer.feed(b"x" * 1000) == []
    assert framer.feed(b"\nok\n") == [b"ok"]


def event(data: bytes, name: str = "message", last_id: str = "") -> ServerSentEvent:
    return ServerSentEvent(data=data, name=name, last_id=last_id)


STREAMS: list[tuple[str, bytes, list[ServerSentEvent]]] = [
    ("one", b"data: x\n\n", [event(b"x")]),
    ("CRLF", b"data: x\r\n\r\n", [event(b"x")]),
    ("CR", b"data: x\r\rdata: y\r\r", [event(b"x"), event(b"y")]),
    ("mixed line ends", b"data: x\r\n\rdata: y\n\r\n", [event(b"x"), event(b"y")]),
    ("no space after the colon", b"data:x\n\n", [event(b"x")]),
    ("one space only is dropped", b"data:  x\n\n", [event(b" x")]),
    ("several data lines", b"data: a\ndata\ndata: b\n\n", [event(b"a\n\nb")]),
    ("name", b"event: task\ndata: {}\n\ndata: 1\n\n", [event(b"{}", "task"), event(b"1")]),
    ("last name counts", b"event: a\nevent: b\ndata: 1\n\n", [event(b"1", "b")]),
    ("empty name is message", b"event:\ndata: 1\n\n", [event(b"1")]),
    ("comments", b": hi\n\n:\ndata: 1\n: x\n\n", [event(b"1")]),
    ("no data, no event", b"event: x\n\ndata: 1\n\n", [event(b"1")]),
    ("empty data is an event", b"data\n\n", [event(b"")]),
    ("unknown fields", b"foo: 1\ndata: 1\nDATA: 2\n\n", [event(b"1")]),
    ("id stays", b"id: 7\ndata: 1\n\ndata: 2\n\n", [event(b"1", last_id="7"), event(b"2", last_id="7")]),
    ("id with NUL is ignored", b"id: a\0b\ndata: 1\n\n", [event(b"1")]),
    ("byte order mark", b"\xef\xbb\xbfdata: 1\n\n", [event(b"1")]),
    ("mark later is data", b"data: 1\n\n\xef\xbb\xbfdata: 2\n\n", [event(b"1")]),
    ("UTF-8", "data: é€😀\n\n".encode(), [event("é€😀".encode())]),
    ("cut off at the end", b"data: 1\n\ndata: 2\n", [event(b"1")]),
    ("invalid UTF-8 is left to the reader", b"data: \xff\n\n", [event(b"\xff")]),
]


@pytest.mark.parametrize(("data", "want"), [case[1:] for case in STREAMS], ids=[case[0] for case in STREAMS])
def test_events_whole_and_byte_by_byte(data: bytes, want: list[ServerSentEvent]) -> None:
    for chunks in ([data], [data[i : i + 1] for i in range(len(data))], [data, b""]):
        parser = SseParser()
        assert [item for chunk in chunks for item in parser.feed(chunk)] == want


def test_retry_is_kept_in_milliseconds() -> None:
    parser = SseParser()
    parser.feed(b"retry: 1500\nretry: soon\n\n")
    assert parser.retry_ms == 1500


def test_too_long_event_is_dropped_up_to_its_blank_line() -> None:
    for size in (1, 3, 1000):
        parser = SseParser(max_event_bytes=20)
        data = b"data: 1\n\ndata: " + b"x" * 30 + b"\ndata: y\n\ndata: 2\n\n"
        out = [item for i in range(0, len(data), size) for item in parser.feed(data[i : i + size])]
        assert out == [event(b"1"), FrameTooLong(20), event(b"2")]


def test_empty_data_lines_count_too() -> None:
    parser = SseParser(max_event_bytes=20)
    assert parser.feed(b"data\n" * 15) == []
    assert parser.feed(b"data\n" * 10 + b"\ndata: 1\n\n") == [FrameTooLong(20), event(b"1")]


def test_keep_alive_comments_do_not_add_up() -> None:
    parser = SseParser(max_event_bytes=20)
    for _ in range(100):
        assert parser.feed(b": ping\n") == []
    assert parser.feed(b"data: 1\n\n") == [event(b"1")]


@given(
    st.lists(st.sampled_from([b"data: 1", b"data:\xc3\xa9", b"event: n", b"id: 1", b":c", b"\r", b"\n", b"\r\n"])),
    st.lists(st.integers(0, 5), max_size=30),
)
def test_any_chunking_gives_the_same_events(pieces: list[bytes], sizes: list[int]) -> None:
    data = b"".join(pieces)

    def read(chunks: list[bytes]) -> list[object]:
        parser = SseParser()
        return [item for chunk in chunks for item in parser.feed(chunk)]

    assert read(in_chunks(data, sizes)) == read([data])


@given(st.lists(st.tuples(st.binary(max_size=30), st.sampled_from([None, "task", "é"])), max_size=5))
def test_encoded_events_are_read_back(sent: list[tuple[bytes, str | None]]) -> None:
    stream = b"".join(encode_comment("hello") + encode_event(data, name=name) for data, name in sent)
    want = [event(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n"), name or "message") for data, name in sent]
    assert SseParser().feed(stream) == want


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "a\0"])
def test_event_name_cannot_break_out(name: str) -> None:
    with pytest.raises(ValueError, match="must be a single line"):
        encode_event(b"1", name=name)


def test_comment_cannot_break_out() -> None:
    assert SseParser().feed(encode_comment("a\ndata: 1\r\rb") + b"\n") == []
