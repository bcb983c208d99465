"""Distinguishing traits: how the profiles of a cluster differ from those of all other clusters together.

Shares are compared by their log-odds ratio with ½ added to each count (Haldane, 1956; Anscombe, 1956). It is defined
for values that no other cluster has and stays small for few profiles. Numbers are compared by the difference of their
means divided by their pooled standard deviation (Cohen's d). To rank both in one list, a log-odds ratio is divided by
π/√3, the standard deviation of the logistic distribution, which makes it a difference in standard deviations, too
(Chinn, 2000).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import log, pi, sqrt

from worker.clusters.statistics.category import CategoryAggregate
from worker.clusters.statistics.numeric import Moments

MIN_COMPARED = 30
"""Fewest profiles that must have a trait, inside and outside the cluster, for it to be compared."""

MIN_EFFECT = 0.2
"""Smallest difference in standard deviations that is reported: below it is "very small" by Cohen's convention."""

MAX_EFFECT = 10.0
"""Upper limit of an effect. A difference without any deviation counts as this many standard deviations."""

MIN_STANDARD_ERRORS = 3.0
"""Smallest difference in standard errors that is reported: among many values some differ by chance."""


@dataclass(frozen=True, slots=True)
class ShareContrast:
    """A value that is more frequent inside a cluster than outside.

    Attributes:
        trait: Name of a category, list or boolean trait.
        value: A category, an item of lists, or a boolean.
        share: Share of the cluster's profiles with the trait that have the value (0 to 1).
        rest: The same for the profiles of all other clusters.
        effect: Difference in standard deviations, positive.
    """

    trait: str
    value: str | bool
    share: float
    rest: float
    effect: float


@dataclass(frozen=True, slots=True)
class MeanContrast:
    """A number or an age in days whose mean differs inside a cluster from outside.

    Attributes:
        trait: Name of a number or date trait.
        mean: Mean over the cluster's profiles.
        rest: Mean over the profiles of all other clusters.
        effect: Difference in standard deviations, negative if the mean is lower inside.
    """

    trait: str
    mean: float
    rest: float
    effect: float


Contrast = ShareContrast | MeanContrast


def largest_contrasts(contrasts: Iterable[Contrast], limit: int) -> tuple[Contrast, ...]:
    """Returns the `limit` largest effects of either sign, ties in order of the traits' names."""
    return tuple(sorted(contrasts, key=lambda one: (-abs(one.effect), one.trait))[:limit])


def compare_means(trait: str, inside: Moments, outside: Moments) -> Iterator[MeanContrast]:
    """Yields the contrast of a number trait if its means differ enough."""
    if min(inside.count, outside.count) < MIN_COMPARED or inside.mean is None or outside.mean is None:
        return
    difference = inside.mean - outside.mean
    pooled = sqrt((inside.squares + outside.squares) / (inside.count + outside.count - 2))
    largest = MAX_EFFECT if difference > 0 else -MAX_EFFECT
    effect = difference / pooled if abs(difference) < MAX_EFFECT * pooled else largest
    error = sqrt(1 / inside.count + 1 / outside.count)
    if difference and abs(effect) >= max(MIN_EFFECT, MIN_STANDARD_ERRORS * error):
        yield MeanContrast(trait, inside.mean, outside.mean, effect)


def compare_counts(
    trait: str, value: str | bool, inside: tuple[int, int], outside: tuple[int, int]
) -> Iterator[ShareContrast]:
    """Yields the contrast of a value if it is more frequent inside.

    Args:
        trait: Name of the trait.
        value: The value to compare.
        inside: Number of the cluster's profiles that have the value, and number of those that have the trait.
        outside: The same for the profiles of all other clusters.
    """
    (a, have), (b, others) = inside, outside
    if min(have, others) < MIN_COMPARED:
        return
    cells = (a + 0.5, have - a + 0.5, b + 0.5, others - b + 0.5)
    log_odds = log(cells[0] / cells[1]) - log(cells[2] / cells[3])
    error = sqrt(sum(1 / cell for cell in cells))
    effect = min(log_odds * sqrt(3) / pi, MAX_EFFECT)
    if effect >= MIN_EFFECT and log_odds >= MIN_STANDARD_ERRORS * error:
        yield ShareContrast(trait, value, a / have, b / others, effect)


def moments_of_others(groups: Sequence[Moments]) -> list[Moments]:
    """Returns, for each group, the moments of all other groups together."""
    before = list(accumulate(groups, initial=Moments()))
    after = list(accumulate(reversed(groups), initial=Moments()))
    return [before[i] + after[len(groups) - 1 - i] for i in range(len(groups))]


def merge_categories(groups: Iterable[CategoryAggregate]) -> CategoryAggregate:
    """Returns the counts of all groups together, with every value that any group kept."""
    total = CategoryAggregate()
    for group in groups:
        total.count += group.count
        total.counts.update(group.counts)
        total.error += group.error
    total.merge_digests()
    return total
