"""The JSON of a sync's statistics: the form that it promises, and what it must not show of single profiles."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from producer.sandbox import SpaceSpec
from tests.support.syncs.snapshots import completed, counted, fetching, queued
from worker.clusters.statistics.numeric import NumberAggregate
from worker.documents.statistics_document import SyncStatistics, histogram, statistics_document
from worker.models.sync import Sync


def numbers(*values: float) -> NumberAggregate:
    found = NumberAggregate()
    found.add(values)
    return found


@pytest.mark.parametrize(
    "sync",
    [queued(), fetching(), completed(), completed(aggregate=counted(SpaceSpec(900, "mixed")))],
    ids=["queued", "fetching", "completed", "mixed"],
)
def test_the_document_has_the_form_that_it_promises(sync: Sync) -> None:
    document = statistics_document(sync)
    TypeAdapter(SyncStatistics).validate_python(document, strict=True)


def test_a_completed_sync_has_the_fields_of_its_personas() -> None:
    found: Any = statistics_document(completed())
    payloads = {cluster["key"]: cluster.get("payload") for cluster in found["clusters"]}
    assert payloads["new"] is None
    assert payloads["growth"]["psychographic"]["avg_ltv"] == 450.0


def test_few_values_have_no_shares_spread_or_histogram() -> None:
    found: Any = statistics_document(completed())  # twenty profiles a cluster
    cluster = found["clusters"][0]
    assert cluster["numbers"]["ltv"]["mean"] == 1200.0
    for name in ("std", "median", "p10", "p90", "histogram"):
        assert cluster["numbers"]["ltv"][name] is None
    assert cluster["categories"]["plans"]["top"] == [{"value": "pro", "share": None}]


def test_a_histogram_counts_what_is_within_its_bounds() -> None:
    shown: Any = histogram(numbers(*(step / 64 for step in range(640)), -5.5, 99.5), 0.0, 9.984375)
    assert sum(shown["counts"]) == 640
    assert (shown["edges"][0], shown["edges"][-1]) == (0.0, 9.984375)
    assert max(shown["counts"]) - min(shown["counts"]) < 7


def test_whole_numbers_are_counted_one_by_one_if_they_are_few() -> None:
    shown: Any = histogram(numbers(*[0] * 9, *[1] * 5, *[3] * 7), 0.0, 3.0)
    assert shown == {"edges": [-0.5, 0.5, 1.5, 2.5, 3.5], "counts": [9, 5, 0, 7]}


def test_a_bin_of_one_or_two_profiles_does_not_say_how_many() -> None:
    shown: Any = histogram(numbers(*[0] * 9, 1, 2, 2, *[3] * 7), 0.0, 3.0)
    assert shown["counts"] == [9, None, None, 7]


def test_equal_values_have_no_histogram() -> None:
    assert histogram(numbers(*[4.0] * 50), 4.0, 4.0) is None
