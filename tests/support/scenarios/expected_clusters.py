"""The clusters that a space must have: the rules of the recipe, implemented a second time, plainly and slowly.

Independent of `worker.clusters` on purpose: exact fractions, one profile at a time, no code shared.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

KEYS = {
    "ltv": ("ltv", "lifetime_value"),
    "purchase_count": ("purchase_count", "order_count"),
    "churn_risk": ("churn_risk", "churn_probability"),
}
DECIMAL = re.compile(r"[ \t\r\n\f\v]*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?[ \t\r\n\f\v]*", re.ASCII)


@dataclass
class ExpectedClusters:
    """Counts, and means as exact fractions: cluster → trait → mean."""

    profiles: int = 0
    profile_errors: int = 0
    unclassified: int = 0
    trait_errors: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)
    coverage: dict[tuple[str, str], int] = field(default_factory=Counter)
    sums: dict[tuple[str, str], Fraction] = field(default_factory=dict)
    categories: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)

    def mean(self, cluster: str, trait: str) -> float | None:
        """The mean over the profiles that have the trait."""
        n = self.coverage.get((cluster, trait), 0)
        return float(self.sums[cluster, trait] / n) if n else None

    def top(self, cluster: str, trait: str) -> list[str]:
        """The three most frequent values that at least three profiles have, ties by name."""
        counts = self.categories.get((cluster, trait), Counter())
        frequent = [(value, n) for value, n in counts.items() if n >= 3]
        return [value for value, _ in sorted(frequent, key=lambda item: (-item[1], item[0]))[:3]]


def expected_clusters(profiles: Iterable[object]) -> ExpectedClusters:
    """Counts a whole space."""
    expected = ExpectedClusters()
    for profile in profiles:
        if not isinstance(profile, dict):
            expected.profile_errors += 1
            continue
        expected.profiles += 1
        traits = profile.get("traits")
        if traits is not None and not isinstance(traits, dict):
            expected.trait_errors["traits"] += 1
        _count(expected, traits if isinstance(traits, dict) else {})
    return expected


def _count(expected: ExpectedClusters, traits: dict[str, object]) -> None:
    numbers: dict[str, Fraction] = {}
    for trait, trait_keys in KEYS.items():
        broken = False
        for key in trait_keys:
            value = traits.get(key)
            if value is None or value == "":
                continue
            number = _number(value)
            if number is None or (trait == "churn_risk" and not 0 <= number <= 1):
                broken = True
                continue
            numbers[trait] = number
            break
        expected.trait_errors[trait] += broken
    labels: dict[str, str] = {}
    for trait, key in (("industries", "industry"), ("plans", "plan")):
        label = traits.get(key)
        if label is None:
            continue
        if isinstance(label, str) and len(" ".join(label.split())) <= 100:
            if label.strip():
                labels[trait] = " ".join(label.split())
        else:
            expected.trait_errors[trait] += 1
    if not numbers:
        expected.unclassified += 1
        return
    cluster = _cluster(
        numbers.get("ltv", Fraction(0)),
        numbers.get("purchase_count", Fraction(0)),
        numbers.get("churn_risk", Fraction(1, 2)),
    )
    expected.sizes[cluster] += 1
    for trait, number in numbers.items():
        expected.coverage[cluster, trait] = expected.coverage.get((cluster, trait), 0) + 1
        expected.sums[cluster, trait] = expected.sums.get((cluster, trait), Fraction(0)) + number
    for trait, text in labels.items():
        expected.categories.setdefault((cluster, trait), Counter())[text] += 1


def _number(value: object) -> Fraction | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        if not DECIMAL.fullmatch(value):
            return None
        value = float(value)
    if isinstance(value, float) and value - value != 0:
        return None
    if isinstance(value, int | float):
        exact = Fraction(value)
        return exact if abs(exact) <= 10**15 else None
    return None


def _cluster(ltv: Fraction, purchases: Fraction, churn: Fraction) -> str:
    if ltv > 500 and churn < Fraction(0.15):
        return "high_value"
    if ltv > 100 and purchases >= 2:
        return "growth"
    if churn > Fraction(0.4):
        return "at_risk"
    return "new"
