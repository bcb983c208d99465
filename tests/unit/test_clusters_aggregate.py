"""An aggregate as bytes, and the sum of two."""

import copy
from collections import Counter

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worker.clusters import Aggregate, fold, merge
from worker.clusters.aggregate import VERSION, ClusterAggregate
from worker.clusters.category import KEPT, CategoryAggregate
from worker.clusters.number import NumberAggregate

# A loaded machine is no reason to fail.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

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


@UNHURRIED
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
    document = orjson.loads(counted(PAGE).to_bytes())
    assert document["version"] == VERSION
    assert document["trait_errors"] == {"industries": 1}
    assert document["clusters"]["high_value"]["numbers"]["ltv"] == {"count": 1, "sum": [1200.1]}
    assert document["clusters"]["high_value"]["categories"]["plans"] == {
        "count": 1,
        "counts": {"pro": 1},
        "error": 0,
    }


def test_storing_bounds_the_categories_of_the_stored_object_too() -> None:
    aggregate = Aggregate()
    category = aggregate.cluster("new").category("plans")
    category.add([f"v{i}" for i in range(KEPT + 1)] * 2 + ["pro"] * 5)
    restored = Aggregate.from_bytes(aggregate.to_bytes())
    assert restored == aggregate
    assert category == CategoryAggregate(2 * KEPT + 7, Counter({"pro": 3}), error=2)


def test_a_merge_leaves_both_sides_as_they_are() -> None:
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
    return document(clusters={"new": {"n": 3, "numbers": {}, "categories": {}, **changes}})


def number(count: object, parts: object) -> bytes:
    return cluster(numbers={"ltv": {"count": count, "sum": parts}})


def category(count: object, counts: object, error: object = 0) -> bytes:
    return cluster(categories={"plans": {"count": count, "counts": counts, "error": error}})


MALFORMED = {
    "nothing": b"",
    "cut short": counted(PAGE).to_bytes()[:-1],
    "no text": b"\xff\xfe",
    "no object": b"[]",
    "null": b"null",
    "no version": b"{}",
    "other version": document(version=VERSION + 1),
    "version of another type": document(version=True),
    "unknown field": document(more=1),
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
    "category without fields": cluster(categories={"plans": {}}),
    "counts that are a list": category(1, []),
    "counts of more than were counted": category(1, {"pro": 2}),
    "count of zero": category(1, {"pro": 0}),
    "error that is too large": category(KEPT, {}, error=1),
    "too many values": category(1000, {f"v{i}": 1 for i in range(KEPT + 1)}),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a stored aggregate"):
        Aggregate.from_bytes(data)


@UNHURRIED
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
                "numbers": {"ltv": {"count": 2, "sum": [1e15, 1e-9]}},
                "categories": {"plans": {"count": KEPT + 2, "counts": {"pro": 1}, "error": 1}},
            }
        }
    )
    assert Aggregate.from_bytes(data).clusters == {
        "new": ClusterAggregate(
            3,
            {"ltv": NumberAggregate(2, [1e15, 1e-9])},
            {"plans": CategoryAggregate(KEPT + 2, Counter(pro=1), 1)},
        )
    }
