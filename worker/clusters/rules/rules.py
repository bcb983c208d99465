"""Rules: which traits are read, which profiles count, and which cluster a profile belongs to.

Rules are part of a sync's request, so every worker uses the same ones, and are written as a TOML file, see `toml_file`.
Everything else in this package works from a `Rules` and does not know traits or clusters by name.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StrictFloat, ValidationInfo, model_validator

from worker.clusters.parsing.words import Vocabulary
from worker.clusters.rules.classifier import CompiledRules, compile_clusters
from worker.clusters.rules.condition import Condition
from worker.clusters.rules.template import find_template_faults
from worker.clusters.rules.trait import Name, Trait
from worker.clusters.rules.validation import Fault, Path, raise_faults, unknown_name

MAX_CLUSTERS = 50
MAX_TRAITS = 100
MAX_BYTES = 32 * 1024
"""Largest size of rules as JSON, because they are part of every sync in Redis."""

MIN_INTEGER, MAX_INTEGER = -(2**63), 2**64 - 1
"""Range of the integers of a persona that JSON can represent."""

MAX_PERSONA_DEPTH = 24
"""Deepest nesting of a value of a persona, counted from the root of the rules."""

MIN_VALUE_SHARE = 0.01
"""Default of the smallest share for which a word is shown. Rarer ones say little about a cluster and may be hostile."""

OWN_FIELDS = frozenset({"name", "description", "demographic", "psychographic"})
"""Fields of a persona that come from the statistics."""


class Cluster(BaseModel):
    """A behavioural cluster. A profile belongs to the first one whose condition holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: Name = Field(
        description="Name in results: small letters, digits and _. A cluster with another key gets another persona"
    )
    label: Annotated[str, Field(min_length=1, max_length=60)] = Field(
        default_factory=lambda data: str(data.get("key", "")).replace("_", " ").title(),
        description="Text that people read, also in the persona's name. Default: High Value for high_value",
    )
    when: Condition | None = Field(
        default=None,
        description="Condition of its profiles. Without it: all remaining profiles, as the last cluster",
    )
    report: tuple[str, ...] | None = Field(
        default=None, description="Names of the traits that its persona mentions. Default: all"
    )
    persona: Mapping[str, JsonValue] = Field(
        default_factory=dict,
        description="More fields of the persona at Mavera, such as type, pipeline_type, goals; sent unchanged",
    )
    template: str | None = Field(
        default=None,
        min_length=1,
        max_length=5000,
        description="Text of the persona, instead of the generated one; {label}, {n}, {ltv}, {ltv.median}, "
        "{plans.shares} and the like are replaced by statistics",
    )


