"""Templates: a cluster's own text for its persona, with {placeholders} for what the statistics say.

    {label} is {share} of all customers; half of them have bought {purchase_count.median} times or more.

Pure text. `{{` and `}}` are braces. Nothing but the names below is looked up, so a template can do no more than name
them. What they stand for is made in `prose`; what is not known, or stands on too few profiles, is written as n/a.
"""

from collections.abc import Iterator, Mapping, Sequence
from string import Formatter

from worker.clusters.rules.trait import Trait, TraitType
from worker.clusters.rules.validation import unknown

GENERAL = ("label", "key", "n", "share", "opening", "details", "sets_apart", "engagement")
"""Of the cluster. A trait of such a name cannot be told of in a template."""

OF_TRAITS: Mapping[TraitType, tuple[str, ...]] = {
    "number": ("known", "std", "median", "p10", "p90"),
    "date": ("known", "median", "p10", "p90"),
    "category": ("known", "shares"),
    "list": ("known", "shares"),
    "boolean": ("known",),
}
"""Of a trait: `{ltv}` is its mean, its most frequent values, or its share; `{ltv.median}` and the like say more."""


def placeholders(traits: Sequence[Trait]) -> tuple[str, ...]:
    """Every name that a template may use."""
    of_traits = (
        (trait.name, *(f"{trait.name}.{part}" for part in OF_TRAITS[trait.type]))
        for trait in traits
        if trait.name not in GENERAL
    )
    return (*GENERAL, *(name for names in of_traits for name in names))


def objections(template: str, traits: Sequence[Trait]) -> Iterator[str]:
    """What is wrong with a template, as sentences."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError:
        yield "a brace stands alone: write {{ or }} for a brace in the text"
        return
    known = placeholders(traits)
    for _, name, how, conversion in parts:
        if name is None:
            continue
        if how or conversion:
            yield f"{{{name}}} is written as it is, and takes no format"
        elif name not in known:
            yield unknown("placeholder", name, known)


def fill(template: str, values: Mapping[str, str]) -> str:
    """The text, with the values in the place of the placeholders. Raises KeyError for one that is not known."""
    parts = Formatter().parse(template)
    return "".join(text + ("" if name is None else values[name]) for text, name, _, _ in parts).strip()
