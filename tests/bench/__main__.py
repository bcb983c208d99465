"""`python -m tests.bench`: runs the figures and prints medians with their spread, and whether the goals are met.

It starts its own Redis, and for every run its own sandbox and workers. Exit codes: 0; 1 something measured did not do
its work; 2 wrong usage, or redis-server is missing.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tests.bench.figure import BenchError, Figure
from tests.bench.figures import all_figures
from tests.bench.plot import svg
from tests.bench.report import document, facts, markdown, table
from tests.bench.results import FigureResult, gather
from tests.bench.testbed import settled_redis
from tests.support.servers.redis_server import RedisServer

RUNS = 5
PLAIN_WIDTH = 150


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    figures = {figure.name: figure for figure in all_figures()}
    options = _parser(figures).parse_args(arguments)
    if shutil.which("redis-server") is None:
        print("The benchmark needs redis-server: apt-get install redis-server", file=sys.stderr)
        return 2
    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    results = []
    try:
        with settled_redis() as redis:
            for name in options.only or [name for name, figure in figures.items() if not figure.opt_in]:
                results.append(run(figures[name], redis, options.runs))
                console.print(table(results[-1]))
    except BenchError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    if options.markdown:
        options.markdown.write_text(markdown(results, options.runs))
    if options.svg:
        options.svg.write_text(svg(results, facts(options.runs)))
    if options.json:
        options.json.write_text(json.dumps(document(results, options.runs), indent=2, ensure_ascii=False) + "\n")
    return 0


def run(figure: Figure, redis: RedisServer, runs: int) -> FigureResult:
    """Measures one figure so many times, and says on standard error how far it is."""
    samples = []
    for number in range(1, runs + 1):
        print(f"{figure.name}: run {number} of {runs}", file=sys.stderr, flush=True)
        samples.append(figure.measure(redis))
    return gather(figure, samples)


def _parser(names: dict[str, Figure]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measures speed and memory.")
    parser.add_argument("--only", action="append", choices=list(names), metavar="NAME", help=", ".join(names))
    parser.add_argument("--runs", type=_positive, default=RUNS, metavar="N", help=f"runs of each figure ({RUNS})")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table as Markdown")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw what can be compared at a glance")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every value as JSON")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError("at least one run")
    return number


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # or what was started would outlive us
    sys.exit(main())
