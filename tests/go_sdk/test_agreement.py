"""What the generated code accepts is what the schema allows, and nothing is lost on the way through it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from protogen import ir
from protogen.samples import Judge, make
from protogen.samples.text import difference, read
from tests.go_sdk.conftest import load
from tests.go_sdk.hand import PROTOCOL


def run(agree: Path, protocol: str, samples: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """The program's verdicts on (type, text)."""
    lines = "".join(json.dumps({"Protocol": protocol, "Type": name, "Text": text}) + "\n" for name, text in samples)
    done = subprocess.run([agree], input=lines, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("name", ["toy", "hand", "echo"])
def test_samples_are_accepted_and_rejected_as_the_schema_says(
    agree: Path, root: Path, toy: ir.Protocol, name: str
) -> None:
    protocol = {"toy": lambda: toy, "hand": lambda: PROTOCOL, "echo": lambda: load(root, "schemas/echo/protocol.json")}[
        name
    ]()
    corpus = make(protocol.schema["definitions"], seed=7, most=4000)
    verdicts = run(agree, name, [(sample.type, sample.text) for sample in corpus.samples])
    assert {sample.valid for sample in corpus.samples} == {True, False}
    wrong = []
    for sample, verdict in zip(corpus.samples, verdicts, strict=True):
        if verdict["ok"] is not sample.valid:
            wrong.append(
                ("false accept" if verdict["ok"] else "false reject", sample.type, sample.text[:200], verdict["error"])
            )
        elif verdict["ok"] and (verdict["error"] or difference(read(sample.text), read(verdict["text"]))):
            wrong.append(("loss", sample.type, sample.text[:200], verdict["error"] or verdict["text"][:200]))
    assert not wrong, f"{len(wrong)} of {len(verdicts)}: {wrong[:10]}"


SCALARS: dict[str, Any] = {"string": "a", "int": 1, "exact": 1, "any": {}, "nothing": None, "version": "2.0"}

LOSSLESS = [
    *(("Point", f'{{"x":{text}}}') for text in (2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**30 + 7, 2**64, 0, -1)),
    *(("Numbers", f"[{text}]") for text in ("123456789012345678901234567890", "9007199254740993", "-1")),
    ("Scalars", json.dumps(SCALARS | {"unsigned": 2**64 - 1})),
    ("Scalars", json.dumps(SCALARS | {"unsigned": 2**64})),
    ("Scalars", json.dumps(SCALARS | {"count": 2**63})),
    ("Scalars", json.dumps(SCALARS | {"count": None, "maybe": None, "list": [], "map": {}})),
    ("Scalars", json.dumps(SCALARS | {"exact": 2**70, "any": None, "z": {"n": 2**70}})),
    ("Typed", json.dumps({"n": 2**80, "other": 2**80, "Extra": "x"})),
    ("Typed", json.dumps({"n": 1, "": "x", "a b": 2})),
    ("Scalar", str(2**90)),
    ("Maybe", "[null,[],[null]]"),
    ("Keywords", '{"type":"","func":"","_meta":{},"$ref":"","a/b":"\\u2028\\ud83d\\ude00","MarshalJSON":"m","😀":"s"}'),
    ("Mixed", '"quote\\"\\\\\\n"'),
    ("json", '[{"a":[1,{"b":null}]},"\\u0000<>&"]'),
]  # fmt: skip


def test_values_that_other_libraries_lose_survive(agree: Path) -> None:
    verdicts = run(agree, "toy", LOSSLESS)
    assert [
        (text, verdict["error"]) for (_, text), verdict in zip(LOSSLESS, verdicts, strict=True) if verdict["error"]
    ] == []
    assert [read(verdict["text"]) for verdict in verdicts] == [read(text) for _, text in LOSSLESS]


SPELLINGS = [
    ("Point", '{"x":1.0}', '{"x":1}'),
    ("Point", '{"x":-1.5e1}', '{"x":-15}'),
    ("Point", '{"x":1e30}', '{"x":1e30}'),
    ("Point", ' {\t"x" :\r\n 1e2 } ', '{"x":100}'),
    ("Point", '{"x":"first","x":2}', '{"x":2}'),
    ("Numbers", "[1.0,1e2,-0,-0.0,1e-0]", "[1,100,0,0,1]"),
    ("Level", "2.0", "2"),
    ("Mixed", "5e-1", None),
    ("Scalar", "1e1", "10"),
    ("Strings", '["\\ud83d\\ude00\\/\\u0041"]', '["😀/A"]'),
]


def test_integers_are_integers_however_they_are_spelled(agree: Path) -> None:
    verdicts = run(agree, "toy", [(name, text) for name, text, _ in SPELLINGS])
    got = [verdict["text"] if verdict["ok"] and not verdict["error"] else None for verdict in verdicts]
    assert got == [want for _, _, want in SPELLINGS]


BROKEN = [
    '{"x":1} x', '{"x":1,}', "{x:1}", '{"x":01}', '{"x":1.}', '{"x":+1}', '{"x":NaN}', '{"x":Infinity}', "", " ",
    '{"x":1', '"\\ud800"', '"\\ud800\\u0041"', '"\\x41"', '"a\nb"', '"', "'a'", "\ufeff1", "nul", "truex",
    "[1 2]", "[" * 513 + "]" * 513,
]  # fmt: skip


def test_what_is_not_strict_json_is_refused(agree: Path) -> None:
    verdicts = run(agree, "toy", [("json", f"[{text}]" if "[" * 9 not in text else text) for text in BROKEN])
    assert [text for text, verdict in zip(BROKEN, verdicts, strict=True) if verdict["ok"]] == [" ", ""][::-1]


def test_the_deepest_allowed_nesting_is_read(agree: Path) -> None:
    (verdict,) = run(agree, "toy", [("Nested", "[" * 512 + "]" * 512)])
    assert verdict == {"ok": True, "text": "[" * 512 + "]" * 512, "error": ""}


def test_every_error_is_listed_with_its_path(agree: Path) -> None:
    value = {
        "string": "",
        "int": "1",
        "any": 1,
        "nothing": 0,
        "version": "1.0",
        "list": [1, "x", 2.5],
        "map": {"a b": True},
        "point": {"z": 1},
    }
    (verdict,) = run(agree, "toy", [("Scalars", json.dumps(value))])
    assert not verdict["ok"]
    assert verdict["error"].startswith('not a valid Scalars; $: the required member "exact" is missing; $.string: ')
    assert verdict["error"].endswith("; and 7 more")


def test_the_judge_agrees_on_lossless_values(toy: ir.Protocol) -> None:
    judge = Judge(toy.schema["definitions"])
    assert [text for name, text in LOSSLESS if not judge.label(name, read(text))] == []
