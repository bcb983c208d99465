"""The numbers behind a persona, as fields of its body. Pure.

They begin with the recipe's own, to the letter; which others there are depends on the rules alone, so that an update
replaces them all. A number is there only if it stands on enough profiles.
"""

from collections.abc import Iterable, Mapping, Sequence

from worker.clusters import ClusterSummary
from worker.clusters.analysis.distinguishing_traits import Contrast, ShareContrast
from worker.clusters.analysis.summary import MIN_PROFILES_FOR_DETAIL, NumberSummary
from worker.clusters.rules.trait import Trait, TraitType
from worker.clusters.statistics.category import MIN_PROFILES
from worker.mavera.text.description import is_recipe


def demographic(summary: ClusterSummary, traits: Sequence[Trait]) -> dict[str, object]:
    """The most frequent values of each category and list, and their shares of the profiles that have any."""
    names = [*_named(traits, "category"), *_named(traits, "list")]
    categories = {name: summary.categories[name] for name in names}
    shares = {
        name: {one.value: _rounded(one.share) for one in category.top}
        for name, category in categories.items()
        if category.coverage >= MIN_PROFILES_FOR_DETAIL
    }
    fields: dict[str, object] = {name: list(category.values) for name, category in categories.items()}
    fields.setdefault("shares", shares)  # unless a trait is called so
    return fields


def psychographic(summary: ClusterSummary, traits: Sequence[Trait]) -> dict[str, object]:
    """The cluster's key and size, means and spread of its numbers, and what sets it apart.

    The recipe's three fields are there if the traits are the recipe's; None if no profile has the trait.
    """
    fields: dict[str, object] = {"cluster": summary.key}
    if is_recipe(traits):
        fields |= {"avg_ltv": summary.avg_ltv, "avg_churn_risk": summary.avg_churn}
        fields |= {"engagement_tier": summary.engagement_tier}
    fields |= {"profiles": summary.n, "share": _rounded(summary.share)}
    fields["numbers"] = _numbers(summary.numbers, _named(traits, "number"), summary.n)
    if dates := _named(traits, "date"):
        fields["ages_in_days"] = _numbers(summary.dates, dates, summary.n)
    if booleans := _named(traits, "boolean"):
        fields["true_for"] = {
            name: _rounded(boolean.share)
            for name in booleans
            if (boolean := summary.booleans[name]).share is not None and boolean.coverage >= MIN_PROFILES_FOR_DETAIL
        }
    fields["sets_apart"] = [_contrast(one) for one in summary.contrasts]
    return fields


def _contrast(contrast: Contrast) -> dict[str, object]:
    if isinstance(contrast, ShareContrast):
        inside: dict[str, object] = {"value": contrast.value, "share": _rounded(contrast.share)}
    else:
        inside = {"mean": _rounded(contrast.mean)}
    return {"trait": contrast.trait, **inside, "elsewhere": _rounded(contrast.rest)}


def _named(traits: Iterable[Trait], kind: TraitType) -> list[str]:
    return [trait.name for trait in traits if trait.type == kind]


def _numbers(numbers: Mapping[str, NumberSummary], names: Iterable[str], n: int) -> dict[str, dict[str, float]]:
    """Mean and, from enough profiles on, spread, by trait; without those that fewer than `MIN_PROFILES` profiles
    have."""
    found = {}
    for name in names:
        number = numbers[name]
        if number.mean is not None and number.coverage >= MIN_PROFILES:
            values = {"known": number.coverage / n, "mean": number.mean}
            if number.coverage >= MIN_PROFILES_FOR_DETAIL:
                spread = {"std": number.std, "median": number.median, "p10": number.p10, "p90": number.p90}
                values |= {part: value for part, value in spread.items() if value is not None}
            found[name] = {part: _rounded(value) for part, value in values.items()}
    return found


def _rounded(value: float) -> float:
    """Four digits: no more are meant, and a persona is not to be told apart by the others."""
    return float(f"{value:.4g}")
