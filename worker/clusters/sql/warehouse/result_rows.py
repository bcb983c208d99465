"""Makes an `Aggregate` from the result rows of a warehouse.

Rows have the columns of `result_columns`. Numbers may be of any type: drivers return decimals for exact sums. Which
columns are not NULL says what a row counts:

    state                 profiles of a state
    state trait bucket    values in a bucket of the sketch; of a boolean, of 1 or 0
    state trait whole …   sums of all values of a number or date
    state trait [words]   profiles with a word; without `words`, with rare ones
    state trait bucket    of a list: profiles with a list
    trait [words]         values that are not usable by their shape; without `words`, of rare shapes
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from worker.clusters.rules.rules import Rules
from worker.clusters.sql.counted_values import CountedValues, make_aggregate, make_moments
from worker.clusters.sql.result_columns import Row
from worker.clusters.statistics.aggregate import Aggregate
from worker.clusters.statistics.category import CategoryAggregate


class WarehouseRowReader:
    """Reads result rows.

    Args:
        rules: The rules of the statement.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def read(self, rows: Iterable[Row]) -> Aggregate:
        """Returns the aggregate of all rows."""
        sizes: Counter[int] = Counter()
        values: defaultdict[tuple[int, int], CountedValues] = defaultdict(CountedValues)
        words: defaultdict[tuple[int, int], CategoryAggregate] = defaultdict(CategoryAggregate)
        errors: defaultdict[int, CategoryAggregate] = defaultdict(CategoryAggregate)
        for state, trait, bucket, text, counted, whole, fine, rest, squares in rows:
            n = int(counted)
            if trait is None:
                sizes[int(state)] += n
            elif state is None:
                errors[int(trait)].count += n
                if text is not None:
                    errors[int(trait)].counts[text] += n
            elif self._rules.traits[int(trait)].type in ("category", "list"):
                found = words[int(state), int(trait)]
                if bucket is not None or self._rules.traits[int(trait)].type == "category":
                    found.count += n
                if text is not None:
                    found.counts[text] += n
            elif bucket is not None:
                values[int(state), int(trait)].buckets[int(bucket)] += n
            else:
                moments = make_moments(n, int(whole), int(fine), float(rest), float(squares))
                values[int(state), int(trait)].moments = moments
        result = make_aggregate(self._rules, sizes, values)
        for (state, trait), found in words.items():
            found.drop_rarest()
            result.clusters[self._rules.cluster_keys[state - 1]].categories[self._rules.traits[trait].name] = found
        for trait, shapes in errors.items():
            shapes.drop_rarest()
            name = self._rules.traits[trait].name
            result.trait_errors[name] += shapes.count
            result.error_shapes[name] = shapes
        return result
