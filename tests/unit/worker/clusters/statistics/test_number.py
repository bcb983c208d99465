"""A number trait in one cluster: the same statistics whether its values are few or many, counted now or later."""

from random import Random

import pytest

from worker.clusters.statistics.number import FEW, PENDING, NumberAggregate


def counted(values: list[float], page: int = 50) -> NumberAggregate:
    number = NumberAggregate()
    for start in range(0, len(values), page):
        number.add(values[start : start + page])
    return number


def test_many_pages_of_few_and_of_many_different_values_count_as_one() -> None:
    random = Random(2)
    few = [float(random.randrange(FEW // 2)) for _ in range(3 * PENDING)]
    many = [random.random() for _ in range(3 * PENDING)]
    for values in (few, many, few + many, many + few):
        pages, once = counted(values), counted(values, len(values))
        assert (pages.count, pages.mean) == (len(values), once.mean)
        assert pages.moments.parts == once.moments.parts
        assert pages.sketch == once.sketch
        assert pages.std == pytest.approx(once.std, rel=1e-12)
        assert pages.quantile(0.5) == pytest.approx(sorted(values)[(len(values) - 1) // 2], rel=0.01)


def test_what_is_asked_counts_what_is_still_pending() -> None:
    number = NumberAggregate()
    for value in (4.0, 8.0):
        number.add([value])
        assert number.mean == (4.0 if value == 4 else 6.0)
    number.add([0.0])
    assert number.quantile(0.5) == 4.0
    number.add([100.0])
    assert number.count == 4
    number.add([50.0])
    other = NumberAggregate()
    other.merge(number)
    assert (other.count, other.mean) == (5, 32.4)


def test_memory_does_not_grow_with_the_number_of_values() -> None:
    number = NumberAggregate()
    for page in range(400):
        number.add([page + i / 200 for i in range(200)])
    assert len(number._pending) < PENDING
    assert len(number._counts) <= FEW + PENDING
    assert number.count == 80_000


def test_missing_values_can_count_as_zero() -> None:
    number = counted([10.0, 20.0])
    filled = number.with_zeros(2)
    assert (filled.count, filled.mean, filled.quantile(0.0)) == (4, 7.5, 0.0)
    assert filled.std == pytest.approx(9.574271077563381)
    assert number.count == 2
    assert number.with_zeros(0) == number
    assert NumberAggregate().with_zeros(0).mean is None


def test_an_aggregate_equals_what_was_counted_like_it() -> None:
    assert counted([1.0, 2.0]) == counted([1.0, 2.0], 1).with_zeros(0)
    assert counted([1.0]) != counted([2.0])
    assert counted([1.0]) != 1.0
