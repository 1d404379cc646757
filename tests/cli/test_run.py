"""`protogen run` and `protogen flow test`: results, progress, exit codes, reports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ENDED_SECONDS = 60

FLOW = """\
name: greeting
description: d
steps:
  - id: greet
    component: /mock/greet
    input: {name: {$input: $.name}, style: {$variable: style, default: plain}}
output: {$step: greet}
test:
  cases:
    - {name: known, input: {name: Ann}, output: {outcome: success, result: {said: Hello Ann}}}
    - {name: part, input: {name: Ann}, output: {outcome: success, result: {}}}
    - {name: fails, input: {name: Bob}, output: {outcome: failed, error: {code: 7, message: no Bob}}}
    - {name: anything, input: {name: Bob}}
"""
CONFIG = """\
plugins:
  mock:
    type: mock
    components:
      /greet:
        behaviors:
          {name: Ann, style: plain}: {outcome: success, result: {said: Hello Ann, run_id: x}}
          {name: Ann, style: loud}: {outcome: success, result: {said: HELLO ANN}}
          {name: Bob, style: plain}: {outcome: failed, error: {code: 7, message: no Bob}}
routes:
  "/mock/{*component}": [{plugin: mock}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "flow.yaml").write_text(FLOW)
    (tmp_path / "stepflow-config.yml").write_text(CONFIG)
    return tmp_path


def protogen(*words: str, cwd: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "protogen", *words]
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, check=False, timeout=ENDED_SECONDS, cwd=cwd
    )


def test_a_flow_is_run_and_its_result_printed(folder: Path) -> None:
    found = protogen("run", "flow.yaml", "--input", '{"name": "Ann"}', cwd=folder)
    assert (found.returncode, json.loads(found.stdout)) == (0, {"said": "Hello Ann", "run_id": "x"})
    assert found.stderr.splitlines() == ["▶ greet", "✔ greet"]


def test_a_flow_that_fails_says_why(folder: Path) -> None:
    found = protogen("run", "flow.yaml", "--input", "@-", cwd=folder, stdin='{"name": "Bob"}')
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr.splitlines()[:3] == ["▶ greet", "✘ greet", "error: no Bob (code 7)"]


def test_a_step_that_needs_a_failed_one_is_not_run(folder: Path) -> None:
    steps = "  - {id: after, component: /mock/greet, input: {name: {$step: greet}}}\noutput: {$step: after}"
    (folder / "two.yaml").write_text(FLOW.partition("test:")[0].replace("output: {$step: greet}", steps))
    found = protogen("run", "two.yaml", "--input", '{"name": "Bob"}', cwd=folder)
    assert found.stderr.splitlines()[:4] == ["▶ greet", "✘ greet", "- after (not run)", "error: no Bob (code 7)"]


def test_items_variables_and_overrides_reach_the_run(folder: Path) -> None:
    (folder / "inputs.jsonl").write_text('{"name": "Ann"}\n\n{"name": "Bob"}\n')
    found = protogen(
        *("run", "flow.yaml", "--inputs", "@inputs.jsonl", "--variables", '{"style": "loud"}', "--quiet"),
        *("--overrides", '{"greet": {"value": {"onError": {"action": "useDefault", "defaultValue": 1}}}}'),
        *("--max-concurrency", "1"),
        cwd=folder,
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert [json.loads(line) for line in found.stdout.splitlines()] == [
        {"outcome": "success", "result": {"said": "HELLO ANN"}},
        {"outcome": "success", "result": 1},
    ]
    told = json.loads(protogen("run", "flow.yaml", "--input", '{"name":"Bob"}', "--json", "--quiet", cwd=folder).stdout)
    assert (told["status"], told["items"][0]["outcome"], len(told["flowId"])) == ("failed", "failed", 64)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nope.yaml"], "error: nope.yaml: cannot be read: No such file or directory"),
        (["bad.yaml"], 'error: bad.yaml:2:5: $.steps[0]: "id": is missing; give the step an id'),
        (["forward.yaml"], "error: forward.yaml: "),
        (["flow.yaml", "--input", "{"], "Error: --input is no JSON"),
        (["flow.yaml", "--input", "1", "--inputs", "[]"], "Error: give --input or --inputs, not both."),
        (["flow.yaml", "--variables", "[]"], "Error: --variables: expected an object."),
        (["flow.yaml", "--overrides", '{"x": {"value": {}}}'], "error: flow.yaml: overrides: the flow has no step 'x'"),
        (["flow.yaml", "--config", "broken.yml"], "error: broken.yml:1:1: $.plugins: expected a mapping, got a list"),
    ],
)
def test_what_cannot_be_run_is_one_clear_error(folder: Path, words: list[str], said: str) -> None:
    (folder / "bad.yaml").write_text("steps:\n  - component: /x\n")
    (folder / "forward.yaml").write_text("steps:\n  - {id: a, component: /x, input: {$step: b}}\n")
    (folder / "broken.yml").write_text("plugins: [1]\n")
    found = protogen("run", *words, cwd=folder)
    assert (found.returncode, found.stdout) == (2, "")
    assert said in found.stderr
    assert "Traceback" not in found.stderr