class Rules(BaseModel):
    """A complete set of rules. `name` is part of every persona's reference: another name means other personas."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")] = Field(
        description="Small letters, digits, _ and -. Rules with another name have personas of their own"
    )
    traits: tuple[Trait, ...] = Field(
        min_length=1, max_length=MAX_TRAITS, description="The traits that are read of a profile"
    )
    min_value_share: Annotated[StrictFloat, Field(ge=0, le=1, allow_inf_nan=False)] = Field(
        default=MIN_VALUE_SHARE,
        description="Share of a cluster's profiles with a trait that must have a word for it to be shown, 0 to 1",
    )
    filter: Condition | None = Field(
        default=None, description="Condition of the profiles that count. Without it: all profiles"
    )
    clusters: tuple[Cluster, ...] = Field(
        min_length=1,
        max_length=MAX_CLUSTERS,
        description="In order: a profile belongs to the first cluster whose condition holds",
    )

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys that are read from a profile."""
        return tuple(dict.fromkeys(key for trait in self.traits for key in trait.keys))

    @property
    def needs_ages(self) -> bool:
        """Whether the rules need to know when values were set."""
        return any(trait.max_age_days is not None and trait.type != "date" for trait in self.traits)

    @property
    def cluster_keys(self) -> tuple[str, ...]:
        """The keys of the clusters, in their order."""
        return tuple(cluster.key for cluster in self.clusters)

    def cluster(self, key: str) -> Cluster:
        """Returns a cluster by its key. Raises KeyError if there is none."""
        return {cluster.key: cluster for cluster in self.clusters}[key]

    def reported_traits(self, key: str) -> tuple[Trait, ...]:
        """Returns the traits that the persona of a cluster describes. Raises KeyError if there is no such cluster."""
        report = self.cluster(key).report
        return self.traits if report is None else tuple(map(self.trait, report))

    def trait(self, name: str) -> Trait:
        """Returns a trait by its name. Raises KeyError if there is none."""
        return self._by_name[name]

    def vocabulary(self, name: str) -> Vocabulary:
        """Returns the words that rules name for a trait: in its `values`, in conditions, and for a missing value."""
        trait = self.trait(name)
        words = {*(trait.values or ()), *([trait.missing] if isinstance(trait.missing, str) else [])}
        conditions = [self.filter, *(cluster.when for cluster in self.clusters)]
        named = frozenset(words).union(*(condition.words(name) for condition in conditions if condition))
        return Vocabulary(named, is_closed=trait.values is not None)

    @cached_property
    def compiled(self) -> CompiledRules:
        """The rules as functions, compiled once for this object."""
        return compile_clusters(self.traits, [cluster.when for cluster in self.clusters], self.filter)

    def as_json(self) -> dict[str, Any]:
        """Returns the rules as JSON data, only with what was given. `model_validate` makes equal rules of it."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def differences(self, other: Self) -> list[str]:
        """Returns what differs in `other`, by name: `trait ltv`, `cluster growth`, `order of clusters`, …"""
        found = [
            field for field in ("name", "filter", "min_value_share") if getattr(self, field) != getattr(other, field)
        ]
        for kind, mine, theirs in (
            ("trait", {one.name: one for one in self.traits}, {one.name: one for one in other.traits}),
            ("cluster", {one.key: one for one in self.clusters}, {one.key: one for one in other.clusters}),
        ):
            found += [f"{kind} {name}" for name in {**mine, **theirs} if mine.get(name) != theirs.get(name)]
            if mine == theirs and list(mine) != list(theirs):
                found.append(f"order of {kind}s")
        return found

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def _by_name(self) -> dict[str, Trait]:
        named: dict[str, Trait] = {}
        for trait in self.traits:
            named.setdefault(trait.name, trait)
        return named

    @model_validator(mode="after")
    def _is_consistent(self, info: ValidationInfo) -> Self:
        # Earlier versions stored rules without checking the fields of personas.
        stored = (info.context or {}).get("stored")
        raise_faults("Rules", self._faults_of_stored if stored else self._faults)
        return self

    # Every request with these rules validates them again, so their faults are found once for this object.

    @cached_property
    def _faults(self) -> Sequence[Fault]:
        persona = list(self._persona_faults())
        return [*self.trait_faults(), *self.cluster_faults(), *(persona or self._size_faults())]

    @cached_property
    def _faults_of_stored(self) -> Sequence[Fault]:
        return [*self.trait_faults(), *self.cluster_faults(), *self._size_faults()]

    def trait_faults(self) -> Iterator[Fault]:
        """Yields what does not fit together in the traits and the filter."""
        for i, name in _repeated([trait.name for trait in self.traits]):
            yield Fault(("traits", i, "name"), f"there is already a trait {name} above: choose another name")
        if self.filter is not None:
            yield from self.filter.faults(self._by_name, ("filter",))

    def cluster_faults(self, *, whole: bool = True) -> Iterator[Fault]:
        """Yields what does not fit together in the clusters.

        Args:
            whole: Whether these are all traits and clusters.
        """
        for i, key in _repeated(list(self.cluster_keys)):
            yield Fault(("clusters", i, "key"), f"there is already a cluster {key} above: choose another key")
        deciding = frozenset().union(*(cluster.when.traits for cluster in self.clusters if cluster.when))
        for i, cluster in enumerate(self.clusters):
            place = ("clusters", i)
            if cluster.when is not None:
                yield from cluster.when.faults(self._by_name, (*place, "when"))
            for j, name in enumerate(cluster.report or ()):
                if name not in self._by_name:
                    yield Fault((*place, "report", j), unknown_name("trait", name, self._by_name))
            reported = [self._by_name[name] for name in cluster.report or self._by_name if name in self._by_name]
            for sentence in find_template_faults(cluster.template or "", reported):
                yield Fault((*place, "template"), sentence)
            for field in sorted(OWN_FIELDS & cluster.persona.keys()):
                yield Fault((*place, "persona", field), f"{field} comes from the statistics: leave it out")
            if (
                whole
                and cluster.when
                and cluster.when.traits == deciding
                and cluster.when.comparisons == {"missing": True}
            ):
                yield Fault((*place, "when"), "a profile without any of the traits that are compared is in no cluster")
            before = next((one for one in self.clusters[:i] if one.when in (None, cluster.when)), None)
            if before is not None:
                everyone = "takes everyone else" if before.when is None else "has the same condition"
                yield Fault(
                    place, f"no profile can be in {cluster.key}, because {before.key} above {everyone}: move it up"
                )

    def _persona_faults(self) -> Iterator[Fault]:
        for i, cluster in enumerate(self.clusters):
            yield from find_unsendable_value(cluster.persona, ("clusters", i, "persona"))

    def _size_faults(self) -> Iterator[Fault]:
        size = len(json.dumps(self.as_json()))
        if size > MAX_BYTES:
            yield Fault(
                (),
                f"the rules have {size:,} bytes as JSON: write at most {MAX_BYTES:,}, because every sync stores them",
            )


def find_unsendable_value(value: object, path: Path) -> Iterator[Fault]:
    """Yields what cannot be sent to Mavera as JSON, at any depth."""
    if len(path) > MAX_PERSONA_DEPTH:
        yield Fault(path, f"lists and tables are nested more than {MAX_PERSONA_DEPTH - 3} deep: make it simpler")
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield from find_unsendable_value(one, (*path, name))
    elif isinstance(value, list | tuple):
        for i, one in enumerate(value):
            yield from find_unsendable_value(one, (*path, i))
    elif isinstance(value, int) and not MIN_INTEGER <= value <= MAX_INTEGER:
        yield Fault(path, f"write an integer from {MIN_INTEGER} to {MAX_INTEGER}, or text in quotes")
    elif isinstance(value, float) and not math.isfinite(value):
        yield Fault(path, "write a finite number: a persona cannot hold nan or inf")
    elif isinstance(value, str) and not _is_text(value):
        yield Fault(path, "write text: half of a surrogate pair is not a character")


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _repeated(names: list[str]) -> list[tuple[int, str]]:
    """Returns every repeated name with its index."""
    seen: Counter[str] = Counter()
    found = []
    for i, name in enumerate(names):
        if seen[name]:
            found.append((i, name))
        seen[name] += 1
    return found
