"""Dates as SQL: from text to microseconds since 1970, as `worker.clusters.parsing.dates` reads them.

The steps build on each other, so that each is computed once for a row:

form          the text itself if it is written as most are; if the engine can do that exactly, the parts of a date in
              another form with `|` between them; digits of seconds or milliseconds
fixed         the parts at fixed places: `~YYYY-MM-DD HH:MM:SS.ffffff+HH:MM:SS`
checked       the same without `~`, if the day and the time exist
microseconds  computed from the fixed places, or from the digits
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlglot import exp

from worker.clusters.parsing.dates import EARLIEST_EPOCH, LATEST
from worker.clusters.sql.templates import case, double, integer, is_in, sql, text
from worker.clusters.sql.warehouse.functions import Functions, matches
from worker.clusters.sql.warehouse.numbers import WHITE_SPACE

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
DAY_US = timedelta(days=1) // MICROSECOND

UNICODE_SPACES = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""What Python's `str.strip` strips."""

_LONGEST = 100

_DAY = "((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)"
# Less than a day.
_OFFSET = (
    "[+-](([01][0-9]|2[0-2])(:[0-9]{2}(:[0-9]{2})?|[0-9]{2}([0-9]{2})?)?"
    "|23(:[0-5][0-9](:[0-5][0-9])?|[0-5][0-9]([0-5][0-9])?)?)"
)
_TIME_OF_DAY = f"[T ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]+)?(Z| UTC|{_OFFSET})?"
_USUAL = f"[12][0-9]{{3}}-{_DAY}({_TIME_OF_DAY})?"
_USUAL_OR_LEAP = f"[12][0-9]{{3}}-({_DAY}|02-29)({_TIME_OF_DAY})?"
_NUMBER = "[+-]*([0-9]+[.]?[0-9]*|[.][0-9]+)"
_ONE_NUMBER = "[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)"

# What `datetime.fromisoformat` accepts; before the zone, also one sign that means nothing.
_WHOLE = "[0-9]{2}(:[0-9]{2}(:[0-9]{2})?|[0-9]{2}([0-9]{2})?)?"
_PARTED = "[0-9]{2}(:[0-9]{2}(:[0-9]{2}[:.,]|[.,])|[.,]|[0-9]{2}([0-9]{2}[.,0-9]|[.,]))[0-9]+"
_ISO_TIME = f"(.({_WHOLE}([^0-9+Z-]?(Z|[+-]{_WHOLE}))?|{_PARTED}(Z|[+-]{_WHOLE})?))?"
_ISO_DATES = (
    ("[0-9]{4}-[0-9]{2}-[0-9]{2}", "([0-9]{4})-([0-9]{2})-([0-9]{2})", "\\1|\\2|\\3"),
    ("[0-9]{8}", "([0-9]{4})([0-9]{2})([0-9]{2})", "\\1|\\2|\\3"),
    ("[0-9]{4}-W[0-9]{2}-[0-9](?=$|[^0-9])", "([0-9]{4})-W([0-9]{2})-([0-9])", "\\1|W\\2|\\3"),
    ("[0-9]{4}W[0-9]{2}[0-9](?=$|[^0-9])", "([0-9]{4})W([0-9]{2})([0-9])", "\\1|W\\2|\\3"),
    ("[0-9]{4}-?W[0-9]{2}(?=$|[^0-9-]|-..)", "([0-9]{4})-?W([0-9]{2})()", "\\1|W\\2|1"),
)
_ISO_TAIL = ".?([0-9]{2})?:?([0-9]{2})?:?([0-9]{2})?[:.,]?([0-9]*)[^+Z-]?(?:Z|([+-].*))?"

