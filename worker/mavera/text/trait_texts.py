"""A cluster's statistics as short texts, by the names that templates use: `ltv`, `ltv.median`, `plans.shares`.

A text is None if too few profiles have the trait: means and values are shown from `MIN_PROFILES` profiles on,
all other numbers from `MIN_PROFILES_FOR_DETAIL`.
"""

from collections.abc import Iterable

from worker.clusters.analysis.summary import (
    MIN_PROFILES_FOR_DETAIL,
    BooleanSummary,
    CategorySummary,
    ClusterSummary,
    NumberSummary,
)
from worker.clusters.parsing.words import is_name
from worker.clusters.rules.trait import Trait
from worker.clusters.statistics.category import MIN_PROFILES
from worker.mavera.text.formatting import format_amount

PLAIN_WORDS = 2
"""Most words of a value that is written without quotes. An instruction to the model that reads the text has more."""

TraitTexts = dict[str, str | None]


def describe_traits(summary: ClusterSummary, traits: Iterable[Trait]) -> TraitTexts:
    """Describes several traits."""
    texts: TraitTexts = {}
    for trait in traits:
        texts |= describe_trait(summary, trait)
    return texts


def describe_trait(summary: ClusterSummary, trait: Trait) -> TraitTexts:
    """Describes a trait. The text `known` is the share of the profiles that have it."""
    name = trait.name
    match trait.type:
        case "number" | "date":
            numbers = summary.numbers if trait.type == "number" else summary.dates
            texts, coverage = _number(trait, found := numbers.get(name, NumberSummary(None, 0))), found.coverage
        case "boolean":
            boolean = summary.booleans.get(name, BooleanSummary(None, 0))
            texts, coverage = _boolean(trait, boolean), boolean.coverage
        case _:
            category = summary.categories.get(name, CategorySummary((), 0))
            texts, coverage = _category(trait, category), category.coverage
    return {**texts, f"{name}.known": format_share(coverage / summary.n) if summary.n else None}


def format_share(share: float) -> str:
    """Formats a share (0 to 1) in percent. Shares that only round to 0% or 100% become "under 1%" and "over 99%"."""
    text = f"{share:.0%}"
    if text == "0%" and share > 0:
        return "under 1%"
    return "over 99%" if text == "100%" and share < 1 else text


def format_value(trait: Trait, value: float) -> str:
    """Formats a mean or a percentile of a number, or of a date's age in days."""
    if trait.type != "date":
        return format_amount(trait, value)
    days = round(abs(value))
    text = f"{days:,} day{'' if days == 1 else 's'}"
    return f"in {text}" if value < 0 and days else f"{text} ago"


def quote_value(value: str, plain_words: int = PLAIN_WORDS) -> str:
    """Quotes a word of profiles inside a text, unless it is a short name. It cannot contain the closing quote."""
    if is_name(value, plain_words):
        return value
    return '"{}"'.format(value.replace('"', "'"))


def _number(trait: Trait, number: NumberSummary) -> TraitTexts:
    values = {
        trait.name: number.mean if number.coverage >= MIN_PROFILES else None,
        f"{trait.name}.median": number.median,
        f"{trait.name}.p10": number.p10,
        f"{trait.name}.p90": number.p90,
    }
    texts = {name: None if value is None else format_value(trait, value) for name, value in values.items()}
    if trait.type == "number":
        texts[f"{trait.name}.std"] = _deviation(trait, number)
    return texts


def _deviation(trait: Trait, number: NumberSummary) -> str | None:
    if number.std is None or number.coverage < MIN_PROFILES_FOR_DETAIL:
        return None
    # The difference of two ranks is not a rank.
    return f"{number.std * 100:,.0f} points" if trait.scale == "percentile" else format_amount(trait, number.std)


def _boolean(trait: Trait, boolean: BooleanSummary) -> TraitTexts:
    shown = boolean.share is not None and boolean.coverage >= MIN_PROFILES_FOR_DETAIL
    return {trait.name: format_share(boolean.share or 0.0) if shown else None}


def _category(trait: Trait, category: CategorySummary) -> TraitTexts:
    shares = [f"{quote_value(one.value)} {format_share(one.share)}" for one in category.top]
    return {
        trait.name: ", ".join(map(quote_value, category.values)) or None,
        f"{trait.name}.shares": ", ".join(shares) or None if category.coverage >= MIN_PROFILES_FOR_DETAIL else None,
    }
