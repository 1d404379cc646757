"""Decoding and validation agree with jsonschema-rs on every value, and nothing that is accepted is changed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
from toy_sdk import definitions, run

from protogen import ir
from protogen.samples import make

Tool = Callable[[str], str]

DRIVER = """
import { readFileSync } from "node:fs";
const sdk = await import(process.argv[1]);
const { Validator } = await import(process.argv[2]);
for (const line of readFileSync(0, "utf8").split("\\n")) {
  if (line === "") continue;
  const { type, schema, inner, text } = JSON.parse(line);
  let answer;
  try {
    if (schema === undefined) answer = { text: sdk.encode(sdk.decode(type, text), type) };
    else {
      const validator = new Validator([["S", schema], ["T", inner]]);
      const value = sdk.parseJson(text);
      const valid = validator.accepts("S", value);
      if (valid !== (validator.issues("S", value).length === 0)) throw new Error("accepts and issues differ");
      answer = { valid };
    }
  } catch (error) {
    if (!(error instanceof sdk.ValidationError)) throw error;
    answer = { issues: error.issues };
  }
  console.log(JSON.stringify(answer));
}
"""


def answers(node: str, compiled: Path, asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    modules = [(compiled / "dist" / "esm" / path).as_uri() for path in ("index.js", "rpc/validate.js")]
    lines = "".join(f"{json.dumps(each)}\n" for each in asked)
    said = run(node, "--input-type=module", "-e", DRIVER, *modules, cwd=compiled, given=lines)
    found = [json.loads(line) for line in said.split("\n") if line]
    assert len(found) == len(asked)
    return found


def test_samples_of_the_toy_are_judged_alike_and_kept_whole(toy: ir.Protocol, compiled: Path, tool: Tool) -> None:
    samples = make(definitions(toy), seed=1, least=4000).samples
    assert len(samples) >= 4000
    assert {sample.type for sample in samples} >= {definition.name for definition in toy.definitions} - {"Value_"}
    asked = [{"type": sample.type, "text": sample.text} for sample in samples]
    wrong = []
    for sample, answer in zip(samples, answers(tool("node"), compiled, asked), strict=True):
        if sample.valid != ("text" in answer):
            wrong.append(("verdict", sample.type, sample.text, answer))
        elif sample.valid and not same(json.loads(sample.text), json.loads(answer["text"])):
            wrong.append(("loss", sample.type, sample.text, answer))
        elif not sample.valid:
            assert all(issue["path"].startswith("$") and issue["message"] for issue in answer["issues"])
    assert wrong == []
    assert 1000 < sum(sample.valid for sample in samples) < len(samples) - 1000


def same(left: Any, right: Any) -> bool:
    """Equality of JSON values: 1 is 1.0, true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


class Dice(random.Random):
    """Schemas of draft-07 with every keyword, and values that are near to them."""

    def number(self) -> float:
        return self.choice([0, 1, -1, 2, 3, 0.1, 0.3, 1.5, -2.5, 1e300, 2**53, 2**53 + 1, 2**64, 100.0])

    def text(self) -> str:
        return self.choice(
            ["", "a", "b", "ab", "a\n", "😀", "é", "abc", "12", "x-y", "__proto__", "constructor", "a/b"]
        )

    def value(self, depth: int = 0) -> Any:
        kind = self.randint(0, 9 if depth < 3 else 6)
        if kind < 3:
            return self.number()
        if kind < 5:
            return self.text()
        if kind < 7:
            return self.choice([None, True, False, [], {}])
        if kind == 7:
            return [self.value(depth + 1) for _ in range(self.randint(0, 4))]
        return {self.text(): self.value(depth + 1) for _ in range(self.randint(0, 4))}

    def schema(self, depth: int = 0) -> Any:
        if self.random() < 0.08:
            return self.random() < 0.7
        schema: dict[str, Any] = {}
        for _ in range(self.randint(1, 3)):
            self.keyword(schema, depth)
        return schema

    def child(self, depth: int) -> Any:
        """A schema for what is inside the value: only there may it refer to itself."""
        return {"$ref": "#/definitions/T"} if self.random() < 0.2 else self.schema(depth)

    def keyword(self, schema: dict[str, Any], depth: int) -> None:
        simple: list[Callable[[], dict[str, Any]]] = [
            lambda: {"type": self.choice(["null", "boolean", "integer", "number", "string", "array", "object"])},
            lambda: {"type": self.sample(["null", "boolean", "integer", "number", "string", "array", "object"], 2)},
            lambda: {"const": self.value(2)},
            lambda: {"enum": [self.value(2), self.value(2), "unlike"]},
            lambda: {self.choice(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]): self.number()},
            lambda: {"multipleOf": self.choice([1, 2, 0.1, 0.5, 1.5])},
            lambda: {self.choice(["minLength", "maxLength"]): self.randint(0, 3)},
            lambda: {self.choice(["minItems", "maxItems"]): self.randint(0, 3)},
            lambda: {self.choice(["minProperties", "maxProperties"]): self.randint(0, 3)},
            lambda: {"pattern": self.choice(["^a", "b$", "^.$", "^\\d+$", "[^a]", "\\w", "^\\S*$", "-"])},
            lambda: {"uniqueItems": True},
            lambda: {"required": [self.text()]},
        ]
        nested: list[Callable[[], dict[str, Any]]] = [
            lambda: {"properties": {self.text(): self.child(depth + 1) for _ in range(3)}},
            lambda: {"patternProperties": {self.choice(["^a", "b", "^$"]): self.child(depth + 1)}},
            lambda: {"additionalProperties": self.child(depth + 1)},
            lambda: {"propertyNames": self.schema(depth + 1)},
            lambda: {"items": self.child(depth + 1)},
            lambda: {"items": [self.schema(depth + 1), self.schema(depth + 1)]},
            lambda: {"items": [self.schema(depth + 1)], "additionalItems": self.child(depth + 1)},
            lambda: {"contains": self.child(depth + 1)},
            lambda: {"not": self.schema(depth + 1)},
            lambda: {self.choice(["anyOf", "oneOf", "allOf"]): [self.schema(depth + 1) for _ in range(3)]},
            lambda: {"if": self.schema(depth + 1), "then": self.schema(depth + 1), "else": self.schema(depth + 1)},
            lambda: {"dependencies": {self.text(): self.choice([[self.text()], self.schema(depth + 1)])}},
        ]
        schema.update(self.choice(simple + nested if depth < 3 else simple)())


def test_random_schemas_accept_what_jsonschema_rs_accepts(compiled: Path, tool: Tool) -> None:
    dice = Dice(3)
    asked, verdicts = [], []
    for _ in range(1500):
        schema = {**as_object(dice.schema()), "definitions": {"T": as_object(dice.schema(2))}}
        judge = jsonschema_rs.Draft7Validator(schema, validate_formats=False)
        text = json.dumps({key: value for key, value in schema.items() if key != "definitions"})
        for _ in range(4):
            value = dice.value()
            asked.append({"schema": text, "inner": json.dumps(schema["definitions"]["T"]), "text": json.dumps(value)})
            verdicts.append(judge.is_valid(value))
    wrong = [
        (each, verdict)
        for each, verdict, answer in zip(asked, verdicts, answers(tool("node"), compiled, asked), strict=True)
        if answer != {"valid": verdict}
    ]
    assert wrong == []
    assert 1000 < sum(verdicts) < len(verdicts) - 1000


def as_object(schema: Any) -> dict[str, Any]:
    return schema if isinstance(schema, dict) else {"allOf": [schema]}
