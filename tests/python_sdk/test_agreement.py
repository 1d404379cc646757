"""What the generated code accepts is what the schema accepts, and comes out as it went in; jsonschema-rs judges."""

from __future__ import annotations

import importlib.util
import json
import random
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema_rs
import pytest

from protogen import ir

HERE = Path(__file__).parent
VALUES = 60


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("random_schemas", HERE / "random_schemas.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def judges(schema: dict[str, Any]) -> dict[str, Callable[[Any], bool]]:
    """By definition, whether jsonschema-rs accepts a value."""
    definitions = schema["definitions"]
    references = {f"#/definitions/{name}": f"#/definitions/{at}" for at, name in enumerate(definitions)}
    # It takes only references that are URIs, which our names need not be.
    plain = json.loads(json.dumps(list(definitions.values())), object_hook=lambda node: _renamed(node, references))
    numbered = {str(at): definition for at, definition in enumerate(plain)}
    return {
        name: jsonschema_rs.Draft7Validator(
            {"definitions": numbered, "$ref": f"#/definitions/{at}"}, validate_formats=False
        ).is_valid
        for at, name in enumerate(definitions)
    }


def _renamed(node: dict[str, Any], references: dict[str, str]) -> dict[str, Any]:
    target = node.get("$ref")
    return {**node, "$ref": references[target]} if isinstance(target, str) else node


def same(left: Any, right: Any) -> bool:
    """Equal as JSON values: written by an independent rule, through sorted text with numbers made alike."""
    return _plain(left) == _plain(right)


def _plain(value: Any) -> str:
    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: walk(member) for key, member in node.items()}
        if isinstance(node, list):
            return [walk(item) for item in node]
        if isinstance(node, float) and node.is_integer():
            return int(node)
        return node

    return json.dumps(walk(value), sort_keys=True)


class Modules:
    """Generated modules run in place of the toy's own, over the toy's support library."""

    def __init__(self, toy: Any) -> None:
        self.toy = toy
        self.count = 0

    def load(self, files: dict[str, str]) -> tuple[Any, Any]:
        """The codec and the rules of a generated package."""
        self.count += 1
        types = self._run(files["types.py"], "types")
        validators = self._run(files["validators.py"], "validators")
        schema = self._run(files["_schema.py"], "_schema")
        rules = self.toy.rpc.boundary.Rules(validators.VALIDATORS, schema.load_schema(), validators.PATTERNS)
        return self.toy.rpc.Codec(types.TYPES, exact=types.EXACT, load_rules=lambda: rules), rules

    def _run(self, text: str, stem: str) -> ModuleType:
        name = f"toy_protocol.random{self.count}_{stem}"
        module = ModuleType(name)
        module.__package__ = "toy_protocol"
        # msgspec resolves annotations through the table of modules.
        sys.modules[name] = module
        exec(compile(text, name, "exec"), module.__dict__)
        return module


@pytest.fixture
def modules(toy: Any) -> Any:
    yield Modules(toy)
    for name in [name for name in sys.modules if name.startswith("toy_protocol.random")]:
        del sys.modules[name]


def faults(toy: Any, codec: Any, reader: Any, name: str, value: Any, valid: bool) -> list[str]:
    """What is wrong with how one value is treated."""
    text = json.dumps(value).encode()
    found: list[str] = []
    try:
        typed = codec.decode(name, text)
    except toy.ValidationError as error:
        if valid:
            found.append(f"false reject: {error}")
        elif error.errors[0].message == "breaks its schema":
            found.append("rejected without a reason")
    else:
        if not valid:
            found.append("false accept")
        elif not same(json.loads(codec.encode(typed)), value):
            found.append(f"loss: {codec.encode(typed)!r}")
        else:
            codec.check(name, text)
            if codec.encode_as(name, typed) != codec.encode(typed):
                found.append("encode_as differs")
    if reader.is_valid(reader.definition(name), json.loads(text)) != valid:
        found.append(f"the lister says {not valid}")
    return [f"{fault}\n  {name} {text.decode()}" for fault in found]


@pytest.mark.parametrize(
    "seeds", [range(120), pytest.param(range(120, 3000), marks=pytest.mark.soak)], ids=["few", "many"]
)
def test_random_schemas(
    seeds: range,
    toy: Any,
    modules: Modules,
    maker: ModuleType,
    parse: Callable[[dict[str, Any]], ir.Protocol],
    sources: Callable[[ir.Protocol], dict[str, str]],
) -> None:
    wrong: list[str] = []
    counts: Counter[str] = Counter()
    for seed in seeds:
        rng = random.Random(seed)
        protocol = parse(maker.document(rng))
        codec, rules = modules.load(sources(protocol))
        reader = toy.rpc.schema.SchemaReader(rules.schema, rules.patterns)
        definitions = protocol.schema["definitions"]
        for name, judge in judges(protocol.schema).items():
            for _ in range(VALUES):
                value = maker.value(rng, definitions[name], definitions)
                valid = judge(value)
                counts["valid" if valid else "broken"] += 1
                found = faults(toy, codec, reader, name, value, valid)
                wrong += [f"seed {seed}: {fault}\n  {json.dumps(definitions[name])}" for fault in found]
    assert wrong[:3] == []
    assert min(counts.values()) > 100 * len(seeds)


def test_toy_values(toy: Any, toy_protocol: ir.Protocol, maker: ModuleType) -> None:
    definitions = toy_protocol.schema["definitions"]
    rules = toy.CODEC._load()
    reader = toy.rpc.schema.SchemaReader(rules.schema, rules.patterns)
    rng = random.Random(7)
    wrong: list[str] = []
    for name, judge in judges(toy_protocol.schema).items():
        for _ in range(200):
            value = maker.value(rng, definitions[name], definitions)
            wrong += faults(toy, toy.CODEC, reader, name, value, judge(value))
    assert wrong[:3] == []
