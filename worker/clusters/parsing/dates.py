"""Parsers of dates. A date is read as its age in days.

Dates may be written in ISO 8601, in a form of warehouses, e-mail headers or programming languages, as eight digits, or
as seconds or milliseconds since 1970. Without a zone they are in UTC. Ages are relative to the start of the sync, so
all workers agree. Later dates, such as the end of a contract, have negative ages.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import cast

from worker.clusters.parsing.value_parsers import ParsedColumn, is_blank, parse_number

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
"""Dates outside this range are trait errors: they mean "never" or "unknown"."""

EARLIEST_EPOCH = datetime(1990, 1, 1, tzinfo=UTC)
"""Earlier seconds and milliseconds are trait errors: 0 and -1 mean "never", and small numbers are not dates."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_LONGEST = 100
"""Most characters of a date."""
_DATE_ONLY = 10
"""Characters of a date without a time of day."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# Zones of RFC 5322, and those that programs write for UTC; in hours.
_ZONES = {"": 0, "z": 0, "ut": 0, "utc": 0, "gmt": 0, "est": -5, "edt": -4, "cst": -6, "cdt": -5}
_ZONES |= {"mst": -7, "mdt": -6, "pst": -8, "pdt": -7}

_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?"
# A name after an offset, as Go writes it, adds nothing: +0000 UTC, -0300 -03.
_ZONE = r"(?P<zone>[a-z]{1,3})?(?:(?P<offset>[+-]\d\d(?::?\d\d)?)(?:\s+(?:[a-z]{1,5}|[+-]\d{2,4}))?)?"
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+)?"
_FORMS = tuple(
    re.compile(form, re.ASCII | re.IGNORECASE)
    for form in (
        # 2024-01-31 00:00:00.123456789 +0000 UTC m=+0.1: BigQuery, Snowflake, Trino, Go
        rf"(?P<year>\d{{4}})(?P<separator>[-/])(?P<month>\d\d)(?P=separator)(?P<day>\d\d)"
        rf"(?:(?:T|\s+){_TIME}\s*{_ZONE}(?:\s+m=[+-][\d.]+)?)?",
        # Wed, 31 Jan 2024 00:00:00 +0000 (UTC): RFC 5322, RFC 7231
        rf"{_WEEKDAY}(?P<day>\d\d?)[\s-](?P<name>[a-z]{{3}})[\s-](?P<year>\d{{4}})"
        rf"(?:\s+{_TIME}\s*{_ZONE}(?:\s*\([^()]*\))?)?",
        # Wed Jan 31 2024 00:00:00 GMT+0000 (Coordinated Universal Time): JavaScript
        rf"{_WEEKDAY}(?P<name>[a-z]{{3}})\s+(?P<day>\d\d?),?\s+(?P<year>\d{{4}})(?:\s+{_TIME}\s*{_ZONE}(?:\s*\([^()]*\))?)?",
        # Wed Jan 31 00:00:00 UTC 2024: C, Java
        rf"{_WEEKDAY}(?P<name>[a-z]{{3}})\s+(?P<day>\d\d?)\s+{_TIME}\s*{_ZONE}\s+(?P<year>\d{{4}})",
    )
)


def parse_date(value: object) -> datetime | None:
    """Parses a date from `EARLIEST` to `LATEST`; None if the value is not usable.

    Eight digits are year, month and day, as text or as a number. Any other number, also as text, is in seconds or
    milliseconds since 1970, whichever is between `EARLIEST_EPOCH` and `LATEST`.
    """
    if isinstance(value, str):
        text = value.strip()
        if len(text) > _LONGEST or not text.isascii():
            return None
        if not _is_number(text):
            return _from_text(text)
    number = parse_number(value, 1e7, 1e3 * LATEST.timestamp())
    if number is None:
        return None
    if number < 1e8:
        return _from_text(f"{number:.0f}") if number == int(number) else None
    for seconds in (number, number / 1e3):
        if EARLIEST_EPOCH.timestamp() <= seconds <= LATEST.timestamp():
            return datetime.fromtimestamp(seconds, UTC)
    return None


def date_column(raw: list[object], as_of: datetime, max_age_days: float | None = None) -> ParsedColumn[float]:
    """Parses a column as `parse_date` does into ages in days. Blank strings are missing.

    Args:
        raw: The values.
        as_of: The moment that ages are relative to.
        max_age_days: Older dates are missing and not errors.
    """
    moments: Sequence[datetime | None] = _clean(raw)
    wrong: list[int] = []
    if not moments:
        moments = [parse_date(value) for value in raw]
        wrong = [row for row, moment in enumerate(moments) if moment is None and not is_blank(raw[row])]
    ages = [None if moment is None else (as_of - moment) / _DAY for moment in moments]
    if max_age_days is not None:
        ages = [None if age is None or age > max_age_days else age for age in ages]
    return ParsedColumn(ages, wrong, None in ages)


def _clean(raw: list[object]) -> list[datetime]:
    """Parses a column of usable ISO dates with zones in one pass at C speed; empty if it is not one."""
    try:
        moments = list(map(datetime.fromisoformat, cast(list[str], raw)))
        # Only from 1990 on, so that a 0 that was written as a date is found value by value.
        usable = EARLIEST_EPOCH <= min(moments) and max(moments) <= LATEST  # noqa: SIM300 - a range reads in this order
    except (TypeError, ValueError):  # also for an empty column, or for a date without a zone among others
        return []
    return moments if usable else []


def _is_number(text: str) -> bool:
    """Returns whether a text is a number rather than a calendar date."""
    return text.replace(".", "", 1).lstrip("+-").isdigit() and not (len(text) == 8 and text.isdigit())


def _from_text(text: str) -> datetime | None:
    try:
        moment: datetime | None = datetime.fromisoformat(text)
    except ValueError:
        moment = _from_forms(text)
    if moment is None:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment == _EPOCH and len(text) > _DATE_ONLY:
        return None  # a 0 that was written as a date
    return moment if EARLIEST <= moment <= LATEST else None


def _from_forms(text: str) -> datetime | None:
    """Parses a text in one of `_FORMS`; None if it has another form or the moment does not exist."""
    found = next(filter(None, (form.fullmatch(text) for form in _FORMS)), None)
    if found is None:
        return None
    part = found.groupdict("")
    zone, offset = part["zone"].lower(), part["offset"].replace(":", "")
    month = int(part["month"]) if "month" in part else _month(part["name"])
    # An offset counts from UTC, so another zone before it is a contradiction.
    if zone not in _ZONES or (offset and _ZONES[zone]):
        return None
    minutes = 60 * _ZONES[zone]
    if offset:
        minutes = int(offset[0] + "1") * (60 * int(offset[1:3]) + int(offset[3:] or "0"))
    try:
        return datetime(
            int(part["year"]),
            month,
            int(part["day"]),
            int(part["hour"] or "0"),
            int(part["minute"] or "0"),
            int(part["second"] or "0"),
            int(part["fraction"][:6].ljust(6, "0")),
            timezone(timedelta(minutes=minutes)),
        )
    except ValueError:
        return None


def _month(name: str) -> int:
    """Returns the number of a month; 0 for an unknown name."""
    return _MONTHS.index(name.lower()) + 1 if name.lower() in _MONTHS else 0
