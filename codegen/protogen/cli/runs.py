"""`protogen runs`: the runs of a Stepflow runtime in the terminal, live."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click

from .call import UNREACHABLE, read_headers
from .options import DONE, FINDINGS, options

if TYPE_CHECKING:
    import httpx
    from rich.console import RenderableType
    from rich.tree import Tree

PREFIX: Final = "/api/v1"
PAGE: Final = 100
MAX_ITEMS: Final = 20
"""Items whose steps are drawn; of others there are numbers."""

MAX_DEPTH: Final = 8
"""Runs within runs that are drawn."""

STYLES: Final = {
    "blocked": ("·", "dim"),
    "runnable": ("·", "dim"),
    "running": ("▶", "yellow"),
    "completed": ("✔", "green"),
    "failed": ("✘", "red"),
    "not run": ("-", "magenta"),
    "cancelled": ("⊘", "magenta"),
    "paused": ("‖", "dim"),
    "recoveryFailed": ("✘", "red"),
}
"""How each state is drawn: a sign, for those who see no colours, and a style."""

TIMEOUT_SECONDS: Final = 30.0


class Answered(Exception):
    """The runtime answered with an error; the text is one line."""


@click.command(
    short_help="Show runs of a runtime, live.",
    epilog="""\b
Examples:
  protogen runs http://127.0.0.1:8000                  the latest runs, the newest last
  protogen runs http://127.0.0.1:8000 --run RUN_ID     one run with its steps, until it has ended
  protogen runs URL --run RUN_ID --once --json         what is known of it as JSON
  protogen runs URL --status failed --limit 5

