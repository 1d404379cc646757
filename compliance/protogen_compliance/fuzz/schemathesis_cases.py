"""Schemathesis: the only module that knows it. It makes params from the document; sending and judging are ours.

Schemathesis knows operations by path and takes a body for what is sent. The virtual paths of the document give it a
method as an operation and the params as the body; what a case asks of HTTP beyond that (verbs, media types) is left
out, since all methods go to one address. What we use of it is held by tests/fuzzing/test_schemathesis.py.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import HypothesisException, HypothesisWarning
from schemathesis import GenerationMode

from protogen_compliance.fuzz.description import Json

UNHEALTHY = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
"""What hypothesis would refuse to go on for: a protocol's schema is as it is."""


class Case(NamedTuple):
    """Params for one method: JSON, or bytes that stand where params would."""

    method: str
    params: Json
    body: bytes | None
    positive: bool
    """Whether schemathesis made it to be valid; what it really is the validator says."""
    about: str


class Cases:
    """Cases for the operations of a document. Not for two threads at once."""

    def __init__(self, document: Json) -> None:
        self._schema: Any = schemathesis.openapi.from_dict(document)
        self._paths = {
            item["post"]["x-jsonrpc"]["method"]: path for path, item in document["paths"].items() if "post" in item
        }
        self._strategies: dict[tuple[str, bool], Any] = {}

    def coverage(self, method: str) -> Iterator[Case]:
        """Boundary values, examples, wrong types and missing members of each param, one at a time."""
        operation = self._schema[self._paths[method]]["POST"]
        seen: set[str] = set()
        for case in self._schema.iter_coverage_cases(
            operation, generation_modes=list(GenerationMode), generation_config=self._schema.config.generation
        ):
            if case.method != "POST" or case.media_type != "application/json":
                continue
            data = case.meta.phase.data if case.meta else None
            made = _case(method, case, getattr(data, "description", None) or "")
            key = repr((made.params, made.body)) if made else ""
            if made is not None and key not in seen:
                seen.add(key)
                yield made

    def drawn(self, method: str, *, positive: bool, chance: int, count: int) -> list[Case]:
        """Up to `count` random cases, the same for the same `chance`; none where schemathesis can make none."""
        key = method, positive
        mode = GenerationMode.POSITIVE if positive else GenerationMode.NEGATIVE
        found: list[Case] = []
        try:
            if key not in self._strategies:
                operation = self._schema[self._paths[method]]["POST"]
                self._strategies[key] = operation.as_strategy(generation_mode=mode)

            @seed(chance)
            @settings(
                max_examples=count,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=UNHEALTHY,
            )
            @given(case=self._strategies[key])
            def collect(case: Any) -> None:
                made = _case(method, case, "random")
                if made is not None:
                    found.append(made)

            with warnings.catch_warnings():
                warnings.simplefilter("ignore", HypothesisWarning)
                collect()
        except (HypothesisException, schemathesis.errors.SchemathesisError):
            return found  # a schema that admits nothing, or everything, has no values of that kind
        return found


def _case(method: str, case: Any, about: str) -> Case | None:
    """A case without what belongs to HTTP; None where it has no body, or one that no JSON text can say."""
    mode = case.meta.generation.mode if case.meta else GenerationMode.POSITIVE
    positive = mode is GenerationMode.POSITIVE
    if isinstance(case.body, bytes):
        return Case(method, None, case.body, positive, about)
    try:
        params = json.loads(json.dumps(case.body, allow_nan=False))
    except (TypeError, ValueError):
        return None
    return Case(method, params, None, positive, about)
