"""Samples as lines of JSON: `{"type", "value", "valid", "note"}`, the value's text kept as it stands.

Knows which types exist only as a set of names handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import msgspec

from protogen.problems import closest
from protogen.samples.corpus import Sample
from protogen.samples.text import Json, NotJson, members, read

_MOST_ERRORS = 20
"""Broken lines reported before reading stops: a file in another format should not print thousands."""


_EXPECTED = 'expected {"type": …, "value": …, "valid": true or false}'


class LineError(ValueError):
    """A file of samples cannot be used; the message names every bad line, one a line."""


def write_lines(samples: Iterable[Sample]) -> str:
    """The samples as JSON lines, each ended by LF."""
    return "".join(
        f'{{"type":{_text(sample.type)},"valid":{"true" if sample.valid else "false"},'
        f'"note":{_text(sample.note)},"value":{sample.text}}}\n'
        for sample in samples
    )


def _text(text: str) -> str:
    return msgspec.json.encode(text).decode()


def read_lines(path: Path, known: Collection[str], label: Callable[[str, Json], bool]) -> list[Sample]:
    """The samples of a file; a line without `valid` is labelled by `label(type, value)`, blank lines are skipped.

    Errors: LineError naming file, line and what to do for unknown types and broken lines; OSError.
    """
    samples: list[Sample] = []
    errors: list[str] = []
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            samples.append(_sample(line, number, known, label))
        except LineError as error:
            errors.append(f"{path}:{number}: {error}")
            if len(errors) == _MOST_ERRORS:
                errors.append(f"{path}: reading stopped after {_MOST_ERRORS} bad lines")
                break
    if errors:
        raise LineError("\n".join(errors))
    if not samples:
        raise LineError(f'{path}: no samples; expected lines like {{"type": "Task", "value": {{}}, "valid": false}}')
    return samples


def _sample(line: bytes, number: int, known: Collection[str], label: Callable[[str, Json], bool]) -> Sample:
    try:
        found = members(line.decode())
        read_line = {word: read(found[word]) for word in ("type", "valid", "note") if word in found}
        value = read(found["value"])
    except UnicodeDecodeError as error:
        raise LineError(f"not UTF-8 at byte {error.start + 1}") from None
    except NotJson as error:
        raise LineError(f"{error}; {_EXPECTED}") from None
    except KeyError as missing:
        raise LineError(f"no member {missing}; {_EXPECTED}") from None
    name, valid, note = read_line.get("type"), read_line.get("valid"), read_line.get("note")
    if not isinstance(name, str) or not isinstance(valid, bool | None):
        raise LineError(f'"type" must be text and "valid" true or false; {_EXPECTED}')
    if name not in known:
        raise LineError(f'unknown type "{name}"{closest(name, known)}')
    return Sample(
        type=name,
        text=found["value"],
        valid=label(name, value) if valid is None else valid,
        note=note if isinstance(note, str) else "",
        line=number,
    )
