"""An aggregate as bytes, and the sum of two."""

import copy
from collections import Counter

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.syncs.merging import merge
from worker.clusters import RECIPE, Aggregate, fold
from worker.clusters.statistics.aggregate import MAX_BYTES, VERSION, ClusterAggregate
from worker.clusters.statistics.boolean import BooleanAggregate
from worker.clusters.statistics.category import MAX_VALUES, CategoryAggregate
from worker.clusters.statistics.numeric import Moments, NumberAggregate
from worker.clusters.statistics.quantile_sketch import QuantileSketch
from worker.clusters.statistics.serialization import NewerVersion

PAGE: list[object] = [
    {"traits": {"ltv": 1200.1, "purchase_count": 8, "churn_risk": 0.05, "industry": "SaaS", "plan": "pro"}},
    {"traits": {"ltv": 1e-9, "churn_risk": 0.7, "industry": 5}},
    {"traits": {}},
    "nobody",
]


def counted(page: list[object]) -> Aggregate:
    aggregate = Aggregate()
    fold(aggregate, page)
    return aggregate


def test_an_aggregate_survives_its_bytes() -> None:
    for aggregate in (Aggregate(), counted(PAGE), counted(PAGE * 7)):
        assert Aggregate.from_bytes(aggregate.to_bytes()) == aggregate


def test_a_newer_version_is_named_and_unknown_fields_are_ignored() -> None:
    with pytest.raises(NewerVersion) as caught:
        Aggregate.from_bytes(document(version=VERSION + 1))
    assert caught.value.version == VERSION + 1
    changed = orjson.loads(document(more=1))
    changed["clusters"]["new"] = {**changed["clusters"]["at_risk"], "more": 1}
    read = Aggregate.from_bytes(orjson.dumps(changed))
    assert read.clusters["new"] == read.clusters["at_risk"] == counted(PAGE).clusters["at_risk"]


def test_fields_unknown_to_0_1_0_are_kept_where_it_does_not_touch_them() -> None:
    aggregate = counted(PAGE)
    aggregate.unreadable, aggregate.merged = 3, 4
    stored = orjson.loads(aggregate.to_bytes())
    known = {"version", "trait_errors", "clusters", "profiles", "profile_errors", "vanished", "left_out", "filtered"}
    assert set(stored) == known | {"unclassified"}
    assert {key for key in stored["clusters"] if key not in RECIPE.cluster_keys} == {
        ".error_shapes",
        ".unreadable",
        ".merged",
    }
    assert {tuple(cluster) for cluster in stored["clusters"].values()} == {("booleans", "categories", "n", "numbers")}
    assert Aggregate.from_bytes(aggregate.to_bytes()) == aggregate


def test_a_document_of_a_version_after_0_1_0_that_has_fields_for_these_is_read() -> None:
    aggregate = counted(PAGE)
    aggregate.unreadable, aggregate.merged = 3, 4
    stored = orjson.loads(aggregate.to_bytes())
    shapes = stored["clusters"].pop(".error_shapes")["categories"]
    del stored["clusters"][".unreadable"], stored["clusters"][".merged"]
    stored |= {"unreadable": 3, "merged": 4, "error_shapes": shapes}
    assert Aggregate.from_bytes(orjson.dumps(stored)) == aggregate


@given(st.lists(st.floats(-1e15, 1e15)))
def test_floats_survive_the_bytes_exactly(values: list[float]) -> None:
    aggregate = Aggregate()
    aggregate.cluster("new").number("ltv").add(values)
    restored = Aggregate.from_bytes(aggregate.to_bytes())
    assert restored == aggregate
    assert restored.to_bytes() == aggregate.to_bytes()


def test_equal_aggregates_give_equal_bytes_whatever_came_first() -> None:
    assert counted(PAGE).to_bytes() == counted(PAGE[::-1]).to_bytes()


def test_the_bytes_are_one_json_document_with_a_version() -> None:
    document = orjson.loads(counted(PAGE[:1] * 3).to_bytes())
    assert document["version"] == VERSION
    assert document["profiles"] == 3
    assert document["clusters"]["high_value"]["numbers"]["purchase_count"] == {
        "count": 3,
        "sum": [24.0],
        "squares": 0.0,
        "sketch": {"coarseness": 0, "steps": [0x4100], "counts": [3]},  # 8.0 begins with 41 00
    }
    assert document["clusters"]["high_value"]["categories"]["plans"] == {
        "count": 3,
        "counts": {"pro": 3},
        "error": 0,
    }


