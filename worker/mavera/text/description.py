"""The sentences of a persona's description, from the statistics of its cluster.

If the rules have the recipe's traits, the first sentences are the recipe's own, to the letter. The other sentences
follow. Numbers appear only if enough profiles support them, see `trait_texts`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from worker.clusters.analysis.distinguishing_traits import Contrast, ShareContrast
from worker.clusters.analysis.summary import MIN_PROFILES_FOR_DETAIL, ClusterSummary
from worker.clusters.rules.builtin import RECIPE
from worker.clusters.rules.trait import Trait
from worker.mavera.text.trait_texts import describe_trait, describe_traits, format_share, format_value, quote_value

NOT_AVAILABLE = "n/a"

_RECIPE_NAMES = frozenset(trait.name for trait in RECIPE.traits)


def has_recipe_traits(traits: Iterable[Trait]) -> bool:
    """Returns whether the recipe's traits are among these with the same meaning, so that its sentences apply."""
    return {_trait_meaning(trait) for trait in traits} >= {_trait_meaning(trait) for trait in RECIPE.traits}


def opening_sentences(summary: ClusterSummary, traits: Sequence[Trait]) -> list[str]:
    """Returns the sentences on size, means and most frequent values."""
    head = [f"{summary.label} segment from Segment computed traits.", f"N={summary.n}."]
    if not has_recipe_traits(traits):
        return [*head, *_trait_sentences(summary, traits)]
    others = [trait for trait in traits if trait.name not in _RECIPE_NAMES]
    return [*head, *_recipe_sentences(summary), *_trait_sentences(summary, others)]


def detail_sentences(summary: ClusterSummary, traits: Sequence[Trait]) -> Iterator[str]:
    """Yields the sentences on share, differences from the other clusters, engagement, spread and shares of values."""
    if share := format_cluster_share(summary):
        yield f"{_capitalised(share)} of all classified profiles are in this segment."
    yield from contrast_sentences(summary, traits)
    if tier := known_engagement_tier(summary, traits):
        yield f"The engagement tier is {tier}, based on the average LTV."
    recipe = has_recipe_traits(traits)
    for trait in traits:
        yield from _spread_sentences(summary, trait, with_shares=recipe and trait.name in _RECIPE_NAMES)


def format_cluster_share(summary: ClusterSummary) -> str | None:
    """Formats the cluster's share of all classified profiles; None if there are few profiles."""
    enough = summary.n and summary.n / summary.share >= MIN_PROFILES_FOR_DETAIL
    return format_share(summary.share) if enough else None


def known_engagement_tier(summary: ClusterSummary, traits: Sequence[Trait]) -> str | None:
    """Returns `high`, `medium` or `low`; None if no profile has an LTV or the traits are not the recipe's."""
    return summary.engagement_tier if has_recipe_traits(traits) and summary.avg_ltv is not None else None


def contrast_sentences(summary: ClusterSummary, traits: Sequence[Trait]) -> Iterator[str]:
    """Yields the differences from the other clusters, one sentence for each direction."""
    named = {trait.name: trait for trait in traits}
    found: dict[str, list[str]] = defaultdict(list)
    for contrast in summary.contrasts:
        if trait := named.get(contrast.trait):
            found[_contrast_heading(trait, contrast)].append(_format_contrast(trait, contrast))
    for heading, contrasts in found.items():
        yield f"{heading} than in the other segments: {', '.join(contrasts)}."


def placeholder_values(summary: ClusterSummary, traits: Sequence[Trait]) -> dict[str, str]:
    """Returns the value of each placeholder of a template."""
    texts = describe_traits(summary, traits) | {
        "label": summary.label,
        "key": summary.key,
        "n": f"{summary.n:,}",
        "share": format_cluster_share(summary),
        "opening": " ".join(opening_sentences(summary, traits)),
        "details": " ".join(detail_sentences(summary, traits)),
        "sets_apart": " ".join(contrast_sentences(summary, traits)) or None,
        "engagement": known_engagement_tier(summary, traits),
    }
    return {name: NOT_AVAILABLE if text is None else text for name, text in texts.items()}


