"""Reports for machines: JSON with its schema, JUnit, SARIF, annotations of GitHub, a badge."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

import msgspec

from protogen_compliance.runner import Run
from protogen_compliance.verdicts import BINDING, Verdict

BAD_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
SARIF_LEVELS = {"FAIL": "error", "BLOCKED": "error", "NOT_TESTED": "error", "WARN": "warning"}


def to_json(run: Run) -> bytes:
    """The whole run (schema: report.schema.json beside this file)."""
    return msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n"


def schema() -> bytes:
    """The JSON Schema of `to_json`, in draft 2020-12."""
    made = msgspec.json.schema(Run)
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A run of protogen test", **made}
    return msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"


def to_junit(run: Run) -> bytes:
    """JUnit XML: a case for each clause. WARN and known failures pass, with their texts as output."""
    failures = [it for it in run.shown if _is_error(it)]
    skipped = [it for it in run.shown if it.status == "SKIPPED"]
    seconds = {test.test: test.seconds for test in run.tests}
    counts = f'tests="{len(run.shown)}" failures="{len(failures)}" errors="0" skipped="{len(skipped)}"'
    name = quoteattr(f"protogen test {run.protocol} ({run.role})")
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites {counts} time="{run.seconds:.3f}">',
        f'<testsuite name={name} {counts} time="{run.seconds:.3f}" timestamp="{run.started.removesuffix("+00:00")}">',
    ]
    for it in run.shown:
        group = quoteattr(f"{run.protocol}.{it.clause.rpartition('-')[0]}")
        time = sum(seconds[test] for test in it.tests)
        lines.append(
            f'<testcase classname={group} name={_attribute(f"{it.clause} {it.paraphrase}")} time="{time:.3f}">'
        )
        text = "\n".join(_texts(run, it))
        if _is_error(it):
            lines.append(
                f"<failure type={quoteattr(it.status)} message={_attribute(it.texts[0] if it.texts else it.status)}>"
                f"{_text(text)}</failure>"
            )
        elif it.status == "SKIPPED":
            lines.append(f"<skipped message={_attribute('; '.join(it.texts))}/>")
        elif text:
            lines.append(f"<system-out>{_text(text)}</system-out>")
        lines.append("</testcase>")
    return "\n".join([*lines, "</testsuite>", "</testsuites>", ""]).encode()


def to_sarif(run: Run) -> bytes:
    """SARIF 2.1.0: a rule for each clause, a result for each finding; the location is the target."""
    rules = [
        {
            "id": it.clause,
            "shortDescription": {"text": it.paraphrase},
            "help": {"text": f"{it.level}. {it.source}"},
            "defaultConfiguration": {"level": "error" if it.level in BINDING else "warning"},
        }
        for it in run.verdicts
    ]
    results = [
        {
            "ruleId": it.clause,
            "level": "note" if it.known else SARIF_LEVELS[it.status],
            "message": {"text": "\n".join(_texts(run, it)) or it.paraphrase},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": run.url or "target"}}}],
            "partialFingerprints": {"clause/v1": it.clause},
            **({"suppressions": [{"kind": "external", "justification": it.known}]} if it.known else {}),
        }
        for it in run.shown
        if it.status in SARIF_LEVELS and (it.status == "WARN" or it.level in BINDING)
    ]
    driver = {"name": "protogen test", "informationUri": "https://www.jsonrpc.org/specification", "rules": rules}
    tree = {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
    return msgspec.json.format(msgspec.json.encode(tree), indent=2) + b"\n"


def to_github(run: Run) -> Iterator[str]:
    """Workflow commands of GitHub: an error for each finding, a warning for each WARN, a notice for the rest."""
    for it in run.shown:
        if it.status not in SARIF_LEVELS or (it.level not in BINDING and it.status != "WARN"):
            continue
        kind = "notice" if it.known else SARIF_LEVELS[it.status]
        text = "\n".join([it.paraphrase, *it.texts])
        yield f"::{kind} title={_property(f'{it.clause} {it.status}')}::{_command(text)}"
    for name in run.stale:
        yield f"::error title={_property(f'{name} STALE')}::A known failure passes now; take it out of the file"
    if run.lost:
        yield f"::error title=target lost::{_command(run.lost)}"


def to_badge(run: Run) -> bytes:
    """A badge as SVG: protocol and verdict, with the MUSTs that are kept of those that bind."""
    chosen = {it.name for it in run.profiles if it.asked}
    binding = [it for it in run.verdicts if it.level in BINDING and it.profile in chosen and it.status != "SKIPPED"]
    kept = sum(it.status in ("PASS", "WARN") for it in binding)
    left = run.protocol
    right = f"conformant {kept}/{len(binding)}" if run.conformant else f"{kept}/{len(binding)} MUSTs"
    colour = "#2e7d32" if run.conformant else "#c62828"
    widths = [7 * len(text) + 12 for text in (left, right)]
    whole = sum(widths)
    label, title = quoteattr(f"{left}: {right}"), escape(f"{left}: {right}")
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="20" role="img" aria-label={label}>
<title>{title}</title>
<rect width="{widths[0]}" height="20" fill="#424242"/>
<rect x="{widths[0]}" width="{widths[1]}" height="20" fill="{colour}"/>
<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">
<text x="{widths[0] / 2}" y="14">{escape(left)}</text>
<text x="{widths[0] + widths[1] / 2}" y="14">{escape(right)}</text>
</g>
</svg>
""".encode()


def _is_error(verdict: Verdict) -> bool:
    bad = verdict.status in ("FAIL", "BLOCKED", "NOT_TESTED") and verdict.level in BINDING
    return bad and not verdict.known


def _texts(run: Run, verdict: Verdict) -> list[str]:
    """What is said of a clause, with the end of its transcript where it failed."""
    told = list(verdict.texts)
    told += [f"blocked by {', '.join(verdict.blocked_by)}"] if verdict.blocked_by else []
    told += [f"known: {verdict.known}"] if verdict.known else []
    if verdict.status == "FAIL":
        for test in run.tests:
            if test.test in verdict.shown_by:
                for exchange in test.exchanges[-3:]:
                    told += exchange.lines()
                told += [f"protogen replay {test.replay}"] if test.replay else []
    return told


def _text(text: str) -> str:
    return escape(BAD_XML.sub("�", text))


def _attribute(text: str) -> str:
    return quoteattr(BAD_XML.sub("�", text))


def _command(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _command(text).replace(":", "%3A").replace(",", "%2C")