\b
Exit codes: 0 shown, and the run did not fail; 1 it failed or was cancelled; 2 usage; 3 no answer.
""",
)
@click.argument("url", metavar="URL")
@options(
    click.option("--run", "run_id", metavar="RUN_ID", help="Draw this run, and the runs that it starts."),
    click.option("--status", metavar="STATUS", help="List only runs in this state."),
    click.option("--limit", type=click.IntRange(1, 1000), default=PAGE, show_default=True, help="How many to list."),
    click.option("--once", is_flag=True, help="Show what is there now, and end."),
    click.option("--interval", type=click.FloatRange(0.05), default=0.5, show_default=True, help="Seconds a look."),
    click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Send this header; repeatable."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON for programs."),
)
def runs(
    url: str,
    run_id: str | None,
    status: str | None,
    limit: int,
    once: bool,
    interval: float,
    headers: tuple[str, ...],
    as_json: bool,
) -> None:
    """List the runs of the runtime at URL; with --run, draw one while it runs, with its steps and what they started."""
    import httpx
    import trio

    if urlsplit(url).scheme not in ("http", "https"):
        raise click.UsageError(f"{url!r} is no URL of a runtime; give one such as http://127.0.0.1:8000")
    base = url.rstrip("/")
    base = base if base.endswith(PREFIX) else base + PREFIX
    given = dict(read_headers(headers))

    async def main() -> int:
        async with httpx.AsyncClient(base_url=base, headers=given, timeout=TIMEOUT_SECONDS) as client:
            if run_id is None:
                return await _list(client, status, limit, as_json=as_json)
            return await _follow(client, run_id, once=once or as_json, interval=interval, as_json=as_json)

    try:
        code = trio.run(main)
    except (httpx.HTTPError, ValueError) as reason:
        click.echo(f"error: no answer from {url}: {str(reason) or type(reason).__name__}", err=True)
        code = UNREACHABLE
    except Answered as reason:
        click.echo(f"error: {reason}", err=True)
        code = FINDINGS
    except KeyboardInterrupt:
        raise click.Abort from None
    raise click.exceptions.Exit(code)


async def _ask(client: httpx.AsyncClient, path: str, **query: Any) -> Any:
    answer = await client.get(path, params={name: value for name, value in query.items() if value is not None})
    if answer.status_code == 200:
        return answer.json()
    try:
        told = str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        told = answer.text[:200].strip()
    raise Answered(f"{printable(told)} ({answer.status_code})")


async def _list(client: httpx.AsyncClient, status: str | None, limit: int, *, as_json: bool) -> int:
    found = (await _ask(client, "/runs", status=status, limit=limit))["runs"]
    found.reverse()
    if as_json:
        click.echo(json.dumps(found))
        return DONE
    if not found:
        click.echo("no runs yet; POST /api/v1/runs makes one, and /api/v1/docs tells how")
    for run in found:
        sign, _ = STYLES[run["status"]]
        name = printable(run["flowName"] or run["flowId"][:12])
        click.echo(f"{sign} {run['runId']}  {run['status']:<9}  {run['createdAt'][:19]}  {name}{_numbers(run)}")
    return DONE


def _numbers(run: Mapping[str, Any]) -> str:
    items = run["items"]
    if items["total"] == 1:
        return ""
    told = [f"{items[state]} {state}" for state in ("completed", "failed", "cancelled", "running") if items[state]]
    return f"  ({items['total']} items: {', '.join(told) or 'none'})"


# --- one run --------------------------------------------------------------------------------------


async def _follow(client: httpx.AsyncClient, run_id: str, *, once: bool, interval: float, as_json: bool) -> int:
    import trio

    run = await _look(client, run_id)
    if as_json:
        click.echo(json.dumps(run))
    elif once or not sys.stdout.isatty():
        while not once and run["status"] == "running":
            await trio.sleep(interval)
            run = await _look(client, run_id)
        _print(_drawn(run))
    else:
        from rich.live import Live

        with Live(_drawn(run), auto_refresh=False) as live:
            while run["status"] == "running":
                await trio.sleep(interval)
                run = await _look(client, run_id)
                live.update(_drawn(run), refresh=True)
    return FINDINGS if run["status"] in ("failed", "cancelled", "recoveryFailed") else DONE


async def _look(client: httpx.AsyncClient, run_id: str, depth: int = 0) -> dict[str, Any]:
    """A run with its items, their steps, and the runs that it started."""
    run: dict[str, Any] = await _ask(client, f"/runs/{run_id}")
    found = (await _ask(client, f"/runs/{run_id}/items", limit=MAX_ITEMS))["items"]
    for item in found:
        steps = (await _ask(client, f"/runs/{run_id}/steps", itemIndex=item["itemIndex"]))["steps"]
        item["steps"] = list(steps.values())
    children: Sequence[Mapping[str, Any]] = []
    if depth < MAX_DEPTH:
        children = (await _ask(client, "/runs", parentRunId=run_id, limit=MAX_ITEMS))["runs"]
    run["children"] = [await _look(client, child["runId"], depth + 1) for child in reversed(children)]
    run["itemResults"] = found
    return run


def _drawn(run: Mapping[str, Any]) -> RenderableType:
    from rich.console import Group
    from rich.text import Text
    from rich.tree import Tree

    tree = Tree(_head(run))
    _grow(tree, run)
    steps = Counter(_state(step) for item in run["itemResults"] for step in item["steps"])
    told = ", ".join(f"{steps[state]} {state}" for state in STYLES if steps[state])
    count = sum(steps.values())
    return Group(
        tree, Text(f"{run['status']}; {count} step{'' if count == 1 else 's'}: {told or 'none'}", style="bold")
    )


def _grow(tree: Tree, run: Mapping[str, Any]) -> None:
    for item in run["itemResults"]:
        branch = tree if run["items"]["total"] == 1 else tree.add(_label(f"item {item['itemIndex']}", item))
        for step in item["steps"]:
            branch.add(_label(step["stepId"], step, step.get("component") or ""))
    hidden = run["items"]["total"] - len(run["itemResults"])
    if hidden:
        tree.add(f"… {hidden} more items")
    for child in run["children"]:
        _grow(tree.add(_head(child)), child)


def _state(of: Mapping[str, Any]) -> str:
    """The status of a run, an item or a step; a step that failed because one that it needs had failed was not run."""
    is_uncalled = "stepId" in of and of["status"] == "failed" and of.get("attempt") == 0
    return "not run" if is_uncalled else str(of["status"])


def _head(run: Mapping[str, Any]) -> Any:
    return _label(run["flowName"] or f"flow {run['flowId'][:12]}", run, f"run {run['runId']}{_numbers(run)}")


def _label(name: str, of: Mapping[str, Any], more: str = "") -> Any:
    from rich.text import Text

    sign, style = STYLES[_state(of)]
    label = Text.assemble((f"{sign} ", style), (printable(name), style))
    attempts = f"attempt {of['attempt']}" if of.get("attempt", 0) > 1 else ""
    facts = " ".join(part for part in (printable(more), attempts) if part)
    if facts:
        label.append(f"  {facts}", style="dim")
    result = of.get("result") or {}
    if result.get("outcome") == "failed":
        label.append(f"  {printable(str(result['error']['message']))[:80]}", style="red")
    return label


def printable(text: str) -> str:
    """A text of somebody else, without what would move the cursor or change colours."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _print(what: RenderableType) -> None:
    from rich.console import Console

    Console(highlight=False).print(what)
