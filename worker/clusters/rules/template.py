"""Templates: a cluster's own text for its persona, with {placeholders} for statistics.

    {label} is {share} of all customers; half of them have bought {purchase_count.median} times or more.

`{{` and `}}` are braces. Only the names below are looked up, so a template cannot do anything else. Their values come
from `worker.mavera.text.description`; unknown values, and those of too few profiles, become n/a.
"""

from collections.abc import Iterator, Mapping, Sequence
from string import Formatter

from worker.clusters.rules.trait import Trait, TraitType
from worker.clusters.rules.validation import unknown_name

GENERAL_PLACEHOLDERS = ("label", "key", "n", "share", "opening", "details", "sets_apart", "engagement")
"""Placeholders of the cluster. A trait with such a name has no placeholder."""

TRAIT_PLACEHOLDERS: Mapping[TraitType, tuple[str, ...]] = {
    "number": ("known", "std", "median", "p10", "p90"),
    "date": ("known", "median", "p10", "p90"),
    "category": ("known", "shares"),
    "list": ("known", "shares"),
    "boolean": ("known",),
}
"""Placeholders by type of trait. `{ltv}` is its mean, its most frequent values or its share; `{ltv.median}` adds
more."""


def placeholders(traits: Sequence[Trait]) -> tuple[str, ...]:
    """Returns every name that a template may use."""
    of_traits = (
        (trait.name, *(f"{trait.name}.{part}" for part in TRAIT_PLACEHOLDERS[trait.type]))
        for trait in traits
        if trait.name not in GENERAL_PLACEHOLDERS
    )
    return (*GENERAL_PLACEHOLDERS, *(name for names in of_traits for name in names))


def find_template_faults(template: str, traits: Sequence[Trait]) -> Iterator[str]:
    """Yields what is wrong with a template, as sentences."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError:
        yield "a single brace: write {{ or }} for a brace in the text"
        return
    known = placeholders(traits)
    for _, name, how, conversion in parts:
        if name is None:
            continue
        if how or conversion:
            yield f"{{{name}}} takes no format: write only the name"
        elif name not in known:
            yield unknown_name("placeholder", name, known)


def fill_template(template: str, values: Mapping[str, str]) -> str:
    """Replaces the placeholders of a template by their values. Raises KeyError for an unknown one."""
    parts = Formatter().parse(template)
    return "".join(text + ("" if name is None else values[name]) for text, name, _, _ in parts).strip()
