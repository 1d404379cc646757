"""A corpus of labelled samples as a file: what any implementation of the protocol must accept and must refuse.

Knows how much of a corpus is worth committing; how samples are made is `protogen.samples`' business.
"""

from __future__ import annotations

from protogen import ir
from protogen.output import GeneratedFile, Options, Renderer, header_lines
from protogen.problems import Problem, warning

_LEAST = 2000
"""Samples wanted of every protocol: below, whole kinds of breakage are missing for a protocol of usual size."""

_MOST_BYTES = 1_400_000
"""Size of a committed corpus; `protogen verify --count` makes larger ones on the fly."""


class SamplesTarget:
    """The Target that writes `samples.jsonl` and says what is in it."""

    name = "samples"
    summary = "labelled samples: valid and broken values of every type (JSON lines)"

    def generate(
        self, protocol: ir.Protocol, options: Options, renderer: Renderer
    ) -> tuple[list[GeneratedFile], list[Problem]]:
        """`samples.jsonl` and `README.md`; a warning for each sample on which the labelling validators differ."""
        del options  # samples belong to the protocol, not to a package
        from protogen.samples import make, write_lines

        definitions = protocol.schema["definitions"]
        corpus = make(definitions, least=_LEAST)
        text = write_lines(corpus.samples)
        if len(text.encode()) > _MOST_BYTES:
            fitting = len(corpus.samples) * _MOST_BYTES // len(text.encode())
            corpus = make(definitions, most=fitting)
            text = write_lines(corpus.samples)
        readme = renderer.render(
            "samples/README.md.j2",
            header=header_lines(protocol),
            protocol=protocol,
            samples=len(corpus.samples),
            valid=sum(sample.valid for sample in corpus.samples),
            types=len({sample.type for sample in corpus.samples}),
            disputed=len(corpus.disputed),
        )
        problems = [
            warning(
                "PG305",
                f"type {sample.type}: the labelling validators differ on {sample.text[:120]} ({sample.note})",
                fix="it is left out of the samples; write the constraint so that it cannot be read in two ways",
            )
            for sample in corpus.disputed
        ]
        return [
            GeneratedFile(path="README.md", text=readme),
            GeneratedFile(path="samples.jsonl", text=text),
        ], problems


TARGET = SamplesTarget()
