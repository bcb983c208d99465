"""Predictions and simulations side by side: as a table for a terminal, and as a table for the docs. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from tests.bench.scale.case import Case
from tests.bench.scale.inputs import Inputs

_HEADINGS = ("", "profiles", "predicted", "simulated", "differs by", "requests", "Redis, KiB", "workers", "decided by")
_WORDS = {"": "left", "decided by": "left"}


def table(cases: Sequence[Case]) -> Table:
    """All cases for a terminal."""
    made = Table()
    for heading in _HEADINGS:
        made.add_column(heading, justify="left" if heading in _WORDS else "right")
    for case in cases:
        made.add_row(
            case.way.value,
            f"{case.profiles:,}",
            duration(case.predicted.seconds),
            duration(case.simulated.seconds),
            f"{case.difference:+.1%}",
            f"{case.simulated.calls:,}",
            f"{case.simulated.redis_kib:.1f}",
            str(case.predicted.workers),
            case.predicted.limit,
        )
    return made


def markdown(cases: Sequence[Case], inputs: Inputs) -> str:
    """One row a way and size, with the inputs below."""
    widest = max(abs(case.difference) for case in cases)
    lines = [
        "| way to read | profiles | takes | requests | workers of use | decided by |",
        "|---|---|---|---|---|---|",
        *(
            f"| {case.way.value} | {case.profiles:,} | {duration(case.predicted.seconds)} | {case.predicted.calls:,} "
            f"| {case.predicted.workers} | {case.predicted.limit} |"
            for case in cases
        ),
        "",
        f"A page with traits takes {_ms(inputs.page_s)}, a page of a list {_ms(inputs.listing_s)}, the traits of a "
        f"profile {_ms(inputs.traits_s)}; {inputs.rate:g} requests a second are allowed; {inputs.workers} workers. "
        f"Simulated times differ by at most {widest:.1%}.",
    ]
    return "\n".join(lines) + "\n"


def duration(seconds: float) -> str:
    """A length of time in the unit that suits it."""
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:g} ms"
