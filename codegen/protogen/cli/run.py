"""`protogen run`: one flow, once, in a runtime of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from .options import DONE, FINDINGS, USAGE, options

CONSOLE: Final = "console.py"
"""The module beside a server that runs its flows without one."""

SIGNS: Final = {
    "step_started": ("▶", "yellow"),
    "step_completed": ("✔", "green"),
    "step_failed": ("✘", "red"),
    "step_cancelled": ("⊘", "magenta"),
}
"""How what happens to a step is told on standard error."""

NOT_RUN: Final = ("-", "magenta")
"""A step whose input could not be made, most often because a step that it needs had failed."""


@click.command(
    short_help="Run a flow once, and print its result.",
    epilog="""\b
Examples:
  protogen run flow.yaml --input '{"name": "Ann"}'
  protogen run flow.yaml --input @input.json --config stepflow-config.yml
  protogen run flow.yaml --input 1 --input 2            two items of one run
  protogen run flow.yaml --inputs lines.jsonl --max-concurrency 8 --json
  protogen run flow.yaml --input null --variables '{"model": "small"}' \\
      --overrides '{"ask": {"value": {"input": {"temperature": 0}}}}'

\b
Exit codes: 0 the run completed; 1 it failed; 2 usage, or a flow or configuration that cannot be used.
""",
)
@click.argument("flow", type=click.Path(path_type=Path), metavar="FLOW")
@options(
    click.option(
        "--input", "inputs", multiple=True, metavar="JSON|@FILE", help="An input; several make several items."
    ),
    click.option("--inputs", "inputs_file", metavar="JSON|@FILE", help="All inputs: an array, or JSON line by line."),
    click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Plugins and routes (default: stepflow-config.yml beside the flow, or here).",
    ),
    click.option("--variables", metavar="JSON|@FILE", help="An object of variables."),
    click.option("--overrides", metavar="JSON|@FILE", help="Changes of steps, by step id."),
    click.option("--max-concurrency", type=click.IntRange(1), metavar="N", help="Steps at once."),
    click.option("--dialect", type=click.Choice(["0.9", "0.11"]), help="Which release's habits hold."),
    click.option("--db", "database", metavar="ADDRESS", default="memory:", help="Where the run is kept (memory:)."),
    click.option("--json", "as_json", is_flag=True, help="Print the run and its items as JSON."),
    click.option("--quiet", is_flag=True, help="Tell no progress."),
)
def run(
    flow: Path,
    inputs: tuple[str, ...],
    inputs_file: str | None,
    config_file: Path | None,
    variables: str | None,
    overrides: str | None,
    max_concurrency: int | None,
    dialect: str | None,
    database: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run FLOW, a document in YAML or JSON, on each input; progress goes to standard error.

    Prints the result; for several inputs one line for each item, with its outcome. Without an input it is null.
    """
    from protogen_runtime.io.http.server import CannotServe

    module = console()
    try:
        ran = module.run_flow(
            flow,
            _inputs(inputs, inputs_file),
            config=config_file,
            database=database,
            dialect=dialect,
            variables=_object("--variables", variables),
            overrides=_object("--overrides", overrides),
            max_concurrency=max_concurrency,
            on_event=None if quiet else _Progress().tell,
        )
    except (CannotServe, module.BadFlow) as reason:
        click.echo(f"error: {reason}", err=True)
        raise click.exceptions.Exit(USAGE) from None
    except KeyboardInterrupt:
        raise click.Abort from None
    _show(module, ran, as_json=as_json)
    raise click.exceptions.Exit(DONE if ran.summary.status == "completed" else FINDINGS)


def console() -> Any:
    """The module that runs flows: the server that has one is found, not named, as the servers are."""
    from importlib import import_module

    nodes = import_module("protogen_runtime.nodes")
    (found,) = sorted(Path(nodes.__path__[0]).glob(f"*/{CONSOLE}"))
    return import_module(f"{nodes.__name__}.{found.parent.name}.{found.stem}")


