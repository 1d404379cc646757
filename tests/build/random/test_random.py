"""Random and damaged documents: each builds to code that compiles in every language, or gives Problems, in time."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import mutations
import pytest
import random_schemas
from bases import bases, own, suite
from click.testing import CliRunner
from holding import Tally, hold

from protogen.cli import cli

COUNT = int(os.environ.get("PROTOGEN_RANDOM_DOCUMENTS", "10000"))
FIRST = int(os.environ.get("PROTOGEN_RANDOM_FIRST", "0"))
BATCH = 250
"""Documents that go through the compilers at once: what one program of the largest takes of memory is bounded."""

Tool = Callable[[str], str]


def _tagged(tag: dict[str, Any]) -> dict[str, Any]:
    """A record whose tag has a name that msgspec cannot take."""
    return {"type": "object", "properties": {'k"': tag}, "required": ['k"']}


UNLISTED = {"type": "string", "not": {"enum": ["a", "b"]}}
PROTOCOL = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "x-protocol": {"name": "acme", "version": "1.0"},
    "x-roles": {"client": {"summary": "Asks."}, "server": {"summary": "Answers."}},
    "x-methods": {
        name: {"kind": "request", "from": "client", "to": "server", "summary": "x", "params": {"$ref": "#/$defs/A"}}
        for name in ("MarshalJSON", "unmarshalJSON", "+build", "\u202e")
    },
    "x-errors": {"Failed": {"code": -32001, "message": "`*/", "data": {"$ref": "#/$defs/Anything"}}},
    "$defs": {"A": {"type": "object"}, "Anything": {}},
}
FOUND: dict[str, Any] = {
    "control-characters": {"$defs": {"A": {"type": "object", "description": "a\x00b"}}},
    "build-constraint": {"$defs": {"A": {"type": "object", "description": "What\n\n+build ignore"}}},
    "members-of-objects": {
        "$defs": {
            "A": {
                "type": "object",
                "properties": {"valueOf": {"type": "array"}},
                "additionalProperties": {"type": "integer"},
            },
        }
    },
    "bounds-beyond-doubles": {"$defs": {"A": {"type": "array", "items": {"type": "number", "minimum": 10**400}}}},
    "defaults-beyond-doubles": {
        "$defs": {"A": {"type": "object", "properties": {"a": {"type": "number", "default": 10**400}}}}
    },
    "members-of-the-sdk": {"$defs": {"A": {"type": "object", "properties": {"\ufdd0extra": {}, "extra": {}}}}},
    "repetitions": {"$defs": {"A": {"type": "string", "pattern": "a{99999999999}"}}},
    "pinned-keywords": {
        "$defs": {"A": {"type": "object", "properties": {"a": {"type": "string", "x-protogen-name": "class"}}}}
    },
    "tuples-of-one": {"$defs": {"a" * 110: {"type": "array", "items": {"$ref": f"#/$defs/{'a' * 110}"}}}},
    "open-unions": {
        "$defs": {"A": {"oneOf": [_tagged({"const": "a"}), _tagged({"const": "b"}), _tagged(UNLISTED)]}},
    },
    "signatures-and-raw-errors": PROTOCOL,
    "types-called-like-a-package": {
        "$defs": {"toJSON": {"type": "object", "properties": {"a": {"oneOf": [{"type": "null"}, {"type": "string"}]}}}}
    },
    "lengths-beyond-counts": {
        "$defs": {
            "A": {"type": "string", "maxLength": 2**63},
            "B": {"type": "string", "minLength": 2**64},
            "C": {"type": "array", "items": {}, "minItems": 2**63, "maxItems": 2**64},
        }
    },
    "quotes-of-tex": {
        "$defs": {
            "A": {
                "description": "`````tex'''",
                "anyOf": [{"type": "string", "title": "'''"}, {"type": "integer", "title": "````"}],
            }
        }
    },
}
"""Documents that one language or the build itself once failed on, in the order they were found."""


def test_what_once_failed_compiles(tmp_path: Path, tool: Tool) -> None:
    texts = {name: json.dumps(tree) for name, tree in FOUND.items()}
    tally = Tally()
    hold(texts, tmp_path, tool, tally)
    assert not tally.faults, _shown(tally, texts)
    assert tally.built == len(FOUND)


def test_a_file_whose_name_no_file_can_have_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text(json.dumps({"$defs": {"A": {"$ref": "a" * 5000 + ".json"}}}), "utf-8")
    done = CliRunner().invoke(cli, ["build", str(file), "--out", str(tmp_path / "out")])
    assert done.exit_code == 1, done.output
    assert "cannot be read: File name too long" in done.output


def _shown(tally: Tally, texts: Mapping[str, str]) -> str:
    """The counts, and the first faults with the beginning of their documents."""
    told = [f"{name}:\n{said}\n{texts[name.split()[0]][:1500]}" for name, said in list(tally.faults.items())[:5]]
    return "\n\n".join([str(tally), *told])


def test_random_documents_compile_or_are_refused(tmp_path: Path, tool: Tool) -> None:
    some = [*own(), *suite()]
    texts = {f"d{number}": random_schemas.document(number) for number in range(120)}
    texts |= {f"m{number}": mutations.document(number, some) for number in range(80)}
    tally = Tally()
    hold(texts, tmp_path, tool, tally)
    assert not tally.faults, _shown(tally, texts)
    assert tally.built >= 80
    assert tally.refused >= 20


@pytest.mark.soak
@pytest.mark.shared
def test_ten_thousand_random_documents_compile_or_are_refused(tmp_path: Path, tool: Tool, shared: Path) -> None:
    some = bases(shared)
    tally = Tally()
    shown: dict[str, str] = {}
    for first in range(FIRST, FIRST + COUNT, BATCH):
        numbers = range(first, min(first + BATCH, FIRST + COUNT))
        texts = {
            f"r{number}": random_schemas.document(number) if number % 2 else mutations.document(number, some)
            for number in numbers
        }
        hold(texts, tmp_path / str(first), tool, tally)
        shown |= {name: texts[name] for name in texts if any(fault.split()[0] == name for fault in tally.faults)}
        print(tally, flush=True)
    assert not tally.faults, _shown(tally, shown)
    assert tally.built >= 0.4 * COUNT
    assert tally.refused >= 0.1 * COUNT
