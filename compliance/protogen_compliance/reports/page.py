"""The HTML report: one file, nothing loaded from elsewhere; filters by level and status, a transcript for each test."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterator
from itertools import groupby

from protogen_compliance.reports.console import summary
from protogen_compliance.runner import Run
from protogen_compliance.verdicts import SEVERITY, Evidence, Verdict

STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--pass:#2e7d32;--fail:#c62828;--warn:#b26a00;--blocked:#7b1fa2;
--skipped:#757575}
@media(prefers-color-scheme:dark){:root{--pass:#66bb6a;--fail:#ef5350;--warn:#ffb74d;--blocked:#ce93d8;--skipped:#9e9e9e}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:72rem;padding:1.5rem}
h1{font-size:1.4rem;margin:0 0 .25rem}h2{font-size:1rem;margin:1.5rem 0 .25rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:0 1rem;margin:.75rem 0}dt{color:var(--skipped)}dd{margin:0}
.verdict{font-weight:600}.good{color:var(--pass)}.bad{color:var(--fail)}
form{position:sticky;top:0;background:Canvas;border-bottom:1px solid var(--line);padding:.5rem 0;display:flex;
flex-wrap:wrap;gap:.25rem .9rem;align-items:center;z-index:1}
fieldset{border:0;padding:0;margin:0;display:flex;flex-wrap:wrap;gap:.25rem .7rem}
legend{float:left;color:var(--skipped);margin-right:.5rem}
label{white-space:nowrap}input[type=search]{font:inherit;padding:.15rem .5rem;min-width:14rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.15rem .75rem .15rem 0}
details{border-bottom:1px solid var(--line)}summary{padding:.3rem 0;cursor:pointer;display:grid;
grid-template-columns:7rem 9rem 7rem 1fr;gap:.5rem}
summary::marker{content:""}summary:hover{background:var(--soft)}
.PASS b{color:var(--pass)}.FAIL b,.NOT_TESTED b{color:var(--fail)}.WARN b{color:var(--warn)}
.BLOCKED b{color:var(--blocked)}.SKIPPED b{color:var(--skipped)}
.inside{padding:.25rem 0 1rem 1rem}code,pre{font:13px/1.45 ui-monospace,monospace}
pre{background:var(--soft);padding:.5rem .75rem;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere;
margin:.4rem 0}
[hidden]{display:none!important}
@media(max-width:45rem){summary{grid-template-columns:6rem 1fr}summary span:last-child{grid-column:1/-1}}
"""

SCRIPT = """
const form=document.querySelector("form"),rows=[...document.querySelectorAll("details.clause")];
function show(){
  const on=name=>new Set([...form.querySelectorAll(`input[name=${name}]:checked`)].map(it=>it.value));
  const status=on("status"),level=on("level"),text=form.search.value.toLowerCase();
  let count=0;
  for(const row of rows){
    row.hidden=!(status.has(row.dataset.status)&&level.has(row.dataset.level)&&row.textContent.toLowerCase().includes(text));
    count+=!row.hidden;
  }
  for(const group of document.querySelectorAll("section"))
    group.hidden=![...group.querySelectorAll("details.clause")].some(row=>!row.hidden);
  document.getElementById("count").textContent=`${count} of ${rows.length}`;
}
form.addEventListener("input",show);form.addEventListener("submit",event=>event.preventDefault());show();
const wanted=document.getElementById(location.hash.slice(1));if(wanted)wanted.open=true;
"""


def to_html(run: Run) -> bytes:
    """The page, in UTF-8."""
    return "\n".join(_page(run)).encode("utf-8", "replace")


