"""Proposal of a clusters file from a sample: its traits, and clusters with thresholds from their quantiles.

The file is valid and meant to be edited.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from worker.clusters.rules.toml_file import parse_rules
from worker.clusters.rules.trait import RESERVED, Scale
from worker.clusters.statistics.aggregate import Aggregate
from worker.clusters.statistics.fold import fold
from worker.clusters.suggest.profiling import TraitCandidate, TraitSurvey, split_key, survey_traits

MAX_TRAITS = 30
LEAST_COVERAGE = 0.05
"""Smallest share of the profiles that must have a trait for it to be proposed."""
DECIDING_COVERAGE = 0.3
"""Smallest share of the profiles that must have a trait for a cluster to be based on it."""
BOUNDED = 0.9
"""Smallest share of a trait's numbers that must be within a scale for the trait to have that scale."""

_MONEY = frozenset(["ltv", "revenue", "spend", "spent", "mrr", "arr", "aov", "amount", "price", "gmv", "lifetime"])
_RANKS = frozenset(["percentile", "likelihood", "propensity", "prediction", "predicted"])
_RISKS = frozenset(["risk", "probability", "churn"])
_PERCENTS = frozenset(["percent", "percentage", "pct", "rate", "adoption", "share"])
_LATELY = frozenset(["last", "recent", "active", "seen"])
_ONCE = frozenset(["created", "signed", "signup", "joined", "first", "since", "registered", "start", "started"])
_TRIALS = frozenset(["trial", "trialing"])
_STAFF = frozenset(["staff", "internal", "employee", "test", "bot"])


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A proposal.

    Attributes:
        text: The file; empty if the sample has no trait that clusters can be based on.
    """

    survey: TraitSurvey
    text: str


@dataclass(frozen=True, slots=True)
class _Trait:
    name: str
    found: TraitCandidate
    scale: Scale

    @property
    def words(self) -> frozenset[str]:
        return frozenset(split_key(self.found.key))


@dataclass(frozen=True, slots=True)
class _Cluster:
    """A proposed cluster.

    Attributes:
        when: Its condition as written in the file; None for everyone else.
    """

    key: str
    when: str | None


def suggest(entries: Sequence[object], *, as_of: float) -> Suggestion:
    """Proposes a file for a sample of profiles.

    Args:
        entries: The profiles of the sample, as for `survey_traits`.
        as_of: When the sample was read, in Unix seconds.
    """
    found = survey_traits(entries, as_of=as_of)
    traits = _traits(found)
    if not traits:
        return Suggestion(found, "")
    clusters = [*_clusters(traits, found.profiles), _Cluster("others", None)]
    sample = Aggregate()
    fold(sample, entries, parse_rules(_file(traits, clusters, {}, found.profiles)), as_of=as_of)
    sizes = {cluster.key: sample.cluster(cluster.key).n for cluster in clusters}
    filled = [cluster for cluster in clusters if sizes[cluster.key] or cluster.when is None]
    return Suggestion(found, _file(traits, filled, sizes, found.profiles))


def _traits(found: TraitSurvey) -> list[_Trait]:
    """Returns the traits to propose, with unique names."""
    usable = [one for one in found.keys if one.type and one.held >= LEAST_COVERAGE * found.profiles]
    names: set[str] = set(RESERVED)
    traits = []
    for one in usable[:MAX_TRAITS]:
        name = _name(one.key, names)
        names.add(name)
        traits.append(_Trait(name, one, _scale(one)))
    return traits


def _name(key: str, taken: set[str]) -> str:
    words = "_".join(split_key(key))
    name = (words if words[:1].isalpha() else f"trait_{words}")[:50]
    free = [name, *(f"{name}_{i}" for i in range(2, MAX_TRAITS + 3))]
    return next(one for one in free if one not in taken)


def _scale(found: TraitCandidate) -> Scale:
    """Guesses the scale of a number by its key and its bounds."""
    words = set(split_key(found.key))
    if found.type != "number":
        return "plain"
    if words & _MONEY:
        return "currency"
    if found.in_unit >= BOUNDED:
        return "percentile" if words & _RANKS else "probability" if words & _RISKS else "plain"
    return "percent" if words & _PERCENTS and found.in_hundred >= BOUNDED else "plain"


def _clusters(traits: list[_Trait], profiles: int) -> Iterator[_Cluster]:
    """Yields clusters, each based on another trait, the most informative first."""
    deciding = [trait for trait in traits if trait.found.held >= DECIDING_COVERAGE * profiles]
    spread = [
        trait for trait in deciding if trait.found.quantiles and trait.found.quantiles[1] < trait.found.quantiles[3]
    ]
    numbers = [trait for trait in spread if trait.found.type == "number"]
    dates = [trait for trait in spread if trait.found.type == "date"]
    risk = _first(numbers, _RISKS, scale="probability")
    # Money is the most informative trait, then the one that most profiles have.
    value = _first(numbers, _MONEY) or next((one for one in numbers if one.scale in ("plain", "percent")), None)
    lately, once = _first(dates, _LATELY), _first(dates, _ONCE)
    trial = _first([trait for trait in deciding if trait.found.type == "boolean"], _TRIALS)
    found = (
        trial and _Cluster("on_trial", _comparison(trial, "eq", "true")),
        value and _at_quantile(f"high_{value.name}", value, "gte", 3),
        risk and _at_quantile(f"high_{risk.name}", risk, "gte", 3),
        lately and _at_quantile(f"long_since_{lately.name}", lately, "gte", 3),
        once and _at_quantile(f"new_by_{once.name}", once, "lt", 1),
        value and _at_quantile(f"low_{value.name}", value, "lt", 1),
    )
    yield from filter(None, found)
    if not any(found):
        category = next((trait for trait in deciding if trait.found.type == "category"), None)
        for i, (word, _) in enumerate(category.found.words[:3] if category else (), 1):
            assert category
            yield _Cluster(f"{category.name}_{i}", _comparison(category, "eq", _text(word)))


def _first(traits: list[_Trait], words: frozenset[str], *, scale: Scale | None = None) -> _Trait | None:
    return next((one for one in traits if one.words & words and scale in (None, one.scale)), None)


def _at_quantile(key: str, trait: _Trait, sign: str, quantile: int) -> _Cluster:
    return _Cluster(key, _comparison(trait, sign, _rounded(trait.found.quantiles[quantile])))


def _comparison(trait: _Trait, sign: str, value: str) -> str:
    return f"{{ trait = {_text(trait.name)}, {sign} = {value} }}"


def _file(traits: list[_Trait], clusters: list[_Cluster], sizes: Mapping[str, int], profiles: int) -> str:
    lines = [
        "#:schema ./clusters.schema.json",
        f"# Suggested from a sample of {profiles:,} profiles. Edit it: thresholds are quantiles, names are guesses.",
        "# Then: segment-personas clusters check FILE",
        "",
        'name = "suggested" # choose your own: it is part of every persona\'s reference',
    ]
    staff = next((one for one in traits if one.found.type == "boolean" and one.words & _STAFF), None)
    if staff:
        lines.append(f"filter = {{ not = {_comparison(staff, 'eq', 'true')} }}")
    for trait in traits:
        lines += ["", *_trait_lines(trait, profiles)]
    for cluster in clusters:
        lines += ["", "[[clusters]]"]
        if sizes:
            lines[-1] += f" # {sizes[cluster.key] / profiles:.0%} of the sample"
        lines.append(f"key = {_text(cluster.key)}")
        if cluster.when:
            lines.append(f"when = {cluster.when}")
    return "\n".join(lines) + "\n"


def _trait_lines(trait: _Trait, profiles: int) -> Iterator[str]:
    yield f"[[traits]] # {trait.found.held / profiles:.0%} of the profiles have it"
    yield f"name = {_text(trait.name)}"
    if trait.name != trait.found.key:
        yield f"keys = [{_text(trait.found.key)}]"
    if trait.scale == "percentile":
        rest = [word for word in split_key(trait.found.key) if word not in _RANKS | _RISKS | {"chance", "to"}]
        yield f"label = {_text(' '.join([*rest, 'percentile']))} # a rank, not a likelihood"
    yield f"type = {_text(trait.found.type or '')}"
    if trait.scale != "plain":
        yield f"scale = {_text(trait.scale)}"
    if trait.scale == "currency":
        yield 'currency = "USD" # check this'
    if trait.scale == "probability":
        yield '# A prediction of Segment is a rank: then scale = "percentile", and a label without "risk".'


def _rounded(value: float) -> str:
    """Rounds thresholds to 2 significant digits."""
    return f"{float(f'{value:.2g}'):.15g}"


def _text(text: str) -> str:
    """Returns a TOML string. It is written as in JSON, except for one character that TOML requires to be escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
