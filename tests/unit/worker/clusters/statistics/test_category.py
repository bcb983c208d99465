"""Category counts in bounded memory: exact while there are few values, off by a known bound beyond."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from worker.clusters.statistics import category
from worker.clusters.statistics.category import MAX_VALUES, MIN_PROFILES, CategoryAggregate


def counted(values: list[str]) -> CategoryAggregate:
    aggregate = CategoryAggregate()
    aggregate.add(values)
    return aggregate


def test_up_to_the_bound_every_count_is_exact() -> None:
    values = [f"v{i}" for i in range(MAX_VALUES) for _ in range(i % 5 + 1)]
    aggregate = counted(values)
    aggregate.drop_rarest()
    assert aggregate == CategoryAggregate(len(values), Counter(values), error=0)


def test_one_value_too_many_costs_every_count_no_more_than_its_own() -> None:
    kept = [f"v{i}" for i in range(MAX_VALUES)]
    aggregate = counted([*kept * 3, "rare"])
    aggregate.drop_rarest()
    assert aggregate == CategoryAggregate(3 * MAX_VALUES + 1, Counter(kept * 2), error=1)


def test_memory_stays_bounded_however_many_values_there_are() -> None:
    aggregate = CategoryAggregate()
    for page in range(200):
        aggregate.add([f"v{page}-{i}" for i in range(100)])
        assert len(aggregate.counts) <= 2 * MAX_VALUES
    aggregate.drop_rarest()
    assert len(aggregate.counts) <= MAX_VALUES
    assert aggregate.count == 20_000


def test_a_frequent_value_survives_a_flood_of_rare_ones() -> None:
    aggregate = CategoryAggregate()
    for page in range(100):
        aggregate.add(["SaaS"] * 20 + [f"v{page}-{i}" for i in range(180)])
    [(value, n)] = aggregate.most_frequent(1)
    assert value == "SaaS"
    assert 2000 - aggregate.error <= n <= 2000


def test_merging_bounds_memory_too() -> None:
    left = counted([f"a{i}" for i in range(2 * MAX_VALUES)])
    left.merge(counted([f"b{i}" for i in range(2 * MAX_VALUES)]))
    assert len(left.counts) <= MAX_VALUES
    assert left.count == 4 * MAX_VALUES
    assert left.error == 1


def test_the_most_frequent_come_first_and_ties_in_order_of_their_names() -> None:
    aggregate = counted([*"bbb", *"ccc", *"aaaa", *"dddd", *"ee"])
    assert aggregate.most_frequent(3) == [("a", 4), ("d", 4), ("b", 3)]
    assert counted(["a", "a", "b"]).most_frequent(3) == []


def test_rare_values_are_stored_as_digests_and_counted_on() -> None:
    aggregate = counted([*["pro"] * 3, *["Jane Doe"] * 2, "Ada"])
    aggregate.conceal_rare()
    assert set(aggregate.counts) > {"pro"}
    assert sorted(aggregate.counts.values()) == [1, 2, 3]
    assert not {"Jane Doe", "Ada"} & set(aggregate.counts)
    assert aggregate.disclosable() == {"pro": 3}
    restored = CategoryAggregate.from_json(aggregate.as_json())
    for again in (aggregate, restored):
        again.add(["Jane Doe", "Ada"])
        assert again.disclosable() == {"pro": 3, "Jane Doe": 3}
        again.conceal_rare()
        assert again.count == 8
        assert sorted(again.counts.values()) == [2, 3, 3]
    assert aggregate == restored


def test_a_value_and_its_digest_are_one_when_they_meet() -> None:
    concealed = counted(["pro", "team"])
    concealed.conceal_rare()
    total = counted(["pro", "pro"])
    total.merge(concealed)
    assert total.disclosable() == {"pro": 3}
    assert (total.count, len(total.counts)) == (4, 2)
    other = counted(["pro"])
    other.conceal_rare()
    concealed.merge(other)
    concealed.merge(other)
    assert concealed.disclosable() == {}  # its name is not kept
    concealed.add(["pro"])
    assert concealed.disclosable() == {"pro": 4}


@given(st.lists(st.sampled_from("abcdefgh"), max_size=60), st.data())
def test_concealing_in_between_changes_no_count(values: list[str], data: st.DataObject) -> None:
    aggregate = CategoryAggregate()
    for value in values:
        aggregate.add([value])
        if data.draw(st.booleans()):
            aggregate.conceal_rare()
        if data.draw(st.booleans()):
            aggregate = CategoryAggregate.from_json(aggregate.as_json())
    expected = Counter(values)
    assert aggregate.disclosable() == {value: n for value, n in expected.items() if n >= MIN_PROFILES}
    assert (aggregate.count, aggregate.counts.total()) == (len(values), len(values))
    assert len(aggregate.counts) == len(expected)


chunks = st.lists(st.lists(st.sampled_from("abcdefghijklmnop"), max_size=20), max_size=12)


@examples(80, thorough=1000)
@given(chunks, st.data())
def test_a_count_is_too_low_by_at_most_the_reported_error(pages: list[list[str]], data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(category, "MAX_VALUES", 3)  # so that 16 letters overflow it
        parts = [CategoryAggregate()]
        for page in pages:
            step = data.draw(st.sampled_from(["same", "new", "store"]))
            if step == "new":
                parts.append(CategoryAggregate())
            if step == "store":
                parts[-1].drop_rarest()
            parts[-1].add(page)
        total = CategoryAggregate()
        for part in parts:
            total.merge(part)
        total.drop_rarest()
        truth = Counter(letter for page in pages for letter in page)
        assert total.count == truth.total()
        assert len(total.counts) <= 3
        assert total.error <= truth.total() / (3 + 1)
        for letter, true in truth.items():
            assert true - total.error <= total.counts[letter] <= true
        assert CategoryAggregate.from_json(total.as_json()) == total


@given(st.permutations([f"v{i % 40}" for i in range(100)]))
def test_the_order_of_values_does_not_matter(values: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(category, "MAX_VALUES", 10)
        aggregate = CategoryAggregate(len(values), Counter(values))
        aggregate.drop_rarest()
        expected = CategoryAggregate(100, Counter(f"v{i % 40}" for i in range(100)))
        expected.drop_rarest()
        assert aggregate == expected
