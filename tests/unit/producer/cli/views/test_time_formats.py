"""Durations as people read them."""

from __future__ import annotations

import pytest

from producer.cli.views.time_formats import format_duration


@pytest.mark.parametrize(
    ("value", "shown"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_times_are_for_people(value: float, shown: str) -> None:
    assert format_duration(value) == shown
