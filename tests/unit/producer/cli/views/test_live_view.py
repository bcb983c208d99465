"""Syncs under way: numbers, bars and personas."""

from __future__ import annotations

import pytest

from producer.cli.views.live_view import ShareBar, live_view, overview_table
from tests.support.screens import text
from tests.support.syncs.snapshots import OUTCOMES, fetching, finalizing, queued


@pytest.mark.parametrize(("share", "bar"), [(0.0, "    "), (0.5, "██  "), (0.53, "██▏ "), (1.0, "████"), (7.0, "████")])
def test_a_bar_is_as_long_as_its_share(share: float, bar: str) -> None:
    assert text(ShareBar(share, "red"), width=4) == bar + "\n" or text(ShareBar(share, "red"), width=4) == bar


def test_a_live_sync_shows_numbers_bars_and_personas() -> None:
    shown = text(live_view(fetching(), 1234.5, 2.0))
    assert "spa_1  fetching  1 page, 60 profiles, 1,234/s, 2.0 s" in shown
    assert sum("██████" in line for line in shown.split("\n")) == 3
    shown = text(live_view(finalizing(outcomes=OUTCOMES[:1], note="Growth: waiting"), 1.0, 12))
    assert "1 page, 60 profiles, 12 s" in shown  # a rate would say nothing any more
    assert "20 created per_hv" in shown
    assert "Growth: waiting" in shown
    short = text(live_view(queued(note="nobody"), None, 1.0))
    assert " ".join(short.split()) == "spa_1 queued 0 pages, 0 profiles, 1.0 s nobody"


def test_many_syncs_take_a_line_each() -> None:
    shown = text(overview_table([queued(id=f"syn_{i}") for i in range(5)] + [fetching()], {"syn_1": 20.0}))
    assert len(shown.strip().split("\n")) == 6
    assert "20/s" in shown
