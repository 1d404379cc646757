"""What an answer to a sample means."""

from __future__ import annotations

import pytest

from protogen.samples import Sample
from protogen.verify import judge


def _sample(text: str, *, valid: bool) -> Sample:
    return Sample(type="Task", text=text, valid=valid, note="a note", line=7)


@pytest.mark.parametrize(
    ("text", "valid", "answer"),
    [
        ('{"a":1.0,"b":[]}', True, {"out": '{"b":[],"a":1}'}),
        ("123456789012345678901234567890", True, {"out": "123456789012345678901234567890"}),
        ("1e2", True, {"out": "100"}),
        ("1", False, {"refused": "no"}),
    ],
)
def test_agreement_is_no_finding(text: str, valid: bool, answer: dict[str, str]) -> None:
    assert judge(_sample(text, valid=valid), answer) is None


@pytest.mark.parametrize(
    ("text", "valid", "answer", "kind", "detail"),
    [
        ("1", False, {"out": "1"}, "false accept", "decoded though it breaks the schema"),
        ("1", True, {"refused": "why"}, "false reject", "why"),
        ('{"a":{},"b":null}', True, {"out": '{"a":{}}'}, "loss", "$.b was lost"),
        ("9007199254740993", True, {"out": "9007199254740992"}, "loss", "$: 9007199254740993 became 9007199254740992"),
        ("1", True, {"out": "{"}, "loss", "what was encoded is not JSON"),
        ('{"a":1}', True, {"out": '{"a":1,"a":1}'}, "loss", "what was encoded is not JSON: member 'a' occurs twice"),
        ("1", True, {"out": "NaN"}, "loss", "what was encoded is not JSON: NaN is not a JSON number"),
        ("1", True, {"crashed": "decode: KeyError"}, "crash", "decode: KeyError"),
        ("1", False, {"crashed": "decode: KeyError"}, "crash", "decode: KeyError"),
        ("1", False, {"fatal": "ended"}, "crash", "ended"),
    ],
)
def test_a_disagreement_is_named(text: str, valid: bool, answer: dict[str, str], kind: str, detail: str) -> None:
    finding = judge(_sample(text, valid=valid), answer)
    assert finding is not None
    assert (finding.kind, finding.type, finding.text, finding.note, finding.line) == (kind, "Task", text, "a note", 7)
    assert finding.detail.startswith(detail)
