"""Numbers as SQL: from text, or from a column of numbers, to doubles. No value makes a cast fail."""

from __future__ import annotations

from sqlglot import exp

from worker.clusters.sql.templates import double, integer, sql, text
from worker.clusters.sql.warehouse.functions import Functions, matches

WHITE_SPACE = " \t\n\r\v\f"
"""What Python's `string.whitespace` has, and what is stripped of a number and a boolean."""

# A double holds any number of so many digits, so that casting it cannot overflow.
_PLAIN_LENGTH = 300
_LONGEST = 1000
_PLAIN = "[+-]?[0-9]+[.]?[0-9]*"
_DECIMAL = "[ \\t-\\r]*[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?[ \\t-\\r]*"
_SHORT_DECIMAL = "[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?0*[0-9]?[0-9]?)?"
_LARGE_EXPONENT = ".*[eE][+-]?0*[1-9][0-9]{4,}[^0-9]*"
_ZERO = "[^0-9.]*[0.]+[eE].*"
_BEYOND = 1e300
"""A number that no trait's scale includes."""

# A little more than half of the smallest double: what is nearer to 0 is 0.
_NEXT_TO_ZERO = "2.4703282292062327209e-324"

_DECIDED = """
CASE
  WHEN :plain THEN CAST(:value AS DOUBLE PRECISION)
  WHEN LENGTH(:value) > :longest OR NOT :is_decimal THEN NULL
  WHEN :has_large_exponent THEN
    CASE WHEN :is_zero OR :value LIKE '%e-%' OR :value LIKE '%E-%' THEN :zero ELSE :beyond END
  ELSE :of_decimal
END
"""
_OF_DECIMAL = """
CASE
  WHEN ABS(CAST(:value AS NUMERIC)) >= CAST('1e300' AS NUMERIC) THEN :beyond
  WHEN ABS(CAST(:value AS NUMERIC)) <= CAST(:next_to_zero AS NUMERIC) THEN :zero
  ELSE CAST(:value AS DOUBLE PRECISION)
END
"""
_SURE = """
CASE
  WHEN LENGTH(:value) > :plain_length THEN NULL
  WHEN :plain OR :is_decimal THEN CAST(:trimmed AS DOUBLE)
END
"""


def number_in_text(functions: Functions, value: exp.Expr) -> exp.Expr:
    """Returns the number that a text contains as `parse_number` reads it, within or beyond any scale; NULL without one.

    Unless the functions are exact, a text with an exponent of three digits or of more than 300 characters is none.
    """
    plain = sql(
        ":matches AND LENGTH(:value) <= :most",
        matches=matches(value, _PLAIN),
        value=value,
        most=integer(_PLAIN_LENGTH),
    )
    if not functions.is_exact:
        trimmed = sql("TRIM(:value, :signs)", value=value, signs=text(WHITE_SPACE))
        return sql(
            _SURE,
            value=value,
            plain=plain,
            plain_length=integer(_PLAIN_LENGTH),
            trimmed=trimmed,
            is_decimal=matches(trimmed, _SHORT_DECIMAL),
        )
    return functions.sql(
        _DECIDED,
        value=value,
        plain=plain,
        longest=integer(_LONGEST),
        is_decimal=matches(value, _DECIMAL),
        has_large_exponent=matches(value, _LARGE_EXPONENT),
        is_zero=matches(value, _ZERO),
        zero=double(0),
        beyond=double(_BEYOND),
        of_decimal=_of_decimal(functions, value),
    )


def number_in_column(functions: Functions, value: exp.Expr, sql_type: str) -> exp.Expr:
    """Returns the double of a column of numbers."""
    if functions.is_exact and sql_type.upper().split("(")[0].strip() in ("NUMERIC", "DECIMAL"):
        return _of_decimal(functions, value)
    return sql("CAST(:value AS DOUBLE)", value=value)


def _of_decimal(functions: Functions, value: exp.Expr) -> exp.Expr:
    return functions.sql(
        _OF_DECIMAL, value=value, zero=double(0), beyond=double(_BEYOND), next_to_zero=text(_NEXT_TO_ZERO)
    )
