"""The pauses between attempts: they double, they vary, and they are bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.jobs.backoff import Backoff


def test_pauses_double_up_to_the_cap() -> None:
    backoff = Backoff(0.25, cap_s=10, draw=lambda: 1.0)
    assert [backoff.pause_s(n) for n in range(1, 9)] == [0.25, 0.5, 1, 2, 4, 8, 10, 10]


def test_a_pause_is_drawn_from_its_upper_half() -> None:
    assert Backoff(1, draw=lambda: 0.0).pause_s(1) == 0.5
    assert Backoff(1, draw=lambda: 0.5).pause_s(1) == 0.75


@given(st.floats(0.001, 1e6), st.floats(0.001, 1e6), st.integers(1, 10**9), st.floats(0, 1, exclude_max=True, width=32))
def test_no_pause_is_zero_or_beyond_the_cap(base_s: float, cap_s: float, failures: int, drawn: float) -> None:
    pause_s = Backoff(base_s, cap_s, lambda: drawn).pause_s(failures)
    assert min(base_s, cap_s) / 2 <= pause_s <= min(cap_s, base_s * 2.0 ** min(failures - 1, 30))


@pytest.mark.parametrize("failures", range(1, 6))
def test_two_workers_do_not_come_back_at_the_same_moment(failures: int) -> None:
    pauses = {Backoff(1.0).pause_s(failures) for _ in range(50)}
    assert len(pauses) > 40
