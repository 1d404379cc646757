"""The published documents of ../shared, where it stands: each builds, imports and verifies in all three languages.

Each has a small twin in `documents/` that says the same without it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from readings import DOCUMENTS, bare, method, name_of, reading_of

from protogen import build
from protogen.config import for_schema
from protogen.imported import as_document
from protogen.output import GeneratedFile
from protogen.render import Templates
from protogen.samples import make
from protogen.verify import run

ROOT = Path(__file__).resolve().parents[2]
FOLDER = "reference/foreign"
FOREIGN = [
    ("mcp-2025-06-18.json", "a JSON Schema of messages: 16 requests, 9 notifications"),
    ("a2a-v0.3.0.json", "a JSON Schema of messages: 10 requests, 12 errors"),
    ("acp-v1-schema.json", "a JSON Schema with methods by side: 21 requests, 4 notifications, with acp-v1-meta.json"),
    ("lsp-metaModel-3.17.json", "a language server meta-model (3.17.0): 67 requests, 26 notifications, 11 errors"),
    ("massa.json", "an OpenRPC document (1.2.4): 52 requests"),
    ("example-link-example-openrpc.json", "an OpenRPC document (1.0.0-rc1): 6 requests"),
    ("example-params-by-name-petstore-openrpc.json", "an OpenRPC document (1.0.0-rc1): 3 requests"),
    ("example-petstore-openrpc.json", "an OpenRPC document (1.0.0-rc1): 3 requests, 1 error"),
]
TWINS = ["openrpc.json", "messages.json", "envelopes.json", "spelled-out.json", "sides-schema.json", "metamodel.json"]


@pytest.mark.shared
@pytest.mark.parametrize(("name", "told"), FOREIGN)
def test_published_documents_are_read(tmp_path: Path, shared: Path, name: str, told: str) -> None:
    reading = reading_of(shared / FOLDER / name)
    assert reading.told == f"{name}: read as {told}"
    file = tmp_path / "protocol.json"
    file.write_text(json.dumps(as_document(reading.protocol, reading.normal)), "utf-8")
    assert bare(reading_of(file).protocol) == bare(reading.protocol) or reading.protocol.examples


@pytest.mark.shared
def test_published_methods_go_where_their_text_says(shared: Path) -> None:
    protocol = reading_of(shared / FOLDER / "mcp-2025-06-18.json").protocol
    assert {m.name for m in protocol.methods if m.sender == "server"} == {
        "elicitation/create",
        "notifications/message",
        "notifications/prompts/list_changed",
        "notifications/resources/list_changed",
        "notifications/resources/updated",
        "notifications/tools/list_changed",
        "roots/list",
        "sampling/createMessage",
    }
    assert {m.name for m in protocol.methods if m.mutual} == {
        "ping",
        "notifications/cancelled",
        "notifications/progress",
    }
    assert name_of(method(protocol, "tools/call").result) == "CallToolResult"
    assert name_of(method(protocol, "logging/setLevel").result) == "EmptyResult"


def _verified(path: Path, target: str, count: int) -> Any:
    entry = for_schema(path, root=path.parent).protocols[0]
    protocol = reading_of(path).protocol
    product, problems = build.generate(protocol, entry, target, renderer=Templates())
    assert not [problem for problem in problems if problem.level == "error"]
    prefix = f"{target}/{entry.name}/"
    files = [GeneratedFile(path=file.path.removeprefix(prefix), text=file.text) for file in product.files]
    samples = list(make(protocol.schema["definitions"], seed=1, least=count).samples)
    tally = run(target, files, build.options(entry, target), samples, near=(ROOT,))
    assert tally.failure == ""
    assert tally.findings == ()
    return tally


@pytest.mark.parametrize("name", TWINS)
def test_types_of_the_twins_accept_what_their_schemas_accept(name: str) -> None:
    assert _verified(DOCUMENTS / name, "python", 300).samples >= 300


@pytest.mark.parametrize("target", ["typescript", "go"])
def test_twins_compile(tool: Any, target: str) -> None:
    tool("tsc" if target == "typescript" else "go")
    assert _verified(DOCUMENTS / "metamodel.json", target, 300).samples >= 300


@pytest.mark.soak
@pytest.mark.parametrize("target", ["python", "typescript", "go"])
@pytest.mark.parametrize("name", TWINS)
def test_every_twin_verifies_in_every_language(name: str, target: str) -> None:
    assert _verified(DOCUMENTS / name, target, 2000).samples >= 2000


@pytest.mark.soak
@pytest.mark.shared
@pytest.mark.parametrize("target", ["python", "typescript", "go"])
@pytest.mark.parametrize("name", [name for name, _ in FOREIGN])
def test_every_published_document_verifies_in_every_language(shared: Path, name: str, target: str) -> None:
    assert _verified(shared / FOLDER / name, target, 2000).samples >= 2000
