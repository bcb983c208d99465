"""The branches that count the profiles of a warehouse. What leaves the statement is counts, sums, and what at least
`MIN_PROFILES` profiles have in common: words in their normal form, and shapes of what is not usable."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlglot import exp

from worker.clusters.rules.trait import Trait
from worker.clusters.sql.result_columns import FINE_SCALE, KEPT_WORDS, SCALE, States
from worker.clusters.sql.templates import column, double, integer, sql, text
from worker.clusters.sql.warehouse.functions import Functions
from worker.clusters.sql.warehouse.key_values import IS_NUMBER, IS_SHAPE
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
_SUMS = """
SELECT state, :trait AS trait, NULL AS bucket, NULL AS words, CAST(SUM(n) AS BIGINT) AS n,
  CAST(SUM(whole) AS DECIMAL(38, 0)) AS whole, CAST(SUM(fine) AS DECIMAL(38, 0)) AS fine, SUM(rest) AS rest,
  SUM(n * variance + n * POWER(total / n - mean, 2)) AS squares
FROM (
  SELECT state, n, whole, fine, rest, variance, total,
    SUM(total) OVER (PARTITION BY state) / SUM(n) OVER (PARTITION BY state) AS mean
  FROM (
    SELECT state, n, whole, fine, rest, variance,
      CAST(whole AS DOUBLE) / :scale + (CAST(fine AS DOUBLE) / :fine_scale + rest) AS total
    FROM :table_name
  ) AS sums
) AS deviations
GROUP BY state
"""
# Of words and shapes, those that few profiles have, and the rarest of very many, are counted together.
_COMMON = """
SELECT state, :trait AS trait, NULL AS bucket, CASE WHEN n >= :least AND place <= :kept THEN words END AS words,
  CAST(SUM(n) AS BIGINT) AS n, NULL AS whole, NULL AS fine, NULL AS rest, NULL AS squares
FROM (
  SELECT state, words, n, ROW_NUMBER() OVER (PARTITION BY state ORDER BY n DESC, words) AS place
  FROM (SELECT state, words, SUM(n) AS n FROM :counted AS counted GROUP BY state, words) AS grouped
) AS ranked
GROUP BY state, CASE WHEN n >= :least AND place <= :kept THEN words END
"""
_GROUPED = "SELECT state, :value AS value, :wrong AS wrong, COUNT(*) AS n FROM profiles WHERE state <= :final GROUP BY state, :value, :wrong"
_WORDS = "(SELECT state, value AS words, n FROM :table_name WHERE state >= 1 AND NOT value IS NULL)"
_WRONG_WORDS = "(SELECT CAST(NULL AS INTEGER) AS state, :shape AS words, n FROM :table_name WHERE NOT wrong IS NULL)"
_WRONG_VALUES = """
(
  SELECT CAST(NULL AS INTEGER) AS state, :shape AS words, n
  FROM (
    SELECT :wrong AS wrong, COUNT(*) AS n FROM profiles WHERE NOT :wrong IS NULL AND state <= :final GROUP BY :wrong
  ) AS wrong_values
)
"""
_LISTS = """
SELECT state, :trait AS trait, NULL AS bucket, NULL AS words, CAST(SUM(n) AS BIGINT) AS n, NULL AS whole,
  NULL AS fine, NULL AS rest, NULL AS squares
FROM :table_name WHERE state >= 1 AND NOT value IS NULL GROUP BY state
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
        """Return the branch that counts profiles by their state."""
        return sql(_STATES)

    def boolean(self, place: int) -> list[exp.Expr]:
        """Return the branches of a boolean, of which `profiles` has the value in `v{place}`, what is wrong in `w{place}`."""
        return [sql(_FLAGS, trait=integer(place), value=column(f"v{place}"), final=self._final), self._wrong(place)]

    def number(self, place: int, trait: Trait) -> tuple[exp.Expr, list[exp.Expr]]:
        """Return the table `values{place}` and the branches of a number or date, with its bucket in `b{place}`."""
        value, name = column(f"v{place}"), exp.to_table(f"values{place}")
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
            _VALUES, bucket=column(f"b{place}"), whole=whole, fine=fine, rest=rest, value=value, final=self._final
        )
        parts = {"trait": integer(place), "table_name": name}
        sums = sql(_SUMS, scale=scale, fine_scale=fine_scale, **parts)
        return table, [sql(_BUCKETS, **parts), sums, self._wrong(place)]

    def words(self, place: int, trait: Trait) -> tuple[exp.Expr, list[exp.Expr]]:
        """Return the table `words{place}` of words that each row has, and the branches that count it."""
        parts = {"value": column(f"v{place}"), "wrong": column(f"w{place}"), "final": self._final}
        return sql(_GROUPED, **parts), self.words_branches(place, trait)

    def words_branches(self, place: int, trait: Trait) -> list[exp.Expr]:
        """Return the branches of a category or list: `words{place}` has the columns `state`, `value`, `wrong`, `n`."""
        name = exp.to_table(f"words{place}")
        wrong = self._common(place, sql(_WRONG_WORDS, shape=self._shape(column("wrong")), table_name=name))
        if trait.type == "category":
            return [self._common(place, sql(_WORDS, table_name=name)), wrong]
        members = self.functions.sql(self.functions.members, table_name=name)
        common = sql("SELECT * FROM :found AS words WHERE NOT words IS NULL", found=exp.Subquery(this=self._common(place, members)))
        return [sql(_LISTS, trait=integer(place), table_name=name), common, wrong]

    @property
    def _final(self) -> exp.Expr:
        return integer(self.states.clusters)

    def _integer(self, value: exp.Expr) -> exp.Expr:
        return exp.cast(value, self.functions.exact)

    def _wrong(self, place: int) -> exp.Expr:
        values = sql(
            _WRONG_VALUES, shape=self._shape(column("wrong")), wrong=column(f"w{place}"), final=self._final
        )
        return self._common(place, values)

    def _common(self, place: int, counted: exp.Expr) -> exp.Expr:
        return sql(
            _COMMON, trait=integer(place), counted=counted, least=integer(MIN_PROFILES), kept=integer(KEPT_WORDS)
        )

    def _shape(self, wrong: exp.Expr) -> exp.Expr:
        inner = sql("SUBSTRING(:wrong, 2)", wrong=wrong)
        shape = shape_of(inner, self.functions.dialect)
        return sql(
            "CASE WHEN :wrong LIKE :shaped THEN :inner WHEN :wrong LIKE :number "
            "THEN SUBSTRING(:shape, 2, LENGTH(:shape) - 2) ELSE :shape END",
            wrong=wrong,
            shaped=text(f"{IS_SHAPE}%"),
            number=text(f"{IS_NUMBER}%"),
            inner=inner,
            shape=shape,
        )


def union(branches: Iterable[exp.Expr]) -> exp.Union:
    """Return all rows of the branches."""
    return exp.union(*branches, distinct=False, copy=False)
