"""The layout of documents: prettier's, with the keywords of schemas in one order."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from protogen.layout import WIDTH, laid_out

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "schemas").rglob("*.json"))
OURS = [file for file in FILES if file.name == "protocol.json" or file.parent.name == "examples"]
ENDED_SECONDS = 60

RANDOM = 300


Tool = Callable[[str], str]


def prettier(folder: Path, tool: Tool) -> None:
    """Lets prettier lay out every file of a folder, at our width."""
    command = [tool("prettier"), "--print-width", str(WIDTH), "--log-level", "warn", "--no-config", "--write", "."]
    subprocess.run(command, cwd=folder, check=True, timeout=ENDED_SECONDS)


def written(value: Any, chance: random.Random) -> str:
    """A value as JSON text with blanks where nobody would put them."""
    gap = chance.choice(["", " ", "\n", "\n\n", " \n \n\n ", "\t"])
    match value:
        case dict():
            comma = f",{chance.choice(['', ' ', chr(10), chr(10) * 3])}"
            return (
                "{" + gap + comma.join(f"{json.dumps(k)}: {written(v, chance)}" for k, v in value.items()) + gap + "}"
            )
        case list():
            return "[" + gap + f",{gap}".join(written(item, chance) for item in value) + "]"
        case _:
            return json.dumps(value, ensure_ascii=chance.random() < 0.5)


def made(chance: random.Random, depth: int = 4) -> Any:
    kind = chance.randrange(9 if depth else 5)
    match kind:
        case 0 | 1:
            return chance.choice(["", "a", "some words", "w" * chance.randrange(70), 'größe 文字 \n "q"', "é"])
        case 2:
            return chance.choice([0, -1, 1.5, 10**20, 12345])
        case 3:
            return chance.choice([True, False, None])
        case 4:
            return [chance.randrange(10**6) for _ in range(chance.choice([0, 1, 3, 40]))]
        case 5 | 6:
            return [made(chance, depth - 1) for _ in range(chance.randrange(5))]
        case _:
            return {f"k{at}{'x' * chance.randrange(9)}": made(chance, depth - 1) for at in range(chance.randrange(6))}


def test_random_values_are_laid_out_as_prettier_does(tmp_path: Path, tool: Tool) -> None:
    chance = random.Random(3)
    texts: dict[str, str] = {}
    for at in range(RANDOM):
        value = [made(chance), made(chance)] if at % 2 else {"a": made(chance), "b": made(chance)}
        texts[f"{at}.json"] = written(value, chance)
    for name, text in texts.items():
        (tmp_path / name).write_text(text, "utf-8")
    prettier(tmp_path, tool)
    for name, text in texts.items():
        assert laid_out(text, schema=False) == (tmp_path / name).read_text("utf-8"), text


def test_documents_of_ours_are_laid_out_as_prettier_does(tmp_path: Path, tool: Tool) -> None:
    for at, file in enumerate(FILES):
        (tmp_path / f"{at}.json").write_text(laid_out(file.read_text("utf-8"), schema=True), "utf-8")
    prettier(tmp_path, tool)
    for at, file in enumerate(FILES):
        # Numbers are what prettier writes anew and we do not.
        ours = laid_out(file.read_text("utf-8"), schema=True).replace("e+", "e")
        assert ours == (tmp_path / f"{at}.json").read_text("utf-8"), file


@pytest.mark.parametrize("file", FILES, ids=[file.relative_to(ROOT / "schemas").as_posix() for file in FILES])
def test_a_layout_changes_no_value_and_is_its_own(file: Path) -> None:
    text = file.read_text("utf-8")
    once = laid_out(text, schema=True)
    assert json.loads(once) == json.loads(text)
    assert laid_out(once, schema=True) == once


@pytest.mark.parametrize("file", OURS, ids=[file.relative_to(ROOT / "schemas").as_posix() for file in OURS])
def test_documents_of_ours_have_their_layout(file: Path) -> None:
    text = file.read_text("utf-8")
    assert laid_out(text, schema=file.name == "protocol.json") == text


def test_keywords_stand_in_one_order_and_members_as_they_were_written() -> None:
    text = (
        '{"$defs": {"B": {"properties": {"z": {"minLength": 1, "type": "string"}, "a": {"x-own": 1, "type": "null"}},'
        ' "type": "object", "description": "B."}, "A": {"oneOf": [{"$ref": "#", "description": "It."}]}},'
        ' "x-methods": {"z": {"to": "b", "from": "a"}, "a": {}}, "x-protocol": {"version": "1", "name": "n"}}'
    )
    tree = json.loads(laid_out(text, schema=True))
    assert list(tree) == ["x-protocol", "x-methods", "$defs"]
    assert list(tree["$defs"]) == ["B", "A"]
    assert list(tree["$defs"]["B"]) == ["description", "type", "properties"]
    assert list(tree["$defs"]["B"]["properties"]) == ["z", "a"]
    assert list(tree["$defs"]["B"]["properties"]["z"]) == ["type", "minLength"]
    assert list(tree["$defs"]["B"]["properties"]["a"]) == ["type", "x-own"]
    assert list(tree["$defs"]["A"]["oneOf"][0]) == ["description", "$ref"]
    assert list(tree["x-methods"]) == ["z", "a"]
    assert list(tree["x-methods"]["z"]) == ["to", "from"]


def test_numbers_and_strings_stay_as_they_were_written() -> None:
    text = '{ "a": [1.0, 1e3, -0, 100000000000000000000000], "b": "\\u00e9 \\/ é" }\n'
    assert laid_out(text, schema=True) == text


def fmt(*words: str, cwd: Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-P", "-m", "protogen", "fmt", *words]
    return subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=ENDED_SECONDS, cwd=cwd)


LOOSE = b'{"type":"object","$schema":"https://json-schema.org/draft/2020-12/schema"}'
TIDY = b'{ "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object" }\n'


def test_the_command_writes_what_has_another_layout(tmp_path: Path) -> None:
    (tmp_path / "loose.json").write_bytes(LOOSE)
    (tmp_path / "tidy.json").write_bytes(TIDY)
    found = fmt("loose.json", "tidy.json", "--check", cwd=tmp_path)
    assert (found.returncode, found.stdout) == (1, b"would change loose.json\n2 files, 1 would change\n")
    found = fmt("loose.json", "--diff", cwd=tmp_path)
    assert found.returncode == 1
    assert f"-{LOOSE.decode()}" in found.stdout.decode().splitlines()
    assert (tmp_path / "loose.json").read_bytes() == LOOSE
    found = fmt("loose.json", "tidy.json", cwd=tmp_path)
    assert (found.returncode, found.stdout) == (0, b"changed loose.json\n2 files, 1 changed\n")
    assert (tmp_path / "loose.json").read_bytes() == TIDY
    assert fmt("loose.json", "--check", cwd=tmp_path).returncode == 0


def test_the_command_lays_out_a_project_with_its_examples(tmp_path: Path) -> None:
    (tmp_path / "protogen.toml").write_text('[protocols.a]\nschema = "a.json"\n')
    (tmp_path / "a.json").write_bytes(TIDY)
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "b.json").write_text("[ ]")
    assert fmt(cwd=tmp_path).stdout == b"changed examples/b.json\n2 files, 1 changed\n"


def test_the_command_reads_standard_input(tmp_path: Path) -> None:
    assert fmt("-", cwd=tmp_path, stdin=LOOSE).stdout == TIDY
    found = fmt("-", cwd=tmp_path, stdin=b"{")
    assert (found.returncode, found.stdout) == (2, b"")
    assert found.stderr.startswith(b"<stdin>:1:2 error PG003:")
    found = fmt("-", cwd=tmp_path, stdin=b'"\xff"')
    assert found.returncode == 2
    assert b"UTF-8" in found.stderr
    assert b"Traceback" not in found.stderr


@pytest.mark.parametrize(("text", "code"), [(b"{", b"PG003"), (b"\xff", b"PG002"), (b"", b"PG003")])
def test_what_is_no_json_is_left_alone(text: bytes, code: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_bytes(text)
    found = fmt("bad.json", cwd=tmp_path)
    assert found.returncode == 2
    assert code in found.stderr
    assert (tmp_path / "bad.json").read_bytes() == text
