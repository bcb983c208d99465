"""Quantiles from a sketch: within 1 % of the exact ones, whatever the order of values and of merging."""

from itertools import pairwise
from math import floor
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.examples import examples
from worker.clusters.statistics.quantile_sketch import MAX_BUCKETS, MAX_FINE_BUCKETS, QuantileSketch

SHARES = (0.0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)

values = (st.floats(-1e15, 1e15) | st.integers(-(10**15), 10**15) | st.floats(-2, 2)).filter(
    lambda value: value == 0 or abs(value) > 1e-37
)


def sketched(numbers: list[float]) -> QuantileSketch:
    sketch = QuantileSketch()
    sketch.add(numbers)
    return sketch


def exact(numbers: list[float], share: float) -> float:
    return sorted(numbers)[floor(share * (len(numbers) - 1))]


def largest_error(sketch: QuantileSketch) -> float:
    """The largest error of a quantile as a share of the true value."""
    powers = sketch.coarseness - 7  # a bucket has 2 ** powers powers of two
    width = 2.0**powers if powers <= 0 else 2.0**2**powers - 1
    return max(1 / 128, width / 2)


def assert_accurate(sketch: QuantileSketch, numbers: list[float], error: float = 0.01) -> None:
    for share in SHARES:
        true = exact(numbers, share)
        found = sketch.quantile(share)
        assert found is not None
        assert abs(found - true) <= error * abs(true), (share, found, true)


@examples(50, thorough=500)
@given(st.lists(values, min_size=1, max_size=100))
def test_a_quantile_is_within_one_percent_of_the_value_at_its_rank(numbers: list[float]) -> None:
    assert_accurate(sketched(numbers), numbers)


@examples(50, thorough=500)
@given(st.lists(values, min_size=1, max_size=100), st.integers(0, 3))
@example([0.0, 1.0, 512.0, 131072.0, 33554431.0, 2.6e-36, -1.0, -2.0, 2.0], 1)
def test_values_lie_within_the_bounds_of_their_buckets(numbers: list[float], coarser: int) -> None:
    sketch = sketched(numbers)
    sketch.compact(max(8, len(sketch.buckets) >> coarser))
    for rank, number in enumerate(sorted(numbers)):
        low, high = sketch.bounds_at(rank)
        assert low - 1e-7 * abs(low) <= number <= high + 1e-7 * abs(high)
        assert low <= sketch.value_at(rank) <= high
        assert high - low <= 2 * largest_error(sketch) * max(abs(low), abs(high))
    with pytest.raises(IndexError):
        sketch.bounds_at(len(numbers))


def test_is_exact_recognises_whole_numbers_up_to_256() -> None:
    def exact(numbers: list[float]) -> bool:
        return sketched(numbers).is_exact(sum(numbers) / len(numbers))

    assert exact([3.0])
    assert exact([float(i % 257) for i in range(3000)])
    assert exact([-2.0, 0.0, -0.5])
    assert not exact([3.0] * 3000 + [3.01])
    assert not exact([257.0, 256.0])
    assert not exact([5.01, -5.01])  # what is cut off either would cancel
    assert not exact([float(i) for i in range(700)])  # made coarser
    assert not QuantileSketch().is_exact(0.0)


@pytest.mark.parametrize(
    "draw",
    [
        lambda random: round(random.lognormvariate(4, 2), 2),
        lambda random: -random.expovariate(0.001),
        lambda random: random.gauss(0, 1000),
        lambda random: random.paretovariate(0.5),
        lambda random: random.choice([-1, 0, 0, 0, 1e-6, 3e9]) * random.random(),
    ],
    ids=["log-normal", "negative", "both signs", "heavy tail", "many zeros"],
)
def test_so_it_is_for_many_values_of_every_kind(draw) -> None:  # type: ignore[no-untyped-def]
    random = Random(5)
    numbers = [draw(random) for _ in range(30_000)]
    sketch = sketched(numbers)
    assert_accurate(sketch, numbers)
    assert largest_error(sketch) < 0.01
    assert len(sketch.buckets) <= MAX_BUCKETS
    assert sketch.count == len(numbers)


