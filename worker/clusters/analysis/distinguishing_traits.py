"""What sets a cluster apart: how its profiles differ from those of all other clusters together.

Shares are compared by their log-odds ratio with ½ added to each count (Haldane, 1956; Anscombe, 1956), which is defined
for values that nobody else has, and stays small where there are few profiles. Numbers are compared by the difference of
their means over their pooled standard deviation (Cohen's d). To rank both in one list a log-odds ratio is divided by
π/√3, the standard deviation of a logistic distribution, which makes it a difference in standard deviations as well
(Chinn, 2000).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import log, pi, sqrt

from worker.clusters.statistics.category import CategoryAggregate
from worker.clusters.statistics.moments import Moments

COMPARED_FROM = 30
"""Profiles that must have a trait, inside and outside, for it to be compared."""

SMALLEST_EFFECT = 0.2
"""Differences of fewer standard deviations are small, by Cohen's convention, and set nothing apart."""

LARGEST_EFFECT = 10.0
"""More standard deviations say no more. Without any deviation a difference counts as so large."""

STANDARD_ERRORS = 3.0
"""A difference must be as many times its standard error, for among many values some are far off by chance."""


@dataclass(frozen=True, slots=True)
class ShareContrast:
    """A value that is more frequent inside than outside.

    Attributes:
        trait: the name of a category, list or boolean trait.
        value: a category, an item of lists, or a boolean.
        share: of the cluster's profiles that have the trait, how many have the value (0 to 1).
        rest: the same of all other clusters' profiles.
        effect: standard deviations, positive.
    """

    trait: str
    value: str | bool
    share: float
    rest: float
    effect: float

    @property
    def ratio(self) -> float | None:
        """How many times as frequent the value is inside; None if nobody outside has it."""
        return self.share / self.rest if self.rest else None


@dataclass(frozen=True, slots=True)
class MeanContrast:
    """A number or an age in days whose mean is another one inside than outside.

    Attributes:
        trait: the name of a number or date trait.
        mean: of the cluster's profiles.
        rest: of all other clusters' profiles.
        effect: standard deviations, negative if the mean is lower inside.
    """

    trait: str
    mean: float
    rest: float
    effect: float


Contrast = ShareContrast | MeanContrast


def strongest(contrasts: Iterable[Contrast], limit: int) -> tuple[Contrast, ...]:
    """The `limit` largest effects, in either direction, ties in order of the traits' names."""
    return tuple(sorted(contrasts, key=lambda one: (-abs(one.effect), one.trait))[:limit])


def compare_means(trait: str, inside: Moments, outside: Moments) -> Iterator[MeanContrast]:
    """The contrast of a number trait, if there is one."""
    if min(inside.count, outside.count) < COMPARED_FROM or inside.mean is None or outside.mean is None:
        return
    difference = inside.mean - outside.mean
    pooled = sqrt((inside.squares + outside.squares) / (inside.count + outside.count - 2))
    largest = LARGEST_EFFECT if difference > 0 else -LARGEST_EFFECT
    effect = difference / pooled if abs(difference) < LARGEST_EFFECT * pooled else largest
    error = sqrt(1 / inside.count + 1 / outside.count)
    if difference and abs(effect) >= max(SMALLEST_EFFECT, STANDARD_ERRORS * error):
        yield MeanContrast(trait, inside.mean, outside.mean, effect)


def compare_counts(
    trait: str, value: str | bool, inside: tuple[int, int], outside: tuple[int, int]
) -> Iterator[ShareContrast]:
    """The contrast of a value, if there is one. inside, outside: how many have the value, of how many."""
    (a, have), (b, others) = inside, outside
    if min(have, others) < COMPARED_FROM:
        return
    cells = (a + 0.5, have - a + 0.5, b + 0.5, others - b + 0.5)
    log_odds = log(cells[0] / cells[1]) - log(cells[2] / cells[3])
    error = sqrt(sum(1 / cell for cell in cells))
    effect = min(log_odds * sqrt(3) / pi, LARGEST_EFFECT)
    if effect >= SMALLEST_EFFECT and log_odds >= STANDARD_ERRORS * error:
        yield ShareContrast(trait, value, a / have, b / others, effect)


def everyone_else(groups: Sequence[Moments]) -> list[Moments]:
    """For each of some groups the moments of all others together."""
    before = list(accumulate(groups, initial=Moments()))
    after = list(accumulate(reversed(groups), initial=Moments()))
    return [before[i] + after[len(groups) - 1 - i] for i in range(len(groups))]


def together(groups: Iterable[CategoryAggregate]) -> CategoryAggregate:
    """The counts of all of some groups, with every value that any of them kept."""
    total = CategoryAggregate()
    for group in groups:
        total.count += group.count
        total.counts.update(group.counts)
        total.error += group.error
    total.unite()
    return total
