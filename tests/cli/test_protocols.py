"""The protocols that commands know by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from protogen.cli import protocols


def test_oldest_dialect_has_the_plain_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    known = {name: schema.parent.name for name, schema in protocols.known().items()}
    assert known == {
        "a2a": "0.3",
        "a2a-1.0": "1.0",
        "apflow": "1.0",
        "echo": "echo",
        "stepflow": "0.9",
        "stepflow-0.11": "0.11",
    }


def test_every_known_protocol_can_be_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in protocols.known():
        found = protocols.load(name, None)
        assert found is not None, name
        assert found.methods, name


def test_document_of_ones_own_may_refer_to_its_project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "protogen.toml").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep").mkdir()
    draft = {"$schema": "http://json-schema.org/draft-07/schema#"}
    types = {**draft, "definitions": {"T": {"type": "string"}}}
    (tmp_path / "types.json").write_text(json.dumps(types), encoding="utf-8")
    about = {"name": "mine", "version": "1.0", "title": "Mine", "summary": "A test."}
    whole = {**draft, "x-protocol": about, "definitions": {"A": {"$ref": "../types.json#/definitions/T"}}}
    document = tmp_path / "deep" / "protocol.json"
    document.write_text(json.dumps(whole), encoding="utf-8")
    found = protocols.load(None, document)
    assert found is not None
    assert found.name == "mine"