def read_json(option: str, text: str) -> Any:
    """The value of an option: JSON, or the JSON in a file whose name follows an @, - for standard input."""
    name = option
    if text.startswith("@"):
        name = f"{option} {text}"
        text = _read(option, text[1:])
    try:
        return json.loads(text)
    except ValueError as reason:
        raise click.UsageError(f"{name} is no JSON: {reason}.") from None


def _read(option: str, name: str) -> str:
    if name == "-":
        return sys.stdin.read()
    try:
        return Path(name).read_text("utf-8")
    except OSError as reason:
        raise click.UsageError(f"{option}: {name} cannot be read: {reason.strerror}.") from None
    except UnicodeDecodeError:
        raise click.UsageError(f"{option}: {name} is not UTF-8.") from None


def _object(option: str, text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    value = read_json(option, text)
    if not isinstance(value, dict):
        raise click.UsageError(f"{option}: expected an object.")
    return value


def _inputs(given: tuple[str, ...], file: str | None) -> list[Any]:
    if given and file is not None:
        raise click.UsageError("give --input or --inputs, not both.")
    if file is None:
        return [read_json("--input", text) for text in given] or [None]
    text = _read("--inputs", file[1:]) if file.startswith("@") else file
    try:
        value = json.loads(text)
    except ValueError:
        lines = [line for line in text.splitlines() if line.strip()]
        return [read_json(f"--inputs, line {number}", line) for number, line in enumerate(lines, 1)]
    if not isinstance(value, list):
        raise click.UsageError("--inputs: expected an array, or one JSON value on each line.")
    return value


class _Progress:
    """One line for each thing that happens to a step."""

    def __init__(self) -> None:
        self._started: set[tuple[int, str]] = set()

    def tell(self, event: Any) -> None:
        """Tell it. A step that failed without having started was never called, as what it needs had failed."""
        sign, colour = SIGNS.get(event.kind, ("", ""))
        if not sign:
            return
        step, more = (event.item_index, event.step_id), ""
        if event.kind == "step_started":
            self._started.add(step)
            more = f" (attempt {event.attempt})" if event.attempt > 1 else ""
        elif event.kind == "step_failed" and step not in self._started:
            (sign, colour), more = NOT_RUN, " (not run)"
        item = f"[{event.item_index}] " if event.item_index else ""
        click.secho(f"{sign} {item}{event.step_id}{more}", err=True, fg=colour if sys.stderr.isatty() else None)


def _show(module: Any, ran: Any, *, as_json: bool) -> None:
    results = [module.result_json(item) for item in ran.items]
    if as_json:
        told = [{"itemIndex": item.item_index, **result} for item, result in zip(ran.items, results, strict=True)]
        run_id, flow_id = ran.summary.run_id, ran.summary.flow_id
        _print({"runId": run_id, "flowId": flow_id, "status": ran.summary.status, "items": told})
    elif len(results) == 1:
        _show_one(results[0])
    else:
        for result in results:
            click.echo(json.dumps(result, ensure_ascii=False))


def _show_one(result: dict[str, Any]) -> None:
    if result["outcome"] == "success":
        _print(result["result"])
        return
    error = result.get("error")
    if error is None:
        click.echo(f"error: the run was {result['outcome']}", err=True)
        return
    click.echo(f"error: {error['message']} (code {error['code']})", err=True)
    for line in reasons(error.get("data")):
        click.echo(f"  {line}", err=True)


def reasons(data: Any) -> Sequence[str]:
    """What an error tells of its causes: the stack of dialect 0.9, or whatever there is as JSON."""
    if data is None:
        return []
    stack: Any = data.get("stack") if isinstance(data, dict) else None
    if not isinstance(stack, list):
        return [json.dumps(data, ensure_ascii=False)]
    found: list[str] = []
    for entry in stack:
        if isinstance(entry, dict):
            found += [str(entry.get("error", "")), *(f"  {text}" for text in entry.get("attachments", []))]
    return found


def _print(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))
