"""Random types, data and calls come out of the layout exactly as out of prettier."""

from __future__ import annotations

import difflib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toy_sdk import run

from protogen.targets.typescript.layout import (
    ListOf,
    MapOf,
    TupleOf,
    TypeLayout,
    Union,
    columns,
    enclosed,
    literal,
    string,
    type_after,
)

NAMES = (
    "a",
    "b/c",
    "$x",
    "1",
    "naïve",
    "ªx",
    "名前",
    "ᢂx",
    "\U0001d4b3",
    "__proto__",
    "constructor",
    "it's",
    "new\nline",
    "",
)
SCALARS = (1, 2.5, True, None, 'q"uote', "it's", "both\"'", 10**20, -3, 1e300, 1e-7, "", "a\\b\n", "\u2028", "名前")


class Dice(random.Random):
    """Things to lay out, most of them about as long as a line."""

    def type_name(self) -> str:
        return f"T{'abcdefghij' * self.randint(0, 3)}{self.randint(0, 99)}"

    def leaf(self) -> TypeLayout:
        return self.choice([self.type_name(), "string", "null", "unknown", string("x" * self.randint(1, 30))])

    def union(self) -> TypeLayout:
        members: dict[str, TypeLayout] = {}
        for _ in range(self.randint(2, 7)):
            leaf = self.leaf() if self.random() < 0.8 else MapOf(self.leaf())
            members.setdefault(repr(leaf), leaf)
        found = tuple(members.values())
        return found[0] if len(found) == 1 else Union(found)

    def type(self, depth: int = 0) -> TypeLayout:
        kind = self.randint(0, 9)
        if depth > 2 or kind < 4:
            return self.leaf()
        if kind < 7:
            return self.union()
        if kind == 7:
            return ListOf(self.type(depth + 1))
        if kind == 8:
            return MapOf(self.type(depth + 1))
        return TupleOf(tuple(self.type(depth + 1) for _ in range(self.randint(0, 4))))

    def value(self, depth: int = 0) -> Any:
        kind = self.randint(0, 9)
        if depth > 3 or kind < 4:
            return self.choice([*SCALARS, "s" * self.randint(0, 40)])
        if kind < 6:
            return [self.randint(0, 10 ** self.randint(0, 9)) for _ in range(self.randint(0, 30))]
        if kind < 8:
            return [self.value(depth + 1) for _ in range(self.randint(0, 5))]
        return {
            self.choice([*NAMES, "k" * self.randint(1, 30)]): self.value(depth + 1) for _ in range(self.randint(0, 5))
        }

    def declarations(self, number: int) -> list[str]:
        member, tail = f"f{'n' * self.randint(0, 40)}", "n" * self.randint(0, 40)
        parameters = [f"p{at}: T{'y' * self.randint(0, 40)}" for at in range(self.randint(0, 4))]
        values = [string("v" * self.randint(0, 40)) for _ in range(self.randint(0, 6))]
        return [
            type_after(f"export type A{number}{tail} =", self.type(), indent=0),
            f"export interface I{number} {{\n  {type_after(f'{member}?:', self.type(), indent=2)}\n}}",
            f"export const c{number} = {{\n  {self.member()},\n}} as const;",
            enclosed(f"export function f{number}(", parameters, "): void {") + "\n  return;\n}",
            enclosed(f"export const e{number} = [", values, "] as const;"),
        ]

    def member(self) -> str:
        name, value = "m" * self.randint(1, 20), self.value()
        if isinstance(value, str) and columns(name) + columns(string(value)) + 5 > 120:
            return f"{name}:\n    {string(value)}"
        return f"{name}: {literal(value, indent=2, before=columns(name) + 4)}"


def test_random_declarations_are_laid_out_as_prettier_does(tool: Callable[[str], str], tmp_path: Path) -> None:
    dice = Dice(2)
    text = "\n\n".join(declaration for number in range(250) for declaration in dice.declarations(number)) + "\n"
    (tmp_path / "random.ts").write_text(text, "utf-8")
    wanted = run(tool("prettier"), "--print-width", "120", "random.ts", cwd=tmp_path)
    assert list(difflib.unified_diff(text.splitlines(), wanted.splitlines(), lineterm="")) == []
