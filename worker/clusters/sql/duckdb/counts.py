"""The branches that count profiles. DuckDB gives each row of `profiles` to all of them, so it reads the source once.

A branch groups profiles by state and value. What leaves the statement of numbers is the number of values in each
bucket, and the sums of all values together.
"""

from collections.abc import Container, Mapping, Sequence

from sqlglot import exp

from worker.clusters.rules.trait import Trait
from worker.clusters.sql.result_columns import FINE_SCALE, KEPT_WORDS, NO_BUCKET, SCALE, States
from worker.clusters.sql.templates import column, double, integer, sql

_STATES = """
SELECT state, NULL AS trait, NULL AS bucket, NULL AS words, COUNT(*) AS n,
  NULL AS whole, NULL AS fine, NULL AS rest, NULL AS squares
FROM profiles GROUP BY state
"""
_ODD = """
SELECT NULL AS state, NULL AS trait, NULL AS bucket, entry AS words, COUNT(*) AS n,
  NULL AS whole, NULL AS fine, NULL AS rest, NULL AS squares
FROM profiles WHERE state = :odd GROUP BY entry
"""
_WORDS = """
SELECT state, :trait AS trait, NULL AS bucket, words, n, NULL AS whole, NULL AS fine, NULL AS rest, NULL AS squares
FROM (SELECT state, :texts AS words, COUNT(*) AS n FROM profiles GROUP BY state, :texts)
WHERE state <= :final AND NOT words IS NULL
"""
_TEXTS = """
SELECT state, :trait AS trait, :texts AS words, COUNT(*) AS n FROM profiles GROUP BY state, :texts
"""
# Words that are certainly usable need no parser. Of those, the rarest are counted together.
_CLEAN_WORDS = """
SELECT state, trait, NULL AS bucket, CASE WHEN NOT clean OR place <= :kept THEN words END AS words,
  CAST(SUM(n) AS BIGINT) AS n, NULL AS whole, NULL AS fine, NULL AS rest, NULL AS squares
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY state, trait, clean ORDER BY n DESC, words) AS place
  FROM (SELECT *, COALESCE(:clean, FALSE) AS clean FROM :counted WHERE state <= :final AND NOT words IS NULL)
)
GROUP BY 1, 2, 4
"""
_ERRORS = """
SELECT NULL AS state, :trait AS trait, NULL AS bucket, :texts AS words, COUNT(*) AS n,
  NULL AS whole, NULL AS fine, NULL AS rest, NULL AS squares
FROM profiles WHERE NOT :texts IS NULL AND state <= :final GROUP BY :texts
"""
_FLAGS = """
SELECT state, :trait AS trait, bucket, NULL AS words, n, NULL AS whole, NULL AS fine, NULL AS rest, NULL AS squares
FROM (SELECT state, :value AS bucket, COUNT(*) AS n FROM profiles GROUP BY state, :value)
WHERE state BETWEEN 1 AND :final AND NOT bucket IS NULL
"""
_VALUES = """
SELECT state, :bucket AS bucket, COUNT(*) AS n, SUM(CAST(:value * :scale AS BIGINT)) AS whole,
  SUM(CAST((:value - CAST(:value * :scale AS BIGINT) / :scale) * :fine_scale AS BIGINT)) AS fine,
  FSUM(:value - CAST(:value * :scale AS BIGINT) / :scale
    - CAST((:value - CAST(:value * :scale AS BIGINT) / :scale) * :fine_scale AS BIGINT) / :fine_scale) AS rest,
  VAR_POP(:value) AS variance
FROM profiles GROUP BY state, :bucket
"""
# Of integers, the first sum is exact.
_INTEGERS = """
SELECT state, :bucket AS bucket, COUNT(*) AS n, SUM(CAST(:value * :scale AS BIGINT)) AS whole,
  CAST(0 AS HUGEINT) AS fine, 0e0 AS rest, VAR_POP(:value) AS variance
FROM profiles GROUP BY state, :bucket
"""
# Of shares of 1, the fine parts are small enough to be sums of their own.
_SHARES = """
SELECT state, :bucket AS bucket, COUNT(*) AS n, CAST(0 AS HUGEINT) AS whole,
  SUM(CAST(:value * :fine_scale AS BIGINT)) AS fine,
  FSUM(:value - CAST(:value * :fine_scale AS BIGINT) / :fine_scale) AS rest,
  VAR_POP(:value) AS variance
FROM profiles GROUP BY state, :bucket
"""
_BUCKETS = """
SELECT state, :trait AS trait, bucket, NULL AS words, n, NULL AS whole, NULL AS fine, NULL AS rest, NULL AS squares
FROM :table_name WHERE state BETWEEN 1 AND :final AND bucket < :no_bucket
"""
# The spread within each bucket and between their means: without cancellation, however far from 0 the values are.
_SUMS = """
SELECT state, :trait AS trait, NULL AS bucket, NULL AS words, CAST(SUM(n) AS BIGINT) AS n, SUM(whole) AS whole,
  SUM(fine) AS fine, FSUM(rest) AS rest, FSUM(n * variance + n * POWER(total / n - mean, 2)) AS squares
FROM (
  SELECT *, SUM(total) OVER (PARTITION BY state) / SUM(n) OVER (PARTITION BY state) AS mean
  FROM (
    SELECT *, whole / :scale + (fine / :fine_scale + rest) AS total
    FROM :table_name WHERE state BETWEEN 1 AND :final AND bucket < :no_bucket
  )
)
GROUP BY state
"""


