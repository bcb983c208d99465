"""What an aggregate says about each cluster: sizes, means, the most frequent categories.

The last pure step: results, progress displays and persona payloads are all rendered from a `ClusterSummary`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from worker.clusters.aggregate import Aggregate, ClusterAggregate
from worker.clusters.category import CategoryAggregate
from worker.clusters.number import NumberAggregate
from worker.clusters.rules import Rules
from worker.clusters.shipped import RECIPE

TOP = 3
"""How many of the most frequent categories are reported."""


@dataclass(frozen=True, slots=True)
class NumberSummary:
    """A number trait in one cluster: the mean over the `coverage` profiles that have it; None if none has."""

    mean: float | None
    coverage: int


@dataclass(frozen=True, slots=True)
class CategoryShare:
    """A category, in how many profiles it was counted, and their share (0 to 1) of those that have the
    trait."""

    value: str
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class CategorySummary:
    """A category trait in one cluster: its most frequent values, at most `TOP`, ties in order of the values.

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
class ClusterSummary:
    """A cluster of `n` profiles with every trait of the rules by name; a trait the rules do not have is
    unknown. `share` (0 to 1) is that of the cluster among all classified profiles."""

    key: str
    n: int
    share: float
    numbers: Mapping[str, NumberSummary]
    categories: Mapping[str, CategorySummary]

    @property
    def label(self) -> str:
        """The cluster's key for people: "High Value" for `high_value`."""
        return self.key.replace("_", " ").title()

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
    classified = sum(cluster.n for cluster in aggregate.clusters.values())
    return [
        _cluster(key, aggregate.clusters.get(key, ClusterAggregate()), rules, classified) for key in rules.cluster_keys
    ]


def percent(share: float | None) -> str | None:
    """A share from 0 to 1 as in the recipe's result: "5%" for 0.05; None stays None."""
    return None if share is None else f"{share:.0%}"


def _cluster(key: str, cluster: ClusterAggregate, rules: Rules, classified: int) -> ClusterSummary:
    return ClusterSummary(
        key=key,
        n=cluster.n,
        share=cluster.n / classified if classified else 0.0,
        numbers={
            trait.name: _number(cluster.numbers.get(trait.name, NumberAggregate()))
            for trait in rules.traits
            if trait.type == "number"
        },
        categories={
            trait.name: _category(cluster.categories.get(trait.name, CategoryAggregate()))
            for trait in rules.traits
            if trait.type == "category"
        },
    )


def _number(number: NumberAggregate) -> NumberSummary:
    return NumberSummary(number.mean, number.count)


def _category(category: CategoryAggregate) -> CategorySummary:
    top = tuple(CategoryShare(value, n, n / category.count) for value, n in category.most_frequent(TOP))
    return CategorySummary(top, category.count, category.error)
