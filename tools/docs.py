"""Docs: the parts of docs/ that are made from the code, written or checked.

Usage: .venv/bin/python tools/docs.py [--check]. `docs/PROBLEMS.md` is made from the catalogue of findings; the part of
`docs/reference/cli.md` between its two markers from the commands' own help; `docs/reference/jsonrpc.md` from the
clauses of JSON-RPC and the tests that name them; `docs/reference/diff.md` from the rules of `protogen diff`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from protogen.catalogue import CATALOGUE
from protogen.cli import COMMANDS, cli
from protogen.diff import RULES
from protogen.diff.rules import Direction, Upgrade, judge

CHECKOUT = Path(__file__).resolve().parent.parent
ROOT = CHECKOUT
"""Where pages are written: a test changes it."""

sys.path.insert(0, str(CHECKOUT / "tools"))

from clause_tests import tests_by_clause  # noqa: E402 - a script beside this one, wherever this one was loaded from

BEGIN = "<!-- begin: written by tools/docs.py -->"
END = "<!-- end: written by tools/docs.py -->"
WIDTH = 80 - 2
"""What click fills of the 80 columns that it assumes where the output is no terminal."""

LETTERS = {"wire-breaking": "w", "source-breaking": "s", "safe": "-"}
"""Categories of differences as a table shows them."""

GROUPS = (
    ("PG0", "Reading files"),
    ("PG1", "Schemas and protocols"),
    ("PG2", "Usage and configuration"),
    ("PG3", "Writing the output"),
    ("PG4", "Lint"),
    ("PG6", "Limits of a language"),
)
"""First characters of a code to the heading of its group."""


def main(arguments: list[str]) -> int:
    """Write what differs, or with --check name it; returns the exit code: 0 done, 1 stale, 2 usage."""
    if arguments not in ([], ["--check"]):
        print("usage: docs.py [--check]", file=sys.stderr)
        return 2
    stale = {path: text for path, text in pages(ROOT).items() if not path.exists() or path.read_text("utf-8") != text}
    for path, text in stale.items():
        print(f"{'stale' if arguments else 'written'}: {path.relative_to(ROOT)}")
        if not arguments:
            path.write_text(text, "utf-8")
    return 1 if arguments and stale else 0


def pages(root: Path) -> dict[Path, str]:
    """The full text that each page with made parts should have."""
    reference = root / "docs" / "reference" / "cli.md"
    return {
        root / "docs" / "PROBLEMS.md": problems_page(),
        reference: between(reference.read_text("utf-8"), commands_section()),
        root / "docs" / "reference" / "jsonrpc.md": clauses_page(),
        root / "docs" / "reference" / "diff.md": rules_page(),
    }


def between(page: str, section: str) -> str:
    """`page` with what stands between its markers replaced by `section`; ValueError where a marker is missing."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{section}\n{END}{after}"


def clauses_page() -> str:
    """docs/reference/jsonrpc.md: every clause of JSON-RPC 2.0 with the tests that name it."""
    root = CHECKOUT
    tests = tests_by_clause(root)
    lines = [
        "# JSON-RPC 2.0, clause by clause",
        "",
        "What the [specification](https://www.jsonrpc.org/specification) asks for, in our words, and the tests of this",
        "repository that show it. The list is `schemas/jsonrpc/clauses.json`; a test sees to it that no clause is left",
        "out. The page is made by `tools/docs.py`.",
        "",
        "| clause | level | of | what | shown by |",
        "|---|---|---|---|---|",
    ]
    for clause in json.loads((root / "schemas" / "jsonrpc" / "clauses.json").read_text("utf-8"))["clauses"]:
        shown = ", ".join(f"[{test}](../../{file})" for file, test in tests.get(clause["id"], ()))
        what = clause["paraphrase"].replace("|", "\\|")
        lines.append(f"| {clause['id']} | {clause['level']} | {clause['role']} | {what} | {shown} |")
    return "\n".join([*lines, ""])


