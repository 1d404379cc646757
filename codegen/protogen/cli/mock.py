"""`protogen mock`: a server of any protocol, from its description alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import click
import msgspec

from protogen import ir
from protogen.config import Refusal

from .options import FINDINGS, USAGE, complete_protocol, config_option, listening_options, options, project

if TYPE_CHECKING:
    from protogen.mocking import Answers


@click.command(
    short_help="Serve made-up answers for any protocol.",
    epilog="""\b
Examples:
  protogen mock chat.json                         every method of it, on http://127.0.0.1:8000
  protogen mock apflow --port 0 --announce        one of protogen.toml, on a free port
  protogen mock openrpc.json --seed 7             other answers, the same ones each time
  protogen mock chat.json --errors 0.1            a tenth of the answers are errors of the method
  protogen mock chat.json --delay 0.5             every answer comes half a second late
  protogen mock stepflow --role runtime --stdio   the other side, on stdin and stdout
""",
)
@click.argument("schema", metavar="PROTOCOL|FILE", shell_complete=complete_protocol)
@options(
    click.option("--role", metavar="NAME", help="The side to play (default: the one that serves most methods)."),
    *listening_options,
    click.option("--stdio", is_flag=True, help="Serve one client on stdin and stdout instead of HTTP."),
    click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Which answers to make up."),
    click.option(
        "--errors",
        type=click.FloatRange(0, 1),
        default=0.0,
        metavar="SHARE",
        help="How many requests fail, by errors that their methods have: 0 none, 1 all.",
    ),
    click.option(
        "--delay", type=click.FloatRange(0, 3600), default=0.0, metavar="SECONDS", help="How long an answer takes."
    ),
    config_option,
)
def mock(
    schema: str,
    role: str | None,
    host: str | None,
    port: int | None,
    announce: bool,
    stdio: bool,
    seed: int,
    errors: float,
    delay: float,
    config_file: Path | None,
) -> None:
    """Answer every method of a protocol with valid data: its examples first, then values made from its types.

    Params are checked, and what breaks them is told. The same request always gets the same answer.
    """
    from protogen.mocking import Answers
    from protogen_runtime.io import stdio as pipes
    from protogen_runtime.io.http.server import CannotServe, Settings, run
    from protogen_runtime.observe import ObserveSettings

    if stdio and (host is not None or port is not None or announce):
        raise click.UsageError("--stdio has no --host, --port or --announce.")
    protocol = _protocol(schema, config_file)
    played = _role(protocol, role)
    make = partial(_service, protocol, played, Answers(protocol, seed=seed, errors=errors), delay)
    try:
        if stdio:
            pipes.run(ObserveSettings(), make)
            return
        settings = Settings(host=host or "127.0.0.1", port=8000 if port is None else port, announce=announce)
        count = len(ir.served(protocol, played))
        click.echo(f"mock of {protocol.name} {protocol.version}: {count} methods of role {played}", err=True)
        run(settings, make)
    except CannotServe as reason:
        click.echo(f"error: {reason}", err=True)
        raise click.exceptions.Exit(USAGE) from None


def _protocol(schema: str, config_file: Path | None) -> ir.Protocol:
    """The one protocol that is named. Errors: Refusal; exits with 1 where its document is wrong."""
    from protogen.build import read_protocol, schema_path, select
    from protogen.problems import has_errors

    config, names = project([schema], config_file, None)
    (entry,) = select(config, names)
    protocol, problems = read_protocol(schema_path(config, entry), root=config.root, name=entry.name)
    if protocol is None or has_errors(problems):
        for problem in problems:
            click.echo(str(problem), err=True)
        raise click.exceptions.Exit(FINDINGS)
    if not protocol.methods:
        fix = "name a document that describes methods"
        raise Refusal("PG116", "has no methods to answer", fix=fix, path=entry.schema)
    return protocol


def _role(protocol: ir.Protocol, role: str | None) -> str:
    """The role to play. Errors: UsageError for one that serves nothing."""
    roles = sorted({side for method in protocol.methods for side in (method.receiver, method.sender)})
    serving = [name for name in roles if ir.served(protocol, name)]
    if role is None:
        return max(serving, key=lambda name: len(ir.served(protocol, name)))
    if role not in serving:
        from protogen.problems import closest

        near = closest(role, serving)
        raise click.UsageError(f"no method is sent to the role {role!r}{near}; choose one of {', '.join(serving)}.")
    return role


# --- a protocol's tables without an SDK -------------------------------------------------------------


class _Refused(Exception):
    """The error that a request is answered with."""

    DATA: ClassVar[str | None] = None

    def __init__(self, code: int, message: str, data: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class _Invalid(Exception):
    """A value that breaks its schema."""

    def __init__(self, faults: list[dict[str, str]]) -> None:
        super().__init__("; ".join(fault["message"] for fault in faults))
        self._faults = faults

    def as_data(self) -> list[dict[str, str]]:
        """What is wrong, for the data of the error."""
        return self._faults


class _Codec:
    """Values as plain JSON, held against the lowered schema."""

    def __init__(self, answers: Answers) -> None:
        self._values = answers.values

    def decode(self, name: str, data: bytes | msgspec.Raw) -> Any:
        value = json.loads(bytes(data))
        faults = self._values.faults(name, value)
        if faults:
            raise _Invalid(faults)
        return value

    def encode(self, value: Any) -> bytes:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

    def encode_as(self, name: str, value: Any) -> bytes:
        faults = self._values.faults(name, value)
        if faults:
            raise _Invalid(faults)
        return self.encode(value)


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """One method, as a generated table has it."""

    name: str
    function: str
    kind: Literal["request", "notification"]
    sender: str
    receiver: str
    params: str | None
    result: str | None
    events: str | None
    events_are_results: bool
    positional: tuple[str, ...]


class _Tables(msgspec.Struct, frozen=True, kw_only=True):
    """A protocol, as a generated SDK has it."""

    name: str
    codec: _Codec
    methods: dict[str, _Row]
    path: str
    health_path: str | None
    instance_header: str


def _service(protocol: ir.Protocol, role: str, answers: Answers, delay: float) -> Any:
    """A service whose handler is made of the protocol's methods."""
    from protogen_runtime.dispatch import Service
    from protogen_runtime.dispatch.sdk import Sdk

    served = ir.served(protocol, role)
    tables = _Tables(
        name=protocol.name,
        codec=_Codec(answers),
        methods={method.name: _row(protocol, method) for method in served},
        path=protocol.http.path,
        health_path=protocol.http.health_path,
        instance_header=protocol.http.instance_header,
    )
    handler = SimpleNamespace(**{method.name: _function(method, answers, delay) for method in served})
    return Service(tables, role, handler, sdk=Sdk(_Refused, _Invalid), report=_report)


