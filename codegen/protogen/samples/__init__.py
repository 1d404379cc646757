"""Labelled samples of a protocol's types: values that are valid and values that are broken, each with its verdict.

Knows the lowered schema alone. The verdict is jsonschema-rs's; a second validator must agree, or the sample is
reported as disputed instead of being used.
"""

from __future__ import annotations

from protogen.samples.corpus import Corpus, Sample, make
from protogen.samples.labels import Judge
from protogen.samples.lines import LineError, read_lines, write_lines

__all__ = ["Corpus", "Judge", "LineError", "Sample", "make", "read_lines", "write_lines"]
