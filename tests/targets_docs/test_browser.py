"""The reference in a browser: search by keyboard, deep links, both themes, a phone.

Where the machine has no browser, these are skipped and say so; what they rest on is tested without one: search in Node
(`test_reference`, and the twin below), links against all ids (`test_reference`), colours below.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from browser import Page, browser, program
from page_reader import read_page
from references import ROOT, described, generated

Site = dict[str, str]
STYLE = ROOT / "templates" / "docs" / "site" / "style.css"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference of a large protocol, on disk."""
    written = tmp_path_factory.mktemp("reference")
    for path, text in generated(described("apflow/1.0")).items():
        file = written / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return written / "site"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page of a browser, where there is one."""
    path = program()
    if path is None:
        pytest.skip("no chromium on PATH; what these tests rest on is tested without one, see the file's docstring")
    with browser(path, tmp_path_factory.mktemp("profile")) as made:
        yield made


def test_what_is_searched_for_is_found_by_keyboard_and_seen(page: Page, folder: Path) -> None:
    page.be(1280, 800)
    page.open((folder / "index.html").as_uri())
    page.press("/")
    assert page.ask("document.activeElement.id") == "search"
    page.write("tasks cre")
    found = page.ask("[...document.querySelectorAll('#found code')].map((code) => code.textContent)")
    assert found[0] == "tasks.create"
    for key in ("ArrowDown", "ArrowUp"):
        page.press(key)
    assert page.ask("document.querySelector('#found a.chosen code').textContent") == "tasks.create"
    page.press("Enter")
    page.wait_event("Page.loadEventFired")
    assert unquote(page.ask("location.href")).endswith("methods.html#method-tasks.create")
    _assert_in_view(page)


def test_escape_ends_a_search_and_nothing_found_is_said(page: Page, folder: Path) -> None:
    page.be(1280, 800)
    page.open((folder / "types.html").as_uri())
    page.press("/")
    page.write("no such thing")
    assert page.ask("document.getElementById('found').textContent") == "Nothing of this name"
    page.press("Escape")
    assert page.ask("[document.getElementById('found').hidden, document.activeElement.id]") == [True, ""]


@pytest.mark.parametrize("width", [1280, 390])
def test_a_deep_link_shows_what_it_names(page: Page, folder: Path, width: int) -> None:
    page.be(width, 800)
    place = read_page((folder / "types.html").read_text("utf-8")).ids[-1]
    page.open("about:blank")
    page.open(f"{(folder / 'types.html').as_uri()}#{place}")
    _assert_in_view(page)


def _assert_in_view(page: Page) -> None:
    """The element that the address names stands within the window, below what is fixed at its top."""
    top, bottom = page.ask(
        "new Promise((done) => requestAnimationFrame(() => { const found = document.getElementById("
        "decodeURIComponent(location.hash.slice(1))).getBoundingClientRect();"
        "const head = document.querySelector('header'); const fixed = getComputedStyle(head).position === 'static'"
        " ? 0 : head.getBoundingClientRect().bottom; done([found.top - fixed, found.top - innerHeight]); }))"
    )
    assert top >= -1
    assert bottom < 0


@pytest.mark.parametrize("name", ["index.html", "methods.html", "types.html", "errors.html"])
def test_no_page_is_wider_than_a_phone(page: Page, folder: Path, name: str) -> None:
    page.be(390, 800)
    page.open((folder / name).as_uri())
    assert page.ask("document.documentElement.scrollWidth") <= 390


def test_the_theme_is_the_systems_until_it_is_chosen(page: Page, folder: Path) -> None:
    theme = "document.documentElement.dataset.theme"
    page.be(1280, 800, dark=True)
    page.open((folder / "index.html").as_uri())
    assert page.ask(theme) == "dark"
    page.ask("document.getElementById('theme').click()")
    assert page.ask(theme) == "light"
    page.open((folder / "methods.html").as_uri())
    assert page.ask(theme) == "light"


def test_what_has_the_focus_is_marked(page: Page, folder: Path) -> None:
    page.be(1280, 800)
    page.open((folder / "methods.html").as_uri())
    seen: list[str] = []
    for _ in range(6):
        page.press("Tab")
        tag, style = page.ask(
            "[document.activeElement.outerHTML.slice(0, 40), getComputedStyle(document.activeElement).outlineStyle]"
        )
        seen.append(tag)
        assert style != "none", tag
    assert seen[0].startswith('<a class="skip"')
    assert len(set(seen)) == len(seen)


# --- without a browser ---------------------------------------------------------------------------


def test_what_search_finds_stands_where_it_leads(tool: Callable[[str], str], folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "search.cjs"
    script.write_text(
        "globalThis.window = {};\n"
        f"require({json.dumps(str(folder / 'entries.js'))});\n"
        f"const {{ find }} = require({json.dumps(str(folder / 'search.js'))});\n"
        "const named = window.entries.map((entry) => [entry, find(window.entries, entry[0])]);\n"
        "const lost = named.filter(([entry, found]) => !found.some((one) => one[3] === entry[3]));\n"
        "process.stdout.write(JSON.stringify([window.entries.map((entry) => entry[3]), lost]));\n"
    )
    done = subprocess.run([tool("node"), str(script)], capture_output=True, text=True, check=True)
    hrefs, lost = json.loads(done.stdout)
    assert lost == []
    ids = {path.name: read_page(path.read_text("utf-8")).ids for path in folder.glob("*.html")}
    assert len(hrefs) > 100
    for href in hrefs:
        file, _, place = href.partition("#")
        assert place in ids[file], href


PAIRS = [(front, back) for front in ("ink", "soft", "link", "code") for back in ("ground", "raised")]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("front", "back"), [*PAIRS, ("ink", "mark")])
def test_text_stands_out_from_its_ground(theme: str, front: str, back: str) -> None:
    blocks = re.findall(r":root[^{]*\{([^}]*)\}", STYLE.read_text("utf-8"))
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", blocks[("light", "dark").index(theme)]))
    lighter, darker = sorted((_luminance(colours[front]), _luminance(colours[back])), reverse=True)
    # 4.5 is what WCAG 2.2 asks of text (1.4.3).
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
