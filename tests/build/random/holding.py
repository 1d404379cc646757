"""What must hold of any document: code that compiles or Problems, in time and without a traceback."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from compiling import LANGUAGES, compiled, emptied

from protogen import build
from protogen.config import for_schema
from protogen.output import GeneratedFile
from protogen.problems import has_errors
from protogen.render import Templates

MOST_SECONDS = 5.0
"""CPU that one document may take, read and generated in three languages."""


class TooSlow(BaseException):
    """A document took longer than MOST_SECONDS; no `except Exception` hides it."""


class Tally:
    """What became of the documents so far; `faults` tells of each that does not hold what it must."""

    def __init__(self) -> None:
        self.documents = self.built = self.refused = 0
        self.faults: dict[str, str] = {}
        self.codes: dict[str, int] = {}

    def __str__(self) -> str:
        return f"{self.documents} documents: {self.built} built, {self.refused} refused, {len(self.faults)} faults"


@contextmanager
def timed() -> Iterator[None]:
    """Raises TooSlow in the block when it has used up its CPU time."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def hold(texts: Mapping[str, str], folder: Path, tool: Callable[[str], str], tally: Tally) -> None:
    """Builds every text, called by its name, and compiles what came of them, all in one batch."""
    renderer = Templates()
    sdks: dict[str, dict[str, list[GeneratedFile]]] = {language: {} for language in LANGUAGES}
    inputs = folder / "documents"
    inputs.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        tally.documents += 1
        file = inputs / f"{name}.json"
        file.write_text(text, "utf-8")
        try:
            with timed():
                made = _built(file, name, renderer, tally)
        except TooSlow:
            tally.faults[name] = f"took more than {MOST_SECONDS} s"
        except Exception:  # noqa: BLE001 - any exception at all is what is looked for
            tally.faults[name] = traceback.format_exc()[-3000:]
        else:
            tally.built += made is not None
            tally.refused += made is None
            for language, files in (made or {}).items():
                sdks[language][name] = files
    for language in LANGUAGES:
        where = folder / language
        for name, said in compiled(language, sdks[language], where, tool).items():
            tally.faults[f"{name} {language}"] = said
        emptied(where)


def _built(file: Path, name: str, renderer: Templates, tally: Tally) -> dict[str, list[GeneratedFile]] | None:
    reading, problems = build.read_document(file, root=file.parent, name=name)
    for problem in problems:
        tally.codes[problem.code] = tally.codes.get(problem.code, 0) + 1
        str(problem).encode("utf-8", "backslashreplace")
    if reading is None:
        assert has_errors(problems), "nothing was made, and no Problem says why"
        return None
    (entry,) = for_schema(file, root=file.parent).protocols
    made: dict[str, list[GeneratedFile]] = {}
    for language in LANGUAGES:
        product, found = build.generate(reading.protocol, entry, language, renderer=renderer)
        if has_errors(found):
            return None
        prefix = f"{language}/{entry.name}/"
        made[language] = [GeneratedFile(path=f.path.removeprefix(prefix), text=f.text) for f in product.files]
        for part in made[language]:
            part.text.encode("utf-8")
    return made
