"""The branches that count the profiles of a warehouse. What leaves the statement is counts, sums, and what at least
`MIN_PROFILES` profiles have in common: words in their normal form, and shapes of what is not usable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlglot import exp

from worker.clusters.rules.trait import Trait
from worker.clusters.sql.result_columns import FINE_SCALE, KEPT_WORDS, SCALE, States
from worker.clusters.sql.templates import double, integer, sql, text
from worker.clusters.sql.warehouse.functions import Functions, own_column
from worker.clusters.sql.warehouse.key_values import IS_NUMBER, IS_TEXT
from worker.clusters.sql.words import shape_of
from worker.clusters.statistics.category import MIN_PROFILES

_STATES = """
SELECT state, CAST(NULL AS INTEGER) AS trait, CAST(NULL AS INTEGER) AS bucket, CAST(NULL AS VARCHAR) AS words,
  COUNT(*) AS n, CAST(NULL AS DECIMAL(38, 0)) AS whole, CAST(NULL AS DECIMAL(38, 0)) AS fine,
  CAST(NULL AS DOUBLE) AS rest, CAST(NULL AS DOUBLE) AS squares
FROM profiles GROUP BY state
"""
_FLAGS = """
SELECT state, :trait AS trait, CAST(:value AS INTEGER) AS bucket, NULL AS words, COUNT(*) AS n, NULL AS whole,
  NULL AS fine, NULL AS rest, NULL AS squares
FROM profiles WHERE state BETWEEN 1 AND :final AND NOT :value IS NULL GROUP BY state, :value
"""
_VALUES = """
SELECT state, :bucket AS bucket, COUNT(*) AS n, SUM(:whole) AS whole, SUM(:fine) AS fine, SUM(:rest) AS rest,
  VAR_POP(:value) AS variance
FROM profiles WHERE state BETWEEN 1 AND :final AND NOT :value IS NULL GROUP BY state, :bucket
"""
_BUCKETS = """
SELECT state, :trait AS trait, bucket, NULL AS words, n, NULL AS whole, NULL AS fine, NULL AS rest, NULL AS squares
FROM :table_name
"""
# The spread within each bucket and between their means: without cancellation, however far from 0 the values are.
# PostgreSQL raises for a quotient or a square that rounds to 0.
_SUMS = """
SELECT state, :trait AS trait, NULL AS bucket, NULL AS words, CAST(SUM(n) AS BIGINT) AS n,
  CAST(SUM(whole) AS DECIMAL(38, 0)) AS whole, CAST(SUM(fine) AS DECIMAL(38, 0)) AS fine, SUM(rest) AS rest,
  SUM(n * variance + CASE
    WHEN ABS(total / n - mean) > 1e-150 THEN n * POWER(total / n - mean, 2)
    ELSE 0e0
  END) AS squares
FROM (
  SELECT state, n, whole, fine, rest, variance, total,
    SUM(total) OVER (PARTITION BY state) / SUM(n) OVER (PARTITION BY state) AS mean
  FROM (
    SELECT state, n, whole, fine, rest, variance, CASE WHEN ABS(total) > 1e-200 THEN total ELSE 0e0 END AS total
    FROM (
      SELECT state, n, whole, fine, rest, variance,
        CAST(whole AS DOUBLE) / :scale + (CAST(fine AS DOUBLE) / :fine_scale + rest) AS total
      FROM :table_name
    ) AS bucket_sums
  ) AS sums
) AS deviations
GROUP BY state
"""
# Of words, those that few profiles have, and the rarest of very many, are counted together.
_COMMON = """
SELECT state, :trait AS trait, NULL AS bucket, CASE WHEN n >= :least AND place <= :kept THEN words END AS words,
  CAST(SUM(n) AS BIGINT) AS n, NULL AS whole, NULL AS fine, NULL AS rest, NULL AS squares
FROM (
  SELECT state, words, n, ROW_NUMBER() OVER (PARTITION BY state ORDER BY n DESC, words) AS place
  FROM (SELECT state, words, SUM(n) AS n FROM :counted AS counted GROUP BY state, words) AS grouped
) AS ranked
GROUP BY state, CASE WHEN n >= :least AND place <= :kept THEN words END
"""
_GROUPED = """
SELECT state, :value AS value, :wrong AS wrong, COUNT(*) AS n
FROM profiles WHERE state <= :final GROUP BY state, :value, :wrong
"""
_WORDS = "(SELECT state, value AS words, n FROM :table_name WHERE state >= 1 AND NOT value IS NULL)"
_LISTS = """
SELECT state, :trait AS trait, 0 AS bucket, NULL AS words, CAST(SUM(n) AS BIGINT) AS n, NULL AS whole,
  NULL AS fine, NULL AS rest, NULL AS squares
FROM :table_name WHERE state >= 1 AND NOT value IS NULL GROUP BY state
"""
_WRONG = """
SELECT CAST(:trait AS INTEGER) AS trait, :wrong AS wrong, CAST(SUM(n) AS BIGINT) AS n
FROM :table_name WHERE NOT :wrong IS NULL GROUP BY :wrong
"""
# As words: what is not usable leaves as its shape, if enough profiles have the same shape.
_ERRORS = """
SELECT NULL AS state, trait, NULL AS bucket, CASE WHEN n >= :least AND place <= :kept THEN shape END AS words,
  CAST(SUM(n) AS BIGINT) AS n, NULL AS whole, NULL AS fine, NULL AS rest, NULL AS squares
