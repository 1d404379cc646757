"""The tables of docs/reference/features.md and config.md say what the generator does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from protogen import keywords
from protogen.build import build, options
from protogen.config import _KEYS, Config, ProtocolConfig, for_schema, read

ROOT = Path(__file__).resolve().parents[2]
FEATURES = ROOT / "docs" / "reference" / "features.md"
CONFIG = ROOT / "docs" / "reference" / "config.md"
LANGUAGES = ("python", "typescript", "go")


def tables(page: str) -> Iterator[tuple[str, list[list[str]]]]:
    """Each table of a page under its heading: its rows, the two of the head left out."""
    heading = ""
    rows: list[list[str]] = []
    for line in [*page.splitlines(), ""]:
        if line.startswith("#"):
            heading = line.lstrip("#").strip()
        if line.startswith("|"):
            cells = re.split(r"(?<!\\)\|", line)[1:-1]
            rows.append([cell.strip().replace("\\|", "|") for cell in cells])
        elif rows:
            yield heading, rows[2:]
            rows = []


def table(page: Path, heading: str) -> list[list[str]]:
    """The first table below a heading."""
    return next(rows for found, rows in tables(page.read_text("utf-8")) if found == heading)


def code(cell: str) -> str:
    """The one piece of code in a cell."""
    found: list[str] = re.findall(r"`([^`]*)`", cell)
    assert len(found) == 1, cell
    return found[0]


def type_in(cell: str) -> str | None:
    """The type that a cell shows; None where it says that the language has no such member."""
    return None if cell == "no field" else code(cell)


def generated(folder: Path, required: dict[str, Any], optional: dict[str, Any]) -> dict[str, dict[str, str]]:
    """For each language the type of each member of a record, as its SDK declares it."""
    sample = {"type": "object", "properties": {**required, **optional}, "required": list(required)}
    thing = {"type": "object", "properties": {"name": {"type": "string"}}}
    schema = folder / "sample.json"
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": {"Sample": sample, "Thing": thing}}
    schema.write_text(json.dumps(document), "utf-8")
    outcome = build(for_schema(schema, root=folder.resolve()), targets=LANGUAGES)
    assert outcome.problems == ()
    texts = {file.path: file.text for product in outcome.products for file in product.files}
    python = next(text for path, text in texts.items() if re.search(r"python/.*_protocol/types\.py$", path))
    go = next(text for path, text in texts.items() if re.search(r"go/[^/]*/types\.go$", path))
    typescript = next(text for path, text in texts.items() if path.endswith("src/types.ts"))
    return {
        "python": dict(re.findall(r"^    (m\d+): (.*)$", python, re.MULTILINE)),
        "typescript": {
            name: f"{mark}: {type_}" if mark else type_
            for name, mark, type_ in re.findall(r"^  (m\d+)(\??): (.*);$", typescript, re.MULTILINE)
        },
        "go": {
            name.lower(): type_ for name, type_ in re.findall(r"^\t(M\d+)\s+([^\s`]+(?: [^\s`]+)*)", go, re.MULTILINE)
        },
    }


def test_types_of_values_are_those_of_the_table(tmp_path: Path) -> None:
    rows = table(FEATURES, "Values")
    members = {f"m{index}": json.loads(code(row[0])) for index, row in enumerate(rows)}
    found = generated(tmp_path, members, {})
    for column, language in enumerate(LANGUAGES, 1):
        assert {code(rows[index][0]): found[language].get(f"m{index}") for index in range(len(rows))} == {
            code(row[0]): type_in(row[column]) for row in rows
        }, language


def test_types_of_absent_and_null_members_are_those_of_the_table(tmp_path: Path) -> None:
    rows = table(FEATURES, "Presence")
    members = {f"m{index}": (row[0].split(":")[0], json.loads(code(row[0]))) for index, row in enumerate(rows)}
    required = {name: schema for name, (presence, schema) in members.items() if presence == "required"}
    optional = {name: schema for name, (presence, schema) in members.items() if presence == "optional"}
    assert required
    assert optional
    found = generated(tmp_path, required, optional)
    for column, language in enumerate(LANGUAGES, 1):
        assert {row[0]: found[language].get(f"m{index}") for index, row in enumerate(rows)} == {
            row[0]: type_in(row[column]) for row in rows
        }, language


def test_every_keyword_that_is_read_is_in_a_table() -> None:
    rows = table(FEATURES, "Keywords that accept or reject values")
    named = [name for row in rows for name in re.findall(r"`([^`]*)`", row[0])]
    assert sorted(named) == sorted(set(keywords.CONSTRAINTS))
    rows = table(FEATURES, "Keywords that annotate")
    named = [name for row in rows for name in re.findall(r"`([^`]*)`", row[0]) if not name.startswith("x-")]
    assert sorted(named) == sorted(set(keywords.ANNOTATIONS))


@pytest.mark.parametrize(
    ("heading", "keys"),
    [
        ("[project]", _KEYS["project"]),
        ("[protocols.NAME]", _KEYS["protocol"]),
        ("[protocols.NAME.TARGET]", _KEYS["target"]),
    ],
)
def test_every_key_of_the_configuration_is_in_its_table(heading: str, keys: tuple[str, ...]) -> None:
    assert sorted(code(row[0]) for row in table(CONFIG, heading)) == sorted(keys)


def test_configuration_that_the_page_shows_is_read(tmp_path: Path) -> None:
    found = re.search(r"```toml\n(.*?)```", CONFIG.read_text("utf-8"), re.DOTALL)
    assert found is not None
    file = tmp_path / "protogen.toml"
    file.write_text(found[1], "utf-8")
    config: Config = read(file)
    notes = config.protocols[0]
    assert (notes.name, notes.targets) == ("notes", LANGUAGES)
    assert [options(notes, target).version for target in LANGUAGES] == ["0.1.0", "0.1.0", "0.2.0"]


def test_default_names_are_those_of_the_table() -> None:
    shown = [rows for heading, rows in tables(CONFIG.read_text("utf-8")) if heading == "[protocols.NAME.TARGET]"]
    entry = ProtocolConfig(name="notes", schema="a", version="1", license="MIT", targets=LANGUAGES, names={})
    for target, package, distribution in shown[1]:
        made = options(entry, code(target))
        same = distribution == "the same"
        assert (made.package, made.distribution) == (code(package), code(package if same else distribution))
