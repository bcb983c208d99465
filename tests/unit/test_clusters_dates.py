"""Dates, read as ages in days at the start of a sync."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.clusters.dates import EARLIEST, LATEST, date_column, parse_date

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)

# A loaded machine is no reason to fail.


def age(value: object, max_age_days: float | None = None) -> float | None:
    [found] = date_column([value], NOW, max_age_days).values
    return found


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2026-02-28T12:00:00Z", NOW - DAY),
        ("2026-02-28T12:00:00.000Z", NOW - DAY),
        ("2026-02-28T12:00:00+00:00", NOW - DAY),
        ("2026-02-28T13:00:00+01:00", NOW - DAY),
        ("2026-02-28 12:00:00", NOW - DAY),
        (" 2026-02-28T12:00 ", NOW - DAY),
        ("2026-02-28", NOW - 1.5 * DAY),
        ("20260228", NOW - 1.5 * DAY),
        (NOW.timestamp() - 86_400, NOW - DAY),
        (int(NOW.timestamp() - 86_400), NOW - DAY),
        (int(NOW.timestamp() - 86_400) * 1000, NOW - DAY),
        (str(int(NOW.timestamp() - 86_400)), NOW - DAY),
        (str(int(NOW.timestamp() - 86_400) * 1000), NOW - DAY),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (-86_400, datetime(1969, 12, 31, tzinfo=UTC)),
        ("1900-01-01", EARLIEST),
    ],
)
def test_iso_8601_and_seconds_and_milliseconds_are_dates(value: object, moment: datetime) -> None:
    assert parse_date(value) == moment
    assert age(value) == (NOW - moment) / DAY


@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "2026-02-30",
        "2026-13-01",
        "0001-01-01T00:00:00Z",
        "9999-12-31",
        "28.02.2026",
        "2026-02-28" + "0" * 100,
        "1712121500123456",
        "٢٠٢٦",
        "\ud800",
        "12:30",
        True,
        10**13,
        -(10**13),
        10**400,
        float("nan"),
        float("inf"),
        [],
        {},
        {"value": "2026-02-28"},
    ],
)
def test_anything_else_is_a_trait_error(value: object) -> None:
    assert parse_date(value) is None
    column = date_column(["2026-02-28T12:00:00Z", value], NOW)
    assert (column.values, list(column.wrong), column.gaps) == ([1.0, None], [1], True)


@pytest.mark.parametrize("value", [None, "", "  "])
def test_null_and_blank_strings_are_missing(value: object) -> None:
    column = date_column(["2026-02-28T12:00:00Z", value], NOW)
    assert (column.values, list(column.wrong), column.gaps) == ([1.0, None], [], True)


def test_a_date_that_lies_ahead_has_a_negative_age() -> None:
    assert age("2026-03-11T12:00:00Z") == -10
    assert age("2026-03-11T12:00:00Z", max_age_days=5) == -10


def test_an_older_date_than_asked_for_is_missing_and_no_error() -> None:
    column = date_column(["2026-02-28T12:00:00Z", "2025-02-28T12:00:00Z"], NOW, 30.0)
    assert (column.values, list(column.wrong), column.gaps) == ([1.0, None], [], True)
    assert age("2026-01-30T12:00:00Z", 30.0) == 30


@given(
    st.lists(
        st.datetimes(
            EARLIEST.replace(tzinfo=None),
            LATEST.replace(tzinfo=None) - 2 * DAY,
            timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5)), timezone(timedelta(hours=14))]),
        ).filter(lambda moment: moment >= EARLIEST),
        max_size=5,
    ),
    st.booleans(),
)
def test_a_clean_column_gives_what_its_values_give_one_by_one(moments: list[datetime], is_clean: bool) -> None:
    raw: list[object] = [moment.isoformat() for moment in moments]
    if not is_clean:
        raw.append(None)
    assert date_column(raw, NOW).values == [age(value) for value in raw]
