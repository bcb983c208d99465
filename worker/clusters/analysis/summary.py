"""What an aggregate says about each cluster: size, means, spread, the most frequent values, what sets it apart.

The last pure step: results, progress displays and persona payloads are all rendered from a `ClusterSummary`. What only
few profiles have is left out here, once for all of them: a category that fewer than `HELD_BY` have could point at a
person, one that only a small share has may be a trick of someone who sets traits, and of fewer than `SHOWN_FROM` values
a percentile nearly is one of them. Minimum and maximum always are, so there are none.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from worker.clusters.analysis.distinguishing_traits import (
    Contrast,
    compare_counts,
    compare_means,
    everyone_else,
    strongest,
    together,
)
from worker.clusters.rules.builtin import RECIPE
from worker.clusters.rules.rules import Rules
from worker.clusters.rules.trait import Trait
from worker.clusters.statistics.aggregate import Aggregate, ClusterAggregate
from worker.clusters.statistics.boolean import BooleanAggregate
from worker.clusters.statistics.category import HELD_BY, CategoryAggregate
from worker.clusters.statistics.number import NumberAggregate

TOP = 3
"""How many of the most frequent values are reported."""

TOP_CONTRASTS = 5
"""How many differences from all other clusters are reported."""

SHOWN_FROM = 30
"""Profiles that must have a number for its percentiles to be shown."""


@dataclass(frozen=True, slots=True)
class NumberSummary:
    """A number trait in one cluster, or the age of a date in days.

    Attributes:
        mean: over the profiles that have the trait, and those that have not as well if a missing one counts as 0; None
            if there are none.
        coverage: how many profiles have the trait.
        std: the standard deviation (n − 1) of the same values; None of fewer than two.
        median, p10, p90: percentiles of the same values; None of fewer than `SHOWN_FROM`.
        skewness: their third standardised moment, from the buckets of the sketch; None where there is no median.
        error: how far percentiles may be from the true value, as a share of it; None where there are none.
    """

    mean: float | None
    coverage: int
    std: float | None = None
    median: float | None = None
    p10: float | None = None
    p90: float | None = None
    skewness: float | None = None
    error: float | None = None


@dataclass(frozen=True, slots=True)
class CategoryShare:
    """A category, in how many profiles it was counted, and their share (0 to 1) of those that have the
    trait."""

    value: str
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class CategorySummary:
    """A category or list trait in one cluster: its most frequent values, at most `TOP`, ties in order of the values.

    `coverage` profiles have the trait. Counts are exact if `error` is 0, else too low by at most `error`.
    """

    top: tuple[CategoryShare, ...]
    coverage: int
    error: int

    @property
    def values(self) -> tuple[str, ...]:
        """The most frequent values without their counts."""
        return tuple(share.value for share in self.top)


@dataclass(frozen=True, slots=True)
class BooleanSummary:
    """A boolean trait in one cluster: the share (0 to 1) of the `coverage` profiles that have it for which it is true;
    None if none has it."""

    share: float | None
    coverage: int


@dataclass(frozen=True, slots=True)
class ClusterSummary:
    """A cluster of `n` profiles with every trait of the rules by name; a trait the rules do not have is unknown.

    Attributes:
        share: of all profiles that are in a cluster (0 to 1).
        numbers: the number traits.
        categories: the category and the list traits.
        booleans: the boolean traits.
        dates: the date traits, as ages in days at the start of the sync; a date after it has a negative age.
        label: what people read; by default "High Value" for `high_value`.
        sets_apart: how it differs from all other clusters together, the largest difference first. Never by a trait that
            the rules themselves compare.
    """

    key: str
    n: int
    share: float
    numbers: Mapping[str, NumberSummary]
    categories: Mapping[str, CategorySummary]
    booleans: Mapping[str, BooleanSummary] = field(default_factory=dict)
    dates: Mapping[str, NumberSummary] = field(default_factory=dict)
    label: str = ""
    sets_apart: tuple[Contrast, ...] = ()

    def __post_init__(self) -> None:
        if not self.label:
            object.__setattr__(self, "label", self.key.replace("_", " ").title())

    def coverage(self, trait: str) -> int:
        """How many of its profiles have a trait."""
        for kind in (self.numbers, self.dates, self.categories, self.booleans):
            if trait in kind:
                return kind[trait].coverage
        return 0

    @property
    def avg_ltv(self) -> float | None:
        """Mean lifetime value, in the space's currency."""
        return self._mean("ltv")

    @property
    def avg_purchases(self) -> float | None:
        """Mean number of purchases."""
        return self._mean("purchase_count")

    @property
    def avg_churn(self) -> float | None:
        """Mean churn risk, 0 to 1."""
        return self._mean("churn_risk")

    @property
    def industries(self) -> tuple[str, ...]:
        """The most frequent industries."""
        return self._values("industries")

    @property
    def plans(self) -> tuple[str, ...]:
        """The most frequent plans."""
        return self._values("plans")

    @property
    def engagement_tier(self) -> str:
        """`high` above an average LTV of 500, `medium` above 100, else `low`; `unknown` without one."""
        if self.avg_ltv is None:
            return "unknown"
        if self.avg_ltv > 500:
            return "high"
        return "medium" if self.avg_ltv > 100 else "low"

    def _mean(self, trait: str) -> float | None:
        number = self.numbers.get(trait)
        return number.mean if number else None

    def _values(self, trait: str) -> tuple[str, ...]:
        category = self.categories.get(trait)
        return category.values if category else ()