def _trait_meaning(trait: Trait) -> tuple[str, str, str, str | None]:
    return trait.name, trait.type, trait.scale, trait.currency


def _recipe_sentences(summary: ClusterSummary) -> list[str]:
    def mean(value: float | None, render: Callable[[float], str]) -> str:
        return NOT_AVAILABLE if value is None else render(value)

    return [
        f"Avg LTV: {mean(summary.avg_ltv, '${:.0f}'.format)}.",
        f"Avg purchases: {mean(summary.avg_purchases, '{:.1f}'.format)}.",
        f"Avg churn risk: {mean(summary.avg_churn, '{:.0%}'.format)}.",
        f"Industries: {', '.join(map(_quote_sentence, summary.industries)) or NOT_AVAILABLE}.",
        f"Plans: {', '.join(map(_quote_sentence, summary.plans)) or NOT_AVAILABLE}.",
    ]


def _quote_sentence(value: str) -> str:
    """Quotes a value only if it could be read as a sentence of the text. The recipe does not quote values."""
    return quote_value(value, plain_words=len(value))


def _trait_sentences(summary: ClusterSummary, traits: Iterable[Trait]) -> Iterator[str]:
    """Yields a sentence for each trait with a known mean or values."""
    for trait in traits:
        texts = describe_trait(summary, trait)
        text = texts.get(f"{trait.name}.shares") or texts[trait.name]
        if text is None:
            continue
        match trait.type:
            case "number":
                yield f"Avg {trait.label}: {text}."
            case "date":
                yield f"{_capitalised(trait.label)}: {text} on average."
            case "boolean":
                yield f"{_capitalised(trait.label)}: yes for {text} of profiles."
            case _:
                yield f"{_capitalised(trait.label)}: {text}."


def _spread_sentences(summary: ClusterSummary, trait: Trait, *, with_shares: bool) -> Iterator[str]:
    """Yields the spread of a trait.

    Args:
        summary: The cluster.
        trait: The trait.
        with_shares: Whether to add the shares of categories, because the opening names them without.
    """
    texts, name = describe_trait(summary, trait), trait.name
    known = texts[f"{name}.known"]
    label = _capitalised(trait.label)
    title = label if known == "100%" else f"{label} (known for {known} of profiles)"
    if with_shares and (shares := texts.get(f"{name}.shares")):
        yield f"{title}: {shares}."
    if median := texts.get(f"{name}.median"):
        ends = [texts[f"{name}.p10"], texts[f"{name}.p90"]]
        low, high = reversed(ends) if trait.type == "date" else ends  # the longest time ago comes first
        between = f"median {median}; the middle 80% of profiles are between {low} and {high}"
        spread = f"{median} for at least 80% of profiles" if low == high else between
        yield f"{title}: {spread}."


def _contrast_heading(trait: Trait, contrast: Contrast) -> str:
    if isinstance(contrast, ShareContrast):
        return "More common"
    if trait.type == "date":
        return "Longer ago" if contrast.effect > 0 else "More recent"
    return "Higher on average" if contrast.effect > 0 else "Lower on average"


def _format_contrast(trait: Trait, contrast: Contrast) -> str:
    if not isinstance(contrast, ShareContrast):
        return f"{trait.label} ({format_value(trait, contrast.mean)} versus {format_value(trait, contrast.rest)})"
    if isinstance(contrast.value, str):
        subject = f"{trait.label} {quote_value(contrast.value)}"
    else:
        subject = trait.label if contrast.value else f"not {trait.label}"
    return f"{subject} ({format_share(contrast.share)} versus {format_share(contrast.rest)})"


def _capitalised(text: str) -> str:
    return text[0].upper() + text[1:]
