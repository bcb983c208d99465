"""What a cluster's statistics say, in sentences.

The opening is the recipe's own, to the letter, if the traits are the recipe's; what is more comes after it. A number
stands there only if it stands on enough profiles, see `told`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from worker.clusters.analysis.distinguishing_traits import Contrast, ShareContrast
from worker.clusters.analysis.summary import MIN_PROFILES_FOR_DETAIL, ClusterSummary
from worker.clusters.rules.builtin import RECIPE
from worker.clusters.rules.trait import Trait
from worker.mavera.text.trait_texts import of_trait, percentage, quoted, told, typical

NOT_AVAILABLE = "n/a"

_RECIPE_NAMES = frozenset(trait.name for trait in RECIPE.traits)


def is_recipe(traits: Iterable[Trait]) -> bool:
    """Whether the recipe's traits are among these, and mean the same: its words fit no others."""
    return {_meaning(trait) for trait in traits} >= {_meaning(trait) for trait in RECIPE.traits}


def opening(summary: ClusterSummary, traits: Sequence[Trait]) -> list[str]:
    """Who they are: size, means and the most frequent values, a sentence each."""
    head = [f"{summary.label} segment from Segment computed traits.", f"N={summary.n}."]
    if not is_recipe(traits):
        return [*head, *_facts(summary, traits)]
    return [*head, *_recipe(summary), *_facts(summary, [trait for trait in traits if trait.name not in _RECIPE_NAMES])]


def details(summary: ClusterSummary, traits: Sequence[Trait]) -> Iterator[str]:
    """How they differ: share, what sets them apart, engagement, spread and shares of values, a sentence each."""
    if of_all := share(summary):
        yield f"They are {of_all} of all profiles that are in a cluster."
    yield from sets_apart(summary, traits)
    if tier := engagement(summary, traits):
        yield f"Engagement, by average LTV: {tier}."
    recipe = is_recipe(traits)
    for trait in traits:
        yield from _spread(summary, trait, with_shares=recipe and trait.name in _RECIPE_NAMES)


def share(summary: ClusterSummary) -> str | None:
    """The cluster's share of all profiles that are in one; None if those are few."""
    return percentage(summary.share) if summary.n and summary.n / summary.share >= MIN_PROFILES_FOR_DETAIL else None


def engagement(summary: ClusterSummary, traits: Sequence[Trait]) -> str | None:
    """`high`, `medium` or `low`; None if it is not known, or the traits are not those that it is made from."""
    return summary.engagement_tier if is_recipe(traits) and summary.avg_ltv is not None else None


def sets_apart(summary: ClusterSummary, traits: Sequence[Trait]) -> Iterator[str]:
    """What is more frequent, higher, lower, longer ago or more recent than elsewhere."""
    named = {trait.name: trait for trait in traits}
    found: dict[str, list[str]] = defaultdict(list)
    for contrast in summary.contrasts:
        if trait := named.get(contrast.trait):
            found[_how(trait, contrast)].append(_compared(trait, contrast))
    for how, compared in found.items():
        yield f"{how} than elsewhere: {', '.join(compared)}."


def placeholder_values(summary: ClusterSummary, traits: Sequence[Trait]) -> dict[str, str]:
    """What each placeholder of a template stands for."""
    texts = told(summary, traits) | {
        "label": summary.label,
        "key": summary.key,
        "n": f"{summary.n:,}",
        "share": share(summary),
        "opening": " ".join(opening(summary, traits)),
        "details": " ".join(details(summary, traits)),
        "sets_apart": " ".join(sets_apart(summary, traits)) or None,
        "engagement": engagement(summary, traits),
    }
    return {name: _or_not_available(text) for name, text in texts.items()}


def _meaning(trait: Trait) -> tuple[str, str, str, str | None]:
    return trait.name, trait.type, trait.scale, trait.currency


def _recipe(summary: ClusterSummary) -> list[str]:
    def mean(value: float | None, render: Callable[[float], str]) -> str:
        return NOT_AVAILABLE if value is None else render(value)

    return [
        f"Avg LTV: {mean(summary.avg_ltv, '${:.0f}'.format)}.",
        f"Avg purchases: {mean(summary.avg_purchases, '{:.1f}'.format)}.",
        f"Avg churn risk: {mean(summary.avg_churn, '{:.0%}'.format)}.",
        f"Industries: {', '.join(map(_as_in_the_recipe, summary.industries)) or NOT_AVAILABLE}.",
        f"Plans: {', '.join(map(_as_in_the_recipe, summary.plans)) or NOT_AVAILABLE}.",
    ]


def _as_in_the_recipe(value: str) -> str:
    """Without quotes, however many words it has, unless it could be taken for a sentence of the text."""
    return quoted(value, plain_words=len(value))


def _facts(summary: ClusterSummary, traits: Iterable[Trait]) -> Iterator[str]:
    """A sentence for each trait of which something is known."""
    for trait in traits:
        texts = of_trait(summary, trait)
        text = texts.get(f"{trait.name}.shares") or texts[trait.name]
        if text is None:
            continue
        match trait.type:
            case "number":
                yield f"Avg {trait.label}: {text}."
            case "date":
                yield f"{_title(trait)}: {text} on average."
            case "boolean":
                yield f"{_title(trait)}: yes for {text}."
            case _:
                yield f"{_title(trait)}: {text}."


def _spread(summary: ClusterSummary, trait: Trait, *, with_shares: bool) -> Iterator[str]:
    """How far values are spread. with_shares: those of categories too; the opening has named them without."""
    texts, name = of_trait(summary, trait), trait.name
    known = texts[f"{name}.known"]
    title = _title(trait) if known == "100%" else f"{_title(trait)}, known of {known}"
    if with_shares and (shares := texts.get(f"{name}.shares")):
        yield f"{title}: {shares}."
    if median := texts.get(f"{name}.median"):
        ends = [texts[f"{name}.p10"], texts[f"{name}.p90"]]
        low, high = reversed(ends) if trait.type == "date" else ends  # what is longest ago comes first
        spread = f"{median} for 8 of 10" if low == high else f"median {median}, 8 of 10 between {low} and {high}"
        yield f"{title}: {spread}."


def _how(trait: Trait, contrast: Contrast) -> str:
    if isinstance(contrast, ShareContrast):
        return "More often"
    if trait.type == "date":
        return "Longer ago" if contrast.effect > 0 else "More recently"
    return "Higher" if contrast.effect > 0 else "Lower"


def _compared(trait: Trait, contrast: Contrast) -> str:
    if not isinstance(contrast, ShareContrast):
        return f"{trait.label} ({typical(trait, contrast.mean)}, elsewhere {typical(trait, contrast.rest)})"
    if isinstance(contrast.value, str):
        what = f"{trait.label} {quoted(contrast.value)}"
    else:
        what = trait.label if contrast.value else f"not {trait.label}"
    return f"{what} ({percentage(contrast.share)}, elsewhere {percentage(contrast.rest)})"


def _or_not_available(text: str | None) -> str:
    return NOT_AVAILABLE if text is None else text


def _title(trait: Trait) -> str:
    return trait.label[0].upper() + trait.label[1:]