_TIME = "([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]+))?)?"
_ZONE = "([a-z]{1,3})?(?:([+-][0-9]{2}(?::?[0-9]{2})?)(?: +(?:[a-z]{1,5}|[+-][0-9]{2,4}))?)?"
_WEEKDAY = "(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? +)?"
_COMMENT = "(?: *[(][^()]*[)])?"
_FORMS = (
    (
        "(?!....(?:-../|/..-))([0-9]{4})[-/]([0-9]{2})[-/]([0-9]{2})"
        f"(?:(?:t| +){_TIME} *{_ZONE}(?: +m=[+-][0-9.]+)?)?",
        "\\1|\\2|\\3|\\4|\\5|\\6|\\7|\\8|\\9",
    ),
    (
        f"{_WEEKDAY}([0-9]{{1,2}})[ -]([a-z]{{3}})[ -]([0-9]{{4}})(?: +{_TIME} *{_ZONE}{_COMMENT})?",
        "\\3|\\2|\\1|\\4|\\5|\\6|\\7|\\8|\\9",
    ),
    (
        f"{_WEEKDAY}([a-z]{{3}}) +([0-9]{{1,2}}),? +([0-9]{{4}})(?: +{_TIME} *{_ZONE}{_COMMENT})?",
        "\\3|\\1|\\2|\\4|\\5|\\6|\\7|\\8|\\9",
    ),
    (
        f"{_WEEKDAY}([a-z]{{3}}) +([0-9]{{1,2}}) +{_TIME} *{_ZONE} +([0-9]{{4}})",
        "\\9|\\1|\\2|\\3|\\4|\\5|\\6|\\7|\\8",
    ),
)
_MONTHS = "janfebmaraprmayjunjulaugsepoctnovdec"
_UTC = ("", "z", "ut", "utc", "gmt")
_ZONES = {
    "est": "-05",
    "edt": "-04",
    "cst": "-06",
    "cdt": "-05",
    "mst": "-07",
    "mdt": "-06",
    "pst": "-08",
    "pdt": "-07",
}

_FORM = """
CASE
  WHEN :usual THEN :value
  WHEN LENGTH(:stripped) > :longest THEN NULL
  WHEN :eight_digits THEN CONCAT('~', SUBSTRING(:stripped, 1, 4), '-', SUBSTRING(:stripped, 5, 2), '-',
    SUBSTRING(:stripped, 7, 2))
  WHEN :number THEN CASE WHEN :one_number THEN :trimmed END
  ELSE :parts
END
"""
_FIXED = """
CASE
  WHEN SUBSTRING(:form, 5, 1) = '-' OR :form LIKE '~%' THEN :form
  WHEN :form LIKE '%|%' THEN :assembled
  WHEN NOT CAST(:form AS DOUBLE) BETWEEN 1e7 AND 99999999e0 THEN :form
  WHEN CAST(:form AS DOUBLE) = FLOOR(CAST(:form AS DOUBLE)) THEN :calendar
END
"""
_CALENDAR = "CONCAT('~', SUBSTRING(:digits, 1, 4), '-', SUBSTRING(:digits, 5, 2), '-', SUBSTRING(:digits, 7, 2))"
_CHECKED = """
CASE
  WHEN NOT :fixed LIKE '~%' THEN :fixed
  WHEN :usual AND (SUBSTRING(:fixed, 7, 5) <> '02-29' OR SUBSTRING(:fixed, 4, 2) IN :leap_years
    AND NOT SUBSTRING(:fixed, 2, 4) IN ('1900', '2100', '2200')) THEN SUBSTRING(:fixed, 2)
END
"""
_MICROSECONDS = """
CASE
  WHEN SUBSTRING(:checked, 5, 1) = '-' THEN
    CAST(:days AS BIGINT) * 86400000000
    + CASE
      WHEN LENGTH(:checked) < 19 THEN 0
      ELSE (CAST(SUBSTRING(:checked, 12, 2) AS BIGINT) * 3600 + CAST(SUBSTRING(:checked, 15, 2) AS BIGINT) * 60
        + CAST(SUBSTRING(:checked, 18, 2) AS BIGINT)) * 1000000
    END
    + CASE WHEN LENGTH(:checked) < 21 THEN 0 ELSE :microsecond END
    - CASE WHEN LENGTH(:checked) < 21 THEN 0 ELSE :offset END
  WHEN CAST(:checked AS DOUBLE) BETWEEN :first AND :last THEN :of_seconds
  WHEN CAST(:checked AS DOUBLE) BETWEEN :first_ms AND :last_ms THEN :of_milliseconds
END
"""
_OF_SECONDS = """
CAST(FLOOR(:seconds) AS BIGINT) * 1000000 + CAST(ROUND((:seconds - FLOOR(:seconds)) * 1e6) AS BIGINT)
"""
_MICROSECOND = "COALESCE(CAST(RPAD(SUBSTRING(:fraction, 2, 6), 6, '0') AS BIGINT), 0)"
_OFFSET_US = """
COALESCE(CASE WHEN :offset LIKE '-%' THEN -1000000 ELSE 1000000 END * (
  CAST(SUBSTRING(:digits, 2, 2) AS BIGINT) * 3600
  + CAST(RPAD(SUBSTRING(:digits, 4, 2), 2, '0') AS BIGINT) * 60
  + CAST(RPAD(SUBSTRING(:digits, 6, 2), 2, '0') AS BIGINT)
), 0)
"""
_ASSEMBLED = """
CASE
  WHEN :offset <> '' AND :zone_offset <> '' OR NOT :year ~ '^[12]' THEN NULL
  ELSE '~' || :date || ' ' || RPAD(:hour, 2, '0') || ':' || RPAD(:minute, 2, '0') || ':' || RPAD(:second, 2, '0')
    || '.' || RPAD(LEFT(:fraction, 6), 6, '0') || COALESCE(NULLIF(:offset, ''), NULLIF(:zone_offset, ''), '+00')
END
"""
_DATE_OF_PARTS = """
CASE
  WHEN :month LIKE 'W%' THEN
    CASE WHEN :month BETWEEN 'W01' AND 'W53' AND :day BETWEEN '1' AND '7'
      AND TO_CHAR(TO_DATE(:iso, 'IYYY-IW-ID'), 'IYYY-IW-ID') = :iso
    THEN TO_CHAR(TO_DATE(:iso, 'IYYY-IW-ID'), 'YYYY-MM-DD') END
  WHEN :month ~ '^[a-z]' THEN
    CASE WHEN STRPOS(:months, :month) % 3 = 1
    THEN :year || '-' || LPAD(CAST(STRPOS(:months, :month) / 3 + 1 AS TEXT), 2, '0') || '-' || LPAD(:day, 2, '0') END
  ELSE :year || '-' || :month || '-' || LPAD(:day, 2, '0')
END
"""


