"""Exact sums: the same to the last bit for any order and grouping, and equal to the true sum."""

from fractions import Fraction
from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from worker.clusters.statistics.exact import exact_mean, exact_sum

# A loaded machine is no reason to fail.

values = st.floats(-1e15, 1e15) | st.integers(-(10**15), 10**15)


@given(st.lists(values))
def test_the_parts_are_the_true_sum(terms: list[float]) -> None:
    assert sum(map(Fraction, exact_sum(terms))) == sum(map(Fraction, terms))


@given(st.lists(values), st.randoms(use_true_random=False), st.integers(0, 50))
def test_order_and_grouping_change_no_bit(terms: list[float], random: Random, cut: int) -> None:
    shuffled = list(terms)
    random.shuffle(shuffled)
    grouped = exact_sum(exact_sum(shuffled[:cut]) + exact_sum(shuffled[cut:]))
    assert grouped == exact_sum(terms)


@given(st.lists(values))
def test_a_sum_has_few_parts_in_descending_size(terms: list[float]) -> None:
    parts = exact_sum(terms)
    assert len(parts) <= 25
    assert all(abs(large) > abs(small) > 0 for large, small in pairwise(parts))


def test_zero_of_either_sign_has_no_parts() -> None:
    assert exact_sum([]) == exact_sum([0.0]) == exact_sum([-0.0, 0]) == exact_sum([1e15, -1e15]) == []


def test_what_plain_addition_loses_is_kept() -> None:
    assert exact_sum([1e15, 1e-9]) == [1e15, 1e-9]
    assert exact_mean(exact_sum([0.1] * 10), 10) == 0.1


@given(values, st.integers(1, 100))
def test_the_mean_of_equal_values_is_that_value(value: float, count: int) -> None:
    assert exact_mean(exact_sum([value] * count), count) == value


def test_a_mean_of_nothing_is_none_and_a_mean_of_zeros_is_zero() -> None:
    assert exact_mean([], 0) is None
    assert exact_mean([], 3) == 0.0
