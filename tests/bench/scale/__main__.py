"""`python -m tests.bench.scale`: prints what is predicted and what is simulated. Every input is an option."""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields
from pathlib import Path

from rich.console import Console

from tests.bench.scale.case import run
from tests.bench.scale.inputs import Inputs, Way
from tests.bench.scale.report import markdown, table

SIZES = (1_000, 1_000_000, 50_000_000)
_PLAIN_WIDTH = 130
_WAYS = {way.name.lower().replace("_", "-"): way for way in Way}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    options = _parser().parse_args(arguments)
    inputs = Inputs(**{field.name: getattr(options, field.name) for field in fields(Inputs)})
    asked = [(_WAYS[name], profiles) for name in options.only or _WAYS for profiles in options.profiles or SIZES]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as processes:
        cases = list(processes.map(run, *zip(*asked, strict=True), itertools.repeat(inputs)))
    Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH).print(table(cases))
    if options.markdown:
        options.markdown.write_text(markdown(cases, inputs))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.scale",
        description="Predicts how long a sync takes, and simulates it. The inputs are those of `inputs.py`.",
    )
    parser.add_argument("--only", action="append", choices=list(_WAYS), metavar="WAY", help=", ".join(_WAYS))
    parser.add_argument("--profiles", action="append", type=int, metavar="N", help=f"instead of {SIZES}")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the table of docs/performance-and-scaling.md"
    )
    for field in fields(Inputs):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=type(field.default), default=field.default)
    return parser


if __name__ == "__main__":
    sys.exit(main())
