"""Reports: each form holds what the run found, and can be read by those who read such files."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sysconfig
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from protogen_compliance.command import compared
from protogen_compliance.known import WrongFile, apply, read_known
from protogen_compliance.reports import __file__ as reports_package
from protogen_compliance.reports import console, files, page
from protogen_compliance.runner import Run
from protogen_compliance.transcripts import Data, Exchanged, data_of
from protogen_compliance.verdicts import Evidence, Verdict, by_profile, conformant

PROTOGEN = Path(sysconfig.get_path("scripts")) / "protogen"
SCHEMA = Path(reports_package).with_name("report.schema.json")
HOSTILE = "]]><script>alert(1)</script>&\x00\x1b[31m\n\"'"
CHOSEN = ("--clause", "AF-RPC-010", "--clause", "AF-RPC-003", "--clause", "AF-AUTH-001")


def verdict(clause: str, status: Any, level: str = "MUST", **more: Any) -> Verdict:
    return Verdict(clause=clause, level=level, paraphrase=f"what {clause} says", source="1", status=status, **more)


def run_of(*verdicts: Verdict, partial: bool = False, **more: Any) -> Run:
    exchange = Exchanged(method="POST", url="http://h/", sent=data_of(b"{bad", 9), status=200, received=Data(text="ü"))
    tests = [
        Evidence(test=name, clauses=(it.clause,), outcome="failed", text=HOSTILE, exchanges=[exchange], replay="0a")
        for it in verdicts
        for name in it.tests
    ]
    return Run(
        protocol="acme",
        role="node",
        target="http://h/",
        url="http://h/",
        started="2026-01-02T03:04:05+00:00",
        seconds=1.25,
        conformant=conformant(verdicts) and not partial,
        partial=partial,
        profiles=by_profile(verdicts, asked=()),
        verdicts=list(verdicts),
        tests=tests,
        **more,
    )


ALL = (
    verdict("A-X-1", "PASS", tests=["t::a"]),
    verdict("A-X-2", "FAIL", tests=["t::b"], shown_by=["t::b"], texts=[HOSTILE]),
    verdict("A-Y-1", "BLOCKED", blocked_by=["A-X-2"], tests=["t::c"], shown_by=["t::c"], texts=["because"]),
    verdict("A-Y-2", "WARN", "SHOULD", tests=["t::d"], shown_by=["t::d"], texts=["not quite"]),
    verdict("A-Z-1", "SKIPPED", texts=["cannot be observed from outside"]),
    verdict("A-Z-2", "NOT_TESTED"),
)


def test_schema_is_that_of_the_report() -> None:
    assert SCHEMA.read_bytes() == files.schema(), "write files.schema() to reports/report.schema.json"


@pytest.mark.parametrize("run", [run_of(*ALL), run_of(ALL[0], partial=True), run_of()], ids=["all", "one", "none"])
def test_json_keeps_its_schema(run: Run) -> None:
    schema = json.loads(SCHEMA.read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(json.loads(files.to_json(run)))


def test_schema_refuses_what_is_no_report() -> None:
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_bytes()))
    broken = json.loads(files.to_json(run_of(*ALL)))
    broken["verdicts"][0]["status"] = "FINE"
    assert not validator.is_valid(broken)
    assert not validator.is_valid({})


def test_junit_has_a_case_for_each_clause() -> None:
    tree = ET.fromstring(files.to_junit(run_of(*ALL)))
    assert tree.attrib["tests"] == "6"
    assert tree.attrib["failures"] == "3"
    failed = {case.attrib["name"].split()[0] for case in tree.iter("testcase") if case.find("failure") is not None}
    skipped = {case.attrib["name"].split()[0] for case in tree.iter("testcase") if case.find("skipped") is not None}
    assert failed == {"A-X-2", "A-Y-1", "A-Z-2"}
    assert skipped == {"A-Z-1"}
    (text,) = (case.findtext("failure") for case in tree.iter("testcase") if "A-X-2" in case.attrib["name"])
    assert text is not None
    assert "<script>" in text
    assert "> POST http://h/" in text


def test_sarif_has_a_result_for_each_finding() -> None:
    known = verdict("A-K-1", "FAIL", known="it always did", texts=["x"])
    tree = json.loads(files.to_sarif(run_of(*ALL, known)))
    (run,) = tree["runs"]
    levels = {it["ruleId"]: it["level"] for it in run["results"]}
    assert levels == {"A-X-2": "error", "A-Y-1": "error", "A-Y-2": "warning", "A-Z-2": "error", "A-K-1": "note"}
    assert {it["id"] for it in run["tool"]["driver"]["rules"]} >= levels.keys()
    assert [it["suppressions"][0]["justification"] for it in run["results"] if "suppressions" in it] == [
        "it always did"
    ]
    assert all(it["locations"] and it["message"]["text"] for it in run["results"])


def test_annotations_are_one_line_each() -> None:
    told = list(files.to_github(run_of(*ALL, stale=["A-X-1"], lost="it went away")))
    assert [line.partition(" ")[0] for line in told] == [
        "::error",
        "::error",
        "::warning",
        "::error",
        "::error",
        "::error",
    ]
    assert all("\n" not in line for line in told)
    assert "%0A" in told[0]


def test_badge_tells_the_musts_that_are_kept() -> None:
    assert "acme: 1/4 MUSTs" in files.to_badge(run_of(*ALL)).decode()
    good = ET.fromstring(files.to_badge(run_of(ALL[0])))
    assert good.attrib["aria-label"] == "acme: conformant 1/1"


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.scripts = 0
        self.clauses: dict[str, str] = {}
        self.foreign: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.scripts += tag == "script"
        self.foreign += [str(value) for name, value in attributes if name in ("src", "href")]
        if tag == "details" and "data-status" in found:
            self.clauses[str(found["id"])] = str(found["data-status"])


def test_page_is_whole_and_loads_nothing() -> None:
    text = page.to_html(run_of(*ALL)).decode()
    read = Page()
    read.feed(text)
    assert read.clauses == {it.clause: it.status for it in ALL}
    assert read.scripts == 1, "text of the target became a script"
    assert read.foreign == []
    assert "protogen replay 0a" in text


def test_console_has_findings_last_with_all_to_see_them_again() -> None:
    told = list(console.lines(run_of(*ALL[:2])))
    assert told[:4] == ["A-X", "PASS       A-X-1          MUST       what A-X-1 says", told[2], ""]
    at = told.index("FAIL: A-X-2 (MUST) what A-X-2 says")
    assert told[at + 1 : at + 4] != []
    assert "    > POST http://h/" in told
    assert "    curl -sS -X POST http://h/ --data-binary '{bad'" in told
    assert "    protogen replay 0a" in told
    assert told[-1] == "not conformant: 2 clauses, 1 FAIL, 1 PASS in 1.2 s"


def test_colours_are_for_terminals_alone() -> None:
    run = run_of(*(it for it in ALL if it.clause != "A-X-2"))
    assert "\x1b[" not in "".join(console.lines(run))
    assert "\x1b[32mPASS" in "".join(console.lines(run, colour=True))


def test_partial_run_never_says_conformant() -> None:
    assert console.summary(run_of(ALL[0], partial=True)) == "partial run: 1 of 1 clauses, 1 PASS in 1.2 s"
    assert console.summary(run_of(ALL[0])) == "conformant: 1 clauses, 1 PASS in 1.2 s"
    assert not run_of(ALL[0], partial=True).conformant


def test_run_in_which_nothing_passed_is_not_in_order() -> None:
    assert not run_of().in_order
    assert not run_of(verdict("A", "SKIPPED")).in_order
    assert not run_of(verdict("A", "SKIPPED", tests=["t"]), partial=True).in_order
    assert run_of(ALL[0]).in_order
    assert not run_of(ALL[0], stale=["A-X-1"]).in_order
    assert not run_of(ALL[0], lost="gone").in_order


# --- known failures, comparisons ------------------------------------------------------------------


def test_known_failures_are_marked_and_stale_ones_told() -> None:
    found = [
        verdict("A", "FAIL"),
        verdict("B", "BLOCKED", blocked_by=["A"]),
        verdict("C", "PASS"),
        verdict("D", "FAIL"),
        verdict("E", "BLOCKED", blocked_by=["F"]),
        verdict("F", "BLOCKED", blocked_by=["B"]),
        verdict("G", "BLOCKED", blocked_by=["B", "D"]),
    ]
    stale = apply({"A": "why", "C": "once"}, found)
    assert [it.known for it in found] == ["why", "because of A", "", "", "because of F", "because of B", ""]
    assert stale == ["C"]
    assert [it.clause for it in run_of(*found).findings] == ["D", "G"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"expected one table \[known\]"),
        ("[known]\nA = 1", "A needs a reason, got 1"),
        ('[known]\nA = " "', "A needs a reason"),
        ('[known]\nZ = "x"', "there is no clause 'Z'"),
        ('[known]\nA = "x"\n[more]\n', r"expected one table \[known\]"),
        ("[known", "Expected"),
    ],
)
def test_file_of_known_failures_is_checked(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "known.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(WrongFile, match=said):
        read_known(file, {"A"})


def test_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WrongFile, match=r"nothing\.toml"):
        read_known(tmp_path / "nothing.toml", {"A"})


def test_comparison_tells_what_changed() -> None:
    before = run_of(verdict("A", "PASS"), verdict("B", "FAIL"), verdict("C", "PASS"), verdict("G", "PASS"))
    now = run_of(verdict("A", "FAIL"), verdict("B", "PASS"), verdict("C", "PASS"), verdict("N", "PASS"))
    assert compared(before, now)[1:] == [
        "compared with the run of 2026-01-02T03:04:05+00:00: 1 worse, 1 better",
        "worse:  A PASS -> FAIL",
        "better: B FAIL -> PASS",
        "new:    N PASS",
        "gone:   G",
    ]


# --- the command ----------------------------------------------------------------------------------


def protogen(*arguments: str, cache: Path) -> subprocess.CompletedProcess[str]:
    import os

    environment = {**os.environ, "PROTOGEN_CACHE_DIR": str(cache)}
    return subprocess.run(
        [str(PROTOGEN), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
    )


def test_finding_is_written_in_every_form_and_replayed(reference: Any, tmp_path: Path) -> None:
    names = {form: str(tmp_path / f"run.{form}") for form in ("json", "junit", "sarif", "html", "badge")}
    written = [part for form, name in names.items() for part in (f"--{form}", name)]
    secret = ("--header", "Authorization: Bearer the-secret")
    with reference.ReferenceNode("AF-RPC-010") as node:
        test = ("test", node.url, "--protocol", "apflow", *CHOSEN)
        first = protogen(*test, *secret, *written, "--github", cache=tmp_path)
        assert first.returncode == 1, first.stdout + first.stderr
        assert "::error title=AF-RPC-010 FAIL::" in first.stdout
        ((number,),) = {tuple(re.findall(r"protogen replay (\w+)", first.stdout))}
        same = protogen("replay", number, cache=tmp_path)
        assert same.returncode == 0, same.stdout + same.stderr
        assert "then < 200 application/json" in same.stdout
        assert "now  < 200 application/json" in same.stdout
        assert "authorization was not kept; give --header" in same.stderr
        by_clause = protogen("replay", "AF-RPC-010", "--report", names["json"], *secret, cache=tmp_path)
        assert (by_clause.returncode, by_clause.stderr) == (0, ""), by_clause.stdout
        known = tmp_path / "known.toml"
        known.write_text('[known]\nAF-RPC-010 = "as it ever was"\n', "utf-8")
        excused = protogen(*test, "--known", str(known), "--compare", names["json"], cache=tmp_path)
        assert excused.returncode == 0, excused.stdout
        assert "known: as it ever was" in excused.stdout
        assert "0 worse, 0 better" in excused.stdout
    with reference.ReferenceNode() as node:
        elsewhere = protogen("replay", number, node.url, cache=tmp_path)
        assert elsewhere.returncode == 1, elsewhere.stdout
        assert "different" in elsewhere.stdout
        test = ("test", node.url, "--protocol", "apflow", *CHOSEN)
        stale = protogen(*test, "--known", str(known), cache=tmp_path)
        assert stale.returncode == 1
        assert "STALE: AF-RPC-010" in stale.stdout
    for name in names.values():
        assert "the-secret" not in Path(name).read_text("utf-8")
    assert "the-secret" not in "".join(file.read_text("utf-8") for file in tmp_path.rglob("transcripts/*.json"))
    tree = json.loads(Path(names["json"]).read_bytes())
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_bytes())).validate(tree)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ffffffff"], "no transcript 'ffffffff'"),
        (["../x"], "no transcript '../x'"),
        (["ffffffff", "--report", "nothing.json"], "nothing.json is no report of a run"),
        ([], "Missing argument 'ID'"),
    ],
)
def test_replay_of_nothing(tmp_path: Path, arguments: list[str], said: str) -> None:
    done = protogen("replay", *arguments, cache=tmp_path)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_replay_where_nobody_answers(reference: Any, tmp_path: Path) -> None:
    with reference.ReferenceNode("AF-RPC-010") as node:
        done = protogen("test", node.url, "--protocol", "apflow", *CHOSEN, cache=tmp_path)
    number = re.findall(r"protogen replay (\w+)", done.stdout)[0]
    gone = protogen("replay", number, cache=tmp_path)
    assert gone.returncode == 3
    assert "nothing to ask at" in gone.stderr


def test_curl_line_can_be_pasted(reference: Any, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    with reference.ReferenceNode("AF-RPC-010") as node:
        done = protogen("test", node.url, "--protocol", "apflow", *CHOSEN, cache=tmp_path)
        line = next(line for line in done.stdout.splitlines() if line.strip().startswith("curl"))
        told = subprocess.run(shlex.split(line), capture_output=True, text=True, timeout=30, check=True)
    assert json.loads(told.stdout)["id"] == 0
