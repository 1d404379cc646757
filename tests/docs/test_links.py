"""Links between the pages lead somewhere, and every page can be reached from README.md."""

from __future__ import annotations

from pathlib import Path

import pytest
from doc_pages import anchors, links, pages

ROOT = Path(__file__).resolve().parents[2]


def broken(page: Path) -> list[str]:
    """Links of a page that lead to no file or to no heading."""
    found: list[str] = []
    for target in links(page.read_text("utf-8")):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists():
            found.append(f"{target}: no such file")
        elif anchor and file.suffix == ".md" and anchor not in anchors(file.read_text("utf-8")):
            found.append(f"{target}: no such heading")
    return found


@pytest.mark.parametrize("page", pages(ROOT), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or not page.exists():
            continue
        reached.add(page)
        targets = (target.partition("#")[0] for target in links(page.read_text("utf-8")))
        waiting += [(page.parent / target).resolve() for target in targets if target.endswith(".md")]
    assert set(pages(ROOT)) - reached == set()


def test_broken_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# One heading: `it`\n", "utf-8")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md) [b](other.md#one-heading-it) [c](missing.md) [`d`](other.md#two) ![e](no.svg)\n"
        '```text\n[in code](nowhere.md)\n```\n`[f](nowhere.md)` <img src="gone.svg">\n',
        "utf-8",
    )
    assert broken(page) == [
        "missing.md: no such file",
        "other.md#two: no such heading",
        "no.svg: no such file",
        "gone.svg: no such file",
    ]


def test_index_of_decisions_lists_each_by_its_title_in_order() -> None:
    folder = ROOT / "docs" / "decisions"
    titles = {file: file.read_text("utf-8").partition("\n")[0].removeprefix("# ") for file in folder.glob("0*.md")}
    wanted = [f"- [{titles[file]}]({file.name})" for file in sorted(titles)]
    index = (folder / "README.md").read_text("utf-8").splitlines()
    assert [line for line in index if line.startswith("- ")] == wanted
