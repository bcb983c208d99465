"""One category or list trait in one cluster: how many profiles have it, and in how many each value occurs.

Memory is bounded by a Misra-Gries summary, in its mergeable form (Agarwal et al., "Mergeable summaries",
2013): up to `KEPT` distinct values every count is exact. Beyond, the count of the value that ranks just
below is taken off all counts and the values that reach 0 are forgotten. A count is then too low by at most
`error`, which is at most a share of 1 / (KEPT + 1) of all values, so no frequent one is ever lost.

A value that few profiles have may stand for one person. Before counts are stored, such values are *concealed*: a digest
goes on counting in their place, and gives way to the value once that has come often enough.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from hashlib import blake2b
from heapq import nlargest, nsmallest
from itertools import chain

from worker.clusters.parsing.words import is_name
from worker.clusters.statistics import serialization

KEPT = 256
"""Distinct values kept for each cluster and trait. In memory it may be twice as many, so that not every
page of ever new values pays for a reduction."""

HELD_BY = 3
"""Profiles that must have a value for it to be stored or shown."""

NAME_WORDS = 3
"""Words that a value may have to be taken for a name. One with more may be a sentence, and an instruction."""

SENTENCE_FACTOR = 5
"""A few profiles must not speak to the reader of a persona: a sentence needs so many times the share of a name."""


@dataclass(slots=True)
class CategoryAggregate:
    """Statistics of words.

    Attributes:
        count: how many profiles have the trait.
        counts: how many profiles have each value, or each digest of one, too low by at most `error`. A value may stand
            there beside its own digest until it is `united` with it.
    """

    count: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    error: int = 0

    def add(self, values: Collection[str]) -> None:
        """Count one value for each of as many profiles."""
        self._add(values, len(values))

    def add_lists(self, lists: Collection[Collection[str]]) -> None:
        """Count distinct values for each of as many profiles."""
        self._add(list(chain.from_iterable(lists)), len(lists))

    def merge(self, other: "CategoryAggregate") -> None:
        """Add everything that `other` has counted."""
        self.count += other.count
        self.counts.update(other.counts)
        self.error += other.error
        self.unite()
        if len(self.counts) > 2 * KEPT:
            self.reduce()

    def reduce(self, kept: int | None = None) -> None:
        """Forget the rarest values until at most `KEPT` are left, or `kept` if that is less. The result depends on the
        counts alone."""
        kept = KEPT if kept is None else min(kept, KEPT)
        self.unite()
        if len(self.counts) > kept:
            excess = nlargest(kept + 1, self.counts.values())[-1]
            self.counts = Counter({value: n - excess for value, n in self.counts.items() if n > excess})
            self.error += excess

    def unite(self) -> None:
        """Counts each value together with what its digest has counted."""
        if any(map(_is_digest, self.counts)):
            for value in [value for value in self.counts if not _is_digest(value)]:
                self.counts[value] += self.counts.pop(_digest(value), 0)

    def conceal(self) -> None:
        """Puts a digest in the place of each value that fewer than `HELD_BY` profiles have."""
        self.unite()
        if min(self.counts.values(), default=HELD_BY) < HELD_BY:
            self.counts = Counter(
                {value if n >= HELD_BY or _is_digest(value) else _digest(value): n for value, n in self.counts.items()}
            )

    def shown(self, least_share: float = 0.0) -> dict[str, int]:
        """The values that may be shown, and how many profiles have each.

        Args:
            least_share: of the profiles that have the trait, how many must have the value (0 to 1); of a value that
                may be a sentence, `SENTENCE_FACTOR` times as many. At least `HELD_BY` must have it in any case.
        """
        self.unite()
        least = max(HELD_BY, least_share * self.count)
        found = {value: n for value, n in self.counts.items() if n >= least and not _is_digest(value)}
        least = min(SENTENCE_FACTOR * least_share, 1.0) * self.count
        return {value: n for value, n in found.items() if n >= least or is_name(value, NAME_WORDS)}

    def most_frequent(self, limit: int, least_share: float = 0.0) -> list[tuple[str, int]]:
        """The `limit` most frequent values that are `shown`, and their counts, ties in order of the values."""
        return nsmallest(limit, self.shown(least_share).items(), key=lambda item: (-item[1], item[0]))

    def as_json(self) -> dict[str, object]:
        return {"count": self.count, "counts": self.counts, "error": self.error}

    @classmethod
    def from_json(cls, value: object) -> "CategoryAggregate":
        """The reverse of `as_json`. Raises ValueError if this is not what `as_json` can have written."""
        raw_count, raw_counts, raw_error = serialization.fields(value, "count", "counts", "error")
        count, error = serialization.count(raw_count), serialization.count(raw_error)
        counts = Counter({name: serialization.count(n) for name, n in serialization.items(raw_counts)})
        if len(counts) > KEPT or max(counts.values(), default=0) + error > count or 0 in counts.values():
            raise ValueError("not a summary of that many profiles")
        return cls(count, counts, error)

    def _add(self, values: Collection[str], profiles: int) -> None:
        self.count += profiles
        self.counts.update(values)
        if len(self.counts) > 2 * KEPT:
            self.reduce()


def _digest(value: str) -> str:
    # No category begins with a space.
    return " " + blake2b(value.encode(), digest_size=8).hexdigest()


def _is_digest(value: str) -> bool:
    return value[:1] == " "
