"""What `protogen fuzz` does, apart from reading its options: a run, its reports, its exit code."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click
import msgspec

from protogen_compliance import transcripts
from protogen_compliance.fuzz import engine, report
from protogen_compliance.fuzz.description import Json
from protogen_compliance.fuzz.engine import Progress, Run, Settings
from protogen_compliance.fuzz.preflight import NoTarget
from protogen_compliance.targets import NoTarget as NotStarted
from protogen_compliance.targets import WrongTarget, opened, parse_target

IN_ORDER, FINDINGS, USAGE, UNREACHED = 0, 1, 2, 3
"""Exit codes: nothing found; a MUST is broken; the command line is wrong; there is nothing to fuzz."""

PROGRESS_SECONDS = 0.2


class Usage(Exception):
    """The command line is wrong; the text says what was expected."""


def fuzz(settings: Settings, document: Json, *, json_file: Path | None, quiet: bool) -> int:
    """Fuzzes a target by an OpenAPI document and reports; returns the exit code. Raises Usage."""
    live = sys.stderr.isatty()
    try:
        target = parse_target(settings.url)
        if target.kind == "stdio":
            raise Usage("protogen fuzz speaks HTTP: give an address, or a command that serves it and prints its port")
        operations = [item["post"]["x-jsonrpc"]["method"] for item in document["paths"].values()]
        for name in settings.without:
            if name not in operations:
                raise Usage(f"{settings.protocol} has no method {name!r}; it has {', '.join(operations)}")
        with opened(target) as there:
            asked = msgspec.structs.replace(settings, url=there.url)
            done = engine.run(asked, document, on_progress=_progress(live))
    except WrongTarget as reason:
        raise Usage(str(reason)) from None
    except (NoTarget, NotStarted) as reason:
        _clear(live)
        click.echo(f"nothing to fuzz at {settings.url}: {reason}", err=True)
        return UNREACHED
    except OSError as reason:
        raise Usage(f"programs cannot be kept in {settings.folder}: {reason.strerror}; see --corpus") from None
    _clear(live)
    transcripts.keep(it.transcript(done.url) for it in done.findings)
    _report(done, json_file, quiet=quiet)
    return IN_ORDER if done.clean else FINDINGS


def _report(done: Run, json_file: Path | None, *, quiet: bool) -> None:
    if json_file is not None:
        try:
            json_file.write_bytes(msgspec.json.format(msgspec.json.encode(done), indent=2) + b"\n")
        except OSError as reason:
            raise Usage(f"--json {json_file}: {reason.strerror}") from None
    colour = sys.stdout.isatty()
    for line in [report.summary(done, colour=colour)] if quiet else report.lines(done, colour=colour):
        click.echo(line)


def _progress(live: bool) -> engine.Tell | None:
    if not live:
        return None
    last = 0.0

    def show(it: Progress) -> None:
        nonlocal last
        if time.monotonic() - last > PROGRESS_SECONDS:
            last = time.monotonic()
            click.echo(f"\r\x1b[K{report.progress(it)}", nl=False, err=True)

    return show


def _clear(live: bool) -> None:
    if live:
        click.echo("\r\x1b[K", nl=False, err=True)
