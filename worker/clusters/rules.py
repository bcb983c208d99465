"""The rules that put a profile into a cluster, as data: which traits are read, and what decides.

`RECIPE` are the rules of the original recipe: four clusters from lifetime value, number of purchases and
risk of churn. Everything else in this package works from a `Rules` and knows no trait or cluster by name.
"""

from collections.abc import Callable
from dataclasses import dataclass

from worker.clusters.values import MAGNITUDE


@dataclass(frozen=True, slots=True)
class NumberTrait:
    """A trait that is a number; a profile that has one of them is classified.

    `keys` are where a profile may hold it, in order of preference; `assumed` stands in for a missing value,
    for the rules only; values outside `lowest` to `highest` are trait errors.
    """

    name: str
    keys: tuple[str, ...]
    assumed: float = 0.0
    lowest: float = -MAGNITUDE
    highest: float = MAGNITUDE


@dataclass(frozen=True, slots=True)
class CategoryTrait:
    """A trait that is one of several words, such as an industry. `keys` as in `NumberTrait`."""

    name: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """A complete set of rules.

    `name` goes into every persona's reference; `clusters` are the cluster keys in the order of their
    personas; `classify` takes a profile's numbers in the order of `numbers`, missing ones filled in, and
    returns one of `clusters`.
    """

    name: str
    numbers: tuple[NumberTrait, ...]
    categories: tuple[CategoryTrait, ...]
    clusters: tuple[str, ...]
    classify: Callable[..., str]

    @property
    def keys(self) -> tuple[str, ...]:
        """Everything that is read of a profile."""
        numbers = (key for number in self.numbers for key in number.keys)
        return (*numbers, *(key for category in self.categories for key in category.keys))


def classify_recipe(ltv: float, purchase_count: float, churn_risk: float) -> str:
    """The recipe's decision; the first rule that holds wins."""
    if ltv > 500 and churn_risk < 0.15:
        return "high_value"
    if ltv > 100 and purchase_count >= 2:
        return "growth"
    if churn_risk > 0.4:
        return "at_risk"
    return "new"


RECIPE = Rules(
    name="recipe",
    numbers=(
        NumberTrait("ltv", ("ltv", "lifetime_value")),
        NumberTrait("purchase_count", ("purchase_count", "order_count")),
        NumberTrait("churn_risk", ("churn_risk", "churn_probability"), assumed=0.5, lowest=0.0, highest=1.0),
    ),
    categories=(
        CategoryTrait("industries", ("industry",)),
        CategoryTrait("plans", ("plan",)),
    ),
    clusters=("high_value", "growth", "at_risk", "new"),
    classify=classify_recipe,
)
