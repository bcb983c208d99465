"""Change detection: whether the shares and means of a cluster changed enough to update its persona.

Figures are compared with those last sent, so a slow change adds up until it counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from worker.clusters.analysis.summary import MAX_TOP_VALUES, ClusterSummary
from worker.clusters.rules.trait import Trait
from worker.clusters.statistics.category import MIN_PROFILES

_ROUNDING = 1e-9
"""Rounding error that may reduce a difference just at the threshold."""


@dataclass(frozen=True, slots=True)
class PersonaFigures:
    """The statistics that a persona states. All shares are from 0 to 1.

    Attributes:
        share: Share of all classified profiles that are in the cluster.
        means: Mean by number trait, and by date trait as an age in days; None if fewer than `MIN_PROFILES` profiles
            have the trait.
        shares: By category, list or boolean trait, the share of its most frequent values (or of `true`) among the
            profiles that have the trait.
    """

    share: float
    means: Mapping[str, float | None]
    shares: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class ChangeThreshold:
    """Smallest change that counts; with 0, any change does.

    Attributes:
        share_points: Change of a share, in percentage points.
        mean_percent: Change of a mean, in percent of the earlier mean.
    """

    share_points: float
    mean_percent: float


def collect_figures(summary: ClusterSummary, traits: Iterable[Trait]) -> PersonaFigures:
    """Collects the figures of a cluster for the traits that its persona describes."""
    means, shares = {}, {}
    for name in (trait.name for trait in traits):
        if number := summary.numbers.get(name) or summary.dates.get(name):
            means[name] = number.mean if number.coverage >= MIN_PROFILES else None
        elif category := summary.categories.get(name):
            shares[name] = {one.value: one.share for one in category.top}
        elif (boolean := summary.booleans.get(name)) and boolean.share is not None:
            shares[name] = {"true": boolean.share}
    return PersonaFigures(summary.share, means, shares)


def find_changes(before: PersonaFigures, after: PersonaFigures, threshold: ChangeThreshold) -> Iterator[str]:
    """Yields a clause for each change that reaches the threshold. Clauses contain no value of a category."""
    points = _points(before.share, after.share)
    if _counts(points, threshold.share_points):
        yield f"its share of the profiles moved by {points:.1f} points"
    for name in {**before.means, **after.means}:
        old, new = before.means.get(name), after.means.get(name)
        if old is None or new is None:
            if old is not new:
                yield f"the mean of {name} {'is known now' if old is None else 'is no longer known'}"
        elif _counts(percent := _percent(old, new), threshold.mean_percent):
            yield f"the mean of {name} moved by {percent:.1f} %"
    for name in {**before.shares, **after.shares}:
        points = _largest_change(before.shares.get(name, {}), after.shares.get(name, {}))
        if _counts(points, threshold.share_points):
            yield f"a share of {name} moved by {points:.1f} points"


def _counts(difference: float, threshold: float) -> bool:
    return difference > 0 and difference >= threshold * (1 - _ROUNDING)


def _points(old: float, new: float) -> float:
    return abs(new - old) * 100


def _percent(old: float, new: float) -> float:
    if old == new:
        return 0.0
    return abs(new - old) / abs(old) * 100 if old else float("inf")


def _largest_change(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """Returns the largest certain change of a share, in percentage points."""
    moves = (_share_change(before, after, value) for value in {**before, **after})
    return max(moves, default=0.0)


def _share_change(before: Mapping[str, float], after: Mapping[str, float], value: str) -> float:
    if value not in before:
        before, after = after, before
    if value in after:
        return _points(before[value], after[value])
    # The value is not among the top values there, so its share is unknown but at most that of the last of them.
    most = min(after.values()) if len(after) >= MAX_TOP_VALUES else 0.0
    return max(0.0, before[value] - most) * 100