def test_cases_pass_where_what_is_expected_is_there(folder: Path) -> None:
    found = protogen("flow", "test", ".", "--junit", "report.xml", cwd=folder)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.splitlines() == [
        *(f"✔ flow.yaml: {name}" for name in ("known", "part", "fails", "anything")),
        "4 cases: 4 passed",
    ]
    (suite,) = ET.parse(folder / "report.xml").getroot()
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("flow.yaml", "4", "0")


def test_a_case_that_fails_shows_the_difference(folder: Path) -> None:
    text = FLOW.replace("{said: Hello Ann}", '{said: "Hi\\e[2J", run_id: other, more: [1]}')
    (folder / "flow.yaml").write_text(text)
    (folder / "unreadable.yaml").write_text("steps:\n  - component: /x\n")
    found = protogen("flow", "test", "flow.yaml", "unreadable.yaml", "--junit", "report.xml", cwd=folder)
    assert found.returncode == 1
    lines = found.stdout.splitlines()
    assert lines[:4] == [
        "✘ unreadable.yaml: (file)",
        '    unreadable.yaml:2:5: $.steps[0]: "id": is missing; give the step an id',
        "✘ flow.yaml: known",
        "    different at $.result.said, $.result.more",
    ]
    assert '    -    "said": "Hi\\u001b[2J",' in lines
    assert '    +    "said": "Hello Ann",' in lines
    assert lines[-1] == "5 cases: 3 passed, 2 failed"
    suites = {suite.get("name"): suite for suite in ET.parse(folder / "report.xml").getroot()}
    assert suites["unreadable.yaml"].find("testcase/error") is not None
    failure = suites["flow.yaml"].find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "different at $.result.said, $.result.more"


def test_one_case_can_be_chosen(folder: Path) -> None:
    found = protogen("flow", "test", "flow.yaml", "--case", "fails", cwd=folder)
    assert found.stdout.splitlines() == ["✔ flow.yaml: fails", "1 case: 1 passed"]
    missing = protogen("flow", "test", "flow.yaml", "--case", "no", cwd=folder)
    assert (missing.returncode, "no flow has a case 'no'" in missing.stderr) == (2, True)


def test_a_flow_can_bring_its_configuration(tmp_path: Path) -> None:
    config = json.dumps({"plugins": {"b": {"type": "builtin"}}, "routes": {"/b/{*component}": [{"plugin": "b"}]}})
    flow = "steps: [{id: a, component: /b/create_messages, input: {user_prompt: x}}]\noutput: {$step: a}\n"
    cases = "cases: [{name: c, input: null, output: {outcome: success, result: {messages: [{content: x}]}}}]"
    (tmp_path / "inline.yaml").write_text(f"{flow}test: {{config: {config}, {cases}}}\n")
    (tmp_path / "named.yaml").write_text(f"{flow}test: {{configFile: mine.json, {cases}}}\n")
    (tmp_path / "mine.json").write_text(config)
    (tmp_path / "missing.yaml").write_text(f"{flow}test: {{configFile: nope.yml, {cases}}}\n")
    found = protogen("flow", "test", "inline.yaml", "named.yaml", "missing.yaml", cwd=tmp_path)
    assert found.returncode == 1
    assert found.stdout.splitlines()[:2] == [
        "✘ missing.yaml: (file)",
        "    nope.yml: the file cannot be read: No such file or directory; check its name",
    ]
    assert found.stdout.splitlines()[2:4] == ["✔ inline.yaml: c", "✔ named.yaml: c"]
