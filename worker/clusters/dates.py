"""Dates, read as their age in days.

A date is written in ISO 8601, or as seconds or milliseconds since 1970; without a zone it is in UTC. An age is as of
the start of the sync, whoever reads the page and when: a date after it has a negative age. That is a value like any
other, for the end of a contract lies ahead.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

from worker.clusters.values import Parsed, is_blank, parse_number

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
"""Dates outside of these are trait errors: they stand for "never" or "not known"."""

_DAY = timedelta(days=1)
_LONGEST = 40
"""Characters of the longest way to write a date."""


def parse_date(value: object) -> datetime | None:
    """`value` as a moment from `EARLIEST` to `LATEST`, or None if it is not usable as one.

    A number within these years as seconds is read as seconds, any other as milliseconds; a string of digits is a
    number, unless there are eight of them, which are year, month and day.
    """
    if isinstance(value, str):
        text = value.strip()
        if len(text) > _LONGEST:
            return None
        if not text.isdecimal() or len(text) == 8:
            return _from_iso(text)
    number = parse_number(value, 1e3 * EARLIEST.timestamp(), 1e3 * LATEST.timestamp())
    if number is None:
        return None
    is_seconds = EARLIEST.timestamp() <= number <= LATEST.timestamp()
    return datetime.fromtimestamp(number if is_seconds else number / 1e3, UTC)


def date_column(raw: list[object], as_of: datetime, max_age_days: float | None = None) -> Parsed[float]:
    """The age in days of every date of a column, read as `parse_date` does; a blank string is missing.

    An age above `max_age_days` is missing too, and no error.
    """
    moments: Sequence[datetime | None] = _clean(raw)
    wrong: list[int] = []
    if not moments:
        moments = [parse_date(value) for value in raw]
        wrong = [row for row, moment in enumerate(moments) if moment is None and not is_blank(raw[row])]
    ages = [None if moment is None else (as_of - moment) / _DAY for moment in moments]
    if max_age_days is not None:
        ages = [None if age is None or age > max_age_days else age for age in ages]
    return Parsed(ages, wrong, None in ages)


def _clean(raw: list[object]) -> list[datetime]:
    """A column of which every value is a usable date with its zone, in one go at C speed; empty if this is not one."""
    try:
        moments = list(map(datetime.fromisoformat, cast(list[str], raw)))
        usable = EARLIEST <= min(moments) and max(moments) <= LATEST  # noqa: SIM300 - a range reads in this order
    except (TypeError, ValueError):  # also if there is none, or one without a zone, which compares with no other
        return []
    return moments if usable else []


def _from_iso(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment if EARLIEST <= moment <= LATEST else None