def rules_page() -> str:
    """docs/reference/diff.md: every rule of `protogen diff` and whom its differences break."""
    lines = [
        "# What `protogen diff` reports",
        "",
        "`protogen diff OLD NEW` compares protocols and puts each difference into one of three categories:",
        "",
        "- **wire-breaking**: peers of the two versions no longer understand each other;",
        "- **source-breaking**: messages go on, but code that was written with the SDK has to change;",
        "- **safe**: nobody has to do anything.",
        "",
        "Whether a narrower or a wider type breaks messages depends on their direction, and on who is of the new",
        "version first. With `--upgrade handlers`, the default, those who implement methods are, and old callers must",
        "go on: params may take more and must not take less, results may say less and must not say what old callers do",
        "not take. `--upgrade callers` is the other way round, `--upgrade any` holds both. A type that no method uses",
        "is held to both directions.",
        "",
        "A breaking difference asks for a new major version (below 1.0 a new minor one), any other for a minor one, a",
        "change of words for a patch. A member that objects with unknown members may gain or lose is safe on the wire:",
        "what a version does not know may hold anything, and nobody may rely on it.",
        "",
        "Columns: what the difference does in params and in results (with events and the data of errors) when handlers",
        "are upgraded first, and when callers are. `w` is wire-breaking, `s` source-breaking, `-` safe. Each row has a",
        "test of its own. The page is made by `tools/docs.py`.",
        "",
        "| rule | difference | params, handlers | params, callers | results, handlers | results, callers |",
        "|---|---|---|---|---|---|",
    ]
    cases: list[tuple[Direction, Upgrade]] = [
        ("asked", "handlers"),
        ("asked", "callers"),
        ("answered", "handlers"),
        ("answered", "callers"),
    ]
    for rule in RULES:
        shown = [LETTERS[judge(rule, [way], upgrade)] for way, upgrade in cases]
        lines.append(f"| `{rule.id}` | {rule.title} | {' | '.join(shown)} |")
    return "\n".join([*lines, ""])


def problems_page() -> str:
    """docs/PROBLEMS.md: every finding with its meaning and the way out."""
    lines = [
        "# Problems",
        "",
        "Every finding that protogen reports has a code. `protogen explain PG103` prints one; this page lists all.",
        "The page is made from `codegen/protogen/catalogue.py` by `tools/docs.py`.",
        "",
        "A finding is printed as `path:line:column level code: what is wrong; what to do about it`. After an error",
        "nothing is written at all; a warning only informs, unless `--strict` is given.",
        "",
    ]
    for start, heading in GROUPS:
        entries = [(code, entry) for code, entry in CATALOGUE.items() if code.startswith(start)]
        lines += [f"## {heading}", ""]
        for code, entry in entries:
            lines += [f'<a id="{code}"></a>', f"### {code}: {entry.title}", ""]
            lines += [*_blocks(entry.text), ""]
    missing = [code for code in CATALOGUE if not code.startswith(tuple(start for start, _ in GROUPS))]
    if missing:
        raise ValueError(f"no group for {', '.join(missing)}; add one to GROUPS")
    return "\n".join(lines).rstrip("\n") + "\n"


def _blocks(text: str) -> list[str]:
    """The catalogue's text as Markdown: paragraphs as they are, indented ones as code."""
    blocks: list[str] = []
    for paragraph in text.split("\n\n"):
        if all(line.startswith("  ") for line in paragraph.splitlines()):
            code = [line[2:] for line in paragraph.splitlines()]
            blocks.append("\n".join(["```text", *code, "```"]))
        else:
            blocks.append(_escaped(paragraph))
    return "\n\n".join(blocks).splitlines()


def _escaped(paragraph: str) -> str:
    """`<name>` kept visible where Markdown would take it for HTML."""
    return paragraph.replace("<", "\\<")


def commands_section() -> str:
    """The help of the group and of each command, as a session that can be repeated."""
    parts = [_session([])]
    for name in COMMANDS:
        parts += [f"### protogen {name}", "", _session([name])]
        command = cli.get_command(click.Context(cli), name)
        for inner in command.commands if isinstance(command, click.Group) else ():
            parts += [f"#### protogen {name} {inner}", "", _session([name, inner])]
    return "\n".join(parts)


def _session(words: list[str]) -> str:
    context = click.Context(cli, info_name="protogen", terminal_width=WIDTH, **cli.context_settings)
    command: click.Command = cli
    for word in words:
        assert isinstance(command, click.Group), f"{command.name} has no commands"
        found = command.get_command(context, word)
        assert found is not None
        command = found
        context = click.Context(
            command, info_name=word, parent=context, terminal_width=WIDTH, **command.context_settings
        )
    typed = " ".join(["protogen", *words, "--help"])
    return "\n".join(["```console", f"$ {typed}", command.get_help(context), "```", ""])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
