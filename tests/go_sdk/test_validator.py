"""The Go validator against jsonschema-rs on random schemas, and the Go patterns against ECMA's meaning."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from protogen.problems import has_errors
from protogen.targets.go.patterns import Untranslatable, translate
from tests.go_sdk import random_schemas
from tests.go_sdk.conftest import MODULE, Go, write_module, write_sdk

COUNT, VALUES = 150, 60

PROGRAM = """package main

import (
	"bufio"
	"encoding/json"
	"os"

	"{module}/draft7"
	"{module}/later"
)

func main() {{
	in := bufio.NewReader(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	check := map[string]func(string, []byte) error{{
		"draft-07": func(name string, text []byte) error {{ return draft7.Validate(name, text) }},
		"2020-12":  func(name string, text []byte) error {{ return later.Validate(name, text) }},
	}}
	for {{
		line, err := in.ReadBytes('\\n')
		if err != nil {{
			return
		}}
		var s [3]string
		if err := json.Unmarshal(line, &s); err != nil {{
			panic(err)
		}}
		text := "valid"
		if err := check[s[0]](s[1], []byte(s[2])); err != nil {{
			text = err.Error()
		}}
		encoded, _ := json.Marshal(text)
		out.Write(append(encoded, '\\n'))
	}}
}}
"""


@pytest.fixture(scope="module")
def validate(tmp_path_factory: pytest.TempPathFactory, go: Go) -> Any:
    """Runs (dialect, type, text) lines through both generated packages; "valid" or the error."""
    folder = tmp_path_factory.mktemp("validator")
    write_module(folder)
    for package, dialect in (("draft7", random_schemas.DRAFT7), ("later", random_schemas.LATER)):
        built = random_schemas.protocol(11, dialect, COUNT)
        assert not has_errors(write_sdk(built, folder / package, package=f"{MODULE}/{package}"))
    (folder / "check").mkdir()
    (folder / "check" / "main.go").write_text(PROGRAM.format(module=MODULE))
    done = go("build", "-o", "check.bin", "./check", cwd=folder)
    assert done.returncode == 0, done.stderr

    def run(lines: list[tuple[str, str, str]]) -> list[str]:
        done = go(
            cwd=folder, program=str(folder / "check.bin"), stdin="".join(json.dumps(line) + "\n" for line in lines)
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


@pytest.mark.parametrize("dialect", [random_schemas.DRAFT7, random_schemas.LATER])
def test_random_schemas_mean_what_jsonschema_rs_says(dialect: str, validate: Any) -> None:
    definitions = random_schemas.protocol(11, dialect, COUNT).schema["definitions"]
    kind = jsonschema_rs.Draft7Validator if dialect == random_schemas.DRAFT7 else jsonschema_rs.Draft202012Validator
    chance = random.Random(5)
    lines: list[tuple[str, str, str]] = []
    wanted: list[bool] = []
    for name in definitions:
        judge = kind({"$ref": f"#/definitions/{name}", "definitions": definitions}, validate_formats=False)
        for _ in range(VALUES):
            value = random_schemas.value(chance)
            lines.append((dialect, name, json.dumps(value)))
            wanted.append(judge.is_valid(value))
    assert 0.2 < sum(wanted) / len(wanted) < 0.8
    wrong = [
        (text, json.dumps(definitions[name]), "should be", "valid" if valid else "broken", got)
        for (_, name, text), valid, got in zip(lines, wanted, validate(lines), strict=True)
        if (got == "valid") is not valid
    ]
    assert not wrong, f"{len(wrong)} of {len(lines)}: {sorted(wrong, key=lambda entry: len(entry[1]))[:5]}"


TRANSLATED = [
    ("^a$", ["a"], ["a\n", "\na", "b"]),
    ("\\d", ["7"], ["٣", "x"]),
    ("^\\w+$", ["aZ_9"], ["é", "a-"]),
    ("^\\s$", [" ", "\u00a0", "\ufeff", "\u2028", "\v"], ["\u200b", "x"]),
    ("^\\S\\W\\D$", ["a-b"], [" -b", "aab", "a-1"]),
    ("^.$", ["😀", "é"], ["\n", "\r", "\u2028", "ab"]),
    ("^[^]$", ["\n", "a"], ["", "ab"]),
    ("[]", [], ["", "a"]),
    ("^[\\d-x]+$", ["1-x"], ["y"]),
    ("^[\\b\\-\\]\\\\^]+$", ["\b-]\\^"], ["b"]),
    ("^\\u{1F600}\\ud83d\\ude00[\\u{1F600}]\\x41\\cJ\\0$", ["😀😀😀A\n\x00"], ["😀"]),
    ("^(?<year>\\d{4})-(\\d\\d)$", ["2026-11"], ["26-11"]),
    ("^a{1500}$", ["a" * 1500], ["a" * 1499, "a" * 1501]),
    ("^a{2,1200}$", ["aa", "a" * 1200], ["a", "a" * 1201]),
    ("^a{1001,}$", ["a" * 2000], ["a" * 1000]),
    ("^a{,2}$", ["a{,2}"], ["aa"]),
    ("^x{$", ["x{"], ["x"]),
    ("^\\p{Lu}\\p{Letter}\\P{L}\\p{Script=Greek}$", ["Aé1Ω"], ["aé1Ω", "AéxΩ"]),
    ("^[\\p{Nd}\\ud800-\\udfff]$", ["٣"], ["a"]),
    ("^a|b$", ["ax", "xb"], ["xa"]),
    ("^(a|b)*?$", ["", "abba"], ["abc"]),
    ("\\/\\.\\-\\@\\ ", ["/.-@ "], ["/x-@ "]),
    ('`"\\\\', ['`"\\'], ["`"]),
]


def test_patterns_mean_in_go_what_they_mean_in_ecma(tmp_path: Path, go: Go) -> None:
    write_module(tmp_path)
    cases = [
        {"Pattern": translate(pattern), "Yes": yes, "No": no, "Source": pattern} for pattern, yes, no in TRANSLATED
    ]
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    (tmp_path / "main.go").write_text(
        """package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
)

func main() {
	text, _ := os.ReadFile("cases.json")
	var cases []struct {
		Pattern, Source string
		Yes, No         []string
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		panic(err)
	}
	for _, c := range cases {
		compiled := regexp.MustCompile(c.Pattern)
		for _, s := range c.Yes {
			if !compiled.MatchString(s) {
				fmt.Printf("%s does not match %q\\n", c.Source, s)
			}
		}
		for _, s := range c.No {
			if compiled.MatchString(s) {
				fmt.Printf("%s matches %q\\n", c.Source, s)
			}
		}
	}
}
"""
    )
    done = go("run", "main.go", cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("", "")


REFUSED = [
    "(?=a)", "a(?!b)", "(?<=a)b", "(?<!a)b", "(a)\\1", "\\k<n>", "a{20000}", "(a{100}){100}", "(",
    ")", "[a", "*", "a\\", "\\p{Emoji}", "\\p", "\\u{zz}",
    "\\x4", "[z-a]", "a{2,1}", "(?i)a",
]  # fmt: skip


@pytest.mark.parametrize("pattern", REFUSED)
def test_what_go_cannot_say_is_refused(pattern: str) -> None:
    with pytest.raises(Untranslatable):
        translate(pattern)
