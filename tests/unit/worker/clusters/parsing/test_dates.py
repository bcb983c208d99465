"""Dates, read as ages in days at the start of a sync."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.clusters.parsing.dates import EARLIEST, LATEST, date_column, parse_date

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


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
        (20260228, NOW - 1.5 * DAY),
        (20260228.0, NOW - 1.5 * DAY),
        ("20260228.0", NOW - 1.5 * DAY),
        (631_152_000, datetime(1990, 1, 1, tzinfo=UTC)),
        (631_152_000_000, datetime(1990, 1, 1, tzinfo=UTC)),
        ("1970-01-01", datetime(1970, 1, 1, tzinfo=UTC)),
        ("1969-12-31T00:00:00Z", datetime(1969, 12, 31, tzinfo=UTC)),
        ("1900-01-01", EARLIEST),
    ],
)
def test_iso_8601_and_eight_digits_and_seconds_and_milliseconds_are_dates(value: object, moment: datetime) -> None:
    assert parse_date(value) == moment
    assert age(value) == (NOW - moment) / DAY


@pytest.mark.parametrize(
    "value",
    [
        "2026-02-28 12:00:00 UTC",
        "2026-02-28 12:00:00.0 UTC",
        "2026-02-28 12:00:00.000 UTC",
        "2026-02-28 12:00:00.000000000 UTC",
        "2026-02-28T12:00:00.0000000000001Z",
        "2026-02-28 12:00:00Z",
        "2026-02-28 12:00:00 Z",
        "2026-02-28t12:00:00z",
        "2026-02-28 12:00:00+00",
        "2026-02-28T12:00:00+0000",
        "2026-02-28 04:00:00 -0800",
        "2026-02-28 04:00:00.000 -08:00",
        "2026-02-28T04:00:00-0800",
        "2026-02-28 12:00:00 +0000 UTC",
        "2026-02-28 12:00:00.0 +0000 UTC m=+0.0042",
        "2026-02-28 04:00:00 -0800 PST",
        "2026-02-28 15:00:00 +0300 +03",
        "2026-02-28 12:00:00 GMT",
        "2026/02/28 12:00:00",
        "Sat, 28 Feb 2026 12:00:00 +0000",
        "Sat, 28 Feb 2026 12:00:00 GMT",
        "Sat, 28 Feb 2026 04:00:00 PST",
        "28 Feb 2026 12:00 -0000",
        "Sat, 28 Feb 2026 12:00:00 +0000 (UTC)",
        "Saturday, 28-Feb-2026 12:00:00 GMT",
        "Sat Feb 28 2026 12:00:00 GMT+0000 (Coordinated Universal Time)",
        "Sat Feb 28 12:00:00 2026",
        "Sat Feb 28 12:00:00 UTC 2026",
        "Sat Feb 28 04:00:00 PST 2026",
    ],
)
def test_forms_of_warehouses_headers_and_languages_are_dates(value: str) -> None:
    assert parse_date(value) == NOW - DAY
    assert age(f" {value}\n") == 1.0


def test_a_fraction_of_a_second_has_any_number_of_digits() -> None:
    for digits in range(1, 13):
        moment = parse_date(f"2026-02-28 12:00:00.{'5' + '0' * (digits - 1)} UTC")
        assert moment == NOW - DAY + timedelta(seconds=0.5), digits


@pytest.mark.parametrize(
    "value",
    [
        0,
        -1,
        1,
        -86_400,
        86_400,
        "0",
        "-1",
        0.0,
        631_151_999,
        631_151_999_999,
        "631151999",
        20260230,
        20261301,
        "20260230",
        99999999,
        20260228.5,
        18991231,
        "1970-01-01T00:00:00Z",
        "1970-01-01T00:00:00.000Z",
        "1970-01-01 00:00:00 UTC",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "0001-01-01 00:00:00 +0000 UTC",
        "2026-02-30 00:00:00 UTC",
        "2026-02-28 25:00:00 UTC",
        "2026-02-28 12:00:00 +9900",
        "2026-02-28 12:00:00 CET",
        "2026-02-28 12:00:00 PST+0100",
        "Sat, 30 Feb 2026 12:00:00 GMT",
        "Sat, 28 Foo 2026 12:00:00 GMT",
        "28/02/2026",
        "02/28/2026",
        "2026-02/28",
    ],
)
def test_zeros_and_small_numbers_and_dates_that_do_not_exist_are_trait_errors(value: object) -> None:
    assert parse_date(value) is None
    assert list(date_column([value, "2026-02-28T12:00:00Z"], NOW).wrong) == [0]


@given(st.text(alphabet="0123456789-/:.,+ TZUCGMtSaFeb()", max_size=45) | st.floats() | st.integers())
def test_no_value_raises(value: object) -> None:
    moment = parse_date(value)
    assert moment is None or EARLIEST <= moment <= LATEST


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
