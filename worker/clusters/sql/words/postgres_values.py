"""Lists in JSON text, and shapes of wrong texts, as PostgreSQL decides them, see `postgres`."""

from __future__ import annotations

from sqlglot import exp

from worker.clusters.parsing.value_parsers import LONGEST_LIST
from worker.clusters.parsing.words import Vocabulary
from worker.clusters.sql.templates import integer, text
from worker.clusters.sql.words import code_points
from worker.clusters.sql.words.postgres import found_word, plain_text, sql

DEPTH = 3
"""Levels of lists and objects that a list may have, with itself. Text with more levels, with 200 digits in a row or
with an exponent from 300 (from 100 if more than eight digits are before it) is not a list here."""

# A string, number or constant, but no number that is too large for a double. Two values side by side are not JSON, so
# it does not matter where such a number ends.
_VALUE = (
    r'"(?:[^"\\\u0001-\u001f]|\\["\\/bfnrt]|\\u(?:[0-9a-cA-CefEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}'
    r'|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}))*"'
    r"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE](?:-[0-9]+|[+]?0*[0-9]{1,2}))?|true|false|null"
    r"|-?(?:0|[1-9][0-9]{0,7})(?:\.[0-9]+)?[eE][+]?0*[12][0-9]{2}"
)
_GAP = r"[ \t\n\r]*"
# Lists and objects of values that were replaced by \x01, which JSON has nowhere.
_PAIR = rf"\u0001{_GAP}:{_GAP}\u0001{_GAP}"
_FLAT = (
    rf"\[{_GAP}(?:\u0001{_GAP}(?:,{_GAP}\u0001{_GAP})*)?\]"
    rf"|\{{{_GAP}(?:{_PAIR}(?:,{_GAP}{_PAIR})*)?\}}"
)
# The usual list, which needs no replacement.
_STRINGS = r'^\[(?:"[^"\\\u0001-\u001f]*"(?:, ?"[^"\\\u0001-\u001f]*")*)?\]$'
_NUL = r"(?<!\\)((?:\\\\)*)\\u0000"

_IS_LIST = """
CASE
  WHEN NOT :value ~ :begin OR LENGTH(:value) > :longest OR STRPOS(:value, CHR(1)) > 0 THEN FALSE
  WHEN :value ~ :strings THEN TRUE
  WHEN LENGTH(:value) > 200 AND :value ~ :many_digits THEN FALSE
  ELSE :reduced ~ :one_value
END
"""

_LIST = """
CASE
  WHEN :value IS NULL OR :value = '' THEN NULL
  ELSE (
    SELECT CASE WHEN w_is_list THEN w_found WHEN CARDINALITY(w_found) > 0 THEN CAST(ARRAY[NULL] AS TEXT[]) END
    FROM (SELECT :value AS w_text, :is_list AS w_is_list OFFSET 0) AS w_lists
    CROSS JOIN LATERAL (
      SELECT COALESCE(ARRAY_AGG(w_member ORDER BY w_first), CAST('{}' AS TEXT[])) AS w_found
      FROM (
        SELECT w_member, MIN(w_number) AS w_first
        FROM (
          SELECT CASE WHEN w_kind IN ('string', 'null') THEN :found ELSE '' END AS w_member, w_number
          FROM (
            SELECT w_value #>> '{}' AS w_item, JSON_TYPEOF(w_value) AS w_kind, w_place AS w_number
            FROM JSON_ARRAY_ELEMENTS(
              CASE
                WHEN w_is_list THEN CAST(REGEXP_REPLACE(w_text, :nul, :before, 'g') AS JSON)
                ELSE JSON_BUILD_ARRAY(w_text)
              END
            ) WITH ORDINALITY AS w_values(w_value, w_place)
            OFFSET 0
          ) AS w_items
          OFFSET 0
        ) AS w_members
        WHERE NOT w_member IS NULL
        GROUP BY w_member
      ) AS w_distinct
    ) AS w_result
  )
END
"""

_SHAPE = """
(
  SELECT CONCAT(
    '"',
    CASE
      WHEN LENGTH(w_short) <= 32 AND LENGTH(:value) <= 60 THEN w_short
      ELSE CONCAT(SUBSTRING(w_short, 1, 31), '…')
    END,
    '"'
  )
  FROM (
    SELECT TRANSLATE(REGEXP_REPLACE(:signs, :run, :short_run, 'g'), '"', '''') AS w_short OFFSET 0
  ) AS w_shapes
)
"""


def found_list(value: exp.Expr, vocabulary: Vocabulary) -> exp.Expr:
    """Returns an expression of an array: of a JSON list the distinct `found_word` of its members in their order, but
    without NULL; `{NULL}` if the text is wrong, NULL if it is missing."""
    value = plain_text(value)
    reduced = _replaced(value, _VALUE, sql("CHR(1)"))
    for _ in range(DEPTH):
        reduced = _replaced(reduced, _FLAT, sql("CHR(1)"))
    is_list = sql(
        _IS_LIST,
        value=value,
        begin=text(rf"^{_GAP}\["),
        longest=integer(LONGEST_LIST),
        strings=text(_STRINGS),
        many_digits=text("[0-9]{200}"),
        reduced=reduced,
        one_value=text(rf"^{_GAP}\u0001{_GAP}$"),
    )
    return sql(
        _LIST,
        value=value,
        is_list=is_list,
        found=found_word(exp.column("w_item"), vocabulary),
        nul=text(_NUL),
        before=text(r"\1"),
    )


def shape(value: exp.Expr) -> exp.Expr:
    """Returns an expression of a text's shape, as `value_shape` has it."""
    value = plain_text(value)
    signs = sql("SUBSTRING(:value, 1, 60)", value=value)
    for signs_of_one_kind, sign in (
        (f"[{code_points.numeric()}]", "9"),
        (f"[{code_points.capital()}]", "A"),
        (f"[{code_points.small()}]", "a"),
        (f"[{code_points.white_space()}]", " "),
        (f"[^{code_points.kept_in_shapes()}]", "*"),
    ):
        signs = _replaced(signs, signs_of_one_kind, text(sign))
    return sql(_SHAPE, value=value, signs=signs, run=text(r"(.)\1{4,}"), short_run=text(r"\1\1\1\1…"))


def _replaced(value: exp.Expr, pattern: str, replacement: exp.Expr) -> exp.Expr:
    return sql(
        "REGEXP_REPLACE(:value, :pattern, :replacement, 'g')",
        value=value,
        pattern=text(pattern),
        replacement=replacement,
    )
