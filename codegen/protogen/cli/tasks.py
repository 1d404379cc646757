"""`protogen tasks`: the flows of an apflow node in the terminal, live."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from .call import UNREACHABLE, read_headers
from .options import DONE, FINDINGS, options

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.tree import Tree

SETTLED: Final = ("completed", "failed", "cancelled")
STYLES: Final = {
    "pending": ("·", "dim"),
    "in_progress": ("▶", "yellow"),
    "completed": ("✔", "green"),
    "failed": ("✘", "red"),
    "cancelled": ("⊘", "magenta"),
}
"""How each state is drawn: a sign, for those who see no colours, and a style."""

PAGE: Final = 1000
"""Tasks asked for at once: the most that the protocol allows."""


class Answered(Exception):
    """The node answered with an error; the text is one line."""


@click.command(
    short_help="Show the task tree of a flow, live.",
    epilog="""\b
Examples:
  protogen tasks http://127.0.0.1:8000/                  the flows of a node
  protogen tasks http://127.0.0.1:8000/ ROOT_TASK_ID     one flow, until nothing in it can change any more
  protogen tasks URL ROOT_TASK_ID --once --json          the tree as JSON

\b
Exit codes: 0 shown, and no task of the flow failed; 1 one failed or was cancelled; 2 usage; 3 no answer.
""",
)
@click.argument("url", metavar="URL")
@click.argument("root", required=False, metavar="[ROOT_TASK_ID]")
@options(
    click.option("--once", is_flag=True, help="Show what is there now, and end."),
    click.option("--interval", type=click.FloatRange(0.05), default=0.5, show_default=True, help="Seconds a look."),
    click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Send this header; repeatable."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON for programs."),
)
def tasks(url: str, root: str | None, once: bool, interval: float, headers: tuple[str, ...], as_json: bool) -> None:
    """Draw the flow of ROOT_TASK_ID while it runs; without it, list the node's flows, the latest last."""
    import trio

    from protogen_runtime.dispatch.channels import TransportError
    from protogen_runtime.io.client import UnknownTarget, channel_to

    async def main() -> int:
        channel = channel_to(url, headers=read_headers(headers))
        await channel.open()
        try:
            if root is None:
                return await _list(channel, as_json=as_json)
            return await _follow(channel, root, once=once or as_json, interval=interval, as_json=as_json)
        finally:
            await channel.aclose()

    try:
        code = trio.run(main)
    except UnknownTarget as reason:
        raise click.UsageError(str(reason)) from None
    except (ValueError, TransportError) as reason:
        click.echo(f"error: no answer from {url}: {reason}", err=True)
        code = UNREACHABLE
    except Answered as reason:
        click.echo(f"error: {reason}", err=True)
        code = FINDINGS
    except KeyboardInterrupt:
        raise click.Abort from None
    raise click.exceptions.Exit(code)


async def _ask(channel: Any, method: str, params: Mapping[str, Any]) -> Any:
    from msgspec import Raw

    from protogen_runtime.jsonrpc import Success

    answer = await channel.call(method, Raw(json.dumps(params).encode()), None)
    if isinstance(answer, Success):
        return json.loads(bytes(answer.result))
    detail = f" {bytes(answer.error.data).decode()}" if answer.error.data else ""
    raise Answered(f"{method}: {answer.error.message} ({answer.error.code}){detail}")


# --- the flows of a node --------------------------------------------------------------------------


async def _list(channel: Any, *, as_json: bool) -> int:
    roots: list[dict[str, Any]] = []
    offset = 0
    while True:
        page = await _ask(channel, "tasks.list", {"limit": PAGE, "offset": offset})
        roots += [task for task in page["tasks"] if not task.get("parent_id")]
        offset += len(page["tasks"])
        if not page["tasks"] or offset >= page["total"]:
            break
    if as_json:
        click.echo(json.dumps(roots))
        return DONE
    if not roots:
        click.echo("no tasks yet; try: protogen call URL tasks.create name=first")
    for task in roots:
        sign, _ = STYLES[task["status"]]
        click.echo(f"{sign} {task['id']}  {task['status']:<11}  {task['name']}")
    return DONE


