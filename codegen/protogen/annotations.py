"""Workflow commands of GitHub: a finding as a note beside the line of a review that it is about."""

from __future__ import annotations

from typing import Literal

from protogen.problems import Place


def annotation(level: Literal["error", "warning", "notice"], title: str, text: str, place: Place | None) -> str:
    """One line that GitHub reads from the output of a workflow; without a place it stands above the whole change."""
    at: list[str] = []
    if place is not None:
        at = [f"file={_property(place.path)}", f"line={max(place.line, 1)}", f"col={max(place.column, 1)}"]
    return f"::{level} {','.join([*at, f'title={_property(title)}'])}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
