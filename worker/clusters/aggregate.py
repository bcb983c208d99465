"""Everything that a sync has counted, in bounded memory: the running result of folding pages.

An `Aggregate` grows with the number of clusters and traits, never with the number of profiles, and holds no
profile's id. As bytes it is one JSON document with a version, in which floats survive exactly. A further
statistic is a further file beside `number.py` and `category.py` with the same methods, and a field here.
"""

from collections import Counter
from dataclasses import dataclass, field

import orjson

from worker.clusters import decode
from worker.clusters.category import CategoryAggregate
from worker.clusters.number import NumberAggregate

VERSION = 1


@dataclass(slots=True)
class ClusterAggregate:
    """One cluster: `n` profiles, and the statistics of each trait by the trait's name."""

    n: int = 0
    numbers: dict[str, NumberAggregate] = field(default_factory=dict)
    categories: dict[str, CategoryAggregate] = field(default_factory=dict)

    def number(self, trait: str) -> NumberAggregate:
        """The statistics of a number trait, begun if need be."""
        if trait not in self.numbers:
            self.numbers[trait] = NumberAggregate()
        return self.numbers[trait]

    def category(self, trait: str) -> CategoryAggregate:
        """The statistics of a category trait, begun if need be."""
        if trait not in self.categories:
            self.categories[trait] = CategoryAggregate()
        return self.categories[trait]

    def merge(self, other: "ClusterAggregate") -> None:
        """Add everything that `other` has counted."""
        self.n += other.n
        for trait, number in other.numbers.items():
            self.number(trait).merge(number)
        for trait, category in other.categories.items():
            self.category(trait).merge(category)

    def as_json(self) -> dict[str, object]:
        return {
            "n": self.n,
            "numbers": {trait: number.as_json() for trait, number in self.numbers.items()},
            "categories": {trait: category.as_json() for trait, category in self.categories.items()},
        }

    @classmethod
    def from_json(cls, value: object) -> "ClusterAggregate":
        """The reverse of `as_json`. Raises ValueError if this is not what `as_json` can have written."""
        n, numbers, categories = decode.fields(value, "n", "numbers", "categories")
        return cls(
            decode.count(n),
            {trait: NumberAggregate.from_json(number) for trait, number in decode.items(numbers)},
            {trait: CategoryAggregate.from_json(category) for trait, category in decode.items(categories)},
        )


@dataclass(slots=True)
class Aggregate:
    """The running result of a sync.

    Attributes:
        profiles: entries that are objects, in a cluster or not.
        profile_errors: entries that are no object; they count nowhere else.
        vanished: profiles that were listed and gone before their traits were read; they count nowhere else.
        unclassified: profiles without any usable number trait; they are in no cluster.
        trait_errors: by the trait's name, in how many profiles it was there but not usable; under `traits`,
            in how many the traits as a whole were not an object. Only traits with errors are listed.
        clusters: by cluster key; only clusters that have a profile are listed.
    """

    profiles: int = 0
    profile_errors: int = 0
    vanished: int = 0
    unclassified: int = 0
    trait_errors: Counter[str] = field(default_factory=Counter)
    clusters: dict[str, ClusterAggregate] = field(default_factory=dict)

    def cluster(self, key: str) -> ClusterAggregate:
        """The statistics of a cluster, begun if need be."""
        if key not in self.clusters:
            self.clusters[key] = ClusterAggregate()
        return self.clusters[key]

    def merge(self, other: "Aggregate") -> None:
        """Add everything that `other` has counted; `other` is left as it is."""
        self.profiles += other.profiles
        self.profile_errors += other.profile_errors
        self.vanished += other.vanished
        self.unclassified += other.unclassified
        self.trait_errors.update(other.trait_errors)
        for key, cluster in other.clusters.items():
            self.cluster(key).merge(cluster)

    def to_bytes(self) -> bytes:
        """This aggregate as JSON: equal aggregates give equal bytes, and `from_bytes` an equal aggregate.

        First brings category counts down to their bound, so that whoever goes on with this object and
        whoever goes on from its bytes count alike.
        """
        for cluster in self.clusters.values():
            for category in cluster.categories.values():
                category.reduce()
        document = {
            "version": VERSION,
            "profiles": self.profiles,
            "profile_errors": self.profile_errors,
            "vanished": self.vanished,
            "unclassified": self.unclassified,
            "trait_errors": self.trait_errors,
            "clusters": {key: cluster.as_json() for key, cluster in self.clusters.items()},
        }
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Aggregate":
        """The aggregate that `to_bytes` wrote. Raises ValueError if `data` is anything else."""
        try:
            document = orjson.loads(data)
            if not isinstance(document, dict) or decode.count(document.get("version")) != VERSION:
                raise ValueError(f"expected version {VERSION}")
            return cls._from_json(document)
        except ValueError as error:
            raise ValueError(f"not a stored aggregate: {error}") from error

    @classmethod
    def _from_json(cls, document: object) -> "Aggregate":
        names = ("version", "profiles", "profile_errors", "vanished", "unclassified", "trait_errors", "clusters")
        _, profiles, profile_errors, vanished, unclassified, trait_errors, clusters = decode.fields(document, *names)
        return cls(
            decode.count(profiles),
            decode.count(profile_errors),
            decode.count(vanished),
            decode.count(unclassified),
            Counter({trait: decode.count(n) for trait, n in decode.items(trait_errors)}),
            {key: ClusterAggregate.from_json(cluster) for key, cluster in decode.items(clusters)},
        )


def merge(left: Aggregate, right: Aggregate) -> Aggregate:
    """A new aggregate with everything that either has counted; both are left as they are."""
    result = Aggregate()
    result.merge(left)
    result.merge(right)
    return result
