"""The running result of a sync in bounded memory.

The size of an `Aggregate` depends on the number of clusters and traits, never on the number of profiles, and it holds
no profile id. It is stored as one JSON document with a version, in which floats survive exactly. To add a statistic,
add a module beside `numeric` and `category` with the same methods, and a field here.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from worker.clusters.rules.trait import TraitType
from worker.clusters.statistics import serialization
from worker.clusters.statistics.boolean import BooleanAggregate
from worker.clusters.statistics.category import MAX_VALUES, CategoryAggregate
from worker.clusters.statistics.numeric import NumberAggregate
from worker.clusters.statistics.quantile_sketch import MAX_BUCKETS

VERSION = 2

MAX_BYTES = 640 * 1024
"""Size from which an aggregate keeps fewer values of each trait. The default rules need a tenth of it."""

MIN_SIZE = 8
"""Fewest buckets and values to which sketches and categories are reduced."""

_COUNTS = ("profiles", "profile_errors", "vanished", "left_out", "filtered", "unclassified", "unreadable", "merged")
_LATER_COUNTS = ("unreadable", "merged")
"""Counts that version 0.1.0 does not know."""

_SHAPES = "error_shapes"
"""A field that version 0.1.0 does not know."""

_HIDDEN = "."
"""Beginning of the key of a stored entry that is not a cluster. No rules can have such a key. The entry holds what
version 0.1.0 does not know: that version refuses unknown fields, but keeps and merges unknown clusters. So a sync can
continue there and return with what was counted here."""

MAX_SHAPES = 32
"""Most shapes of unusable values kept for each trait."""


@dataclass(slots=True)
class ClusterAggregate:
    """The statistics of one cluster.

    Attributes:
        n: Number of profiles.
        numbers: Statistics of numbers and of the ages of dates (days), by trait.
        categories: Statistics of categories and lists, by trait.
        booleans: Statistics of booleans, by trait.
    """

    n: int = 0
    numbers: dict[str, NumberAggregate] = field(default_factory=dict)
    categories: dict[str, CategoryAggregate] = field(default_factory=dict)
    booleans: dict[str, BooleanAggregate] = field(default_factory=dict)

    def number(self, trait: str) -> NumberAggregate:
        """Returns the statistics of a number or date trait; create them if there are none."""
        if trait not in self.numbers:
            self.numbers[trait] = NumberAggregate()
        return self.numbers[trait]

    def category(self, trait: str) -> CategoryAggregate:
        """Returns the statistics of a category or list trait; create them if there are none."""
        if trait not in self.categories:
            self.categories[trait] = CategoryAggregate()
        return self.categories[trait]

    def boolean(self, trait: str) -> BooleanAggregate:
        """Returns the statistics of a boolean trait; create them if there are none."""
        if trait not in self.booleans:
            self.booleans[trait] = BooleanAggregate()
        return self.booleans[trait]

    def add(self, trait: str, kind: TraitType, values: Sequence[Any]) -> None:
        """Counts the usable values of a trait, one for each profile that has it."""
        if kind in ("number", "date"):
            self.number(trait).add(values)
        elif kind == "category":
            self.category(trait).add(values)
        elif kind == "list":
            self.category(trait).add_lists(values)
        else:
            self.boolean(trait).add(values)

    def merge(self, other: "ClusterAggregate") -> None:
        """Adds everything that `other` has counted."""
        self.n += other.n
        for trait, number in other.numbers.items():
            self.number(trait).merge(number)
        for trait, category in other.categories.items():
            self.category(trait).merge(category)
        for trait, boolean in other.booleans.items():
            self.boolean(trait).merge(boolean)

    def as_json(self) -> dict[str, object]:
        """Returns the aggregate as JSON data."""
        return {
            "n": self.n,
            "numbers": {trait: number.as_json() for trait, number in self.numbers.items()},
            "categories": {trait: category.as_json() for trait, category in self.categories.items()},
            "booleans": {trait: boolean.as_json() for trait, boolean in self.booleans.items()},
        }

    @classmethod
    def from_json(cls, value: object) -> "ClusterAggregate":
        """Reads what `as_json` returned. Raises ValueError if it cannot have returned this value."""
        n, numbers, categories, booleans = serialization.fields(value, "n", "numbers", "categories", "booleans")
        return cls(
            serialization.count(n),
            {trait: NumberAggregate.from_json(number) for trait, number in serialization.items(numbers)},
            {trait: CategoryAggregate.from_json(category) for trait, category in serialization.items(categories)},
            {trait: BooleanAggregate.from_json(boolean) for trait, boolean in serialization.items(booleans)},
        )


@dataclass(slots=True)
class Aggregate:
    """The running result of a sync.

    Profiles that count as `profile_errors`, `vanished`, `unreadable`, `left_out` or `merged` count nowhere else.

    Attributes:
        profiles: Entries that are objects, in a cluster or not.
        profile_errors: Entries that are not objects.
        vanished: Profiles that were listed but deleted before their traits were read.
        unreadable: Profiles that were listed but whose traits Segment does not return.
        left_out: Profiles that were listed and are not in the sample.
        merged: Rows of a file that are part of other profiles.
        filtered: Profiles that the filter of the rules excludes. Their traits are not counted.
        unclassified: Profiles without any of the traits that the rules compare. They are in no cluster.
        trait_errors: By trait, the number of profiles with a value that is not usable; under `traits`, the number of
            profiles whose traits as a whole are not an object. Only traits with errors are listed.
        error_shapes: By trait, the shapes of the values that are not usable, see `value_shape`. A sync that an earlier
            version began lacks the shapes from before the update.
        clusters: Statistics by cluster key. Only clusters with profiles are listed.
    """

    profiles: int = 0
    profile_errors: int = 0
    vanished: int = 0
    unreadable: int = 0
    left_out: int = 0
    filtered: int = 0
    unclassified: int = 0
    merged: int = 0
    trait_errors: Counter[str] = field(default_factory=Counter)
    error_shapes: dict[str, CategoryAggregate] = field(default_factory=dict)
    clusters: dict[str, ClusterAggregate] = field(default_factory=dict)

    @property
    def listed(self) -> int:
        """Number of profiles, in the sample or not."""
        return self.profiles + self.left_out

    @property
    def entries(self) -> int:
        """Number of entries that were read, including those that are not profiles or are not readable."""
        return self.profiles + self.profile_errors + self.unreadable

    @property
    def fraction(self) -> float:
        """Part of all profiles that is in the sample (0 to 1); 1 without a sample."""
        inside = self.profiles + self.vanished + self.unreadable
        return inside / (inside + self.left_out) if inside else 1.0

    def cluster(self, key: str) -> ClusterAggregate:
        """Returns the statistics of a cluster; create them if there are none."""
        if key not in self.clusters:
            self.clusters[key] = ClusterAggregate()
        return self.clusters[key]

    def add_trait_errors(self, trait: str, shapes: Collection[str]) -> None:
        """Counts trait errors by their shape, one for each profile."""
        self.trait_errors[trait] += len(shapes)
        if trait not in self.error_shapes:
            self.error_shapes[trait] = CategoryAggregate()
        self.error_shapes[trait].add(shapes)

    def merge(self, other: "Aggregate") -> None:
        """Adds everything that `other` has counted. `other` does not change."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.trait_errors.update(other.trait_errors)
        for trait, shapes in other.error_shapes.items():
            self.error_shapes.setdefault(trait, CategoryAggregate()).merge(shapes)
        for key, cluster in other.clusters.items():
            self.cluster(key).merge(cluster)

    def to_bytes(self) -> bytes:
        """Returns the aggregate as JSON. Equal aggregates give equal bytes.

        Rare values are concealed and categories and sketches are limited in this object, too, so that counting on with
        it and counting on from its bytes give the same result. If the bytes exceed `MAX_BYTES`, the limits are halved
        until they do not.
        """
        kept, buckets = MAX_VALUES, MAX_BUCKETS
        while True:
            self._limit(kept, buckets)
            data = orjson.dumps(self._as_json(), option=orjson.OPT_SORT_KEYS)
            if len(data) <= MAX_BYTES or kept == buckets == MIN_SIZE:
                return data
            kept, buckets = max(MIN_SIZE, kept // 2), max(MIN_SIZE, buckets // 2)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Aggregate":
        """Reads what `to_bytes` returned. Raises ValueError if `data` is anything else."""
        try:
            document = orjson.loads(data)
            version = serialization.count(dict(serialization.items(document)).get("version"))
            serialization.check_version("the statistics", version, VERSION)
            return cls._from_json(document)
        except serialization.NewerVersion:
            raise
        except ValueError as error:
            raise ValueError(f"not a stored aggregate: {error}") from error

    def _limit(self, kept: int, buckets: int) -> None:
        for shapes in self.error_shapes.values():
            shapes.drop_rarest(min(kept, MAX_SHAPES))
            shapes.conceal_rare()
        for cluster in self.clusters.values():
            for category in cluster.categories.values():
                category.drop_rarest(kept)
                category.conceal_rare()
            for number in cluster.numbers.values():
                number.sketch.compact(buckets)

    def _as_json(self) -> dict[str, object]:
        hidden = {name: ClusterAggregate(n) for name in _LATER_COUNTS if (n := getattr(self, name))}
        if self.error_shapes:
            hidden[_SHAPES] = ClusterAggregate(categories=self.error_shapes)
        clusters = {**self.clusters, **{_HIDDEN + name: one for name, one in hidden.items()}}
        return {
            "version": VERSION,
            **{name: getattr(self, name) for name in _COUNTS if name not in _LATER_COUNTS},
            "trait_errors": self.trait_errors,
            "clusters": {key: cluster.as_json() for key, cluster in clusters.items()},
        }

    @classmethod
    def _from_json(cls, document: object) -> "Aggregate":
        # Versions between 0.1.0 and this one had these as fields.
        known = {**dict.fromkeys(_LATER_COUNTS, 0), _SHAPES: {}, **dict(serialization.items(document))}
        names = ("version", "trait_errors", _SHAPES, "clusters", *_COUNTS)
        version, trait_errors, shapes, found, *counts = serialization.fields(known, *names)
        if serialization.count(version) != VERSION:
            raise ValueError(f"expected version {VERSION}")
        clusters = {key: ClusterAggregate.from_json(cluster) for key, cluster in serialization.items(found)}
        result = cls(
            trait_errors=Counter({trait: serialization.count(n) for trait, n in serialization.items(trait_errors)}),
            error_shapes={trait: CategoryAggregate.from_json(one) for trait, one in serialization.items(shapes)},
            clusters={key: cluster for key, cluster in clusters.items() if not key.startswith(_HIDDEN)},
            **{name: serialization.count(n) for name, n in zip(_COUNTS, counts, strict=True)},
        )
        if hidden := clusters.get(_HIDDEN + _SHAPES):
            result.error_shapes |= hidden.categories
        for name in _LATER_COUNTS:
            if hidden := clusters.get(_HIDDEN + name):
                setattr(result, name, getattr(result, name) + hidden.n)
        return result