def summarise(aggregate: Aggregate, rules: Rules = RECIPE) -> list[ClusterSummary]:
    """Every cluster of the rules in their order, the empty ones too."""
    groups = [aggregate.clusters.get(key, ClusterAggregate()) for key in rules.cluster_keys]
    classified = sum(group.n for group in groups)
    contrasts = _contrasts(groups, rules)
    return [
        ClusterSummary(
            key=cluster.key,
            n=group.n,
            share=group.n / classified if classified else 0.0,
            numbers={trait.name: _number(group, trait) for trait in rules.traits if trait.type == "number"},
            categories={
                trait.name: _category(group.categories.get(trait.name, CategoryAggregate()), rules.min_value_share)
                for trait in rules.traits
                if trait.type in ("category", "list")
            },
            booleans={
                trait.name: _boolean(group.booleans.get(trait.name, BooleanAggregate()))
                for trait in rules.traits
                if trait.type == "boolean"
            },
            dates={trait.name: _number(group, trait) for trait in rules.traits if trait.type == "date"},
            label=cluster.label,
            sets_apart=strongest(
                (one for one in found if cluster.report is None or one.trait in cluster.report), TOP_CONTRASTS
            ),
        )
        for cluster, group, found in zip(rules.clusters, groups, contrasts, strict=True)
    ]


def percent(share: float | None) -> str | None:
    """A share from 0 to 1 as in the recipe's result: "5%" for 0.05; None stays None."""
    return None if share is None else f"{share:.0%}"


def values_of(group: ClusterAggregate, trait: Trait) -> NumberAggregate:
    """The values of a number or date trait that statistics are taken of."""
    number = group.numbers.get(trait.name, NumberAggregate())
    return number.with_zeros(group.n - number.count) if trait.missing_is_zero else number


def _number(group: ClusterAggregate, trait: Trait) -> NumberSummary:
    values = values_of(group, trait)
    coverage = group.numbers[trait.name].count if trait.name in group.numbers else 0
    median = values.quantile(0.5) if values.count >= SHOWN_FROM else None
    if median is None:
        return NumberSummary(values.mean, coverage, values.std)
    sketch = values.sketch
    return NumberSummary(
        mean=values.mean,
        coverage=coverage,
        std=values.std,
        median=median,
        p10=sketch.quantile(0.1),
        p90=sketch.quantile(0.9),
        skewness=sketch.skewness,
        error=sketch.error,
    )


def _category(category: CategoryAggregate, least_share: float) -> CategorySummary:
    top = tuple(CategoryShare(value, n, n / category.count) for value, n in category.most_frequent(TOP, least_share))
    return CategorySummary(top, category.count, category.error)


def _boolean(boolean: BooleanAggregate) -> BooleanSummary:
    return BooleanSummary(boolean.true / boolean.count if boolean.count else None, boolean.count)


def _contrasts(groups: list[ClusterAggregate], rules: Rules) -> list[list[Contrast]]:
    """For each cluster what differs from all others together, by the traits that no rule compares."""
    compared = {*rules.compiled.deciding, *rules.compiled.filtering}
    found: list[list[Contrast]] = [[] for _ in groups]
    for trait in rules.traits:
        if trait.name not in compared:
            for contrasts, more in zip(found, _trait_contrasts(trait, groups, rules.min_value_share), strict=True):
                contrasts += more
    return found


def _trait_contrasts(trait: Trait, groups: list[ClusterAggregate], least_share: float) -> Iterator[list[Contrast]]:
    name = trait.name
    if trait.type in ("number", "date"):
        numbers = [values_of(group, trait) for group in groups]
        described = all(number.std is not None or number.count < 2 for number in numbers)
        for inside, rest in zip(numbers, everyone_else([number.moments for number in numbers]), strict=True):
            yield [*compare_means(name, inside.moments, rest)] if described else []
    elif trait.type == "boolean":
        booleans = [group.booleans.get(name, BooleanAggregate()) for group in groups]
        count, true = sum(one.count for one in booleans), sum(one.true for one in booleans)
        for one in booleans:
            others, others_true = count - one.count, true - one.true
            counts = ((True, one.true, others_true), (False, one.count - one.true, others - others_true))
            yield [
                contrast
                for value, a, b in counts
                if a >= HELD_BY
                for contrast in compare_counts(name, value, (a, one.count), (b, others))
            ]
    else:
        categories = [group.categories.get(name, CategoryAggregate()) for group in groups]
        everyone = together(categories)
        for category in categories:
            # Counts are too low by at most their error: the difference is at least as large as what is said of it.
            missed, others = everyone.error - category.error, everyone.count - category.count
            yield [
                contrast
                for value, n in sorted(category.shown(least_share).items())
                for contrast in compare_counts(
                    name, value, (n, category.count), (min(everyone.counts[value] - n + missed, others), others)
                )
            ]