@examples(30, thorough=300)
@given(
    st.lists(values, max_size=80),
    st.randoms(use_true_random=False),
    st.lists(st.integers(0, 80), max_size=4),
)
def test_neither_the_order_of_values_nor_that_of_merging_matters(
    numbers: list[float], random: Random, cuts: list[int]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        # Small enough for sketches that become coarser at different moments.
        patch.setattr("worker.clusters.statistics.quantile_sketch.MAX_FINE_BUCKETS", 8)
        patch.setattr("worker.clusters.statistics.quantile_sketch.MAX_BUCKETS", 16)
        whole = sketched(numbers)
        edges = [0, *sorted(cuts), len(numbers)]
        shuffled = random.sample(numbers, len(numbers))
        parts = [sketched(shuffled[start:end]) for start, end in pairwise(edges)]
        random.shuffle(parts)
        merged = QuantileSketch()
        for part in parts:
            if random.random() < 0.5:
                part.compact()
            merged.merge(part)
            if random.random() < 0.5:
                merged = QuantileSketch.from_json(merged.as_json())
        assert merged == whole
        assert merged.as_json() == whole.as_json()
        if numbers:
            assert_accurate(whole, numbers, largest_error(whole) + 1e-6)


def test_quantiles_of_whole_numbers_and_short_fractions_are_exact() -> None:
    assert [sketched([number] * 3).quantile(0.5) for number in (0, 1, 7, 100, 255, 256, -30)] == [
        *(0, 1, 7, 100, 255, 256, -30)
    ]
    assert [sketched([number]).quantile(0.5) for number in (0.5, 0.25, 1.75)] == [0.5, 0.25, 1.75]


def test_a_sketch_becomes_coarser_only_when_it_must() -> None:
    fine = sketched([1 + i / 128 for i in range(128)] * 3)
    assert (fine.coarseness, len(fine.buckets)) == (0, 128)
    once = sketched([1.0001**i for i in range(60_000)])
    assert once.coarseness == 1
    assert MAX_FINE_BUCKETS / 2 < len(once.buckets) <= MAX_BUCKETS
    numbers = [sign * 1.001**i for i in range(20_000) for sign in (-1, 1)]
    wide = sketched(numbers)
    assert wide.coarseness == 2
    assert_accurate(wide, numbers, 1 / 64)
    wide.compact(8)
    assert len(wide.buckets) <= 8


def test_zero_is_one_value_with_either_sign() -> None:
    assert sketched([0.0, -0.0, 0, 1e-300, -1e-300]).buckets == {0: 5}
    assert sketched([-0.0]) == sketched([0.0])


def test_a_sketch_of_nothing_has_no_quantile() -> None:
    assert QuantileSketch().quantile(0.5) is None
    assert QuantileSketch().skewness == sketched([4.0] * 9).skewness == 0
    with pytest.raises(IndexError):
        sketched([1.0]).value_at(1)


def test_a_value_is_found_at_each_rank() -> None:
    sketch = sketched([5, -3, 5, 0, 100])
    assert [sketch.value_at(rank) for rank in range(5)] == [-3, 0, 5, 5, 100]


def test_the_skewness_is_that_of_the_values() -> None:
    random = Random(3)
    numbers = [random.expovariate(0.01) for _ in range(50_000)]
    mean = sum(numbers) / len(numbers)
    second = sum((number - mean) ** 2 for number in numbers) / len(numbers)
    third = sum((number - mean) ** 3 for number in numbers) / len(numbers)
    assert sketched(numbers).skewness == pytest.approx(third / second**1.5, rel=0.02)
    assert sketched([-number for number in numbers]).skewness == pytest.approx(-third / second**1.5, rel=0.02)