def test_no_value_that_fewer_than_three_profiles_have_is_in_the_bytes() -> None:
    assert b"SaaS" in counted(PAGE * 3).to_bytes()
    assert b"SaaS" not in counted(PAGE * 2).to_bytes()


def test_storing_bounds_the_categories_of_the_stored_object_too() -> None:
    aggregate = Aggregate()
    category = aggregate.cluster("new").category("plans")
    category.add([f"v{i}" for i in range(MAX_VALUES + 1)] * 2 + ["pro"] * 5)
    restored = Aggregate.from_bytes(aggregate.to_bytes())
    assert restored == aggregate
    assert category == CategoryAggregate(2 * MAX_VALUES + 7, Counter({"pro": 3}), error=2)


def test_a_merge_leaves_both_sides_unchanged() -> None:
    left, right = counted(PAGE), counted(PAGE[:1])
    before = copy.deepcopy((left, right))
    merged = merge(left, right)
    fold(merged, PAGE)
    assert (left, right) == before


def test_a_merge_adds_everything_up() -> None:
    assert merge(counted(PAGE), counted(PAGE * 2)) == counted(PAGE * 3)
    assert merge(Aggregate(), counted(PAGE)) == counted(PAGE) == merge(counted(PAGE), Aggregate())


def document(**changes: object) -> bytes:
    return orjson.dumps({**orjson.loads(counted(PAGE).to_bytes()), **changes})


def cluster(**changes: object) -> bytes:
    return document(clusters={"new": {"n": 3, "numbers": {}, "categories": {}, "booleans": {}, **changes}})


EMPTY_SKETCH = {"coarseness": 0, "steps": [], "counts": []}


def number(count: object, parts: object, squares: object = 0.0, sketch: object = EMPTY_SKETCH) -> bytes:
    return cluster(numbers={"ltv": {"count": count, "sum": parts, "squares": squares, "sketch": sketch}})


def sketch(coarseness: object, steps: object, counts: object) -> bytes:
    return number(1, [1.0], sketch={"coarseness": coarseness, "steps": steps, "counts": counts})


def boolean(count: object, true: object) -> bytes:
    return cluster(booleans={"trial": {"count": count, "true": true}})


def category(count: object, counts: object, error: object = 0) -> bytes:
    return cluster(categories={"plans": {"count": count, "counts": counts, "error": error}})