def count_profiles(
    traits: Sequence[tuple[int, Trait]],
    states: States,
    clean: Mapping[int, exp.Expr],
    integers: Container[int],
    *,
    has_odd: bool,
) -> tuple[dict[str, exp.Expr], exp.Union]:
    """Returns tables by their names, and the query over them and `profiles` that counts.

    Args:
        traits: The traits that the source has, each with its index in the rules. `profiles` has the value of trait i in
            the column `v{i}`, its bucket in `b{i}`, and in `w{i}` the text of words or of what is not usable.
        states: The states of profiles.
        clean: By the index of a category: whether the column `words` is certainly usable without changes.
        integers: Indexes of the numbers that are integers by their type.
        has_odd: Whether a profile can be odd.
    """
    last = integer(states.clusters)
    tables: dict[str, exp.Expr] = {}
    branches: list[exp.Expr] = [sql(_STATES)]
    if has_odd or not traits:  # a union has two parts at least
        branches.append(sql(_ODD, odd=integer(states.odd)))
    counted: dict[exp.Expr, list[exp.Expr]] = {}
    for i, trait in traits:
        place, value, texts = integer(i), column(f"v{i}"), column(f"w{i}")
        if i in clean:
            counted.setdefault(clean[i], []).append(sql(_TEXTS, trait=place, texts=texts))
            continue
        if trait.type in ("category", "list"):
            branches.append(sql(_WORDS, trait=place, texts=texts, final=last))
            continue
        branches.append(sql(_ERRORS, trait=place, texts=texts, final=last))
        if trait.type == "boolean":
            branches.append(sql(_FLAGS, trait=place, value=value, final=last))
            continue
        scales = {"scale": double(SCALE), "fine_scale": double(FINE_SCALE)}
        is_share = trait.type == "number" and trait.highest == 1.0
        form = _INTEGERS if i in integers else _SHARES if is_share else _VALUES
        tables[f"values{i}"] = sql(form, value=value, bucket=column(f"b{i}"), **scales)
        for template in (_BUCKETS, _SUMS):
            parts = {"trait": place, "final": last, "no_bucket": integer(NO_BUCKET), **scales}
            branches.append(sql(template, table_name=exp.to_table(f"values{i}"), **parts))
    for is_clean, texts_of_traits in counted.items():
        every = texts_of_traits[0] if len(texts_of_traits) == 1 else exp.union(*texts_of_traits, distinct=False)
        parts = {"counted": exp.Subquery(this=every), "clean": is_clean, "kept": integer(KEPT_WORDS), "final": last}
        branches.append(sql(_CLEAN_WORDS, **parts))
    return tables, exp.union(*branches, distinct=False, copy=False)
