"""The reference of every protocol: whole, linked, the same each time, and with nothing in it that is not text."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from page_reader import PageReader, read_page
from references import HOSTILE, ROOT, described, generated

from protogen import ir
from protogen.output import HEADER_MARK, json_text
from protogen.targets.docs.blocks import Anchor, Bullets, Code, Paragraph, Text, prose, visible
from protogen.targets.docs.rules import rules
from protogen.targets.docs.view import Reference

Site = dict[str, str]
ELEMENTS = set(
    "html head meta title link script body a header span div input ul li button nav main h1 h2 h3 p code pre "
    "table thead tbody tr th td details summary br".split()
)
ATTRIBUTES = set(
    "lang charset name content rel href src defer class id type placeholder autocomplete spellcheck aria-label "
    "aria-controls aria-current hidden scope".split()
)
HTML_IN_MARKDOWN = re.compile(
    r'<!-- .* -->|<a id="[\w./$-]+">|</a>|</?details>|<summary>.*</summary>|<br>|</?code>', re.DOTALL
)


def pages(site: Site) -> dict[str, PageReader]:
    """The HTML pages by file name."""
    return {
        path.removeprefix("site/"): read_page(text) for path, text in site.items() if path.endswith(".html")
    }  # fmt: skip


def tokens(text: str) -> Iterator[Token]:
    """All tokens of a Markdown text, those within lines included."""
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        yield token
        yield from token.children or ()


def places(protocol: ir.Protocol) -> set[Anchor]:
    """Where each part of the protocol must stand."""
    anchors = Reference(protocol).anchors
    tables = (anchors.roles, anchors.methods, anchors.types, anchors.errors, anchors.members)
    return {anchor for table in tables for anchor in table.values()}


def assert_linked(site: Site) -> None:
    """Every link leads to a file, and where it says so to an id in it, in both forms."""
    read = pages(site)
    for name, page in read.items():
        assert [href for href, n in Counter(page.ids).items() if n > 1] == [], name
        for link in page.links:
            file, _, place = link.partition("#")
            if link != "data:,":
                assert f"site/{file or name}" in site, (name, link)
                assert not place or place in read[file or name].ids, (name, link)
    texts = {path: text for path, text in site.items() if path.endswith(".md")}
    ids = {path: re.findall(r'<a id="([^"]+)">', text) for path, text in texts.items()}
    for path, text in texts.items():
        assert len(set(ids[path])) == len(ids[path]), path
        for token in tokens(text):
            if token.type == "link_open":
                file, _, place = str(token.attrs["href"]).partition("#")
                assert file in texts, (path, file)
                assert not place or place in ids[file], (path, token.attrs)


def assert_sound(site: Site) -> None:
    """Elements are nested as they should be, and there are no others than those of the pages themselves."""
    for name, page in pages(site).items():
        assert page.faults == [], name
        assert set(page.elements) <= ELEMENTS, name
        assert {attribute for _, attribute in page.attributes} <= ATTRIBUTES, name
    for path, text in site.items():
        if path.endswith(".md"):
            found = [token for token in tokens(text) if token.type in ("html_block", "html_inline")]
            strange = [HTML_IN_MARKDOWN.sub("", token.content) for token in found]
            assert [part for part in strange if part.strip()] == [], path
            assert not any(token.type == "image" for token in tokens(text)), path


# --- protocols -----------------------------------------------------------------------------------


def test_links_lead_somewhere(site: Site) -> None:
    assert_linked(site)


def test_pages_are_sound(site: Site) -> None:
    assert_sound(site)


def test_every_part_of_a_protocol_has_its_place_in_both_forms(protocol: ir.Protocol, site: Site) -> None:
    wanted = places(protocol)
    read = pages(site)
    assert len(wanted) >= len(protocol.definitions) + len(protocol.methods) + len(protocol.errors)
    for anchor in wanted:
        assert anchor.id in read["index.html" if anchor.page == "README" else f"{anchor.page}.html"].ids
        assert f'<a id="{anchor.id}"></a>' in site[f"{anchor.page}.md"]


def test_every_part_can_be_searched_for(protocol: ir.Protocol, site: Site) -> None:
    script = site["site/entries.js"]
    rows = json.loads(script[script.index("= [") + 2 : script.rindex(";")])
    read = pages(site)
    assert len(rows) == len(places(protocol))
    assert {kind for _, kind, _, _ in rows} <= {"role", "request", "notification", "error", "type", "member"}
    for _, _, _, href in rows:
        file, _, place = href.partition("#")
        assert place in read[file].ids


def test_examples_are_shown_whole(protocol: ir.Protocol, site: Site) -> None:
    for blocks in (_listings(site), _fences(site)):
        for example in protocol.examples:
            for part in (example.value, example.request, example.response, *example.events):
                assert isinstance(part, ir.UnsetType) or part in blocks, example.name


def _listings(site: Site) -> list[object]:
    return [json.loads(text) for page in pages(site).values() for text in page.listings]


def _fences(site: Site) -> list[object]:
    texts = [text for path, text in site.items() if path.endswith(".md")]
    return [json.loads(token.content) for text in texts for token in tokens(text) if token.type == "fence"]


def test_nothing_comes_from_elsewhere(site: Site) -> None:
    for path, text in site.items():
        if path.startswith("site/") and not path.endswith(".html"):
            assert not re.search(r"https?:|//[a-z]|@import|url\(|fetch\(|XMLHttp|\beval\b|innerHTML", text), path
    for name, page in pages(site).items():
        assert not [link for link in page.links if ":" in link and link != "data:,"], name


def test_files_say_what_they_are_made_from_and_end_in_a_line_feed(site: Site) -> None:
    for path, text in site.items():
        assert HEADER_MARK in text, path
        assert text.endswith("\n"), path
        assert not text.endswith("\n\n"), path


def test_the_same_protocol_gives_the_same_reference() -> None:
    assert generated(described("echo")) == generated(described("echo"))


def test_a_method_is_told_with_all_that_a_caller_needs() -> None:
    text = generated(described("apflow/1.0"))["methods.md"]
    part = text[text.index('<a id="method-tasks.get">') : text.index('<a id="method-tasks.update">')]
    for line in (
        "Request, `client` → `node`, idempotent.",
        "By name: [`TasksGetParams`](types.md#type-TasksGetParams).",
        "[`TasksGetResult`](types.md#type-TasksGetResult).",
        "<summary>No such task.</summary>",
    ):
        assert line in part
    row = "| `-32001` | [`TaskNotFound`](errors.md#error-TaskNotFound) | There is no task with this identifier. |"
    assert row in part


def test_a_schema_without_methods_has_types_alone() -> None:
    site = generated(
        ir.Protocol(
            name="bare",
            version="0",
            title="Bare",
            doc="",
            definitions=(ir.Alias(name="Id", type=ir.StringType(), exact=True),),
            schema={"definitions": {"Id": {"type": "string", "minLength": 1}}},
        )
    )
    assert sorted(path for path in site if path.endswith(".md")) == ["README.md", "types.md"]
    assert "Transports" not in site["README.md"]
    assert "\nString: at least 1 character.\n" in site["types.md"]


# --- hostile text --------------------------------------------------------------------------------


def test_hostile_text_stays_text(hostile: ir.Protocol) -> None:
    site = generated(hostile)
    assert_sound(site)
    assert_linked(site)
    for name, page in pages(site).items():
        assert page.text.count(HOSTILE) > 1, name
    script = site["site/entries.js"]
    assert len(json.loads(script[script.index("= [") + 2 : script.rindex(";")])) == len(places(hostile))


def test_hostile_text_reads_as_it_stands_in_markdown(hostile: ir.Protocol) -> None:
    for path, text in generated(hostile).items():
        if path.endswith(".md"):
            cells = [
                "".join(_text(child) for child in token.children or ()) for token in tokens(text) if token.children
            ]
            assert sum(HOSTILE in cell for cell in cells) > 1, path
            rows = [line for line in text.split("\n") if line.startswith("| ")]
            parsed = sum(token.type == "tr_open" for token in tokens(text))
            assert parsed == len(rows) - sum(row.startswith("| ---") for row in rows), path


def _text(token: Token) -> str:
    return token.content if token.type in ("text", "code_inline") else ""


def test_no_file_holds_a_character_that_hides(hostile: ir.Protocol) -> None:
    for path, text in generated(hostile).items():
        text.encode()
        assert not re.search("[\x00-\x09\x0b-\x1f\u2028\u202e]", text), path


# --- parts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "type_", "said"),
    [
        ({"minimum": 0, "maximum": 3}, None, "≥ `0`, ≤ `3`"),
        ({"exclusiveMinimum": 0.5, "multipleOf": 2}, None, "> `0.5`, a multiple of `2`"),
        ({"minLength": 1}, None, "at least 1 character"),
        ({"minLength": 2, "maxLength": 2}, None, "exactly 2 characters"),
        ({"minItems": 0, "maxItems": 1000, "uniqueItems": True}, None, "at most 1,000 items, no two items equal"),
        ({"items": {"pattern": "^a$", "minLength": 1}}, None, "each item: at least 1 character, matches `^a$`"),
        ({"anyOf": [{"type": "null"}, {"maxLength": 9}]}, None, "at most 9 characters"),
        (
            {"propertyNames": {"maxLength": 9}, "minProperties": 1},
            None,
            "at least 1 member, names: at most 9 characters",
        ),
        (False, None, "never allowed"),
        ({"$ref": "#/definitions/A", "minLength": 1}, None, ""),
        ({"type": "string"}, ir.NullableType(of=ir.StringType(format="uuid")), "format `uuid`"),
    ],
)
def test_constraints_are_told_in_words(schema: object, type_: ir.Type | None, said: str) -> None:
    parts = rules(schema, type_)
    assert "".join(f"`{part.text}`" if isinstance(part, Code) else getattr(part, "text", "") for part in parts) == said


def test_a_description_keeps_paragraphs_lists_and_code() -> None:
    assert prose("One\ntwo `x`.\n\n- a\n  more\n- ``b`c``\n\n\n") == (
        Paragraph((Text("One two "), Code("x"), Text("."))),
        Bullets(((Text("a   more"),), (Code("b`c"),))),
    )
    assert prose("") == ()


def test_json_is_laid_out_for_reading_and_stays_what_it_is() -> None:
    value = {"a": [1, {"b": None}], "long": ["x" * 60, "y" * 60], "empty": {}, "deep": {"z" * 60: ["w" * 60]}}
    text = json_text(value)
    assert json.loads(text) == value
    assert '\n  "a": [1, {"b": null}],\n' in text
    assert max(map(len, text.split("\n"))) <= 96


def test_what_is_not_seen_is_written_as_an_escape_of_json() -> None:
    value = {"a\u202eb": "\u2028\x7f\ufeff\U000e0001é→"}
    text = visible(json_text(value))
    assert text == '{"a\\u202eb": "\\u2028\\u007f\\ufeff\\udb40\\udc01é→"}'
    assert json.loads(text) == value


def test_search_finds_names_first(tool: Callable[[str], str], tmp_path: Path) -> None:
    asked = ["task", "tasks get", "GET", "priority", "-32001", "identifier", "", "nothing at all"]
    entries = [
        ["Task", "type", "A unit of work.", "types.html#type-Task"],
        ["Task.priority", "member", "Urgency.", "types.html#member-Task.priority"],
        ["tasks.get", "request", "Reads a task.", "methods.html#method-tasks.get"],
        ["tasks.widget", "request", "Draws.", "methods.html#method-tasks.widget"],
        ["TaskNotFound -32001", "error", "No task with this identifier.", "errors.html#error-TaskNotFound"],
    ]
    script = tmp_path / "ask.cjs"
    module = ROOT / "templates" / "docs" / "site" / "search.js"
    script.write_text(
        f"const {{ find }} = require({json.dumps(str(module))});\n"
        f"const names = (text) => find({json.dumps(entries)}, text).map((entry) => entry[0]);\n"
        f"const found = {json.dumps(asked)}.map(names);\n"
        "process.stdout.write(JSON.stringify(found));\n"
    )
    command = [tool("node"), str(script)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    assert dict(zip(asked, json.loads(done.stdout), strict=True)) == {
        "task": ["Task", "tasks.get", "tasks.widget", "TaskNotFound -32001", "Task.priority"],
        "tasks get": ["tasks.get", "tasks.widget"],
        "GET": ["tasks.get", "tasks.widget"],
        "priority": ["Task.priority"],
        "-32001": ["TaskNotFound -32001"],
        "identifier": ["TaskNotFound -32001"],
        "": [],
        "nothing at all": [],
    }


def test_the_target_imports_nothing_heavy() -> None:
    heavy = ("jinja2", "jsonschema", "jsonschema_rs", "fastjsonschema", "datamodel_code_generator", "schemathesis")
    command = "import sys, protogen.targets.docs.target; print([name for name in sys.argv[1:] if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-P", "-c", command, *heavy],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
