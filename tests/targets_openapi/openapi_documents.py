"""OpenAPI documents as the tests make them, and what they are asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs

from protogen import ir
from protogen.build import read_protocol
from protogen.output import Options
from protogen.render import Templates
from protogen.targets.openapi.target import TARGET

ROOT = Path(__file__).resolve().parents[2]


def described(name: str) -> ir.Protocol:
    """A protocol of this repository by its folder below schemas/."""
    found, problems = read_protocol(ROOT / "schemas" / name / "protocol.json", root=ROOT)
    assert found is not None, problems
    return found


def text(protocol: ir.Protocol) -> str:
    """The text of the only file that the target writes."""
    files, problems = TARGET.generate(protocol, Options(package="toy", distribution="toy"), Templates())
    assert problems == []
    assert [file.path for file in files] == ["openapi.json"]
    return files[0].text


def document(protocol: ir.Protocol) -> Any:
    """The document of a protocol."""
    return json.loads(text(protocol))


def operations(openapi: Any) -> Iterator[Any]:
    """All operations of a document."""
    for item in openapi["paths"].values():
        yield from item.values()


def accepts(openapi: Any, schema: Any, value: Any) -> bool:
    """Whether a value meets a schema of the document."""
    return validator(openapi, schema)(value)


def validator(openapi: Any, schema: Any) -> Callable[[Any], bool]:
    """Whether values meet a schema of the document."""
    whole = {"$schema": openapi["jsonSchemaDialect"], "allOf": [schema], "components": openapi["components"]}
    return jsonschema_rs.Draft202012Validator(whole, retriever=refuse).is_valid


def refuse(uri: str) -> Any:
    """The retriever of validators: nothing is fetched."""
    raise LookupError(uri)
