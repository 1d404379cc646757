"""Fuzz one target with atheris for some time; the first input that breaks it ends the run with its path.

Usage: .venv/bin/python tests/fuzz/run.py TARGET [--seconds N] [--keep FOLDER]. TARGET is one of those in fuzz_targets.
`--keep` collects inputs that reach new code; the corpus in tests/fuzz/corpus is read and never written.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parent))

with atheris.instrument_imports(include=["protogen_runtime.jsonrpc", "protogen_runtime.io.http", "fuzz_targets"]):
    import fuzz_targets

MAX_INPUT_BYTES = 4096
MAX_SECONDS_AN_INPUT = 5
MAX_MEMORY_MIB = 512


def main(arguments: list[str]) -> None:
    """Fuzz; libFuzzer ends the process: 0 when the time is over, 77 for an exception, 70 and 71 for time and memory."""
    parser = argparse.ArgumentParser(prog="run.py", description="Fuzz one target with atheris.")
    parser.add_argument("target", choices=sorted(fuzz_targets.TARGETS))
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--keep", type=Path)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="protogen-fuzz-") as folder:
        found = chosen.keep or Path(folder)
        found.mkdir(parents=True, exist_ok=True)
        options = [
            f"-max_total_time={chosen.seconds}",
            f"-max_len={MAX_INPUT_BYTES}",
            f"-timeout={MAX_SECONDS_AN_INPUT}",
            f"-rss_limit_mb={MAX_MEMORY_MIB}",
            f"-artifact_prefix={Path.cwd()}/fuzz-{chosen.target}-",
            "-print_final_stats=1",
            "-verbosity=1",
        ]
        corpora = [str(found), str(fuzz_targets.CORPUS / chosen.target)]
        atheris.Setup([sys.argv[0], *options, *corpora], fuzz_targets.TARGETS[chosen.target])
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