MALFORMED = {
    "nothing": b"",
    "cut short": counted(PAGE).to_bytes()[:-1],
    "no text": b"\xff\xfe",
    "no object": b"[]",
    "null": b"null",
    "no version": b"{}",
    "version zero": document(version=0),
    "version of another type": document(version=True),
    "negative count": document(profiles=-1),
    "count that is a float": document(unclassified=1.0),
    "count that is a bool": document(profile_errors=True),
    "errors that are a list": document(trait_errors=[]),
    "error count that is text": document(trait_errors={"ltv": "1"}),
    "clusters that are a list": document(clusters=[]),
    "cluster that is null": document(clusters={"new": None}),
    "cluster without fields": document(clusters={"new": {}}),
    "numbers that are a list": cluster(numbers=[]),
    "number without fields": cluster(numbers={"ltv": {}}),
    "parts that are an object": number(1, {}),
    "part that is an integer": number(1, [1]),
    "part that is null": number(1, [None]),
    "part that is infinite": number(1, [1.0]).replace(b"1.0", b"1e999"),
    "part that is zero": number(1, [0.0]),
    "parts that are not canonical": number(2, [1.0, 1.0]),
    "sum without values": number(0, [1.0]),
    "sum beyond its values": number(1, [1.1e15]),
    "parts that would overflow": number(3, [1.7e308, 1.7e308]),
    "spread that is negative": number(2, [1.0], -1.0),
    "spread that is an integer": number(2, [1.0], 1),
    "spread beyond its values": number(2, [1.0], 1e32),
    "sketch without fields": number(1, [1.0], 0.0, {}),
    "buckets without counts": sketch(0, [1, 1], [1]),
    "buckets that are not integers": sketch(0, [1.0], [1]),
    "buckets that are below 0": sketch(0, [-1], [1]),
    "buckets that are not in order": sketch(0, [5, 0], [1, 1]),
    "bucket of an infinity": sketch(0, [0x7F80], [1]),
    "bucket that is too high": sketch(2, [0x4000], [1]),
    "empty bucket": sketch(0, [5], [0]),
    "sketch that is too coarse": sketch(14, [1], [1]),
    "too many fine buckets": sketch(0, [1] * 513, [1] * 513),
    "too many buckets": sketch(1, [1] * 2049, [1] * 2049),
    "boolean without fields": cluster(booleans={"trial": {}}),
    "more that is true than there is": boolean(1, 2),
    "category without fields": cluster(categories={"plans": {}}),
    "counts that are a list": category(1, []),
    "counts of more than were counted": category(1, {"pro": 2}),
    "count of zero": category(1, {"pro": 0}),
    "error that is too large": category(MAX_VALUES, {"pro": 1}, error=MAX_VALUES),
    "too many values": category(1000, {f"v{i}": 1 for i in range(MAX_VALUES + 1)}),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a stored aggregate"):
        Aggregate.from_bytes(data)


@given(
    st.binary() | st.recursive(st.none() | st.integers(-9, 9) | st.floats(allow_nan=False), st.lists).map(orjson.dumps)
)
def test_arbitrary_bytes_are_refused_with_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a stored aggregate"):
        Aggregate.from_bytes(data)


def test_well_formed_bytes_written_by_hand_are_read() -> None:
    data = document(
        clusters={
            "new": {
                "n": 3,
                "numbers": {
                    "ltv": {
                        "count": 2,
                        "sum": [1e15, 1e-9],
                        "squares": 5e29,
                        "sketch": {"coarseness": 0, "steps": [0x3089, 0x27DA], "counts": [1, 1]},
                    }
                },
                "categories": {"plans": {"count": MAX_VALUES + 2, "counts": {"pro": 1}, "error": 1}},
                "booleans": {"trial": {"count": 2, "true": 1}},
            }
        }
    )
    assert Aggregate.from_bytes(data).clusters == {
        "new": ClusterAggregate(
            3,
            {"ltv": NumberAggregate(Moments(2, (1e15, 1e-9), 5e29), QuantileSketch(0, {0x3089: 1, 0x5863: 1}))},
            {"plans": CategoryAggregate(MAX_VALUES + 2, Counter(pro=1), 1)},
            {"trial": BooleanAggregate(2, 1)},
        )
    }


def test_unreadable_profiles_are_written_only_if_there_are_any() -> None:
    aggregate = Aggregate()
    assert b"unreadable" not in aggregate.to_bytes()  # so that an earlier version can read it
    aggregate.unreadable = 2
    again = Aggregate.from_bytes(aggregate.to_bytes())
    again.merge(aggregate)
    assert again.unreadable == 4


def test_an_aggregate_of_very_many_traits_fits_its_bytes() -> None:
    aggregate = Aggregate()
    for key in range(20):
        for trait in range(10):
            aggregate.cluster(f"c{key}").category(f"words_{trait}").add(
                [f"{i:03d}" + "\U0001f600" * 97 for i in range(500)]
            )
            aggregate.cluster(f"c{key}").number(f"number_{trait}").add([1.01**i for i in range(-1000, 1000)])
    data = aggregate.to_bytes()
    assert len(data) <= MAX_BYTES
    assert Aggregate.from_bytes(data) == aggregate
    assert Aggregate.from_bytes(data).to_bytes() == data
    number = aggregate.clusters["c7"].numbers["number_3"]
    assert number.sketch.quantile(0.5) == pytest.approx(1.01**-1, rel=2.0 ** (number.sketch.coarseness - 8))


def test_the_default_rules_are_far_from_the_bound_whatever_they_count() -> None:
    aggregate = Aggregate()
    for key in RECIPE.cluster_keys:
        for trait in RECIPE.traits:
            if trait.type == "number":
                aggregate.cluster(key).number(trait.name).add(
                    [sign * 1.002**i for i in range(17_000) for sign in (-1, 1)]
                )
            else:
                aggregate.cluster(key).category(trait.name).add([f"{i:0100d}" for i in range(500)])
    assert len(aggregate.to_bytes()) < MAX_BYTES


def test_merged_rows_are_written_only_if_there_are_any() -> None:
    assert "merged" not in orjson.loads(Aggregate(profiles=1).to_bytes())
    aggregate = Aggregate(profiles=1, merged=2)
    assert Aggregate.from_bytes(aggregate.to_bytes()) == aggregate
    assert merge(aggregate, Aggregate(merged=3)).merged == 5
