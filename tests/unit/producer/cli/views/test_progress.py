"""Progress: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from producer.cli.terminal import Screen
from producer.cli.views import progress as progress_module
from producer.cli.views.progress import ClusterCache, LineProgress, LiveProgress, Meter, open_progress
from tests.support.syncs.snapshots import OUTCOMES, completed, fetching, finalizing, queued
from worker.models.sync import Sync


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Tty(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Lines:
    """Feeds snapshots to plain progress, and says which lines came out of each."""

    def __init__(self, clock: Clock) -> None:
        self.stream = io.StringIO()
        self.progress = LineProgress(Screen(self.stream), clock)

    def after(self, *syncs: Sync) -> list[str]:
        start = len(self.stream.getvalue())
        with self.progress as shown:
            shown.show(syncs)
        return self.stream.getvalue()[start:].splitlines()


def test_every_state_and_every_persona_is_shown_once(clock: Clock) -> None:
    lines = Lines(clock)
    assert lines.after(queued()) == ["spa_1: queued as syn_1"]
    assert lines.after(queued()) == []
    assert lines.after(fetching()) == ["spa_1: fetching, 1 page, 60 profiles"]
    assert lines.after(finalizing(outcomes=OUTCOMES[:1])) == [
        "spa_1: finalizing, 1 page, 60 profiles",
        "spa_1: High Value: created per_hv",
    ]
    assert lines.after(completed()) == [
        "spa_1: Growth: created per_gr",
        "spa_1: At Risk: updated per_ar",
        "spa_1: completed in 3.2 s, 1 page, 60 profiles",
    ]
    assert lines.after(completed()) == []


def test_a_follower_that_begins_in_the_middle_sees_the_id(clock: Clock) -> None:
    assert Lines(clock).after(fetching()) == ["spa_1: fetching as syn_1, 1 page, 60 profiles"]


def test_counts_are_shown_about_once_a_second_and_only_if_they_changed(clock: Clock) -> None:
    lines = Lines(clock)
    lines.after(fetching(pages=0, profiles=0))
    clock.now += 0.5
    assert lines.after(fetching()) == []
    clock.now += 0.5
    assert lines.after(fetching()) == ["spa_1: 1 page, 60 profiles, 60/s; High Value 20, Growth 20, At Risk 20, New 0"]
    clock.now += 5
    assert lines.after(fetching()) == []


def test_an_hour_of_fetching_does_not_fill_the_log(clock: Clock) -> None:
    lines = Lines(clock)
    told = 0
    for second in range(3600):
        clock.now += 1
        told += bool(lines.after(fetching(pages=second)))
    assert 100 < told < 400


def test_many_syncs_share_the_lines(clock: Clock) -> None:
    lines = Lines(clock)
    told = 0
    for second in range(20):
        clock.now += 1
        told += len(lines.after(*(fetching(id=f"syn_{i}", pages=second) for i in range(5))))
    assert told <= 5 * 2 + 20


def test_what_a_sync_waits_for_is_shown_when_it_changes(clock: Clock) -> None:
    lines = Lines(clock)
    lines.after(fetching())
    assert lines.after(fetching(note="waiting for Mavera")) == ["spa_1: waiting for Mavera"]
    assert lines.after(fetching(note="waiting for Mavera")) == []
    assert lines.after(fetching()) == []


def test_sentences_come_out_whole(clock: Clock) -> None:
    lines = Lines(clock)
    lines.progress.print_text("No worker is running. " * 20)
    assert lines.stream.getvalue() == "No worker is running. " * 20 + "\n"


def test_a_rate_is_that_of_the_last_seconds(clock: Clock) -> None:
    meter = Meter(clock)
    assert meter.rate("syn_1") is None
    for profiles in (0, 100, 200, 300, 400, 500, 1500, 2500, 3500, 4500):
        meter.record(fetching(profiles=profiles))
        clock.now += 1
    assert meter.rate("syn_1") == 1000


def test_a_sync_that_is_read_again_has_no_negative_rate(clock: Clock) -> None:
    meter = Meter(clock)
    for profiles in (1000, 2000, 0):
        meter.record(fetching(profiles=profiles))
        clock.now += 1
    assert meter.rate("syn_1") is None


def drawn(clock: Clock, syncs: Sequence[Sequence[Sync]], columns: int = 80, lines: int = 24) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", coloured(clock, syncs, columns, lines))


def coloured(clock: Clock, syncs: Sequence[Sequence[Sync]], columns: int = 80, lines: int = 24) -> str:
    screen = Screen(Tty())
    screen.width, screen.height = columns, lines
    shown = LiveProgress(screen, clock)
    for snapshot in syncs:
        shown.show(snapshot)
        clock.now += 1
    with screen.capture() as capture:
        screen.print(shown.render())
    return capture.get()


def test_a_terminal_shows_numbers_and_growing_bars(clock: Clock) -> None:
    text = drawn(clock, [[fetching(profiles=0)], [fetching()]])
    assert "spa_1  fetching  1 page, 60 profiles, 60/s, 2.0 s" in text
    assert text.count("High Value") == 1


def test_the_display_leaves_room_for_what_the_terminal_writes_on_ctrl_c(clock: Clock) -> None:
    text = drawn(clock, [[fetching()]], columns=60)
    assert max(map(len, text.splitlines())) <= 56


def test_an_ended_sync_stops_its_clock(clock: Clock) -> None:
    assert "60 profiles, 3.2 s" in drawn(clock, [[completed()]] * 9)


def test_more_syncs_than_fit_take_a_line_each(clock: Clock) -> None:
    syncs = [fetching(id=f"syn_{i}") for i in range(6)]
    assert "High Value" not in drawn(clock, [syncs])
    assert drawn(clock, [syncs], lines=60).count("High Value") == 6


def test_before_anything_is_known_nothing_is_shown(clock: Clock) -> None:
    assert drawn(clock, []).strip() == ""


def test_only_a_capable_terminal_gets_the_live_display(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Tty()
    live = open_progress(Screen(stream))
    assert isinstance(live, LiveProgress)
    with live as shown:
        shown.show([fetching()])
        shown.print_text("a sentence")
        shown.show([replace(completed(), outcomes=())])
    assert stream.getvalue().index("a sentence") < stream.getvalue().rindex("completed")
    assert isinstance(open_progress(Screen(io.StringIO())), LineProgress)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(open_progress(Screen(Tty())), LineProgress)


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[36m" in coloured(clock, [[fetching()]])
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[36m" not in coloured(clock, [[fetching()]])


def test_statistics_are_decoded_once_a_change_and_not_once_a_frame(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []

    def slowly(sync: Sync, aggregate: object) -> list[object]:
        decoded.append(sync.pages)
        clock.now += 0.5
        return []

    monkeypatch.setattr(progress_module, "cluster_results", slowly)
    cache = ClusterCache(clock)
    for _ in range(50):
        cache.results(fetching())
    assert decoded == [1]
    cache.results(fetching(pages=2))  # too soon after what took half a second
    assert decoded == [1]
    cache.results(finalizing(pages=2))  # a new state is shown at once
    assert decoded == [1, 2]
    clock.now += 60
    cache.results(finalizing(pages=3))
    assert decoded == [1, 2, 3]


def test_a_live_display_is_erased_if_a_report_follows() -> None:
    stream = Tty()
    shown = LiveProgress(Screen(stream))
    with shown:
        shown.show([fetching()])
        shown.clear()
    assert stream.getvalue().rstrip().endswith("\x1b[2K")
