"""Every command that the pages show is run, in order, and prints what the pages show."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from doc_pages import fences, pages
from sessions import Differs, matches, run_page

ROOT = Path(__file__).resolve().parents[2]
SESSIONS = [page for page in pages(ROOT) if page.exists() and "```console" in page.read_text("utf-8")]

NOT_RUN = {
    r"make (demo|test|bench|build|check|help)": "sets up and runs everything; a test below finds the target",
    r"git clone \S+( \S+)?( && cd \S+)?": "needs the network",
    r"pip install \.": "installs the checkout: tests/packaging does it",
    r"pip install protogen-jsonrpc": "needs the network",
    r"npm (install|publish)( \S+)*": "needs the network",
}
"""Commands in `sh` blocks, which are shown and not run, each with the reason."""


@pytest.mark.parametrize("page", SESSIONS, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_a_page_print_what_it_shows(page: Path, tmp_path: Path) -> None:
    assert run_page(page, root=ROOT, folder=tmp_path) > 0


def test_the_pages_that_newcomers_follow_have_sessions() -> None:
    names = {str(page.relative_to(ROOT)) for page in SESSIONS}
    assert {"README.md", "docs/tutorial.md", "docs/reference/cli.md"} <= names


@pytest.mark.parametrize("page", pages(ROOT), ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_are_not_run_are_known(page: Path) -> None:
    for fence in fences(page.read_text("utf-8")):
        assert fence.language, f"line {fence.line}: name the language of the block (text for none)"
        if fence.language in ("sh", "bash", "shell"):
            for command in fence.text.splitlines():
                assert any(re.fullmatch(known, command) for known in NOT_RUN), f"line {fence.line}: {command}"


def test_make_targets_that_the_pages_name_exist() -> None:
    named = {
        target
        for page in pages(ROOT)
        for target in re.findall(r"(?:`|^)make ([a-z]+)", page.read_text("utf-8"), re.MULTILINE)
    }
    assert {"demo", "test"} <= named
    for target in sorted(named):
        found = subprocess.run(
            ["make", "-n", target], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        assert found.returncode == 0, target


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        (("a", "b"), ["a", "b"], True),
        (("a",), ["a", "b"], False),
        (("a", "..."), ["a", "b", "c"], True),
        (("...", "c"), ["a", "b", "c"], True),
        (("...", "b"), ["a", "b", "c"], False),
        (("took ... s",), ["took 0.31 s"], True),
        (("took ... s",), ["took 0.31 s", "more"], False),
        (("took ... s",), ["took", "0.31 s"], False),
        ((), [], True),
        ((), ["a"], False),
    ],
)
def test_elision_matches_what_it_says(shown: tuple[str, ...], printed: list[str], same: bool) -> None:
    assert matches(shown, printed) is same


@pytest.mark.parametrize(
    "block",
    [
        "```console\n$ echo one\ntwo\n```\n",
        "```console\n$ exit 3\n```\n",
        "```console\n$ false\n```\n",
        '```text title="unnamed.txt"\na\n```\n',
        "```console\n$ printf 'a\\nb\\n' >f\n```\n```text excerpt=\"f\"\nb\na\n```\n",
        "```console\n$ echo one; echo two >&2\none\n```\n",
    ],
)
def test_a_page_that_says_something_else_is_found(block: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(block, "utf-8")
    with pytest.raises(Differs):
        run_page(page, root=ROOT, folder=tmp_path)


def test_files_and_variables_last_through_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        'Write `a/b.txt`:\n\n```text title="a/b.txt"\nport 8000\n```\n\n'
        "```console\n$ cd a && name=b.txt\n```\nthen\n```console\n$ cat $name\nport 8000\n"
        "$ printf '%s\\n' \\\n>   x\nx\n```\n"
        '```text excerpt="a/b.txt"\nport ...\n```\n',
        "utf-8",
    )
    assert run_page(page, root=ROOT, folder=tmp_path) == 3
