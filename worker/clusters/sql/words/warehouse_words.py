"""The columns of a category or list in a warehouse, in each engine's dialect."""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from worker.clusters.parsing.words import Vocabulary
from worker.clusters.sql.words import conservative, conservative_lists, postgres, postgres_values

_WORDS_OF_LIST = """
(
  SELECT CASE WHEN ARRAY_POSITION(w_found, NULL) IS NULL THEN ARRAY_REMOVE(w_found, '') END
  FROM (SELECT :found AS w_found OFFSET 0) AS w_lists
)
"""
_STATE_OF_LIST = """
(
  SELECT CASE
      WHEN w_found IS NULL THEN 1
      WHEN ARRAY_POSITION(w_found, NULL) IS NULL AND ARRAY_POSITION(w_found, '') IS NULL THEN 0
      ELSE 2
    END
  FROM (SELECT :found AS w_found OFFSET 0) AS w_lists
)
"""


@dataclass(frozen=True, slots=True)
class WordColumns:
    """What a text contains.

    `word` and `state` are made of `found`. A statement that needs both computes `found` once, as a column, and makes
    the two of it with `category_of` or `list_of`.

    Attributes:
        found: Of a category: the usable word in its normal form, `''` if the text is wrong, NULL if it is missing. Of a
            list: what `found_list` of the engine returns.
        word: The usable word, or an array of the distinct usable words of a list, which may be empty; NULL without one.
            Of Redshift a SUPER, in which a word may be repeated.
        state: 0 usable, 1 missing, 2 wrong. A list with a wrong member is wrong, though it has words.
    """

    found: exp.Expr
    word: exp.Expr
    state: exp.Expr


def category_columns(value: exp.Expr, vocabulary: Vocabulary, dialect: str) -> WordColumns:
    """Returns the columns of a category in a text, which may be NULL."""
    if dialect == "postgres":
        return category_of(postgres.found_word(value, vocabulary), dialect)
    return category_of(conservative.found_word(value, vocabulary, conservative.engine_of(dialect)), dialect)


def list_columns(value: exp.Expr, vocabulary: Vocabulary, dialect: str) -> WordColumns:
    """Returns the columns of a list in JSON text, which may be NULL."""
    if dialect == "postgres":
        return list_of(postgres_values.found_list(value, vocabulary), dialect)
    return list_of(conservative_lists.found_list(value, vocabulary, conservative.engine_of(dialect)), dialect)


def category_of(found: exp.Expr, dialect: str) -> WordColumns:
    """Returns the columns of what was found in the text of a category."""
    state = "CASE COALESCE(LENGTH(:found), -1) WHEN -1 THEN 1 WHEN 0 THEN 2 ELSE 0 END"
    return WordColumns(found, postgres.sql("NULLIF(:found, '')", found=found), postgres.sql(state, found=found))


def list_of(found: exp.Expr, dialect: str) -> WordColumns:
    """Returns the columns of what was found in the text of a list."""
    if dialect == "postgres":
        return WordColumns(found, postgres.sql(_WORDS_OF_LIST, found=found), postgres.sql(_STATE_OF_LIST, found=found))
    engine = conservative.engine_of(dialect)
    return WordColumns(
        found, conservative_lists.words_of_list(found, engine), conservative_lists.state_of_list(found, engine)
    )


def shape_of(value: exp.Expr, dialect: str) -> exp.Expr:
    """Returns the shape of a wrong text as text, see `value_shape`."""
    return (
        postgres_values.shape(value)
        if dialect == "postgres"
        else conservative.shape(value, conservative.engine_of(dialect))
    )
