"""From the samples of several runs to medians with their spread, and whether the goals are met. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tests.bench.figure import BenchError, Figure, Goal, Plot, Sample


@dataclass(frozen=True)
class Spread:
    """Median, least and greatest of what the runs gave."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True)
class Row:
    """One label over all runs; the values and ratios stand in the order of the runs."""

    label: str
    unit: str
    values: tuple[float, ...]
    ratios: tuple[float, ...]
    against: str
    goal: Goal | None

    @property
    def value(self) -> Spread:
        return Spread.of(self.values)

    @property
    def ratio(self) -> Spread | None:
        """None for a row that is compared with nothing."""
        return Spread.of(self.ratios) if self.ratios else None

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without a goal."""
        if self.goal is None:
            return None
        return self.goal.met_by(median(self.ratios if self.goal.of == "ratio" else self.values))


@dataclass(frozen=True)
class FigureResult:
    """One figure after all its runs."""

    name: str
    title: str
    rows: tuple[Row, ...]
    plot: Plot | None = None


def gather(figure: Figure, runs: Sequence[Sequence[Sample]]) -> FigureResult:
    """Brings the runs together, label by label. Raises BenchError unless every run has the same labels in one order."""
    labels = [sample.label for sample in runs[0]]
    if len(set(labels)) != len(labels) or any([sample.label for sample in run] != labels for run in runs):
        raise BenchError(f"{figure.name}: the runs do not all have the same rows, each once")
    goals = {goal.label: goal for goal in figure.goals}
    if unknown := goals.keys() - set(labels):
        raise BenchError(f"{figure.name}: a goal for {', '.join(sorted(unknown))}, which is not measured")
    if figure.plot and (unknown := {*figure.plot.rows, *figure.plot.ours} - set(labels)):
        raise BenchError(f"{figure.name}: a plot of {', '.join(sorted(unknown))}, which is not measured")
    rows = (_row(samples, goals.get(samples[0].label)) for samples in zip(*runs, strict=True))
    return FigureResult(figure.name, figure.title, tuple(rows), figure.plot)


def _row(samples: Sequence[Sample], goal: Goal | None) -> Row:
    first = samples[0]
    ratios = tuple(sample.ratio for sample in samples if sample.ratio is not None)
    expected = len(samples) if ratios or (goal is not None and goal.of == "ratio") else 0
    if len(ratios) != expected:
        raise BenchError(f"{first.label}: a run has no ratio")
    return Row(first.label, first.unit, tuple(sample.value for sample in samples), ratios, first.against, goal)