FROM (
  SELECT trait, shape, n, ROW_NUMBER() OVER (PARTITION BY trait ORDER BY n DESC, shape) AS place
  FROM (
    SELECT trait, CASE WHEN kind = :is_text THEN shape WHEN kind = :is_number
      THEN SUBSTRING(shape, 2, LENGTH(shape) - 2) ELSE content END AS shape, SUM(n) AS n
    FROM shapes
    GROUP BY 1, 2
  ) AS grouped
) AS ranked
GROUP BY trait, CASE WHEN n >= :least AND place <= :kept THEN shape END
"""
_SHAPES = """
SELECT trait, SUBSTRING(wrong, 1, 1) AS kind, SUBSTRING(wrong, 2) AS content, :shape AS shape, n FROM errors
"""


@dataclass(frozen=True, slots=True)
class ProfileCounts:
    """Makes the tables and branches of the traits.

    Attributes:
        functions: Those of the engine.
        states: The states of profiles.
    """

    functions: Functions
    states: States

    def states_branch(self) -> exp.Expr:
        """Returns the branch that counts profiles by their state."""
        return sql(_STATES)

    def boolean(self, place: int) -> exp.Expr:
        """Returns the branch of a boolean, of which `profiles` has the value in `v{place}`."""
        return sql(_FLAGS, trait=integer(place), value=own_column(f"v{place}"), final=self._final)

    def number(self, place: int, trait: Trait) -> tuple[exp.Expr, list[exp.Expr]]:
        """Returns the table `values{place}` and the branches of a number or date, with its bucket in `b{place}`."""
        value, name = own_column(f"v{place}"), exp.to_table(f"values{place}")
        scale, fine_scale = double(SCALE), double(FINE_SCALE)
        if trait.type == "number" and trait.highest == 1.0:
            # Of shares of 1, the fine parts are small enough to be sums alone.
            whole, rest = self._integer(integer(0)), value
        else:
            whole = self._integer(sql(":value * :scale", value=value, scale=scale))
            rest = sql(":value - CAST(:whole AS DOUBLE) / :scale", value=value, whole=whole, scale=scale)
        fine = self._integer(sql(":rest * :fine_scale", rest=rest, fine_scale=fine_scale))
        rest = sql(":rest - CAST(:fine AS DOUBLE) / :fine_scale", rest=rest, fine=fine, fine_scale=fine_scale)
        table = sql(
            _VALUES, bucket=own_column(f"b{place}"), whole=whole, fine=fine, rest=rest, value=value, final=self._final
        )
        parts = {"trait": integer(place), "table_name": name}
        return table, [sql(_BUCKETS, **parts), sql(_SUMS, scale=scale, fine_scale=fine_scale, **parts)]

    def words(self, place: int) -> exp.Expr:
        """Returns the table `words{place}` of a category or list that is read for each profile."""
        return sql(_GROUPED, value=own_column(f"v{place}"), wrong=own_column(f"w{place}"), final=self._final)

    def words_branches(self, place: int, trait: Trait) -> list[exp.Expr]:
        """Returns the branches of a category or list: `words{place}` has the columns `state`, `value`, `wrong`, `n`."""
        name = exp.to_table(f"words{place}")
        parts = {"trait": integer(place), "least": integer(MIN_PROFILES), "kept": integer(KEPT_WORDS)}
        if trait.type == "category":
            return [sql(_COMMON, counted=sql(_WORDS, table_name=name), **parts)]
        members = self.functions.sql(self.functions.members, table_name=name)
        return [sql(_LISTS, trait=integer(place), table_name=name), sql(_COMMON, counted=members, **parts)]

    def errors(self, traits: Iterable[tuple[int, Trait]]) -> tuple[dict[str, exp.Expr], exp.Expr]:
        """Returns the tables of what is not usable of the traits, and the branch that counts it by its shape."""
        branches = []
        tables: dict[str, exp.Expr] = {}
        values = [i for i, trait in traits if trait.type not in ("category", "list")]
        if values:
            tables["wrong"] = self._wrong_values([own_column(f"w{i}") for i in values])
        for i, _ in traits:
            source = ("wrong", f"w{i}") if i in values else (f"words{i}", "wrong")
            parts = {"table_name": exp.to_table(source[0]), "wrong": own_column(source[1])}
            branches.append(sql(_WRONG, trait=integer(i), **parts))
        shape = shape_of(sql("SUBSTRING(wrong, 2)"), self.functions.dialect)
        tables |= {"errors": union(branches), "shapes": self.functions.computed_once(sql(_SHAPES, shape=shape))}
        parts = {"least": integer(MIN_PROFILES), "kept": integer(KEPT_WORDS)}
        return tables, sql(_ERRORS, is_text=text(IS_TEXT), is_number=text(IS_NUMBER), **parts)

    def _wrong_values(self, texts: Sequence[exp.Expr]) -> exp.Expr:
        """Returns a table of what is not usable, which reads the profiles once for all traits."""
        is_wrong = exp.or_(*(sql("NOT :text IS NULL", text=one) for one in texts), copy=False)
        return (
            exp.select(*(one.copy() for one in texts), exp.alias_(exp.Count(this=exp.Star()), "n"), copy=False)
            .from_("profiles", copy=False)
            .where(sql("state <= :final", final=self._final), is_wrong, copy=False)
            .group_by(*(one.copy() for one in texts), copy=False)
        )

    @property
    def _final(self) -> exp.Expr:
        return integer(self.states.clusters)

    def _integer(self, value: exp.Expr) -> exp.Expr:
        return exp.cast(value, self.functions.exact)


def union(branches: Sequence[exp.Expr]) -> exp.Query:
    """Returns all rows of the branches."""
    made = branches[0] if len(branches) == 1 else exp.union(*branches, distinct=False, copy=False)
    assert isinstance(made, exp.Query)
    return made
