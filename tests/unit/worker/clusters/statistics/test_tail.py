"""How skewed a population may be: no less than its sample, and without a bound where its tail has none."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from math import inf, sqrt
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.clusters.statistics.tail import TAIL, tail_skewness

numbers = st.lists(st.integers(-50, 50), min_size=3 * TAIL, max_size=6 * TAIL)


def of(values: list[float]) -> float:
    return tail_skewness(sorted(Counter(values).items()))


def skewness(values: list[float]) -> float:
    mean = fmean(values)
    return fmean((value - mean) ** 3 for value in values) / fmean((value - mean) ** 2 for value in values) ** 1.5


def drawn(draw: Callable[[random.Random], float], n: int = 2000) -> list[float]:
    chance = random.Random(4)
    return [draw(chance) for _ in range(n)]


@settings(max_examples=60, deadline=None)
@given(numbers, st.sampled_from([1, 2, 8]), st.sampled_from([0, 64, -1024]))
def test_it_is_at_least_the_samples_own_on_either_side_in_any_unit_and_from_anywhere(
    values: list[float], unit: int, start: int
) -> None:
    found = of(values)
    if len(set(values)) > 1:
        assert found >= abs(skewness(values)) - 1e-9
    assert of([-value for value in values]) == pytest.approx(found)
    assert of([unit * value + start for value in values]) == pytest.approx(found)


@pytest.mark.parametrize(
    ("draw", "true"),
    [
        (lambda chance: chance.gauss(100, 20), 0.0),
        (lambda chance: chance.random(), 0.0),
        (lambda chance: chance.expovariate(1), 2.0),
        (lambda chance: float(chance.random() < 0.1), 8 / 3),
        (lambda chance: chance.gauss(1500, 300) if chance.random() < 0.05 else chance.gauss(100, 20), 4.0),
    ],
    ids=["normal", "uniform", "exponential", "one in ten", "one in twenty spends much"],
)
def test_of_a_tail_that_ends_it_is_not_much_more_than_the_truth(
    draw: Callable[[random.Random], float], true: float
) -> None:
    assert true - 0.5 < of(drawn(draw)) < true + 2


@pytest.mark.parametrize(
    "draw",
    [
        lambda chance: chance.paretovariate(1.5),
        lambda chance: chance.paretovariate(2.5),
        lambda chance: -chance.lognormvariate(3, 1.5),
    ],
)
def test_of_a_tail_without_end_it_has_no_bound_though_the_samples_own_has(
    draw: Callable[[random.Random], float],
) -> None:
    assert of(drawn(draw)) == inf
    assert abs(skewness(drawn(draw))) < 50


def test_of_too_few_it_cannot_be_told_how_far_they_are_from_the_rest() -> None:
    rest = [0.0] * 2000
    assert of(rest) == 0
    assert of([*rest, *[1.0] * TAIL]) == inf
    assert of([*rest, *[1.0] * (TAIL + 1)]) == pytest.approx(sqrt(2000 / (TAIL + 1)), rel=0.02)
    assert of([0.0, 1.0, *[float(i % 2) for i in range(3 * TAIL - 3)]]) == inf
    assert of([float(i % 2) for i in range(3 * TAIL)]) < 0.1


def test_one_value_far_from_all_others_counts_for_what_it_is() -> None:
    values = [*(float(i % 20) for i in range(2000)), 900.0]
    assert of(values) == pytest.approx(skewness(values)) == pytest.approx(40, abs=1)


def test_the_tail_is_taken_for_a_pareto_tail_from_the_value_before_it_on() -> None:
    """By hand: the median is 0, the tail begins at 1, its values are e ** 0.25 times as far: the index is 1/4."""
    tail = 2.718281828459045**0.25
    values = [(-1.0, 500), (0.0, 1000), (1.0, 500), (tail, TAIL)]
    mean = TAIL * tail / 2020
    spread = (500 * (-1 - mean) ** 2 + 1000 * mean**2 + 500 * (1 - mean) ** 2 + TAIL * (tail - mean) ** 2) / 2020
    body = 500 * (-1 - mean) ** 3 - 1000 * mean**3 + 500 * (1 - mean) ** 3
    cubes = 1 / (1 - 3 / 4) - 3 * mean / (1 - 2 / 4) + 3 * mean**2 / (1 - 1 / 4) - mean**3
    assert tail_skewness(values) == pytest.approx((body + TAIL * cubes) / 2020 / spread**1.5)
