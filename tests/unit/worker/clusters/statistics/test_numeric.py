"""Statistics of one number trait: exact sums, spreads that do not cancel, and pages of any size."""

from fractions import Fraction
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.clusters.statistics.numeric import MAX_PENDING, Moments, NumberAggregate, exact_mean, exact_sum

FLOATS = st.floats(-1e15, 1e15) | st.integers(-(10**15), 10**15) | st.floats(-1, 1)
NUMBERS = st.lists(FLOATS, max_size=60)


@given(st.lists(FLOATS))
def test_parts_of_a_sum_equal_the_exact_sum(terms: list[float]) -> None:
    assert sum(map(Fraction, exact_sum(terms))) == sum(map(Fraction, terms))


@given(st.lists(FLOATS), st.randoms(use_true_random=False), st.integers(0, 50))
def test_order_and_grouping_do_not_change_a_sum(terms: list[float], random: Random, cut: int) -> None:
    shuffled = list(terms)
    random.shuffle(shuffled)
    grouped = exact_sum(exact_sum(shuffled[:cut]) + exact_sum(shuffled[cut:]))
    assert grouped == exact_sum(terms)


@given(st.lists(FLOATS))
def test_a_sum_has_few_parts_in_descending_size(terms: list[float]) -> None:
    parts = exact_sum(terms)
    assert len(parts) <= 25
    assert all(abs(large) > abs(small) > 0 for large, small in pairwise(parts))


def test_zero_of_either_sign_has_no_parts() -> None:
    assert exact_sum([]) == exact_sum([0.0]) == exact_sum([-0.0, 0]) == exact_sum([1e15, -1e15]) == []


def test_sum_keeps_what_plain_addition_loses() -> None:
    assert exact_sum([1e15, 1e-9]) == [1e15, 1e-9]
    assert exact_mean(exact_sum([0.1] * 10), 10) == 0.1


@given(FLOATS, st.integers(1, 100))
def test_the_mean_of_equal_values_is_that_value(value: float, count: int) -> None:
    assert exact_mean(exact_sum([value] * count), count) == value


def test_mean_of_nothing_is_none_and_of_zeros_is_zero() -> None:
    assert exact_mean([], 0) is None
    assert exact_mean([], 3) == 0.0


def squares(terms: list[float]) -> Fraction:
    """The sum of squared deviations, exactly."""
    if not terms:
        return Fraction()
    exact = list(map(Fraction, terms))
    mean = sum(exact, Fraction()) / len(exact)
    return sum(((term - mean) ** 2 for term in exact), Fraction())


def assert_spread(found: float, terms: list[float]) -> None:
    # What rounding the mean to a float costs, at most.
    rounding = len(terms) * (4e-16 * max(map(abs, terms), default=0)) ** 2
    assert found == pytest.approx(float(squares(terms)), rel=1e-12, abs=rounding)


@given(NUMBERS)
def test_spread_matches_exact_arithmetic(terms: list[float]) -> None:
    assert_spread(Moments.from_values(terms).squares, terms)


@given(st.lists(NUMBERS, max_size=6))
def test_moments_of_parts_add_up_to_those_of_all_values(parts: list[list[float]]) -> None:
    total = Moments()
    for part in parts:
        total += Moments.from_values(part)
    terms = [term for part in parts for term in part]
    whole = Moments.from_values(terms)
    assert (total.count, total.parts, total.mean) == (whole.count, whole.parts, whole.mean)
    assert_spread(total.squares, terms)


def test_spread_does_not_cancel_far_from_zero() -> None:
    terms = [1e15 + step for step in (0, 1, 2, 3, 4)]
    assert Moments.from_values(terms).std == pytest.approx(2.5**0.5, rel=1e-12)
    halves = Moments.from_values(terms[:2]) + Moments.from_values(terms[2:])
    assert halves.std == pytest.approx(2.5**0.5, rel=1e-12)


def test_spread_of_many_pages_matches_that_of_all_values() -> None:
    random = Random(1)
    terms = [1e9 + random.gauss(0, 0.01) for _ in range(5_000)]
    total = Moments()
    for start in range(0, len(terms), 7):
        total += Moments.from_values(terms[start : start + 7])
    assert total.squares == pytest.approx(float(squares(terms)), rel=1e-9)


def test_equal_values_have_no_spread() -> None:
    tenths = Moments.from_values([0.1] * 7) + Moments.from_values([0.1] * 3) + Moments.from_values([0.1] * 12)
    assert (tenths.mean, tenths.std) == (0.1, 0.0)


def test_one_value_has_no_deviation_and_no_values_have_no_mean() -> None:
    assert (Moments().mean, Moments().std) == (None, None)
    assert (Moments.from_values([5]).mean, Moments.from_values([5]).std) == (5.0, None)
    assert Moments.from_values([1, 3]).std == pytest.approx(2**0.5)


def test_zeros_count_in_mean_and_spread() -> None:
    assert (Moments.from_values([4.0]) + Moments.from_zeros(3)).mean == 1.0
    assert (Moments.from_values([4.0]) + Moments.from_zeros(3)).std == 2.0


def counted(values: list[float], page: int = 50) -> NumberAggregate:
    number = NumberAggregate()
    for start in range(0, len(values), page):
        number.add(values[start : start + page])
    return number


@pytest.mark.parametrize("distinct", [20, 10**9])
def test_pages_of_any_size_give_the_same_statistics(distinct: int) -> None:
    random = Random(2)
    values = [float(random.randrange(distinct)) for _ in range(3 * MAX_PENDING)]
    pages, once = counted(values), counted(values, len(values))
    assert (pages.count, pages.mean) == (len(values), once.mean)
    assert pages.moments.parts == once.moments.parts
    assert pages.sketch == once.sketch
    assert pages.std == pytest.approx(once.std, rel=1e-12)
    assert pages.sketch.quantile(0.5) == pytest.approx(sorted(values)[(len(values) - 1) // 2], rel=0.01)


def test_properties_include_pending_values() -> None:
    number = NumberAggregate()
    for value in (4.0, 8.0):
        number.add([value])
        assert number.mean == (4.0 if value == 4 else 6.0)
    number.add([0.0])
    assert number.sketch.quantile(0.5) == 4.0
    number.add([100.0])
    assert number.count == 4
    number.add([50.0])
    other = NumberAggregate()
    other.merge(number)
    assert (other.count, other.mean) == (5, 32.4)


def test_json_does_not_grow_with_the_number_of_values() -> None:
    number = NumberAggregate()
    for page in range(400):
        number.add([page + i / 200 for i in range(200)])
    assert number.count == 80_000
    assert len(number.sketch.buckets) < 2048


def test_missing_values_can_count_as_zero() -> None:
    number = counted([10.0, 20.0])
    filled = number.with_zeros(2)
    assert (filled.count, filled.mean, filled.sketch.quantile(0.0)) == (4, 7.5, 0.0)
    assert filled.std == pytest.approx(9.574271077563381)
    assert number.count == 2
    assert number.with_zeros(0) == number
    assert NumberAggregate().with_zeros(0).mean is None


def test_aggregates_are_equal_if_their_values_are() -> None:
    assert counted([1.0, 2.0]) == counted([1.0, 2.0], 1).with_zeros(0)
    assert counted([1.0]) != counted([2.0])
    assert counted([1.0]) != 1.0
