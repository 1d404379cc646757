"""`protogen call`: one call of any JSON-RPC endpoint from the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from protogen.config import Refusal

from .options import DONE, FINDINGS, options

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from protogen.ir import Method, Protocol

UNREACHABLE = 3
"""Exit code: nobody answered."""


def complete_method(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Methods of the protocol that was named, or of all that are known."""
    from click.shell_completion import CompletionItem

    from . import protocols

    found: list[CompletionItem] = []
    named, schema = context.params.get("protocol_name"), context.params.get("schema")
    for name in [None] if schema else [named] if named else list(protocols.known()):
        try:
            protocol = protocols.load(name, schema)
        except Refusal:
            continue
        methods = protocol.methods if protocol is not None else ()
        found += [CompletionItem(it.name, help=it.summary) for it in methods if it.name.startswith(incomplete)]
    return found


def complete_params(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """`NAME=` for each parameter of the method that was typed."""
    from click.shell_completion import CompletionItem

    from . import protocols

    name = context.params.get("method") or ""
    schema, named = context.params.get("schema"), context.params.get("protocol_name")
    try:
        protocol = protocols.load(named, schema) or protocols.with_method(name)
    except Refusal:
        return []
    method = _method(protocol, name)
    if protocol is None or method is None:
        return []
    fields = _fields(protocol, method)
    return [CompletionItem(f"{wire}=", help=doc) for wire, doc in fields.items() if wire.startswith(incomplete)]


@click.command(
    short_help="Call a method of a server and print what it answers.",
    epilog="""\b
Examples:
  protogen call http://127.0.0.1:8000/ echo value=7
  protogen call http://127.0.0.1:8000/ add '{"a": 1, "b": 2}'
  protogen call http://127.0.0.1:8000/ count to=3 --json        one line of JSON an event, then the result
  protogen call ws://127.0.0.1:8000/ echo value=@value.json     what a file holds
  protogen call 'stdio:protogen serve echo --stdio' add a=1 b=2
  protogen call URL tasks.list limit=5 --header 'Authorization: Bearer TOKEN'

\b
Exit codes: 0 a result; 1 an error answer; 2 usage; 3 no answer.
""",
)
@click.argument("target", metavar="TARGET")
@click.argument("method", shell_complete=complete_method)
@click.argument("params", nargs=-1, metavar="[PARAMS | NAME=VALUE...]", shell_complete=complete_params)
@options(
    click.option(
        "--protocol", "protocol_name", metavar="NAME", help="Speak this protocol (default: the one with the method)."
    ),
    click.option("--schema", type=click.Path(path_type=Path), metavar="FILE", help="Speak the protocol of this file."),
    click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Send this header; repeatable."),
    click.option("--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Wait at most so long."),
    click.option("--notify", is_flag=True, help="Send a notification, and wait for no answer."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON for programs: one line an event and the result."),
)
def call(
    target: str,
    method: str,
    params: tuple[str, ...],
    protocol_name: str | None,
    schema: Path | None,
    headers: tuple[str, ...],
    timeout: float | None,
    notify: bool,
    as_json: bool,
) -> None:
    """Call METHOD of the server at TARGET and print the result; events of a stream are printed as they come.

    TARGET is http://, https://, ws://, wss://, sse+http:// or stdio:COMMAND. Params are one JSON object or array (or
    @FILE, or - for standard input), or NAME=VALUE for each: a VALUE that is no JSON is text; @FILE is what it holds.
    """
    from . import protocols

    protocol = protocols.load(protocol_name, schema)
    if protocol is not None and _method(protocol, method) is None:
        from protogen.problems import closest

        names = [it.name for it in protocol.methods]
        # Servers may have more methods than their protocol: this informs, and the call goes out.
        click.echo(f"note: {protocol.name} has no method {method!r}{closest(method, names)}", err=True)
    text = _params(params)
    code = _run(target, method, text, read_headers(headers), timeout, notify=notify, as_json=as_json)
    raise click.exceptions.Exit(code)


def _run(
    target: str,
    method: str,
    params: bytes,
    headers: dict[str, str],
    timeout: float | None,
    *,
    notify: bool,
    as_json: bool,
) -> int:
    from math import inf

    import trio
    from msgspec import Raw

    from protogen_runtime.dispatch.channels import TransportError
    from protogen_runtime.io.client import UnknownTarget, channel_to
    from protogen_runtime.jsonrpc import Success

    async def on_event(event: Any) -> None:
        _show({"event": event} if as_json else event, as_json=as_json)

    async def main() -> int:
        channel = channel_to(target, headers=headers)
        with trio.move_on_after(inf if timeout is None else timeout) as waiting:
            await channel.open()
            try:
                if notify:
                    await channel.notify(method, Raw(params))
                    return DONE
                answer = await channel.call(method, Raw(params), on_event)
            finally:
                await channel.aclose()
            if isinstance(answer, Success):
                result = json.loads(bytes(answer.result))
                _show({"result": result} if as_json else result, as_json=as_json)
                return DONE
            _show_error(answer.error, as_json=as_json)
            return FINDINGS
        assert waiting.cancelled_caught
        click.echo(f"error: {target} did not answer {method} within {timeout:g} s; raise --timeout", err=True)
        return UNREACHABLE

    try:
        return trio.run(main)
    except UnknownTarget as reason:
        raise click.UsageError(str(reason)) from None
    except ValueError as reason:
        raise click.UsageError(f"{target}: {reason}") from None
    except TransportError as reason:
        click.echo(f"error: no answer from {target}: {reason}", err=True)
        return UNREACHABLE
    except KeyboardInterrupt:
        raise click.Abort from None


def _show(value: Any, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    elif sys.stdout.isatty():
        from rich.console import Console

        Console().print_json(data=value)
    else:
        click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def _show_error(error: Any, *, as_json: bool) -> None:
    data = None if not error.data else json.loads(bytes(error.data))
    if as_json:
        told = {"code": error.code, "message": error.message} | ({"data": data} if error.data else {})
        _show({"error": told}, as_json=True)
        return
    click.echo(click.style(f"error {error.code}: {error.message}", fg="red" if sys.stderr.isatty() else None), err=True)
    if error.data:
        click.echo(json.dumps(data, ensure_ascii=False, indent=2), err=True)


# --- what was typed -------------------------------------------------------------------------------


def _params(words: Sequence[str]) -> bytes:
    """The params as JSON, empty for none. Errors: UsageError."""
    if not words:
        return b""
    if len(words) == 1 and (words[0][:1] in ("{", "[", "@", "-")):
        text = words[0]
        if text == "-":
            text = sys.stdin.read()
        elif text.startswith("@"):
            text = _file(text[1:])
        value = _json(text, "the params")
        if not isinstance(value, dict | list):
            raise click.UsageError("params are a JSON object or array, or NAME=VALUE.")
        return text.strip().encode()
    members: dict[str, Any] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise click.UsageError(f"expected NAME=VALUE, got {word!r}; or give one JSON object.")
        members[name] = _value(value)
    return json.dumps(members, ensure_ascii=False).encode()


def _value(text: str) -> Any:
    if text.startswith("@"):
        return _json(_file(text[1:]), text)
    try:
        return json.loads(text)
    except ValueError:
        return text


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as reason:
        raise click.UsageError(f"{what}: expected JSON: {reason}") from None


def _file(name: str) -> str:
    try:
        return Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as reason:
        raise click.UsageError(f"@{name} cannot be read: {reason}") from None


def read_headers(lines: Sequence[str]) -> dict[str, str]:
    """The headers of `--header` options. Errors: UsageError."""
    headers: dict[str, str] = {}
    for line in lines:
        name, sign, value = line.partition(":")
        if not sign or not name.strip():
            raise click.UsageError(f"expected 'NAME: VALUE' for --header, got {line!r}.")
        headers[name.strip().lower()] = value.strip()
    return headers


# --- what the schema says -------------------------------------------------------------------------


def _method(protocol: Protocol | None, name: str) -> Method | None:
    methods = protocol.methods if protocol is not None else ()
    return next((method for method in methods if method.name == name), None)


def _fields(protocol: Protocol, method: Method) -> dict[str, str]:
    from protogen import ir

    if not isinstance(method.params, ir.NamedType):
        return {}
    definition = {it.name: it for it in protocol.definitions}.get(method.params.name)
    return {field.wire: field.doc for field in definition.fields} if isinstance(definition, ir.Record) else {}
