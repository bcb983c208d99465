"""Summaries of clusters: size, means, spread, most frequent values and differences from the other clusters.

Results, progress displays and persona payloads are all rendered from a `ClusterSummary`. What could identify a person
is left out here, once for all of them: categories that fewer than `MIN_PROFILES` profiles have, and percentiles of
fewer than `MIN_PROFILES_FOR_DETAIL` values, which nearly are single values. Minimum and maximum always are, so there
are none. Categories with a small share are left out, too, because anyone who can set traits could have written them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from worker.clusters.analysis.distinguishing_traits import (
    Contrast,
    compare_counts,
    compare_means,
    largest_contrasts,
    merge_categories,
    moments_of_others,
)
from worker.clusters.rules.builtin import RECIPE
from worker.clusters.rules.rules import Rules
from worker.clusters.rules.trait import Trait
from worker.clusters.statistics.aggregate import Aggregate, ClusterAggregate
from worker.clusters.statistics.boolean import BooleanAggregate
from worker.clusters.statistics.category import MIN_PROFILES, CategoryAggregate
from worker.clusters.statistics.numeric import NumberAggregate

MAX_TOP_VALUES = 3
"""Most frequent values that are reported for each trait."""

MAX_CONTRASTS = 5
"""Differences from all other clusters that are reported for each cluster."""

MIN_PROFILES_FOR_DETAIL = 30
"""Fewest profiles that must have a trait for its percentiles, spread and shares to be shown."""


@dataclass(frozen=True, slots=True)
class NumberSummary:
    """A number trait in one cluster, or the age of a date in days.

    Attributes:
        mean: Mean over the profiles that have the trait, and over the others as 0 if the trait is `missing_is_zero`;
            None without values.
        coverage: Number of profiles that have the trait.
        std: Standard deviation (n − 1) of the same values; None for fewer than two.
        median: Median of the same values; None for fewer than `MIN_PROFILES_FOR_DETAIL`.
        p10: Their 10th percentile, or None, as the median.
        p90: Their 90th percentile, or None, as the median.
    """

    mean: float | None
    coverage: int
    std: float | None = None
    median: float | None = None
    p10: float | None = None
    p90: float | None = None


@dataclass(frozen=True, slots=True)
class CategoryShare:
    """A category, the number of profiles that have it, and their share (0 to 1) of those that have the trait."""

    value: str
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class CategorySummary:
    """A category or list trait in one cluster.

    Attributes:
        top: Its most frequent values, at most `MAX_TOP_VALUES`, ties in order of the values.
        coverage: Number of profiles that have the trait.
    """

    top: tuple[CategoryShare, ...]
    coverage: int

    @property
    def values(self) -> tuple[str, ...]:
        """The most frequent values without their counts."""
        return tuple(share.value for share in self.top)


@dataclass(frozen=True, slots=True)
class BooleanSummary:
    """A boolean trait in one cluster: for which share (0 to 1) of the `coverage` profiles with the trait it is true.

    `share` is None if no profile has the trait.
    """

    share: float | None
    coverage: int


@dataclass(frozen=True, slots=True)
class ClusterSummary:
    """A cluster with every trait of the rules by name.

    Attributes:
        key: Key of the cluster in the rules.
        n: Number of profiles.
        share: Share of all profiles that are in a cluster (0 to 1).
        numbers: The number traits.
        categories: The category and list traits.
        booleans: The boolean traits.
        dates: The date traits, as ages in days at the start of the sync; later dates have negative ages.
        label: Displayed name; by default "High Value" for `high_value`.
        contrasts: Differences from all other clusters together, the largest first. Traits that the rules compare are
            left out, because they differ by definition.
    """

    key: str
    n: int
    share: float
    numbers: Mapping[str, NumberSummary]
    categories: Mapping[str, CategorySummary]
    booleans: Mapping[str, BooleanSummary] = field(default_factory=dict)
    dates: Mapping[str, NumberSummary] = field(default_factory=dict)
    label: str = ""
    contrasts: tuple[Contrast, ...] = ()

    def __post_init__(self) -> None:
        if not self.label:
            object.__setattr__(self, "label", self.key.replace("_", " ").title())

    def coverage(self, trait: str) -> int:
        """Returns the number of profiles that have a trait; 0 if the rules do not have it."""
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
    """Summarises every cluster of the rules, in their order, including empty ones."""
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
            contrasts=largest_contrasts(
                (one for one in found if cluster.report is None or one.trait in cluster.report), MAX_CONTRASTS
            ),
        )
        for cluster, group, found in zip(rules.clusters, groups, contrasts, strict=True)
    ]


def format_percent(share: float | None) -> str | None:
    """Formats a share (0 to 1) as in the recipe's result: "5%" for 0.05. None stays None."""
    return None if share is None else f"{share:.0%}"


