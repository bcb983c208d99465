"""The statistics of a persona as fields of its body.

The recipe's own fields come first, to the letter. Which others there are depends on the rules alone, so an update
replaces them all. Numbers are included only if enough profiles support them.
"""

from collections.abc import Iterable, Mapping, Sequence

from worker.clusters import ClusterSummary
from worker.clusters.analysis.distinguishing_traits import Contrast, ShareContrast
from worker.clusters.analysis.summary import MIN_PROFILES_FOR_DETAIL, NumberSummary
from worker.clusters.rules.trait import Trait, TraitType
from worker.clusters.statistics.category import MIN_PROFILES
from worker.mavera.text.description import has_recipe_traits


def demographic_fields(summary: ClusterSummary, traits: Sequence[Trait]) -> dict[str, object]:
    """Returns the most frequent values of each category and list, and their shares of the profiles with the trait."""
    names = [*_names_of_type(traits, "category"), *_names_of_type(traits, "list")]
    categories = {name: summary.categories[name] for name in names}
    shares = {
        name: {one.value: _round(one.share) for one in category.top}
        for name, category in categories.items()
        if category.coverage >= MIN_PROFILES_FOR_DETAIL
    }
    fields: dict[str, object] = {name: list(category.values) for name, category in categories.items()}
    fields.setdefault("shares", shares)  # unless a trait has this name
    return fields


def psychographic_fields(summary: ClusterSummary, traits: Sequence[Trait]) -> dict[str, object]:
    """Returns the cluster's key and size, means and spread of its numbers, and its differences from other clusters.

    The recipe's three fields are included if the traits are the recipe's; they are None if no profile has the trait.
    """
    fields: dict[str, object] = {"cluster": summary.key}
    if has_recipe_traits(traits):
        fields |= {"avg_ltv": summary.avg_ltv, "avg_churn_risk": summary.avg_churn}
        fields |= {"engagement_tier": summary.engagement_tier}
    fields |= {"profiles": summary.n, "share": _round(summary.share)}
    fields["numbers"] = _number_fields(summary.numbers, _names_of_type(traits, "number"), summary.n)
    if dates := _names_of_type(traits, "date"):
        fields["ages_in_days"] = _number_fields(summary.dates, dates, summary.n)
    if booleans := _names_of_type(traits, "boolean"):
        fields["true_for"] = {
            name: _round(boolean.share)
            for name in booleans
            if (boolean := summary.booleans[name]).share is not None and boolean.coverage >= MIN_PROFILES_FOR_DETAIL
        }
    fields["sets_apart"] = [_contrast_fields(one) for one in summary.contrasts]
    return fields


def _contrast_fields(contrast: Contrast) -> dict[str, object]:
    if isinstance(contrast, ShareContrast):
        inside: dict[str, object] = {"value": contrast.value, "share": _round(contrast.share)}
    else:
        inside = {"mean": _round(contrast.mean)}
    return {"trait": contrast.trait, **inside, "elsewhere": _round(contrast.rest)}


def _names_of_type(traits: Iterable[Trait], kind: TraitType) -> list[str]:
    return [trait.name for trait in traits if trait.type == kind]


def _number_fields(numbers: Mapping[str, NumberSummary], names: Iterable[str], n: int) -> dict[str, dict[str, float]]:
    """Returns the mean and, from enough profiles on, the spread of each trait that `MIN_PROFILES` profiles have."""
    found = {}
    for name in names:
        number = numbers[name]
        if number.mean is not None and number.coverage >= MIN_PROFILES:
            values = {"known": number.coverage / n, "mean": number.mean}
            if number.coverage >= MIN_PROFILES_FOR_DETAIL:
                spread = {"std": number.std, "median": number.median, "p10": number.p10, "p90": number.p90}
                values |= {part: value for part, value in spread.items() if value is not None}
            found[name] = {part: _round(value) for part, value in values.items()}
    return found


def _round(value: float) -> float:
    """Rounds to 4 significant digits."""
    return float(f"{value:.4g}")
