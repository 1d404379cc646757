"""References as the tests make them: of protocols of this repository, and of one whose every text is hostile."""

from __future__ import annotations

from pathlib import Path

from protogen import ir
from protogen.build import read_protocol
from protogen.output import Options
from protogen.render import Templates
from protogen.targets.docs.target import TARGET

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = Options(package="toy", distribution="toy")
HOSTILE = (
    'a*b* `c` <script>alert(1)</script> | [x](javascript:alert(1)) ![y](z) --> </a> "q" \'& &amp; _u_ \\| \\\\| #h'
)
"""Marks of Markdown, of HTML and of both."""


def generated(protocol: ir.Protocol) -> dict[str, str]:
    """The files of the target by their path."""
    files, problems = TARGET.generate(protocol, OPTIONS, Templates())
    assert problems == []
    return {file.path: file.text for file in files}


def described(name: str) -> ir.Protocol:
    """A protocol of this repository by its folder below schemas/."""
    found, problems = read_protocol(ROOT / "schemas" / name / "protocol.json", root=ROOT)
    assert found is not None, problems
    return found


def hostile_protocol() -> ir.Protocol:
    """A protocol whose every name and text is hostile."""
    text = HOSTILE
    twin = text.replace("*", "+")
    named = ir.NamedType(name=text)
    fields = (
        ir.Field(wire=text, type=ir.NullableType(of=ir.StringType(format=text)), required=True, doc=text, default=text),
        ir.Field(wire=f"# {text}", type=ir.LiteralType(value=text), required=False, doc=f"# {text}\n\n- {text}\n+ x"),
    )
    definitions: tuple[ir.AnyDefinition, ...] = (
        ir.Record(name=text, doc=f"{text}\n\n1. {text}", fields=fields, extra=named),
        ir.Enum(name=twin, values=(ir.EnumValue(value=text, doc=text), ir.EnumValue(value="\u202e``")), open=True),
        ir.Union(name=f"{text}?", arms=(ir.Arm(name=text, type=named, doc=text, tags=(text,)),), tag=text),
        ir.Alias(name="\ud800", type=ir.ListType(item=ir.NamedType(name=twin)), doc="\x00\u2028\u202e"),
    )
    schema: dict[str, ir.Json] = {entry.name: {"const": text, "pattern": f"{text}|```"} for entry in definitions}
    schema[text] = {"properties": {text: {"type": "string", "pattern": f"{text}|```"}}}
    error = ir.ErrorCode(name=text, code=-1, message=text, doc=text, data=named, family=text)
    other = ir.ErrorCode(name=twin, code=-1, message=text)
    method = ir.Method(
        name=text,
        kind="request",
        sender=text,
        receiver=twin,
        params=named,
        result=named,
        errors=(text,),
        events=named,
        since=text,
        deprecated=True,
        summary=f"#{text}",
        doc=text,
    )
    examples = (
        ir.Example(name="a", summary=text, valid=False, why=text, method=text, request={text: text}, events=(text,)),
        ir.Example(name="b", summary=text, valid=True, type=text, value=["```\n~~~", {text: "\u202e"}]),
    )
    return ir.Protocol(
        name=text,
        version=text,
        title=text,
        doc=f"{text}\n\n* {text}\n* `{text}`",
        definitions=definitions,
        roles=(ir.Role(name=text, doc=text), ir.Role(name=twin, doc=text)),
        methods=(method,),
        errors=(error, other),
        http=ir.HttpBinding(path=f"/{text}", health_path=f"/{text}"),
        roots=tuple(entry.name for entry in definitions),
        sources=(ir.Source(path=f"{text}*/", sha256="0"),),
        examples=examples,
        schema={"definitions": schema},
    )
