"""Faulty SDKs in every language: each fault is found, exactly where it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from protogen.output import GeneratedFile, Options
from protogen.samples import Sample
from protogen.verify import Tally, run

ROOT = Path(__file__).resolve().parents[2]

SAMPLES = [
    Sample(type="Task", text='{"id":"a"}', valid=True),
    Sample(type="Task", text='{"id":"a","new":1}', valid=True),
    Sample(type="Task", text='{"id":"a","n":9007199254740993}', valid=True),
    Sample(type="Task", text='{"id":"a","note":null}', valid=True),
    Sample(type="Task", text="{}", valid=False),
    Sample(type="Task", text='{"id":"crash"}', valid=True),
    Sample(type="Task", text='{"id":1}', valid=False),
]

EXPECTED = [
    ("loss", '{"id":"a","new":1}', "$.new was lost"),
    ("loss", '{"id":"a","n":9007199254740993}', "$.n: 9007199254740993 became 9007199254740992"),
    ("false reject", '{"id":"a","note":null}', ""),
    ("crash", '{"id":"crash"}', "decode: "),
    ("false accept", '{"id":1}', "decoded though it breaks the schema"),
]

PYTHON = """
import json
class Refused(ValueError): pass
def decode(name, data):
    value = json.loads(data, parse_int=lambda text: int(float(text)))
    if "id" not in value or ("note" in value and value["note"] is None):
        raise Refused("bad " + name)
    if value["id"] == "crash":
        raise KeyError("id")
    return {key: value[key] for key in ("id", "n", "note") if key in value}
def encode(value):
    return json.dumps(value).encode()
"""

TYPESCRIPT = """
export class Refused extends Error {}
type Task = { id?: unknown; n?: number; note?: string | null };
export function decode(name: string, text: string): Task {
  const value = JSON.parse(text) as Task;
  if (!("id" in value) || value.note === null) throw new Refused("bad " + name);
  if (value.id === "crash") throw new TypeError("id");
  return { id: value.id, n: value.n, note: value.note };
}
export function encode(value: Task): string {
  return JSON.stringify(value);
}
"""

GO = """
package toy

import (
	"encoding/json"
	"errors"

	"example.test/toy/rpc"
)

type Task struct {
	ID   any      `json:"id"`
	N    *float64 `json:"n,omitempty"`
	Note *string  `json:"note,omitempty"`
}

func Decode(name string, data []byte, _ ...rpc.DecodeOption) (any, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		return nil, err
	}
	var task Task
	if err := json.Unmarshal(data, &task); err != nil {
		return nil, err
	}
	if task.ID == nil || string(keys["note"]) == "null" {
		return nil, errors.New("bad " + name)
	}
	if task.ID == "crash" {
		panic("id")
	}
	return task, nil
}

func Encode(value any) ([]byte, error) { return json.Marshal(value) }
"""

GO_RPC = """
package rpc

type DecodeOption bool

func WithConstraints(checked bool) DecodeOption { return DecodeOption(checked) }
"""

PYDANTIC = """
from typing import Any
from pydantic import BaseModel, model_validator
class Task(BaseModel):
    id: Any
    n: float | None = None
    note: str = ""
    @model_validator(mode="after")
    def _crash(self):
        if self.id == "crash":
            raise KeyError("id")
        return self
MODELS = {"Task": Task}
"""

TSCONFIG = """
{"compilerOptions": {"module": "nodenext", "target": "es2022", "strict": true, "rootDir": "src", "outDir": "dist",
  "types": []}, "include": ["src"]}
"""


def _found(tally: Tally) -> list[tuple[str, str]]:
    assert tally.failure == ""
    return [(finding.kind, finding.text) for finding in tally.findings]


def _check(tally: Tally) -> None:
    assert _found(tally) == [(kind, text) for kind, text, _ in EXPECTED]
    for finding, (_, _, detail) in zip(tally.findings, EXPECTED, strict=True):
        assert finding.detail.startswith(detail)
    assert (tally.samples, tally.accepted) == (7, 4)


def _options(package: str) -> Options:
    return Options(package=package, distribution=package)


def test_python() -> None:
    files = [GeneratedFile(path="toy_protocol/__init__.py", text=PYTHON)]
    _check(run("python", files, _options("toy_protocol"), SAMPLES))


def test_pydantic() -> None:
    _check(run("pydantic", [GeneratedFile(path="__init__.py", text=PYDANTIC)], _options("toy"), SAMPLES))


def test_typescript() -> None:
    files = [
        GeneratedFile(path="package.json", text='{"name": "toy", "type": "module"}\n'),
        GeneratedFile(path="tsconfig.json", text=TSCONFIG),
        GeneratedFile(path="src/index.ts", text=TYPESCRIPT),
    ]
    _check(run("typescript", files, _options("toy"), SAMPLES, near=[ROOT]))


def test_go() -> None:
    files = [
        GeneratedFile(path="go.mod", text="module example.test/toy\n\ngo 1.24\n"),
        GeneratedFile(path="toy.go", text=GO),
        GeneratedFile(path="rpc/rpc.go", text=GO_RPC),
    ]
    _check(run("go", files, _options("example.test/toy"), SAMPLES))


@pytest.mark.parametrize(
    ("target", "files", "said"),
    [
        (
            "go",
            {
                "go.mod": "module toy\n\ngo 1.24\n",
                "toy.go": "package toy\n\nfunc Decode() { return 1 }\n",
                "rpc/rpc.go": GO_RPC,
            },
            "toy.go:3",
        ),
        (
            "typescript",
            {
                "package.json": '{"type": "module"}',
                "tsconfig.json": TSCONFIG,
                "src/index.ts": "export const a: string = 1;\n",
            },
            "src/index.ts",
        ),
    ],
)
def test_code_that_does_not_compile_is_reported_with_what_the_compiler_said(
    target: str, files: dict[str, str], said: str
) -> None:
    made = [GeneratedFile(path=path, text=text) for path, text in files.items()]
    tally = run(target, made, _options("toy"), SAMPLES, near=[ROOT])
    assert tally.failure.startswith("the generated code does not compile:\n")
    assert said in tally.failure


def test_python_that_cannot_be_imported_is_a_failure() -> None:
    files = [GeneratedFile(path="toy_protocol/__init__.py", text="import nowhere_to_be_found\n")]
    tally = run("python", files, _options("toy_protocol"), SAMPLES)
    assert "nowhere_to_be_found" in tally.failure