def date_steps(functions: Functions, value: exp.Expr, steps: tuple[exp.Expr, exp.Expr, exp.Expr]) -> list[exp.Expr]:
    """Returns the four steps of the dates of a column of text.

    Args:
        functions: Those of the engine.
        value: The column.
        steps: The columns that the first three steps become.
    """
    form, fixed, checked = steps
    return [_form(functions, value), _fixed(functions, form), _checked(fixed), _microseconds(functions, checked)]


def stripped(value: exp.Expr) -> exp.Expr:
    """Returns a text as Python's `str.strip` returns it."""
    return sql("TRIM(:value, :signs)", value=value, signs=text(UNICODE_SPACES))


def number_steps(functions: Functions, value: exp.Expr, fixed: exp.Expr, checked: exp.Expr) -> list[exp.Expr]:
    """Returns the three steps of the dates of a column of doubles; the first two are the days of eight digits."""
    digits = sql("CAST(CAST(:value AS BIGINT) AS VARCHAR)", value=value)
    days = sql(
        "CASE WHEN :value BETWEEN 1e7 AND 99999999e0 AND :value = FLOOR(:value) THEN :calendar END",
        value=value,
        calendar=sql(_CALENDAR, digits=digits),
    )
    moment = sql(
        "CASE WHEN NOT :checked IS NULL THEN :days "
        "WHEN :value BETWEEN :first AND :last THEN :of_seconds "
        "WHEN :value BETWEEN :first_ms AND :last_ms THEN :of_milliseconds END",
        checked=checked,
        days=sql("CAST(:days AS BIGINT) * 86400000000", days=_days(functions, checked)),
        value=value,
        of_seconds=sql(_OF_SECONDS, seconds=value),
        of_milliseconds=sql(_OF_SECONDS, seconds=sql(":value / 1e3", value=value)),
        **_bounds(),
    )
    return [days, _checked(fixed), moment]


def _form(functions: Functions, value: exp.Expr) -> exp.Expr:
    trimmed, inner = sql("TRIM(:value, :signs)", value=value, signs=text(WHITE_SPACE)), stripped(value)
    if functions.is_exact:
        is_ascii = sql("OCTET_LENGTH(:stripped) = LENGTH(:stripped)", stripped=inner)
        parts: exp.Expr = sql("CASE WHEN :is_ascii THEN :parts END", is_ascii=is_ascii, parts=_parts(functions, inner))
    else:
        parts = sql(
            "CASE WHEN :usual THEN CONCAT('~', :content) END", usual=matches(inner, _USUAL_OR_LEAP), content=inner
        )
    return sql(
        _FORM,
        value=value,
        usual=matches(value, _USUAL),
        stripped=inner,
        longest=integer(_LONGEST),
        eight_digits=matches(inner, "[0-9]{8}"),
        number=matches(inner, _NUMBER),
        one_number=matches(trimmed, _ONE_NUMBER),
        trimmed=trimmed,
        parts=parts,
    )


