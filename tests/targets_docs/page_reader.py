"""HTML as the tests see it: elements that are nested as they should be, ids, links, and the text a reader sees."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = ("meta", "link", "br", "input", "img", "hr")
OPTIONAL_CONTENT = {
    "p": ("code", "a", "br"),
    "li": ("code", "a", "br"),
    "summary": ("code",),
    "ul": ("li",),
    "thead": ("tr",),
    "tbody": ("tr",),
    "tr": ("td", "th"),
    "table": ("thead", "tbody"),
    "pre": ("code",),
    "code": (),
}
"""Which elements may stand in an element that our pages have; those not named may hold any."""


class PageReader(HTMLParser):
    """Reads a page; `faults` says what is wrong with how its elements are nested."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[str] = []
        self.attributes: set[tuple[str, str]] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.faults: list[str] = []
        self.text = ""
        self.listings: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        above = self._open[-1] if self._open else ""
        if above in OPTIONAL_CONTENT and tag not in OPTIONAL_CONTENT[above]:
            self.faults.append(f"<{tag}> in <{above}> at {self.getpos()}")
        self.elements.append(tag)
        self.attributes.update((tag, name) for name, _ in attrs)
        for name, value in attrs:
            if name == "id" and value is not None:
                self.ids.append(value)
            if name in ("href", "src") and value is not None:
                self.links.append(value)
        if tag == "pre":
            self.listings.append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        self.text += data
        if "pre" in self._open:
            self.listings[-1] += data

    def close(self) -> None:
        super().close()
        self.faults += [f"<{tag}> is not closed" for tag in self._open]


def read_page(text: str) -> PageReader:
    """The page of an HTML text."""
    reader = PageReader()
    reader.feed(text)
    reader.close()
    return reader
