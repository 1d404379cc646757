"""The reference of a protocol: Markdown pages for a repository, and the same pages as a site for a browser.

Knows which files there are; what stands in them is `view`'s business, how it is written out that of the two writers.
"""

from __future__ import annotations

import json

from protogen import ir
from protogen.output import GeneratedFile, Options, Renderer, header_lines
from protogen.problems import Problem
from protogen.targets.docs import html, markdown
from protogen.targets.docs.blocks import Anchor, Heading, Page, visible
from protogen.targets.docs.view import Reference

_SITE = "site"


class DocsTarget:
    """The Target that writes `README.md`, `methods.md`, `types.md`, `errors.md` and the folder `site/`."""

    name = "docs"
    summary = "a reference of methods, types and errors: Markdown, and a site with search that needs no server"

    def generate(
        self, protocol: ir.Protocol, options: Options, renderer: Renderer
    ) -> tuple[list[GeneratedFile], list[Problem]]:
        """A page each for the overview, methods, types and errors, in both forms, and what the site stands on."""
        del options  # documents belong to the protocol, not to a package
        reference = Reference(protocol)
        pages = reference.pages()
        header = [line.replace("--", "-&#45;") for line in header_lines(protocol)]
        files = [_markdown(page, pages, protocol, header, renderer) for page in pages]
        files += [_html(page, pages, protocol, header, renderer) for page in pages]
        files += [
            GeneratedFile(path=f"{_SITE}/{path}", text=_commented(text, header_lines(protocol)))
            for path, text in renderer.static("docs/site").items()
        ]
        files.append(GeneratedFile(path=f"{_SITE}/entries.js", text=_entries(reference, header_lines(protocol))))
        return files, []


def _markdown(
    page: Page, pages: tuple[Page, ...], protocol: ir.Protocol, header: list[str], renderer: Renderer
) -> GeneratedFile:
    links = [
        f"**{markdown.escaped(_label(other))}**"
        if other is page
        else f"[{markdown.escaped(_label(other))}]({markdown.href(Anchor(other.name))})"
        for other in pages
    ]  # fmt: skip - one link each
    text = renderer.render(
        "docs/page.md.j2",
        header=header,
        title=markdown.escaped(page.title if page.name == "README" else f"{protocol.title}: {page.title}"),
        links=" · ".join(links),
        body=markdown.markdown(page.blocks),
    )
    return GeneratedFile(path=f"{page.name}.md", text=text)


def _html(
    page: Page,
    pages: tuple[Page, ...],
    protocol: ir.Protocol,
    header: list[str],
    renderer: Renderer,
) -> GeneratedFile:
    title = protocol.title if page.name == "README" else f"{page.title} · {protocol.title}"
    text = renderer.render(
        "docs/page.html.j2",
        header=header,
        title=html.text_of(title),
        heading=html.text_of(page.title),
        protocol=html.text_of(protocol.title),
        version=html.text_of(protocol.version),
        pages=[(html.file(other.name), html.text_of(_label(other)), other is page) for other in pages],
        places=[
            (html.href(block.anchor), html.inline(block.text))
            for block in page.blocks
            if isinstance(block, Heading) and block.level <= 3 and block.anchor is not None
        ],
        body=html.html(page.blocks),
    )
    return GeneratedFile(path=f"{_SITE}/{html.file(page.name)}", text=text)


def _label(page: Page) -> str:
    return "Overview" if page.name == "README" else page.title


def _commented(text: str, header: list[str]) -> str:
    """A script or style sheet under its header: both take the same comments."""
    return "".join(f"/* {visible(line).replace('*/', '* /')} */\n" for line in header) + text


def _entries(reference: Reference, header: list[str]) -> str:
    """What the search looks through, as a script: a page opened from a folder may load no other data."""
    rows = [
        json.dumps([visible(entry.name), entry.kind, visible(entry.about), html.href(entry.anchor)], ensure_ascii=False)
        for entry in reference.entries()
    ]
    return _commented("window.entries = [\n" + ",\n".join(rows) + "\n];\n", header)


TARGET = DocsTarget()