def number_values(group: ClusterAggregate, trait: Trait) -> NumberAggregate:
    """Returns the values of a number or date trait, with a 0 for each missing one if the trait is `missing_is_zero`."""
    number = group.numbers.get(trait.name, NumberAggregate())
    return number.with_zeros(group.n - number.count) if trait.missing_is_zero else number


def _number(group: ClusterAggregate, trait: Trait) -> NumberSummary:
    values = number_values(group, trait)
    coverage = group.numbers[trait.name].count if trait.name in group.numbers else 0
    if values.count < MIN_PROFILES_FOR_DETAIL:
        return NumberSummary(values.mean, coverage, values.std)
    p10, median, p90 = values.sketch.quantiles(0.1, 0.5, 0.9)
    return NumberSummary(values.mean, coverage, values.std, median=median, p10=p10, p90=p90)


def _category(category: CategoryAggregate, min_share: float) -> CategorySummary:
    top = tuple(
        CategoryShare(value, n, n / category.count) for value, n in category.most_frequent(MAX_TOP_VALUES, min_share)
    )
    return CategorySummary(top, category.count)


def _boolean(boolean: BooleanAggregate) -> BooleanSummary:
    return BooleanSummary(boolean.true / boolean.count if boolean.count else None, boolean.count)


def _contrasts(groups: list[ClusterAggregate], rules: Rules) -> list[list[Contrast]]:
    """Returns, for each cluster, its differences from all others together in the traits that no rule compares."""
    compared = {*rules.compiled.deciding, *rules.compiled.filtering}
    found: list[list[Contrast]] = [[] for _ in groups]
    for trait in rules.traits:
        if trait.name not in compared:
            for contrasts, more in zip(found, _trait_contrasts(trait, groups, rules.min_value_share), strict=True):
                contrasts += more
    return found


def _trait_contrasts(trait: Trait, groups: list[ClusterAggregate], min_share: float) -> Iterator[list[Contrast]]:
    name = trait.name
    if trait.type in ("number", "date"):
        numbers = [number_values(group, trait) for group in groups]
        for inside, rest in zip(numbers, moments_of_others([number.moments for number in numbers]), strict=True):
            yield [*compare_means(name, inside.moments, rest)]
    elif trait.type == "boolean":
        booleans = [group.booleans.get(name, BooleanAggregate()) for group in groups]
        count, true = sum(one.count for one in booleans), sum(one.true for one in booleans)
        for one in booleans:
            others, others_true = count - one.count, true - one.true
            counts = ((True, one.true, others_true), (False, one.count - one.true, others - others_true))
            yield [
                contrast
                for value, a, b in counts
                if a >= MIN_PROFILES
                for contrast in compare_counts(name, value, (a, one.count), (b, others))
            ]
    else:
        categories = [group.categories.get(name, CategoryAggregate()) for group in groups]
        everyone = merge_categories(categories)
        for category in categories:
            # Counts are too low by at most their error. Assume the smallest difference.
            missed, others = everyone.error - category.error, everyone.count - category.count
            yield [
                contrast
                for value, n in sorted(category.disclosable(min_share).items())
                for contrast in compare_counts(
                    name, value, (n, category.count), (min(everyone.counts[value] - n + missed, others), others)
                )
            ]