# --- one flow -------------------------------------------------------------------------------------


async def _follow(channel: Any, root: str, *, once: bool, interval: float, as_json: bool) -> int:
    import trio

    node = await _ask(channel, "tasks.tree", {"task_id": root})
    if as_json:
        click.echo(json.dumps(node))
    elif once or not sys.stdout.isatty():
        while not (once or _is_over(node)):
            await trio.sleep(interval)
            node = await _ask(channel, "tasks.tree", {"task_id": root})
        _print(_drawn(node))
    else:
        from rich.live import Live

        with Live(_drawn(node), auto_refresh=False) as live:
            while not _is_over(node):
                await trio.sleep(interval)
                node = await _ask(channel, "tasks.tree", {"task_id": root})
                live.update(_drawn(node), refresh=True)
    counts = _counts(node)
    return FINDINGS if counts["failed"] or counts["cancelled"] else DONE


def _all(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The tasks of a tree, from the top."""
    waiting = [node]
    while waiting:
        now = waiting.pop()
        yield now["task"]
        waiting += reversed(now.get("children", []))


def _counts(node: Mapping[str, Any]) -> Counter[str]:
    return Counter(task["status"] for task in _all(node))


def _is_over(node: Mapping[str, Any]) -> bool:
    """Whether nothing can change by itself: nothing runs, and what is pending waits for what will not come."""
    states = {task["id"]: task["status"] for task in _all(node)}
    if "in_progress" in states.values():
        return False
    blocked: set[str] = set()
    pending = [task for task in _all(node) if task["status"] == "pending"]
    while True:
        found = [task for task in pending if task["id"] not in blocked and _is_blocked(task, states, blocked)]
        if not found:
            return len(blocked) == len(pending)
        blocked.update(task["id"] for task in found)


def _is_blocked(task: Mapping[str, Any], states: Mapping[str, str], blocked: set[str]) -> bool:
    for needed in task.get("dependencies", []):
        is_lost = states.get(needed["id"]) in ("failed", "cancelled")
        if needed["id"] in blocked or (is_lost and needed.get("required", True)):
            return True
    return False


def _drawn(node: Mapping[str, Any]) -> RenderableType:
    from rich.console import Group
    from rich.text import Text
    from rich.tree import Tree

    tree = Tree(_label(node["task"]))
    waiting: list[tuple[Mapping[str, Any], Tree]] = [(node, tree)]
    while waiting:
        now, branch = waiting.pop()
        waiting += [(child, branch.add(_label(child["task"]))) for child in now.get("children", [])]
    counts = _counts(node)
    total = sum(counts.values())
    parts = [f"{counts[state]} {state}" for state in STYLES if counts[state]]
    return Group(tree, Text(f"{total} tasks: {', '.join(parts)}", style="bold"))


def _label(task: Mapping[str, Any]) -> Any:
    from rich.text import Text

    sign, style = STYLES[task["status"]]
    label = Text.assemble((f"{sign} ", style), (_printable(task["name"]), "" if style == "dim" else style))
    method = (task.get("schemas") or {}).get("method")
    facts = [f"p{task.get('priority', 2)}", *([_printable(str(method))] if method else [])]
    if task["status"] == "in_progress" and task.get("progress"):
        facts.append(f"{task['progress']:.0%}")
    label.append(f"  {' '.join(facts)}", style="dim")
    if task.get("error"):
        label.append(f"  {_printable(task['error'])[:80]}", style="red")
    return label


def _printable(text: str) -> str:
    """A text of somebody else, without what would move the cursor or change colours."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _print(what: RenderableType) -> None:
    from rich.console import Console

    Console(highlight=False).print(what)