def _page(run: Run) -> Iterator[str]:
    title = f"{run.protocol} ({run.role}): {'conformant' if run.conformant else 'not conformant'}"
    yield f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{_h(title)}</title>'
    yield '<meta name="viewport" content="width=device-width,initial-scale=1">'
    yield f"<style>{STYLE}</style></head><body>"
    kind = "good" if run.conformant else "bad"
    yield f'<h1>{_h(run.protocol)} ({_h(run.role)})</h1><p class="verdict {kind}">{_h(summary(run))}</p>'
    facts = {"Target": run.target, "Address": run.url, "Dialect": run.dialect, "Started": run.started, "Lost": run.lost}
    yield "<dl>" + "".join(f"<dt>{name}</dt><dd>{_h(text)}</dd>" for name, text in facts.items() if text) + "</dl>"
    if len(run.profiles) > 1:
        yield "<table><tr><th>profile</th><th>verdict</th><th>MUSTs</th><th></th></tr>"
        for it in run.profiles:
            told = "not asked for" if not it.asked else "conformant" if it.conformant else "not conformant"
            counts = ", ".join(f"{it.counts[name]} {name}" for name in SEVERITY if it.counts[name])
            yield f"<tr><td>{_h(it.name or 'core')}</td><td>{told}</td><td>{it.musts}</td><td>{counts}</td></tr>"
        yield "</table>"
    yield from _filters(run)
    tests = {it.test: it for it in run.tests}
    for group, members in groupby(run.shown, key=lambda it: it.clause.rpartition("-")[0]):
        yield f"<section><h2>{_h(group)}</h2>"
        for verdict in members:
            yield from _clause(verdict, [tests[name] for name in verdict.tests])
        yield "</section>"
    yield f"<script>{SCRIPT}</script></body></html>\n"


def _filters(run: Run) -> Iterator[str]:
    yield "<form><fieldset><legend>Status</legend>"
    statuses = Counter(it.status for it in run.shown)
    for status in SEVERITY:
        if statuses[status]:
            yield _box("status", status, f"{status} {statuses[status]}")
    yield "</fieldset><fieldset><legend>Level</legend>"
    levels = Counter(it.level for it in run.shown)
    for level, count in levels.items():
        yield _box("level", level, f"{level} {count}")
    yield '</fieldset><input type="search" name="search" placeholder="Search" aria-label="Search">'
    yield '<output id="count"></output></form>'


def _box(name: str, value: str, text: str) -> str:
    return f'<label><input type="checkbox" name="{name}" value="{_h(value)}" checked> {_h(text)}</label>'


def _clause(it: Verdict, tests: list[Evidence]) -> Iterator[str]:
    opened = " open" if it.status == "FAIL" else ""
    yield (
        f'<details class="clause {it.status}" id="{_h(it.clause)}" data-status="{it.status}" '
        f'data-level="{_h(it.level)}"{opened}><summary><b>{it.status}</b><code>{_h(it.clause)}</code>'
        f'<span>{_h(it.level)}</span><span>{_h(it.paraphrase)}</span></summary><div class="inside">'
    )
    facts = {
        "Source": it.source,
        "Profile": it.profile,
        "Blocked by": ", ".join(dict.fromkeys(it.blocked_by)),
        "Known": it.known,
    }
    yield "<dl>" + "".join(f"<dt>{name}</dt><dd>{_h(text)}</dd>" for name, text in facts.items() if text) + "</dl>"
    for text in [*it.texts, *it.notes]:
        yield f"<p>{_h(text)}</p>"
    for test in tests:
        yield f"<details{opened}><summary><b>{_h(test.outcome)}</b><code>{_h(test.test)}</code></summary>"
        yield f"<p>{_h(test.text)}</p>" if test.text and test.text not in it.texts else ""
        for exchange in test.exchanges:
            shown = "\n".join(exchange.lines(limit=4000))
            yield f"<pre>{_h(shown)}</pre>"
        if test.exchanges:
            yield f"<pre>{_h(test.exchanges[-1].curl())}</pre>"
        if test.replay and test.outcome not in ("passed", "skipped"):
            yield f"<p><code>protogen replay {_h(test.replay)}</code></p>"
        yield "</details>"
    yield "</div></details>"


def _h(text: str) -> str:
    return html.escape(text)