def _report(method: str, what: str, error: BaseException) -> None:
    """Says why a request got an internal error: most often no value of a type is known."""
    click.echo(f"{method}: {what}: {error}", err=True)


def _row(protocol: ir.Protocol, method: ir.Method) -> _Row:
    return _Row(
        name=method.name,
        function=method.name,
        kind=method.kind,
        sender=method.sender,
        receiver=method.receiver,
        params=_name(method.params),
        result=_name(method.result),
        events=_name(method.events),
        events_are_results=method.events_are_results,
        positional=_positions(protocol, method),
    )


def _name(type_: ir.Type | None) -> str | None:
    return type_.name if isinstance(type_, ir.NamedType) else None


def _positions(protocol: ir.Protocol, method: ir.Method) -> tuple[str, ...]:
    """The members of params in the order of an array, where the method takes one."""
    if method.param_structure == "by-name" or not isinstance(method.params, ir.NamedType):
        return ()
    definition = ir.definition_table(protocol)[method.params.name]
    return tuple(field.wire for field in definition.fields) if isinstance(definition, ir.Record) else ()


def _function(method: ir.Method, answers: Answers, delay: float) -> Callable[..., Any]:
    """What serves a method: waits, sends its events, and gives its result."""
    import trio
    from msgspec import UNSET, Raw

    async def serve(params: Any, context: Any) -> Any:
        await trio.sleep(delay)
        made = answers.answer(method, params)
        for event in made.events:
            if method.events_are_results and context.can_answer_early:
                await context.answer(event, is_last=False)
            elif context.is_streaming:
                await context.emit(event)
        if made.error is not None:
            raise _Refused(made.error["code"], made.error["message"], made.error.get("data", UNSET))
        return Raw(json.dumps(made.result, ensure_ascii=False).encode())

    async def serve_without(context: Any) -> Any:
        return await serve(None, context)

    return serve if _name(method.params) is not None else serve_without
