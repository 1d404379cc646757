"""Files of samples: what is read, and what is said of lines that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from protogen.samples import Judge, LineError, Sample, make, read_lines, write_lines

DEFINITIONS = {"Count": {"type": "integer"}, "Task": {"type": "object", "required": ["id"]}}


def _read(folder: Path, text: str | bytes) -> list[Sample]:
    path = folder / "mine.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_lines(path, DEFINITIONS, Judge(DEFINITIONS).label)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    samples = make(DEFINITIONS).samples
    read = _read(tmp_path, write_lines(samples))
    assert [(s.type, s.text, s.valid, s.note) for s in read] == [(s.type, s.text, s.valid, s.note) for s in samples]
    assert [sample.line for sample in read] == list(range(1, len(read) + 1))


def test_a_line_without_a_verdict_is_labelled_and_other_members_are_ignored(tmp_path: Path) -> None:
    read = _read(
        tmp_path, '{"type":"Count","value":1e2,"source":{"a":[1]}}\r\n\n{"value":1.5,"type":"Count","valid":null}'
    )
    assert read == [
        Sample(type="Count", text="1e2", valid=True, line=1),
        Sample(type="Count", text="1.5", valid=False, line=3),
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"type":"Tusk","value":1,"valid":true}', '2: unknown type "Tusk"; did you mean "Task"?'),
        ('{"type":"Count","value":1,"valid":true', "2: expected a comma or the end of the object at column 39"),
        ('{"type":"Count","value":1}}', "2: more text after the object at column 27"),
        ('{"type":"Count","value":01}', "2: expected a comma or the end of the object at column 26"),
        ('{"type":"Count","value":NaN}', "2: NaN is not a JSON number"),
        ('{"type":"Count","valid":true}', "2: no member 'value'"),
        ('{"type":"Count","value":1,"valid":"yes"}', '2: "type" must be text and "valid" true or false'),
        ("[1,2]", "2: expected an object"),
        ('{"type":"Count","value":"\udcff"}', "2: not UTF-8 at byte 26"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, words: str) -> None:
    good = b'{"type":"Count","value":1,"valid":true}\n'
    with pytest.raises(LineError) as caught:
        _read(tmp_path, good + line.encode("utf-8", "surrogateescape"))
    assert f"mine.jsonl:{words}" in str(caught.value)


def test_all_bad_lines_are_named_up_to_a_limit(tmp_path: Path) -> None:
    with pytest.raises(LineError) as caught:
        _read(tmp_path, '{"type":"Nope","value":1}\n' * 30)
    lines = str(caught.value).splitlines()
    assert lines[0].endswith('mine.jsonl:1: unknown type "Nope"')
    assert lines[19].endswith('mine.jsonl:20: unknown type "Nope"')
    assert lines[20].endswith("reading stopped after 20 bad lines")


def test_a_file_without_samples_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(LineError, match="no samples"):
        _read(tmp_path, "\n\n")


def test_a_lone_surrogate_is_labelled_invalid(tmp_path: Path) -> None:
    definitions = {"Text": {"type": "string"}}
    path = tmp_path / "mine.jsonl"
    path.write_text('{"type":"Text","value":"\\ud800"}\n', "utf-8")
    assert [sample.valid for sample in read_lines(path, definitions, Judge(definitions).label)] == [False]
