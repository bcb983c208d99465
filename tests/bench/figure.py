"""What a figure of the benchmark is: a name, what it promises, and one run of measuring it.

A figure is one file in `figures/` with a `FIGURE`. A run sets up everything it needs, measures ours and whatever it is
compared with side by side, and tears it all down, so that ratios are always within one run. Repeating, medians and
tables are the harness' business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from tests.support.servers.redis_server import RedisServer


@dataclass(frozen=True)
class Sample:
    """One value of one run.

    label: the same in every run. unit: `s`, `ms`, `MiB`, `KiB`, `%`, or `…/s` and the like for a count. ratio: this
    value in relation to another one of the same run, which `against` names; None if it has none.
    """

    label: str
    value: float
    unit: str
    ratio: float | None = None
    against: str = ""


@dataclass(frozen=True)
class Goal:
    """A bound for the median of one label: of its value, or of its ratio."""

    label: str
    of: Literal["value", "ratio"]
    bound: float
    at: Literal["most", "least"] = "most"

    def met_by(self, median: float) -> bool:
        """Whether this median keeps the promise."""
        return median <= self.bound if self.at == "most" else median >= self.bound


@dataclass(frozen=True)
class Plot:
    """What of a figure is drawn.

    of: values, which then have one unit, or ratios. rows: their labels, in the order of the drawing. ours: which of
    them are ours; the others are what those are compared with.
    """

    of: Literal["value", "ratio"]
    rows: tuple[str, ...]
    ours: tuple[str, ...]


class Figure(Protocol):
    """One figure. name: what `--only` takes. title: what is measured, in one line for the table. plot: None: a table
    says it all. opt_in: whether it is measured only if `--only` names it."""

    name: str
    title: str
    goals: Sequence[Goal]
    plot: Plot | None
    opt_in: bool

    def measure(self, redis: RedisServer) -> list[Sample]:
        """One run on a separate Redis. Raises BenchError if what ran did not do its work."""
        ...


class BenchError(Exception):
    """Something measured did not do what it should have: its time would mean nothing."""