def _parts(functions: Functions, inner: exp.Expr) -> exp.Expr:
    """Returns the year, month, day, hour, minute, second, fraction, zone and offset of a text, separated by `|`."""
    branches = []
    for whole, parts, found in _ISO_DATES:
        split = _replaced(functions, inner, f"{parts}{_ISO_TAIL}", f"{found}|\\4|\\5|\\6|\\7||\\8")
        branches.append((matches(inner, f"{whole}{_ISO_TIME}"), split))
    small = sql(
        "TRANSLATE(LOWER(:content), :signs, :spaces)", content=inner, signs=text("\t\n\v\f\r"), spaces=text(" " * 5)
    )
    branches += [(matches(small, form), _replaced(functions, small, form, found)) for form, found in _FORMS]
    return case(branches)


def _replaced(functions: Functions, value: exp.Expr, pattern: str, found: str) -> exp.Expr:
    return functions.sql(
        "REGEXP_REPLACE(:value, :pattern, :found)", value=value, pattern=text(f"^{pattern}$"), found=text(found)
    )


def _fixed(functions: Functions, form: exp.Expr) -> exp.Expr:
    digits = sql("CAST(CAST(CAST(:form AS DOUBLE) AS BIGINT) AS VARCHAR)", form=form)
    return sql(
        _FIXED,
        form=form,
        assembled=_assembled(functions, form) if functions.is_exact else exp.Null(),
        calendar=sql(_CALENDAR, digits=digits),
    )


def _assembled(functions: Functions, form: exp.Expr) -> exp.Expr:
    names = ("year", "month", "day", "hour", "minute", "second", "fraction", "zone", "offset")
    part = {
        name: functions.sql("SPLIT_PART(:form, '|', :place)", form=form, place=integer(i + 1))
        for i, name in enumerate(names)
    }
    iso = functions.sql(":year || '-' || SUBSTRING(:month, 2) || '-' || :day", **_only(part, "year", "month", "day"))
    date = functions.sql(_DATE_OF_PARTS, iso=iso, months=text(_MONTHS), **_only(part, "year", "month", "day"))
    zones = [(is_in(part["zone"], _UTC), text(""))]
    zones += [(sql(":zone = :name", zone=part["zone"], name=text(name)), text(hours)) for name, hours in _ZONES.items()]
    return functions.sql(
        _ASSEMBLED,
        date=date,
        zone_offset=sql("COALESCE(:hours, '?')", hours=case(zones)),
        **_only(part, "year", "hour", "minute", "second", "fraction", "offset"),
    )


def _checked(fixed: exp.Expr) -> exp.Expr:
    years = exp.Tuple(expressions=[text(f"{year:02d}") for year in range(0, 100, 4)])
    inner = sql("SUBSTRING(:fixed, 2)", fixed=fixed)
    return sql(_CHECKED, fixed=fixed, usual=matches(inner, _USUAL_OR_LEAP), leap_years=years)


def _microseconds(functions: Functions, checked: exp.Expr) -> exp.Expr:
    tail = sql("SUBSTRING(:checked, 20)", checked=checked)
    fraction = functions.sql(functions.find, value=tail, pattern=text("^[.][0-9]+"))
    offset = functions.sql(functions.find, value=tail, pattern=text("[+-][0-9:]+$"))
    number = sql("CAST(:checked AS DOUBLE)", checked=checked)
    return sql(
        _MICROSECONDS,
        checked=checked,
        days=_days(functions, checked),
        microsecond=sql(_MICROSECOND, fraction=fraction),
        offset=sql(_OFFSET_US, offset=offset, digits=sql("REPLACE(:offset, ':', '')", offset=offset)),
        of_seconds=sql(_OF_SECONDS, seconds=number),
        of_milliseconds=sql(_OF_SECONDS, seconds=sql(":number / 1e3", number=number)),
        **_bounds(),
    )


def _days(functions: Functions, checked: exp.Expr) -> exp.Expr:
    return functions.sql(functions.days, value=sql("SUBSTRING(:checked, 1, 10)", checked=checked))


def _bounds() -> dict[str, exp.Expr]:
    first, last = EARLIEST_EPOCH.timestamp(), LATEST.timestamp()
    parts = {"first": first, "last": last, "first_ms": 1e3 * first, "last_ms": 1e3 * last}
    return {name: double(seconds) for name, seconds in parts.items()}


def _only(parts: dict[str, exp.Expr], *names: str) -> dict[str, exp.Expr]:
    return {name: parts[name] for name in names}
