"""Everything that a sync has counted, in bounded memory: the running result of folding pages.

An `Aggregate` grows with the number of clusters and traits, never with the number of profiles, and holds no
profile's id. As bytes it is one JSON document with a version, in which floats survive exactly. A further
statistic is a further file beside `number.py` and `category.py` with the same methods, and a field here.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from worker.clusters.rules.trait import TraitType
from worker.clusters.statistics import serialization
from worker.clusters.statistics.boolean import BooleanAggregate
from worker.clusters.statistics.category import KEPT, CategoryAggregate
from worker.clusters.statistics.number import NumberAggregate
from worker.clusters.statistics.quantile_sketch import MOST_BUCKETS, QuantileSketch

VERSION = 2

MAX_BYTES = 640 * 1024
"""How large an aggregate may be as bytes before it keeps less of each trait. The default rules need a tenth of it."""

LEAST = 8
"""Sketches and categories of so few buckets and values are not made smaller still."""

_COUNTS = ("profiles", "profile_errors", "vanished", "left_out", "filtered", "unclassified", "unreadable", "merged")
_LEFT_OUT_IF_ZERO = frozenset({"unreadable", "merged"})
"""Counts that an earlier version does not know: written only where there is something to count."""

_SHAPES = "error_shapes"
"""Written only if there are any, for the same reason."""

SHAPES_KEPT = 32
"""Different shapes of unusable values that are kept for each trait."""


@dataclass(slots=True)
class ClusterAggregate:
    """One cluster: `n` profiles, and the statistics of each trait by the trait's name.

    `numbers` are those of numbers and of the ages of dates, `categories` those of categories and lists.
    """

    n: int = 0
    numbers: dict[str, NumberAggregate] = field(default_factory=dict)
    categories: dict[str, CategoryAggregate] = field(default_factory=dict)
    booleans: dict[str, BooleanAggregate] = field(default_factory=dict)

    def number(self, trait: str) -> NumberAggregate:
        """The statistics of a number or date trait, begun if need be."""
        if trait not in self.numbers:
            self.numbers[trait] = NumberAggregate()
        return self.numbers[trait]

    def category(self, trait: str) -> CategoryAggregate:
        """The statistics of a category or list trait, begun if need be."""
        if trait not in self.categories:
            self.categories[trait] = CategoryAggregate()
        return self.categories[trait]

    def boolean(self, trait: str) -> BooleanAggregate:
        """The statistics of a boolean trait, begun if need be."""
        if trait not in self.booleans:
            self.booleans[trait] = BooleanAggregate()
        return self.booleans[trait]

    def add(self, trait: str, kind: TraitType, values: Sequence[Any]) -> None:
        """Count the usable values of a trait, one for each of as many profiles, as `Parsed` has them."""
        if kind in ("number", "date"):
            self.number(trait).add(values)
        elif kind == "category":
            self.category(trait).add(values)
        elif kind == "list":
            self.category(trait).add_lists(values)
        else:
            self.boolean(trait).add(values)

    def merge(self, other: "ClusterAggregate") -> None:
        """Add everything that `other` has counted."""
        self.n += other.n
        for trait, number in other.numbers.items():
            self.number(trait).merge(number)
        for trait, category in other.categories.items():
            self.category(trait).merge(category)
        for trait, boolean in other.booleans.items():
            self.boolean(trait).merge(boolean)

    def as_json(self) -> dict[str, object]:
        return {
            "n": self.n,
            "numbers": {trait: number.as_json() for trait, number in self.numbers.items()},
            "categories": {trait: category.as_json() for trait, category in self.categories.items()},
            "booleans": {trait: boolean.as_json() for trait, boolean in self.booleans.items()},
        }

    @classmethod
    def from_json(cls, value: object) -> "ClusterAggregate":
        """The reverse of `as_json`. Raises ValueError if this is not what `as_json` can have written."""
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

    Attributes:
        profiles: entries that are objects, in a cluster or not.
        profile_errors: entries that are no object; they count nowhere else.
        vanished: profiles that were listed and gone before their traits were read; they count nowhere else.
        unreadable: profiles that were listed and whose traits Segment does not answer for; they count nowhere else.
        left_out: profiles that were listed and are not in the sample; they count nowhere else.
        merged: rows of a file that are part of other profiles; they count nowhere else.
        filtered: profiles that the rules' filter keeps out; of them nothing else is counted.
        unclassified: profiles without any of the traits that decide; they are in no cluster.
        trait_errors: by the trait's name, in how many profiles it was there but not usable; under `traits`,
            in how many the traits as a whole were not an object. Only traits with errors are listed.
        error_shapes: by the trait's name, the shapes of the values that were not usable, see `shape`. A sync that an
            earlier version began lacks those that it had met.
        clusters: by cluster key; only clusters that have a profile are listed.
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
        """Profiles in the sample or not."""
        return self.profiles + self.left_out

    @property
    def entries(self) -> int:
        """Everything that was read or tried, also what is no profile or cannot be read."""
        return self.profiles + self.profile_errors + self.unreadable

    @property
    def fraction(self) -> float:
        """The part of all profiles that is in the sample; 1 without a sample."""
        inside = self.profiles + self.vanished + self.unreadable
        return inside / (inside + self.left_out) if inside else 1.0

    def cluster(self, key: str) -> ClusterAggregate:
        """The statistics of a cluster, begun if need be."""
        if key not in self.clusters:
            self.clusters[key] = ClusterAggregate()
        return self.clusters[key]

    def add_trait_errors(self, trait: str, shapes: Collection[str]) -> None:
        """Count the trait error of each of as many profiles by its shape."""
        self.trait_errors[trait] += len(shapes)
        if trait not in self.error_shapes:
            self.error_shapes[trait] = CategoryAggregate()
        self.error_shapes[trait].add(shapes)

    def merge(self, other: "Aggregate") -> None:
        """Add everything that `other` has counted; `other` is left as it is."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.trait_errors.update(other.trait_errors)
        for trait, shapes in other.error_shapes.items():
            self.error_shapes.setdefault(trait, CategoryAggregate()).merge(shapes)
        for key, cluster in other.clusters.items():
            self.cluster(key).merge(cluster)

    def to_bytes(self) -> bytes:
        """This aggregate as JSON: equal aggregates give equal bytes, and `from_bytes` an equal aggregate.

        First conceals rare values and brings categories and sketches down to their bounds, so that whoever goes on
        with this object and whoever goes on from its bytes count alike. If there are so many clusters and traits that
        the bytes would be too many, these bounds are halved until they are not.
        """
        kept, buckets = KEPT, MOST_BUCKETS
        while True:
            self._reduce(kept, buckets)
            data = orjson.dumps(self._as_json(), option=orjson.OPT_SORT_KEYS)
            if len(data) <= MAX_BYTES or kept == buckets == LEAST:
                return data
            kept, buckets = max(LEAST, kept // 2), max(LEAST, buckets // 2)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Aggregate":
        """The aggregate that `to_bytes` wrote. Raises ValueError if `data` is anything else."""
        try:
            document = orjson.loads(data)
            if serialization.count(dict(serialization.items(document)).get("version")) == 1:
                document = _from_version_1(document)
            return cls._from_json(document)
        except ValueError as error:
            raise ValueError(f"not a stored aggregate: {error}") from error

    def _reduce(self, kept: int, buckets: int) -> None:
        for shapes in self.error_shapes.values():
            shapes.reduce(min(kept, SHAPES_KEPT))
            shapes.conceal()
        for cluster in self.clusters.values():
            for category in cluster.categories.values():
                category.reduce(kept)
                category.conceal()
            for number in cluster.numbers.values():
                number.sketch.settle(buckets)

    def _as_json(self) -> dict[str, object]:
        shapes = {trait: one.as_json() for trait, one in self.error_shapes.items()}
        return {
            "version": VERSION,
            **{name: n for name in _COUNTS if (n := getattr(self, name)) or name not in _LEFT_OUT_IF_ZERO},
            "trait_errors": self.trait_errors,
            **({_SHAPES: shapes} if shapes else {}),
            "clusters": {key: cluster.as_json() for key, cluster in self.clusters.items()},
        }

    @classmethod
    def _from_json(cls, document: object) -> "Aggregate":
        names = ("version", "trait_errors", _SHAPES, "clusters", *_COUNTS)
        known = {**dict.fromkeys(_LEFT_OUT_IF_ZERO, 0), _SHAPES: {}, **dict(serialization.items(document))}
        version, trait_errors, shapes, clusters, *counts = serialization.fields(known, *names)
        if serialization.count(version) != VERSION:
            raise ValueError(f"expected version {VERSION}")
        return cls(
            trait_errors=Counter({trait: serialization.count(n) for trait, n in serialization.items(trait_errors)}),
            error_shapes={trait: CategoryAggregate.from_json(one) for trait, one in serialization.items(shapes)},
            clusters={key: ClusterAggregate.from_json(cluster) for key, cluster in serialization.items(clusters)},
            **{name: serialization.count(n) for name, n in zip(_COUNTS, counts, strict=True)},
        )


def merge(left: Aggregate, right: Aggregate) -> Aggregate:
    """A new aggregate with everything that either has counted; both are left as they are."""
    result = Aggregate()
    result.merge(left)
    result.merge(right)
    return result


def _from_version_1(document: Mapping[str, object]) -> dict[str, object]:
    """A document from before numbers had a spread and a distribution, which stay unknown, see `NumberAggregate`."""
    clusters = {}
    for key, cluster in serialization.items(document.get("clusters")):
        n, numbers, categories = serialization.fields(cluster, "n", "numbers", "categories")
        clusters[key] = {
            "n": n,
            "numbers": {trait: _number_from_version_1(number) for trait, number in serialization.items(numbers)},
            "categories": categories,
            "booleans": {},
        }
    return {**document, "version": VERSION, "left_out": 0, "filtered": 0, "clusters": clusters}


def _number_from_version_1(number: object) -> dict[str, object]:
    count, parts = serialization.fields(number, "count", "sum")
    return {"count": count, "sum": parts, "squares": 0.0, "sketch": QuantileSketch().as_json()}
