"""The figures of a cluster that decide whether its persona is worth an update: shares and means.

Pure. They are kept as they were last sent, so that a slow drift adds up until it counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from worker.clusters.analysis.summary import MAX_TOP_VALUES, ClusterSummary
from worker.clusters.rules.trait import Trait
from worker.clusters.statistics.category import MIN_PROFILES

_ROUNDING = 1e-9
"""What the arithmetic of floats may take away from a difference that is just large enough."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a persona says in numbers.

    share: of the cluster among all classified profiles. means: by trait, ages of dates in days too; None if fewer than
    `MIN_PROFILES` profiles have it. shares: by trait, of its most frequent values, of a boolean of `true`, among the
    profiles that have it. All shares from 0 to 1.
    """

    share: float
    means: Mapping[str, float | None]
    shares: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Threshold:
    """From where on a change counts. share_points: percentage points. mean_percent: of the mean before. 0: any."""

    share_points: float
    mean_percent: float


def figures(summary: ClusterSummary, traits: Iterable[Trait]) -> Figures:
    """The figures of a cluster, as far as its persona tells of these traits."""
    means, shares = {}, {}
    for name in (trait.name for trait in traits):
        if number := summary.numbers.get(name) or summary.dates.get(name):
            means[name] = number.mean if number.coverage >= MIN_PROFILES else None
        elif category := summary.categories.get(name):
            shares[name] = {one.value: one.share for one in category.top}
        elif (boolean := summary.booleans.get(name)) and boolean.share is not None:
            shares[name] = {"true": boolean.share}
    return Figures(summary.share, means, shares)


def changes(before: Figures, after: Figures, threshold: Threshold) -> Iterator[str]:
    """What changed by as much as the threshold, as sentences without any value of a category."""
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
        points = _farthest(before.shares.get(name, {}), after.shares.get(name, {}))
        if _counts(points, threshold.share_points):
            yield f"a share of {name} moved by {points:.1f} points"


def _counts(difference: float, least: float) -> bool:
    return difference > 0 and difference >= least * (1 - _ROUNDING)


def _points(old: float, new: float) -> float:
    return abs(new - old) * 100


def _percent(old: float, new: float) -> float:
    if old == new:
        return 0.0
    return abs(new - old) / abs(old) * 100 if old else float("inf")


def _farthest(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """The points by which the share that moved farthest has moved, for certain."""
    moves = (_move(before, after, value) for value in {**before, **after})
    return max(moves, default=0.0)


def _move(before: Mapping[str, float], after: Mapping[str, float], value: str) -> float:
    if value not in before:
        before, after = after, before
    if value in after:
        return _points(before[value], after[value])
    # Not among the most frequent there, so its share is not known; at most it is that of the last of them.
    most = min(after.values()) if len(after) >= MAX_TOP_VALUES else 0.0
    return max(0.0, before[value] - most) * 100
