"""Whether generated code agrees with the schema: every sample through every language, differences named.

Knows what an answer means, not how any language is run (`protogen.verifiers`). A sample is decoded and encoded again
by the generated code; what comes out must be the same JSON value.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec

from protogen import build, ir
from protogen.config import Config, ProtocolConfig, Refusal
from protogen.output import GeneratedFile, Options
from protogen.problems import closest, has_errors
from protogen.samples import Judge, LineError, Sample, make, read_lines
from protogen.samples.relaxed import relaxed
from protogen.samples.text import NotJson, difference, read
from protogen.verifiers import LOOSE, PREPARE, WITHOUT, Driver, Unbuildable

_SILENCE_SECONDS = 60.0
"""How long one sample may take: generated code that needs longer for a few kilobytes hangs."""

_LEAVE_SECONDS = 5.0
"""How long a process may take to end after its last answer."""

_MOST_DEATHS = 50
"""Samples that may kill a driver before its target is given up: each death costs a process start."""

_HOPELESS = 3
"""Deaths without one answer after which a driver is taken not to start at all."""

_SHOWN = 20
"""Findings of one target that the text report prints; the JSON report has all."""

_LINE_LIMIT = 300
"""Characters of a value or a reason that the text report prints."""

Kind = Literal["false accept", "false reject", "loss", "crash"]
Progress = Callable[[str], None]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One disagreement: the sample, and what the generated code did with it."""

    kind: Kind
    type: str
    text: str
    detail: str
    note: str
    line: int


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """How one target did. `failure` says why it could not be run at all, else it is empty.

    `accepted` counts samples that were decoded; `findings` are in the order of the samples.
    """

    target: str
    samples: int = 0
    accepted: int = 0
    findings: tuple[Finding, ...] = ()
    failure: str = ""
    problems: tuple[str, ...] = ()
    """What the target itself warned of, such as a pattern that its language cannot check."""
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        """Whether the target ran and nothing was found."""
        return not self.findings and not self.failure

    def count(self, kind: Kind) -> int:
        """How many findings are of a kind."""
        return sum(finding.kind == kind for finding in self.findings)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome for one protocol; `disputed` are samples on which the two labelling validators differ."""

    protocol: str
    samples: int
    valid: int
    disputed: tuple[Sample, ...]
    tallies: tuple[Tally, ...]


def command(
    config: Config,
    chosen: Sequence[str],
    *,
    samples: Path | None,
    targets: Sequence[str],
    count: int,
    seed: int,
    style: str,
    constraints: bool = True,
) -> int:
    """Runs `protogen verify` and prints its report; 0 where all agree, 1 with findings. Errors: Refusal."""
    entries = build.select(config, chosen)
    if samples is not None and len(entries) > 1:
        names = ", ".join(entry.name for entry in entries)
        raise Refusal("PG205", f"--samples belongs to one protocol, not to {names}", fix="name one of them")
    for target in targets:
        if target not in PREPARE:
            fix = f"choose from {', '.join(PREPARE)}"
            what = f'target "{target}" has no code that can be run{closest(target, PREPARE)}'
            raise Refusal("PG203", what, fix=fix)
        if not constraints and target not in LOOSE:
            what = f'target "{target}" always checks constraints'
            raise Refusal("PG203", what, fix=f"choose from {', '.join(LOOSE)}")
    say = _progress(style)
    reports: list[Report] = []
    for entry in entries:
        protocol = _protocol(config, entry)
        if protocol is None:
            return 1
        known = PREPARE if constraints else LOOSE
        runnable = [target for target in targets or entry.targets if target in known]
        if not runnable:
            fix = f"choose one with --target: {', '.join(PREPARE)}"
            raise Refusal("PG203", f"no target of {entry.name} has code that can be run", fix=fix)
        reports.append(
            _verify(
                config,
                entry,
                protocol,
                runnable,
                samples=samples,
                count=count,
                seed=seed,
                constraints=constraints,
                progress=say,
            )
        )
    say("")
    print(report_json(reports) if style == "json" else report_text(reports))
    return 0 if all(tally.clean for report in reports for tally in report.tallies) else 1


def _protocol(config: Config, entry: ProtocolConfig) -> ir.Protocol | None:
    reading, problems = build.read_document(
        build.schema_path(config, entry),
        root=config.root,
        name=entry.name,
        kind=entry.kind,
        methods=build.methods_path(config, entry),
    )
    if reading is None or has_errors(problems):
        for problem in problems:
            print(problem, file=sys.stderr)
        return None
    if reading.told:
        print(reading.told, file=sys.stderr)
    return reading.protocol


def _verify(
    config: Config,
    entry: ProtocolConfig,
    protocol: ir.Protocol,
    targets: Sequence[str],
    *,
    samples: Path | None,
    count: int,
    seed: int,
    constraints: bool,
    progress: Progress,
) -> Report:
    from protogen.render import Templates

    definitions = protocol.schema["definitions"]
    disputed: tuple[Sample, ...] = ()
    if samples is not None:
        used = _user_samples(samples, definitions)
    else:
        corpus = make(
            definitions,
            seed=seed,
            least=count,
            progress=lambda done, of: progress(f"{entry.name}: samples of {done}/{of} types"),
        )
        used, disputed = list(corpus.samples), corpus.disputed
    if not constraints:
        used = without_constraints(used, definitions)
    renderer = Templates()
    tallies: list[Tally] = []
    for target in targets:
        progress(f"{entry.name}: {target}: generating")
        product, problems = build.generate(protocol, entry, target, renderer=renderer)
        said = tuple(str(problem) for problem in problems)
        if has_errors(problems):
            tallies.append(Tally(target=target, failure="nothing can be generated", problems=said))
            continue
        prefix = f"{target}/{entry.name}/"
        files = [GeneratedFile(path=file.path.removeprefix(prefix), text=file.text) for file in product.files]
        tally = run(
            target,
            files,
            build.options(entry, target),
            used,
            near=(config.root, Path.cwd(), Path(__file__).resolve().parent),
            constraints=constraints,
            progress=partial(_report_step, progress, f"{entry.name}: {target}", len(used)),
        )
        tallies.append(msgspec.structs.replace(tally, problems=said))
    valid = sum(sample.valid for sample in used)
    return Report(protocol=entry.name, samples=len(used), valid=valid, disputed=disputed, tallies=tuple(tallies))


def _report_step(progress: Progress, what: str, of: int, done: int) -> None:
    progress(f"{what}: {done}/{of} samples")


def _user_samples(path: Path, definitions: Mapping[str, Any]) -> list[Sample]:
    judge = Judge(dict(definitions))
    try:
        return read_lines(path, definitions, judge.label)
    except OSError as reason:
        raise Refusal("PG205", f"cannot be read: {reason.strerror}", fix="check the path", path=str(path)) from None
    except LineError as reason:
        raise Refusal("PG205", f"not usable as samples\n{reason}", fix="correct these lines", path=str(path)) from None


def without_constraints(samples: Sequence[Sample], definitions: Mapping[str, Any]) -> list[Sample]:
    """The samples, labelled by their types alone.

    Left out are those whose numbers break a bound and need more than 53 bits: a language may have chosen a type by the
    bounds that does not hold them.
    """
    judge = Judge(relaxed(dict(definitions)))
    found: list[Sample] = []
    for sample in samples:
        try:
            value = read(sample.text)
        except NotJson:
            found.append(sample)
            continue
        if sample.valid or not _has_long_number(value):
            found.append(msgspec.structs.replace(sample, valid=judge.label(sample.type, value)))
    return found


def _has_long_number(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(map(_has_long_number, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int | float | Decimal) and not -(2**53) < value < 2**53


def run(
    target: str,
    files: Sequence[GeneratedFile],
    options: Options,
    samples: Sequence[Sample],
    *,
    near: Sequence[Path] = (),
    constraints: bool = True,
    progress: Callable[[int], None] = lambda done: None,
) -> Tally:
    """Every sample through the generated `files` of one target, written to a temporary folder.

    `near` are folders in or above which a language's own packages may stand (`node_modules`). Errors: Refusal
    where a toolchain is missing; code that does not compile is a Tally with `failure`.
    """
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="protogen-verify-") as name:
        folder, scratch = Path(name) / "sdk", Path(name) / "work"
        scratch.mkdir(parents=True)
        for file in files:
            path = folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file.text, "utf-8")
        try:
            driver = PREPARE[target](folder, options, scratch, near)
        except Unbuildable as reason:
            return Tally(target=target, failure=f"the generated code does not compile:\n{reason}")
        if not constraints:
            driver = msgspec.structs.replace(driver, environment={**driver.environment, WITHOUT: "1"})
        corpus = scratch / "samples.jsonl"
        lines = (json.dumps({"type": sample.type, "text": sample.text}) for sample in samples)
        corpus.write_text("".join(f"{line}\n" for line in lines), "ascii")
        return _tally(target, driver, corpus, samples, started, progress)


def _tally(
    target: str,
    driver: Driver,
    corpus: Path,
    samples: Sequence[Sample],
    started: float,
    progress: Callable[[int], None],
) -> Tally:
    findings: list[Finding] = []
    accepted = done = deaths = 0
    failure = ""
    while done < len(samples) and not failure:
        for answer in _answers(driver, corpus, done, len(samples) - done):
            sample = samples[done]
            done += 1
            accepted += "out" in answer
            finding = judge(sample, answer)
            if finding is not None:
                findings.append(finding)
            if done % 500 == 0:
                progress(done)
            if "fatal" in answer:
                deaths += 1
                if deaths == _MOST_DEATHS or deaths == done == _HOPELESS:
                    failure = f"the process died {deaths} times, last: {answer['fatal']}"
    return Tally(
        target=target,
        samples=done,
        accepted=accepted,
        findings=tuple(findings),
        failure=failure,
        seconds=time.perf_counter() - started,
    )


def _answers(driver: Driver, corpus: Path, skip: int, expected: int) -> Iterator[dict[str, str]]:
    """The answers of one process to at most `expected` samples, from number `skip` on.

    Where it dies, hangs, stops early or says something else, the last one is `{"fatal": why}`.
    """
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            (*driver.command, str(corpus), str(skip)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=driver.environment,
            cwd=corpus.parent,
        ) as process,
    ):
        lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=_pump, args=(process.stdout, lines), daemon=True).start()
        for _ in range(expected):
            try:
                line = lines.get(timeout=_SILENCE_SECONDS)
            except queue.Empty:
                process.kill()
                yield {"fatal": f"no answer in {_SILENCE_SECONDS:.0f} s"}
                return
            if not line:
                code = process.wait()
                errors.seek(0)
                said = errors.read().decode(errors="replace").strip()[-2000:]
                yield {"fatal": f"ended with exit code {code} before its answer: {said or 'nothing on stderr'}"}
                return
            try:
                yield json.loads(line)
            except ValueError:
                process.kill()
                yield {"fatal": f"wrote to standard output: {line[:200]!r}"}
                return
        try:
            process.wait(_LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()  # all is answered: a timer or thread that an SDK left behind need not be waited for


def _pump(stream: Any, lines: queue.SimpleQueue[bytes]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(b"")


def judge(sample: Sample, answer: Mapping[str, str]) -> Finding | None:
    """What is wrong with an answer to a sample; None where nothing is."""
    found = _judged(sample, answer)
    if found is None:
        return None
    kind, detail = found
    return Finding(kind=kind, type=sample.type, text=sample.text, detail=detail, note=sample.note, line=sample.line)


def _judged(sample: Sample, answer: Mapping[str, str]) -> tuple[Kind, str] | None:
    for word in ("fatal", "crashed"):
        if word in answer:
            return "crash", answer[word]
    if "refused" in answer:
        return ("false reject", answer["refused"]) if sample.valid else None
    if not sample.valid:
        return "false accept", "decoded though it breaks the schema"
    try:
        changed = difference(read(sample.text), read(answer["out"], unique_keys=True))
    except NotJson as error:
        return "loss", f"what was encoded is not JSON: {error}"
    return ("loss", changed) if changed else None


# --- reports -------------------------------------------------------------------------------------


def report_text(reports: Sequence[Report]) -> str:
    """The outcome as people read it: a line a target, then the findings, the first of each target."""
    lines: list[str] = []
    for report in reports:
        broken = report.samples - report.valid
        lines.append(f"{report.protocol}: {report.samples:,} samples ({report.valid:,} valid, {broken:,} broken)")
        lines.extend(f"  {tally.target:<11}{_counts(tally)}  {tally.seconds:.1f} s" for tally in report.tallies)
        if report.disputed:
            lines.append(f"  {len(report.disputed)} samples left out: the two labelling validators differ on them")
            lines.extend(f"    {sample.type} {_cut(sample.text)}" for sample in report.disputed[:_SHOWN])
        for tally in report.tallies:
            lines.extend(_findings(report.protocol, tally))
    return "\n".join(lines)


def _counts(tally: Tally) -> str:
    if tally.failure and not tally.samples:
        return "FAILED"
    kinds: tuple[Kind, ...] = ("false accept", "false reject", "loss", "crash")
    plural = {"loss": "losses", "crash": "crashes"}
    counts = ", ".join(f"{tally.count(kind)} {plural.get(kind, kind + 's')}" for kind in kinds)
    return f"{'ok    ' if tally.clean else 'FAILED'} {counts}"


def _findings(protocol: str, tally: Tally) -> Iterator[str]:
    if tally.failure:
        yield f"\n{protocol}, {tally.target}: {tally.failure}"
    if tally.findings or tally.problems:
        yield f"\n{protocol}, {tally.target}:"
    for problem in tally.problems[:_SHOWN]:
        yield f"  {_cut(problem)}"
    for finding in _telling(tally.findings):
        where = f" line {finding.line}" if finding.line else ""
        note = f" ({finding.note})" if finding.note else ""
        yield f"  {finding.kind}: {finding.type}{where}{note}"
        yield f"    value  {_cut(finding.text)}"
        yield f"    result {_cut(finding.detail)}"
    if len(tally.findings) > _SHOWN:
        yield f"  and {len(tally.findings) - _SHOWN} more; --format json lists all"


def _telling(findings: Sequence[Finding]) -> list[Finding]:
    """As many findings as are shown, in their order: every kind in every type before any of them again."""
    seen: dict[tuple[str, str], int] = {}
    ranked: list[tuple[int, int]] = []
    for at, finding in enumerate(findings):
        rank = seen[finding.kind, finding.type] = seen.get((finding.kind, finding.type), 0) + 1
        ranked.append((rank, at))
    return [findings[at] for at in sorted(at for _, at in sorted(ranked)[:_SHOWN])]


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LINE_LIMIT else f"{line[: _LINE_LIMIT - 1]}…"


def report_json(reports: Sequence[Report]) -> str:
    """The outcome for programs, every finding listed."""
    protocols = [
        {
            "protocol": report.protocol,
            "samples": report.samples,
            "valid": report.valid,
            "disputed": [
                {"type": sample.type, "value": sample.text, "valid": sample.valid, "note": sample.note}
                for sample in report.disputed
            ],
            "targets": [_tally_json(tally) for tally in report.tallies],
        }
        for report in reports
    ]
    clean = all(tally.clean for report in reports for tally in report.tallies)
    return json.dumps({"ok": clean, "protocols": protocols}, indent=2, ensure_ascii=False)


def _tally_json(tally: Tally) -> dict[str, Any]:
    return {
        "target": tally.target,
        "ok": tally.clean,
        "samples": tally.samples,
        "accepted": tally.accepted,
        "false_accepts": tally.count("false accept"),
        "false_rejects": tally.count("false reject"),
        "losses": tally.count("loss"),
        "crashes": tally.count("crash"),
        "failure": tally.failure or None,
        "problems": list(tally.problems),
        "seconds": round(tally.seconds, 3),
        "findings": [
            {
                "kind": finding.kind,
                "type": finding.type,
                "line": finding.line or None,
                "value": finding.text,
                "detail": finding.detail,
                "note": finding.note,
            }
            for finding in tally.findings
        ],
    }


def _progress(style: str) -> Progress:
    if style == "json" or not sys.stderr.isatty():
        return lambda step: None
    return lambda step: print(f"\r\x1b[2K{step}", end="", file=sys.stderr, flush=True)
