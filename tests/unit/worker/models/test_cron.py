"""When cron expressions come due, also on the days on which clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.models.cron import CronTimes


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def utc(ticks: list[float]) -> list[str]:
    return [f"{datetime.fromtimestamp(tick, UTC):%m-%d %H:%M}" for tick in ticks]


@pytest.mark.parametrize(
    ("expression", "after", "ticks"),
    [
        # 2026-03-29: 02:00 CET becomes 03:00 CEST, at 01:00 UTC
        ("30 2 * * *", "2026-03-28T00:00Z", ["03-28 01:30", "03-29 01:00", "03-30 00:30"]),
        ("15,45 2 * * *", "2026-03-28T12:00Z", ["03-29 01:00", "03-30 00:15", "03-30 00:45"]),
        ("30 * * * *", "2026-03-29T00:00Z", ["03-29 00:30", "03-29 01:30", "03-29 02:30"]),
        # 2026-10-25: 03:00 CEST becomes 02:00 CET, at 01:00 UTC
        ("30 2 * * *", "2026-10-24T12:00Z", ["10-25 00:30", "10-26 01:30", "10-27 01:30"]),
        ("30 2 * * *", "2026-10-25T01:10Z", ["10-26 01:30", "10-27 01:30", "10-28 01:30"]),
        ("30 * * * *", "2026-10-25T00:00Z", ["10-25 00:30", "10-25 01:30", "10-25 02:30"]),
    ],
)
def test_a_clock_change_is_handled_as_by_debians_cron(expression: str, after: str, ticks: list[str]) -> None:
    assert utc(CronTimes(expression, "Europe/Vienna").upcoming(at(after), 3)) == ticks


@pytest.mark.parametrize("name", ["30 2 * * *", "*/7 * * * *", "0 3 1 * *", "15 1,2,3 * * SUN"])
@given(
    st.datetimes(datetime(2026, 3, 27), datetime(2026, 4, 1))
    | st.datetimes(datetime(2026, 10, 23), datetime(2026, 10, 28))
)
def test_ticks_forwards_and_backwards_are_the_same(name: str, moment: datetime) -> None:
    times, now = CronTimes(name, "Europe/Vienna"), moment.replace(tzinfo=UTC).timestamp()
    coming = times.next_after(now)
    assert coming is not None
    assert coming > now
    latest = times.latest_until(now)
    assert latest is not None
    assert latest <= now
    # the scheduler looks when the stored tick has come: that one and the latest one agree then
    assert times.latest_until(coming + 0.5) == coming


def test_a_tick_at_the_moment_itself_has_come() -> None:
    times = CronTimes("0 3 * * *")
    three = at("2026-05-01T03:00Z")
    assert times.latest_until(three) == three
    assert times.next_after(three) == three + timedelta(days=1).total_seconds()


@pytest.mark.parametrize(
    ("expression", "timezone", "fragment"),
    [
        ("61 * * * *", "UTC", "the minute of the cron expression"),
        ("0 3 * * MOND", "UTC", "the day of week of"),
        ("0 0 30 2 *", "UTC", "the day of month of"),
        ("@daily", "UTC", "five fields"),
        ("* * * * * *", "UTC", "five fields"),
        ("", "UTC", "five fields"),
        ("0 3 * * " + "1," * 100 + "1", "UTC", "five fields"),
        ("0 3 * * *", "Europe/Wien", "time zone 'Europe/Wien' is not known"),
        ("0 3 * * *", "../../etc/passwd", "is not known"),
        ("0 3 * * *", "", "is not known"),
    ],
)
def test_what_cannot_be_used_is_reported_in_a_sentence(expression: str, timezone: str, fragment: str) -> None:
    with pytest.raises(ValueError, match=fragment):
        CronTimes(expression, timezone)
