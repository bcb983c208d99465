"""Lists of words in JSON text, for the engines that were not run, see `conservative`."""

from __future__ import annotations

from sqlglot import exp

from worker.clusters.parsing import words
from worker.clusters.parsing.words import Vocabulary
from worker.clusters.sql.templates import case, integer, text
from worker.clusters.sql.words.conservative import Engine, escaped, found_word, matches, replaced, sql

LONGEST_LIST = 2000
"""Most characters of a list. Java, and so Databricks, fails if a group of a pattern is repeated too often."""

# A member that is missing is a space until it is removed. A text that is not a list has a space as its only member.
_MEMBERS = {
    "snowflake": "ARRAY_DISTINCT(FILTER(TRANSFORM(:members, w_item VARCHAR -> COALESCE(:found, ' ')), "
    "w_word VARCHAR -> w_word <> ' '))",
    "bigquery": "ARRAY(SELECT w_word FROM (SELECT :found AS w_word, w_place "
    "FROM UNNEST(:members) AS w_item WITH OFFSET AS w_place) AS w_words "
    "WHERE NOT w_word IS NULL GROUP BY w_word ORDER BY MIN(w_place))",
    "databricks": "ARRAY_DISTINCT(FILTER(TRANSFORM(:members, w_item -> :found), w_word -> NOT w_word IS NULL))",
}
_EMPTY = {"snowflake": "ARRAY_CONSTRUCT()", "bigquery": "CAST([] AS ARRAY<STRING>)"}
_EMPTY["databricks"] = "CAST(ARRAY() AS ARRAY<STRING>)"
_NO_LIST = {"snowflake": "ARRAY_CONSTRUCT(' ')", "bigquery": "[' ']", "databricks": "ARRAY(' ')", "redshift": "''"}
_WORDS = {
    "redshift": "CASE WHEN :found <> '' THEN JSON_PARSE(:found) END",
    "snowflake": "CASE WHEN NOT ARRAY_CONTAINS(TO_VARIANT(' '), :found) THEN ARRAY_REMOVE(:found, TO_VARIANT('')) END",
    "bigquery": "CASE WHEN NOT ' ' IN UNNEST(:found) "
    "THEN ARRAY(SELECT w_word FROM UNNEST(:found) AS w_word WHERE w_word <> '') END",
    "databricks": "CASE WHEN NOT ARRAY_CONTAINS(:found, ' ') THEN ARRAY_REMOVE(:found, '') END",
}
_WRONG = {
    "redshift": ":found = ''",
    "snowflake": "ARRAY_CONTAINS(TO_VARIANT(' '), :found) OR ARRAY_CONTAINS(TO_VARIANT(''), :found)",
    "bigquery": "' ' IN UNNEST(:found) OR '' IN UNNEST(:found)",
    "databricks": "ARRAY_CONTAINS(:found, ' ') OR ARRAY_CONTAINS(:found, '')",
}


def found_list(value: exp.Expr, vocabulary: Vocabulary, engine: Engine) -> exp.Expr:
    """Returns an expression of an array: of a JSON list the distinct `found_word` of its members without NULL; an array
    of a space if the text is wrong; NULL if it is missing. Of Redshift: the list's own text; `''` if it is wrong."""
    value = exp.cast(value, "TEXT")
    gap = f"[{engine.blank}]*"
    short = sql("LENGTH(:value) <= :most", engine, value=value, most=integer(LONGEST_LIST))
    branches: list[tuple[exp.Expr, exp.Expr]] = [(sql(":value IS NULL", engine, value=value), exp.null())]
    if engine.dialect == "redshift":
        branches.append((exp.and_(short, _is_usable_list(value, vocabulary, engine)), value))
    else:
        member = rf'"[^"\\{engine.control}]*"{gap}'
        is_list = matches(value, rf"{gap}\[{gap}{member}(,{gap}{member})*\]{gap}")
        inner = replaced(replaced(value, rf'^{gap}\[{gap}"|"{gap}\]{gap}$', ""), f'"{gap},{gap}"', '"')
        found = sql(
            _MEMBERS[engine.dialect],
            engine,
            members=exp.Anonymous(this="SPLIT", expressions=[inner, text('"')]),
            found=found_word(exp.column("w_item"), vocabulary, engine),
        )
        is_empty = matches(value, rf"{gap}\[{gap}(null{gap})?\]{gap}")
        branches += [(is_empty, sql(_EMPTY[engine.dialect], engine)), (exp.and_(short, is_list), found)]
    # A placeholder in brackets may be a list as well.
    missing = sql(
        "NOT :value LIKE '%[%' AND :found IS NULL",
        engine,
        value=value,
        found=found_word(value, vocabulary, engine),
    )
    return case([*branches, (missing, exp.null())], sql(_NO_LIST[engine.dialect], engine))


def words_of_list(found: exp.Expr, engine: Engine) -> exp.Expr:
    """Returns the usable words of what `found_list` returned; NULL if the text is not a list."""
    return sql(_WORDS[engine.dialect], engine, found=found)


def state_of_list(found: exp.Expr, engine: Engine) -> exp.Expr:
    """Returns the state of what `found_list` returned."""
    missing = sql(":found IS NULL", engine, found=found)
    return case([(missing, integer(1)), (sql(_WRONG[engine.dialect], engine, found=found), integer(2))], integer(0))


def _is_usable_list(value: exp.Expr, vocabulary: Vocabulary, engine: Engine) -> exp.Expr:
    """Returns whether a text is a list of usable words in ASCII."""
    gap = f"[{engine.blank}]*"
    named = [escaped(word) for word in sorted(vocabulary.named) if word.isascii() and not set(word) & {'"', "\\"}]
    # At a place where nothing can begin, so that it never matches.
    usable = named if vocabulary.is_closed else [engine.word, *named]
    member = f'"({"|".join(usable) or "a^"})"{gap}'
    is_list = matches(value, rf"{gap}\[{gap}({member}(,{gap}{member})*)?\]{gap}")
    if vocabulary.is_closed:
        return is_list
    placeholders = "|".join(escaped(word).replace(" ", "[ _-]") for word in sorted(words.PLACEHOLDERS))
    refused = f'"({placeholders})"|"[^"]{{{words.WORD_LENGTH + 1},}}"'
    is_refused = exp.RegexpLike(this=sql("LOWER(:value)", engine, value=value), expression=text(refused))
    return exp.and_(is_list, exp.not_(is_refused))
