"""Mean and standard deviation: exact sums, and a spread that does not cancel wherever it is cut."""

from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.clusters.statistics.exact import exact_sum, exact_weighted_sum
from worker.clusters.statistics.moments import Moments

# A loaded machine is no reason to fail.

values = st.floats(-1e15, 1e15) | st.integers(-(10**15), 10**15) | st.floats(-1, 1)
numbers = st.lists(values, max_size=60)


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


@given(numbers)
def test_the_spread_is_the_true_one(terms: list[float]) -> None:
    assert_spread(Moments.of(terms).squares, terms)


@given(st.lists(numbers, max_size=6))
def test_moments_add_up_to_those_of_all_numbers(parts: list[list[float]]) -> None:
    total = Moments()
    for part in parts:
        total += Moments.of(part)
    terms = [term for part in parts for term in part]
    whole = Moments.of(terms)
    assert (total.count, total.parts, total.mean) == (whole.count, whole.parts, whole.mean)
    assert_spread(total.squares, terms)


@given(st.dictionaries(values, st.integers(1, 50), max_size=20))
def test_counted_numbers_have_the_moments_of_the_numbers_one_by_one(counts: dict[float, int]) -> None:
    terms = [term for term, n in counts.items() for _ in range(n)]
    assert exact_weighted_sum(counts) == exact_sum(terms)
    found = Moments.of_counts(counts)
    assert (found.count, found.parts) == (len(terms), Moments.of(terms).parts)
    assert_spread(found.squares, terms)


def test_nothing_cancels_far_from_zero() -> None:
    terms = [1e15 + step for step in (0, 1, 2, 3, 4)]
    assert Moments.of(terms).std == pytest.approx(2.5**0.5, rel=1e-12)
    halves = Moments.of(terms[:2]) + Moments.of(terms[2:])
    assert halves.std == pytest.approx(2.5**0.5, rel=1e-12)


def test_the_spread_of_many_pages_agrees_with_that_of_all_at_once() -> None:
    random = Random(1)
    terms = [1e9 + random.gauss(0, 0.01) for _ in range(5_000)]
    total = Moments()
    for start in range(0, len(terms), 7):
        total += Moments.of(terms[start : start + 7])
    assert total.squares == pytest.approx(float(squares(terms)), rel=1e-9)


def test_equal_numbers_have_no_spread() -> None:
    tenths = Moments.of([0.1] * 7) + Moments.of([0.1] * 3) + Moments.of_counts({0.1: 12})
    assert (tenths.mean, tenths.std) == (0.1, 0.0)


def test_one_number_has_no_deviation_and_none_has_no_mean() -> None:
    assert (Moments().mean, Moments().std) == (None, None)
    assert (Moments.of([5]).mean, Moments.of([5]).std) == (5.0, None)
    assert Moments.of([1, 3]).std == pytest.approx(2**0.5)


def test_zeros_count() -> None:
    assert (Moments.of([4.0]) + Moments.zeros(3)).mean == 1.0
    assert (Moments.of([4.0]) + Moments.zeros(3)).std == 2.0
