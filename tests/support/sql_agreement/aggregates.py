"""What the fold makes of entries, and whether an aggregate of a statement equals it."""

from __future__ import annotations

import orjson
import pytest
import sqlglot

from worker.clusters import Aggregate, Rules, fold
from worker.clusters.statistics.category import MIN_PROFILES

NOW = 1_772_366_400.123456


def folded(entries: list[object], rules: Rules) -> Aggregate:
    aggregate = Aggregate()
    fold(aggregate, entries, rules, as_of=NOW)
    return aggregate


def assert_equal(found: Aggregate, expected: Aggregate) -> None:
    """Equal bytes, apart from what may differ in its last digits: sums and spreads."""
    for key, cluster in expected.clusters.items():
        for trait, number in cluster.numbers.items():
            other = found.clusters[key].numbers[trait]
            assert (other.mean is None) == (number.mean is None)
            if number.mean is not None:
                assert other.mean == pytest.approx(number.mean, rel=1e-9, abs=1e-18)
            if number.std is not None:
                largest = max(abs(bound) for bound, _ in number.sketch.counted_values())
                assert other.std == pytest.approx(number.std, rel=1e-9, abs=1e-15 * largest)
    assert without_sums(found) == without_sums(expected)
    assert Aggregate.from_bytes(found.to_bytes()) == found


def without_sums(aggregate: Aggregate) -> object:
    document = orjson.loads(aggregate.to_bytes())
    for cluster in document["clusters"].values():
        for number in cluster["numbers"].values():
            del number["squares"], number["sum"]
    return document


ENTRIES = sqlglot.parse_one("(SELECT UNNEST($rows)::JSON AS json)", dialect="duckdb")


def reported(aggregate: Aggregate) -> dict[str, object]:
    """Returns what reports and personas show of an aggregate, without the sums."""
    return {
        "counts": (
            *(aggregate.profiles, aggregate.profile_errors, aggregate.filtered, aggregate.unclassified),
            *(aggregate.merged, aggregate.left_out),
        ),
        "errors": dict(aggregate.trait_errors),
        "shapes": {
            trait: {shape: n for shape, n in shapes.counts.items() if n >= MIN_PROFILES}
            for trait, shapes in aggregate.error_shapes.items()
        },
        "clusters": {
            key: (
                cluster.n,
                {trait: (number.count, number.sketch.buckets) for trait, number in cluster.numbers.items()},
                {trait: (one.count, one.true) for trait, one in cluster.booleans.items()},
                {trait: (one.count, one.disclosable()) for trait, one in cluster.categories.items()},
            )
            for key, cluster in aggregate.clusters.items()
        },
    }
