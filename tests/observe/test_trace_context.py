"""traceparent and tracestate are read strictly, and what is passed on is what came."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protogen_runtime.observe.trace_context import TraceContext, headers, read, read_state

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{PARENT}-01"


@pytest.mark.parametrize(
    ("traceparent", "flags"),
    [
        (GOOD, 1),
        (f"00-{TRACE}-{PARENT}-00", 0),
        (f"00-{TRACE}-{PARENT}-03", 3),
        (f"00-{TRACE}-{PARENT}-ff", 3),
        (f" {GOOD}\t", 1),
        (f"01-{TRACE}-{PARENT}-01", 1),
        (f"cc-{TRACE}-{PARENT}-01-what-the-future-holds", 1),
        (f"cc-{TRACE}-{PARENT}-01-", 1),
    ],
)
def test_valid_parent_is_read(traceparent: str, flags: int) -> None:
    assert read(traceparent) == TraceContext(TRACE, PARENT, flags)


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        "00",
        TRACE,
        GOOD[:-1],
        GOOD + "0",
        GOOD + "-",
        GOOD + "-more",
        f"ff-{TRACE}-{PARENT}-01",
        f"0-{TRACE}-{PARENT}-01",
        f"000-{TRACE}-{PARENT}-01",
        f"cc-{TRACE}-{PARENT}-01.more",
        f"cc-{TRACE}-{PARENT}-010",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-0A",
        f"00-{TRACE}-{PARENT}-.1",
        f"00-{TRACE[:-1]}-{PARENT}-01",
        f"00-{TRACE}-{PARENT[:-1]}-01",
        f"00-{TRACE[:-1]}g-{PARENT}-01",
        f"00-{TRACE[:-1]}٣-{PARENT}-01",
        f"00_{TRACE}_{PARENT}_01",
        GOOD + "\n",
        f"{GOOD}, {GOOD}",
        f"cc-{TRACE}-{PARENT}-01-" + "x" * 300,
    ],
)
def test_invalid_parent_is_dropped_with_its_state(traceparent: str | None) -> None:
    assert read(traceparent, "a=1") is None


@pytest.mark.parametrize(
    ("tracestate", "members"),
    [
        (None, ()),
        ("", ()),
        ("a=1", (("a", "1"),)),
        ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", (("rojo", "00f067aa0ba902b7"), ("congo", "t61rcWkgMzE"))),
        ("a=1 , \tb=2", (("a", "1"), ("b", "2"))),
        ("a=1,,b=2,", (("a", "1"), ("b", "2"))),
        ("a= x", (("a", " x"),)),
        ("tenant@system=1", (("tenant@system", "1"),)),
        ("1tenant@system=1", (("1tenant@system", "1"),)),
        ("a_-*/0=1", (("a_-*/0", "1"),)),
        (",".join(f"k{i}=1" for i in range(32)), tuple((f"k{i}", "1") for i in range(32))),
        ("a" * 256 + "=" + "v" * 256, (("a" * 256, "v" * 256),)),
    ],
)
def test_valid_state_is_read_in_order(tracestate: str | None, members: tuple[tuple[str, str], ...]) -> None:
    assert read_state(tracestate) == members


@pytest.mark.parametrize(
    "tracestate",
    [
        "a",
        "=1",
        "a=",
        "a=1,a=2",
        "A=1",
        "1a=1",
        "a=b=c",
        "a=é",
        "a=\x1b",
        "a =1",
        "a@b@c=1",
        "a@=1",
        "@a=1",
        "a" * 257 + "=1",
        "a=" + "v" * 257,
        "a@" + "b" * 15 + "=1",
        ",".join(f"k{i}=1" for i in range(33)),
        ",".join(f"k{i}=1" for i in range(10_000)),
    ],
)
def test_invalid_state_is_dropped_and_the_parent_kept(tracestate: str) -> None:
    assert read(GOOD, tracestate) == TraceContext(TRACE, PARENT, 1)


def test_context_is_passed_on_as_it_came() -> None:
    context = read(GOOD, "a=1, b=2")
    assert context is not None
    assert headers(context) == {"traceparent": GOOD, "tracestate": "a=1,b=2"}
    later = read(f"cc-{TRACE}-{PARENT}-ff-more")
    assert later is not None
    assert headers(later) == {"traceparent": f"00-{TRACE}-{PARENT}-03"}


def test_long_state_loses_its_long_members_first_and_then_its_last() -> None:
    state = (("long", "v" * 200), *((f"k{i:02}", "v" * 20) for i in range(30)))
    passed = headers(TraceContext(TRACE, PARENT, 0, state))["tracestate"]
    assert len(passed) <= 512
    assert passed.startswith("k00=")
    assert "long" not in passed


@given(st.text(), st.text())
def test_anything_is_read_or_dropped(traceparent: str, tracestate: str) -> None:
    read(traceparent, tracestate)
    read(GOOD, tracestate)


@given(st.from_regex(r"\A[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\Z"))
def test_what_is_passed_on_can_be_read_again(traceparent: str) -> None:
    context = read(traceparent)
    if context is not None:
        assert read(headers(context)["traceparent"]) == context
