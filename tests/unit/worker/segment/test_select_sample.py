"""A sample: the same ones every time, nested, and of all alike."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.segment.page import profile_identifier
from worker.segment.sampling import SampledPage, select_sample

SHARES = st.floats(0, 1, exclude_min=True, exclude_max=True)
GOLDEN = [9, 10, 32, 50, 64, 65, 70, 84, 88]
PROFILES = [{"id": f"use_{i}", "traits": {"ltv": i}} for i in range(20_000)]


def ids(sample: SampledPage) -> set[object]:
    return {entry["id"] for entry in sample.entries if isinstance(entry, dict)}


def test_the_same_profiles_are_picked_in_every_version_of_this_program() -> None:
    assert [i for i in range(100) if select_sample([{"id": f"use_{i}"}], 0.05).entries] == GOLDEN


@given(SHARES, SHARES, st.integers(0, 2**32))
def test_a_larger_sample_holds_every_smaller_one(one: float, other: float, seed: int) -> None:
    profiles = [{"id": f"{seed}/{i}"} for i in range(50)]
    assert ids(select_sample(profiles, min(one, other))) <= ids(select_sample(profiles, max(one, other)))


@given(st.permutations(PROFILES[:30]), SHARES, st.integers(0, 30))
def test_neither_order_nor_pages_change_who_is_picked(profiles: list[object], share: float, cut: int) -> None:
    apart = ids(select_sample(profiles[:cut], share)) | ids(select_sample(profiles[cut:], share))
    assert apart == ids(select_sample(PROFILES[:30], share))


@pytest.mark.parametrize("share", [0.001, 0.05, 0.5, 0.95])
def test_as_many_are_picked_as_chance_would(share: float) -> None:
    sample = select_sample(PROFILES, share)
    spread = math.sqrt(len(PROFILES) * share * (1 - share))
    assert abs(len(sample.entries) - share * len(PROFILES)) < 4 * spread
    assert len(sample.entries) + sample.left_out == len(PROFILES)


def test_sizes_and_means_scatter_about_the_truth_as_chance_would() -> None:
    spaces, size, share = 400, 200, 0.2
    sizes, means = [], []
    for space in range(spaces):
        kept = select_sample([{"id": f"{space}/{i}", "ltv": i} for i in range(size)], share).entries
        sizes.append(len(kept))
        means.append(sum(entry["ltv"] for entry in kept if isinstance(entry, dict)) / len(kept))
    mean, spread = _moments(sizes)
    assert abs(mean - size * share) < 4 * math.sqrt(size * share * (1 - share) / spaces)
    assert spread == pytest.approx(math.sqrt(size * share * (1 - share)), rel=0.15)
    true_mean, true_spread = _moments(range(size))
    mean, spread = _moments(means)
    expected = true_spread * math.sqrt((1 - share) / (size * share))
    assert abs(mean - true_mean) < 4 * expected / math.sqrt(spaces)
    assert spread == pytest.approx(expected, rel=0.15)


def _moments(values: list[int] | list[float] | range) -> tuple[float, float]:
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))


@given(st.lists(st.none() | st.integers() | st.text() | st.lists(st.none())), SHARES)
def test_an_entry_that_is_not_an_object_is_kept_to_be_counted(entries: list[object], share: float) -> None:
    assert select_sample(entries, share) == SampledPage(entries, 0, 0)


def test_an_object_without_an_identifier_is_not_a_profile() -> None:
    assert select_sample([{"traits": {}}, {"id": ""}, {"id": None}, {"id": True}, {"id": 1.5}], 0.999) == SampledPage(
        [None] * 5, 0, 5
    )


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ({"id": "a", "segment_id": "b"}, "b"),
        ({"id": "a", "segment_id": None}, "a"),
        ({"id": 12}, "12"),
        ({"id": "\ud800"}, "\ud800"),
    ],
)
def test_a_profile_is_known_by_its_segment_id_or_id(entry: dict[str, object], name: str) -> None:
    assert profile_identifier(entry) == name
    assert select_sample([entry], 0.5).without_id == 0


@given(SHARES)
def test_any_share_there_is_can_be_asked_for(share: float) -> None:
    assert len(select_sample(PROFILES[:3], share).entries) <= 3
