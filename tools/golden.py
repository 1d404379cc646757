"""Golden models: what each hard schema of tests/build/golden becomes in each language, written or checked.

Usage: .venv/bin/python tools/golden.py [--check]. Beside every `schema.json` stand `expected.py`, `expected.ts` and
`expected.go`: the types that are generated from it, without headers, and in Go without imports and functions. They are
there to be read in a review; that the code works is what the samples beside them are for.
"""

from __future__ import annotations

import sys
from pathlib import Path

from protogen import build
from protogen.config import for_schema
from protogen.render import Templates

CHECKOUT = Path(__file__).resolve().parent.parent
GOLDEN = CHECKOUT / "tests" / "build" / "golden"

SOURCES = {
    "expected.py": ("python", "types.py", "#"),
    "expected.ts": ("typescript", "types.ts", "//"),
    "expected.go": ("go", "types.go", "//"),
}
"""The file beside the schema: the target, the name of the generated file, and what begins a comment."""


def main(arguments: list[str]) -> int:
    """Write what differs, or with --check name it; returns the exit code: 0 done, 1 stale, 2 usage."""
    if arguments not in ([], ["--check"]):
        print("usage: golden.py [--check]", file=sys.stderr)
        return 2
    stale = 0
    for folder in sorted(path for path in GOLDEN.iterdir() if path.is_dir()):
        for name, text in models(folder).items():
            file = folder / name
            if file.exists() and file.read_text("utf-8") == text:
                continue
            stale += 1
            print(f"{'stale' if arguments else 'written'}: {file.relative_to(CHECKOUT)}")
            if not arguments:
                file.write_text(text, "utf-8")
    return 1 if arguments and stale else 0


def models(folder: Path) -> dict[str, str]:
    """The models of the schema in a folder, by the name of their file. ValueError for a schema with errors."""
    schema = folder / "schema.json"
    protocol, problems = build.read_protocol(schema, root=folder, name=folder.name)
    if protocol is None:
        raise ValueError(f"{schema}: {problems[0]}")
    entry = for_schema(schema, root=folder).protocols[0]
    templates = Templates()
    found: dict[str, str] = {}
    for name, (target, source, mark) in SOURCES.items():
        product, _ = build.generate(protocol, entry, target, renderer=templates)
        (text,) = (file.text for file in product.files if file.path.rpartition("/")[2] == source)
        body = _without_header(text, mark)
        found[name] = _declarations(body) if target == "go" else body
    return found


def _without_header(text: str, mark: str) -> str:
    """The text below the comment that it begins with."""
    lines = text.splitlines(keepends=True)
    while lines and (lines[0].startswith(mark) or not lines[0].strip()):
        lines.pop(0)
    return "".join(lines)


def _declarations(text: str) -> str:
    """Go without imports and functions: a top-level block ends with a bracket that begins a line, or with a blank."""
    kept: list[str] = []
    block: list[str] = []
    inside = False
    for line in [*text.splitlines(), ""]:
        block.append(line)
        inside = inside or (line.endswith(("{", "(")) and not line.startswith("//"))
        if line in ("}", ")"):
            inside = False
        if line or inside:
            continue
        code = next((row for row in block if not row.startswith("//")), "")
        if not code.startswith(("func ", "import")):
            kept += block
        block = []
    return "\n".join(kept).rstrip("\n") + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
