"""The columns of result rows, and the states of profiles that they count."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from worker.clusters.statistics.category import MAX_VALUES

Row = Sequence[Any]
"""A result row: `state`, `trait`, `bucket`, `words`, `n`, `whole`, `fine`, `rest` and `squares`.

A row counts `n` profiles. Which other columns are not NULL says what it counts:

    state               profiles of a state
    state trait bucket  values of a number, a date (age in days) or a boolean (1 or 0) in a bucket of the sketch
    state trait sums    sums of all values of a number or a date: `whole` / `SCALE` + `fine` / `FINE_SCALE` + `rest`,
                        and `squares`, the sum of the squared deviations from their mean
    state trait words   profiles of a category or list whose values are `words`, as the source has them
    state trait         profiles of a category whose values are usable and too rare to be returned
    trait words         values of a number, date or boolean that are not usable
    words               entries that the fold must read
"""

SCALE = 1024.0
FINE_SCALE = 2.0**62
"""A value is summed as an integer of the first part of 1, what is left as an integer of the second, and the rest as a
double. The first two sums are exact, and the rest is 0 for values from 0.001 on."""

NO_BUCKET = (1 << 16) - 1
"""The bucket of a profile without a value. It would be that of a NaN."""

KEPT_WORDS = 2 * MAX_VALUES
"""Usable words of a category that are returned of each cluster: more than are kept of them."""

NOT_AN_ENTRY = "E"
"""Text of an entry that is not a JSON object."""

WRONG_TRAITS = "T"
"""Text of an entry whose traits are not an object."""

SEVERAL_KEYS = "K"
"""Beginning of the text of a category or list if several of its keys have values; a JSON list of them follows."""


@dataclass(frozen=True, slots=True)
class States:
    """The states of a profile: 0 in no cluster, i + 1 in cluster i, and greater numbers for what is not in the page.

    Attributes:
        clusters: Number of clusters, and the last state of profiles whose traits are counted.
    """

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
