"""Statistics of one category or list trait in one cluster: how many profiles have each value.

Memory is bounded by a mergeable Misra-Gries summary (Agarwal et al., "Mergeable summaries", 2013). Up to `MAX_VALUES`
distinct values every count is exact. Beyond that, the count of the next value by rank is subtracted from all counts and
values that reach 0 are dropped. A count is then too low by at most `error`, which is at most 1 / (MAX_VALUES + 1) of
all values, so a frequent value is never lost.

A value that few profiles have may identify a person. Before counts are stored, such values are replaced by digests. A
digest is counted like its value and gives way to it once enough profiles have it.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from hashlib import blake2b
from heapq import nlargest, nsmallest
from itertools import chain

from worker.clusters.parsing.words import is_name
from worker.clusters.statistics import serialization

MAX_VALUES = 256
"""Distinct values kept for each cluster and trait. In memory there may be twice as many, so that the cost of dropping
values is not paid for every page."""

MIN_PROFILES = 3
"""Fewest profiles that must have a value for it to be stored or shown."""

MAX_NAME_WORDS = 3
"""Most words of a value that is treated as a name. A longer one may be a sentence, and so an instruction."""

SENTENCE_FACTOR = 5
"""How many times the minimum share of a name a sentence needs, so that a few profiles cannot instruct the model that
reads a persona."""


@dataclass(slots=True)
class CategoryAggregate:
    """Running statistics of words.

    Attributes:
        count: Number of profiles that have the trait.
        counts: Number of profiles by value or digest of a value, too low by at most `error`. A value may be present
            beside its own digest until `merge_digests` is called.
        error: Largest number by which a count may be too low.
    """

    count: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    error: int = 0

    def add(self, values: Collection[str]) -> None:
        """Counts values, one for each profile."""
        self._add(values, len(values))

    def add_lists(self, lists: Collection[Collection[str]]) -> None:
        """Counts lists of distinct values, one for each profile."""
        self._add(list(chain.from_iterable(lists)), len(lists))

    def merge(self, other: "CategoryAggregate") -> None:
        """Adds everything that `other` has counted."""
        self.count += other.count
        self.counts.update(other.counts)
        self.error += other.error
        self.merge_digests()
        if len(self.counts) > 2 * MAX_VALUES:
            self.drop_rarest()

    def drop_rarest(self, max_values: int | None = None) -> None:
        """Drops the rarest values. The result depends on the counts alone.

        Args:
            max_values: Most values to keep, if that is less than `MAX_VALUES`.
        """
        kept = MAX_VALUES if max_values is None else min(max_values, MAX_VALUES)
        self.merge_digests()
        if len(self.counts) > kept:
            excess = nlargest(kept + 1, self.counts.values())[-1]
            self.counts = Counter({value: n - excess for value, n in self.counts.items() if n > excess})
            self.error += excess

    def merge_digests(self) -> None:
        """Adds the count of each digest to its value, if the value is present."""
        if any(map(_is_digest, self.counts)):
            for value in [value for value in self.counts if not _is_digest(value)]:
                self.counts[value] += self.counts.pop(_digest(value), 0)

    def conceal_rare(self) -> None:
        """Replaces each value that fewer than `MIN_PROFILES` profiles have by its digest."""
        self.merge_digests()
        if min(self.counts.values(), default=MIN_PROFILES) < MIN_PROFILES:
            self.counts = Counter(
                {
                    value if n >= MIN_PROFILES or _is_digest(value) else _digest(value): n
                    for value, n in self.counts.items()
                }
            )

    def disclosable(self, min_share: float = 0.0) -> dict[str, int]:
        """Returns the values that may be shown, each with the number of profiles that have it.

        Args:
            min_share: Share of the profiles with the trait that must have the value (0 to 1). A value that may be a
                sentence needs `SENTENCE_FACTOR` times this share. `MIN_PROFILES` must have it in any case.
        """
        self.merge_digests()
        least = max(MIN_PROFILES, min_share * self.count)
        found = {value: n for value, n in self.counts.items() if n >= least and not _is_digest(value)}
        least = min(SENTENCE_FACTOR * min_share, 1.0) * self.count
        return {value: n for value, n in found.items() if n >= least or is_name(value, MAX_NAME_WORDS)}

    def most_frequent(self, limit: int, min_share: float = 0.0) -> list[tuple[str, int]]:
        """Returns the `limit` most frequent disclosable values and their counts, ties in order of the values."""
        return nsmallest(limit, self.disclosable(min_share).items(), key=lambda item: (-item[1], item[0]))

    def as_json(self) -> dict[str, object]:
        """Returns the aggregate as JSON data."""
        return {"count": self.count, "counts": self.counts, "error": self.error}

    @classmethod
    def from_json(cls, value: object) -> "CategoryAggregate":
        """Reads what `as_json` returned. Raises ValueError if it cannot have returned this value."""
        raw_count, raw_counts, raw_error = serialization.fields(value, "count", "counts", "error")
        count, error = serialization.count(raw_count), serialization.count(raw_error)
        counts = Counter({name: serialization.count(n) for name, n in serialization.items(raw_counts)})
        if len(counts) > MAX_VALUES or max(counts.values(), default=0) + error > count or 0 in counts.values():
            raise ValueError("not a summary of that many profiles")
        return cls(count, counts, error)

    def _add(self, values: Collection[str], profiles: int) -> None:
        self.count += profiles
        self.counts.update(values)
        if len(self.counts) > 2 * MAX_VALUES:
            self.drop_rarest()


def _digest(value: str) -> str:
    # Categories never begin with a space.
    return " " + blake2b(value.encode(), digest_size=8).hexdigest()


def _is_digest(value: str) -> bool:
    return value[:1] == " "
