"""What result rows count: how a state, a trait and a bucket are one number."""

from dataclasses import dataclass

BUCKETS = 1 << 16
NO_BUCKET = BUCKETS - 1
"""The bucket of a profile without a value. It would be that of a NaN."""

SCALE = 1024.0
"""Values are summed as integers of this part, and what is left as doubles."""


@dataclass(frozen=True, slots=True)
class Cells:
    """How a result row says what it counts: `(state * traits + trait) * BUCKETS + bucket`.

    A state is 0 for profiles in no cluster, i + 1 for cluster i, and then:

    Attributes:
        traits: Number of traits.
        clusters: Number of clusters.
    """

    traits: int
    clusters: int

    @property
    def filtered(self) -> int:
        """The state of profiles that the filter excludes."""
        return self.clusters + 1

    @property
    def merged(self) -> int:
        """The state of rows that are part of other profiles."""
        return self.clusters + 2

    @property
    def left_out(self) -> int:
        """The state of profiles that are not in the sample."""
        return self.clusters + 3

    @property
    def odd(self) -> int:
        """The state of entries that the fold must read."""
        return self.clusters + 4
