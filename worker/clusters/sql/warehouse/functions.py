"""The functions that differ between engines: a table of SQL templates for each engine.

Everything else is written once, in DuckDB's dialect, and translated by sqlglot. Patterns of regular expressions are
written in what all engines know: no backslash, no look-around, and no group that is not captured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlglot import exp

from worker.clusters.sql.templates import double, fill_template, sql, text

WarehouseDialect = Literal["postgres", "redshift", "snowflake", "bigquery", "databricks"]

# The upper half of a 32-bit float, computed from a double: e is the exponent of the lowest power of two above it.
_ARITHMETIC_BUCKET = """
CASE WHEN :value < 0e0 THEN 32768 ELSE 0 END + CAST(FLOOR(
  CASE
    WHEN ABS(:value) < :normal THEN ROUND(ABS(:value) * :denormal_scale)
    ELSE ROUND(ABS(:value) * POWER(2e0, 23e0 - :exponent)) + (:exponent + 126e0) * 8388608e0
  END / 65536e0
) AS INTEGER)
"""
_EXPONENT = """
FLOOR(LN(ABS(:value)) / LN(2e0))
  - CASE WHEN ABS(:value) < POWER(2e0, FLOOR(LN(ABS(:value)) / LN(2e0))) THEN 1e0 ELSE 0e0 END
  + CASE WHEN ABS(:value) >= POWER(2e0, FLOOR(LN(ABS(:value)) / LN(2e0)) + 1e0) THEN 1e0 ELSE 0e0 END
"""
# A cast raises for what rounds to 0.
_POSTGRES_BUCKET = """
CASE
  WHEN ABS(:value) > :least THEN
    GET_BYTE(FLOAT4SEND(CAST(:value AS REAL)), 0) * 256 + GET_BYTE(FLOAT4SEND(CAST(:value AS REAL)), 1)
  ELSE 0
END
"""


@dataclass(frozen=True, slots=True)
class Functions:
    """The templates of one engine.

    Attributes:
        dialect: The engine.
        text_of: Text of a value that is neither text, number, boolean nor date; of JSON text what it contains.
        find: The part of a text that matches a pattern without groups; NULL if nothing does.
        days: Days since 1970 of a text that is a date in ISO 8601.
        microseconds: Microseconds since 1970 of a moment that is not infinite.
        zoned: Names of types of moments that have a time zone.
        members: The words of lists, from a table with the columns `state`, `value` (the list) and `n`.
        list_type: Type of a list of words.
        exact: Type of integers whose sum cannot overflow.
        bucket: The upper half of a value as a 32-bit float. None: by arithmetic.
        is_exact: Whether casts, regular expressions and `SPLIT_PART` decide every form of a number and a date.
        barrier: Whether a subquery needs OFFSET 0 so that what it computes is computed once.
        is_materialized: Whether a common table expression needs MATERIALIZED for that.
    """

    dialect: WarehouseDialect
    text_of: str
    find: str
    days: str
    microseconds: str
    zoned: tuple[str, ...]
    members: str
    list_type: str
    exact: str = "DECIMAL(38, 0)"
    bucket: str | None = None
    is_exact: bool = False
    barrier: bool = False
    is_materialized: bool = False

    def sql(self, template: str, **parts: exp.Expr) -> exp.Expr:
        """Returns an expression of a template in this engine's dialect, see `templates.sql`."""
        return fill_template(template, self.dialect, parts)

    def bucket_of(self, value: exp.Expr) -> exp.Expr:
        """Returns the bucket of a usable value, see `QuantileSketch`."""
        if self.bucket is not None:
            return self.sql(self.bucket, value=value, least=double(2.0**-150))
        return sql(
            "CASE WHEN :value = 0e0 THEN 0 ELSE :bucket END",
            value=value,
            bucket=sql(
                _ARITHMETIC_BUCKET,
                value=value,
                exponent=sql(_EXPONENT, value=value),
                normal=double(2.0**-126),
                denormal_scale=double(2.0**149),
            ),
        )

    def moment(self, moment: datetime, sql_type: str) -> exp.Expr:
        """Returns a day in UTC as a literal that is compared with a column of a type."""
        name = sql_type.upper()
        clock = "" if name == "DATE" else " 00:00:00+00:00" if name.startswith(self.zoned) else " 00:00:00"
        return text(f"{moment:%Y-%m-%d}{clock}")

    def text(self, value: exp.Expr, encoding: str) -> exp.Expr:
        """Returns the text of a value of any type."""
        return (
            self.sql(self.text_of, value=value)
            if encoding in ("json", "other")
            else sql("CAST(:value AS VARCHAR)", value=value)
        )

    def computed_once(self, query: exp.Expr) -> exp.Expr:
        """Returns a query whose columns are computed once for each row, however often an outer query refers to them."""
        return query.offset(0, copy=False) if self.barrier and isinstance(query, exp.Select) else query


def own_column(name: str) -> exp.Expr:
    """Returns a column that the statement itself names. Without quotes, as in templates: Snowflake has two cases."""
    return exp.column(name)


def matches(value: exp.Expr, pattern: str) -> exp.Expr:
    """Returns whether a whole text matches a pattern."""
    return exp.RegexpLike(this=value.copy(), expression=text(f"^({pattern})$"))


_MEMBERS: Mapping[str, str] = {
    "postgres": """
(
  SELECT state, word AS words, n
  FROM :table_name CROSS JOIN LATERAL UNNEST(value) AS members(word)
  WHERE state >= 1
)
""",
    "redshift": """
(SELECT state, CAST(word AS VARCHAR) AS words, n FROM :table_name AS lists, lists.value AS word WHERE state >= 1)
""",
    "snowflake": """
(
  SELECT state, CAST(members.value AS VARCHAR) AS words, n
  FROM :table_name AS lists, LATERAL FLATTEN(input => lists.value) AS members
  WHERE state >= 1
)
""",
    "bigquery": "(SELECT state, word AS words, n FROM :table_name CROSS JOIN UNNEST(value) AS word WHERE state >= 1)",
    "databricks": """
(SELECT state, word AS words, n FROM :table_name LATERAL VIEW EXPLODE(value) members AS word WHERE state >= 1)
""",
}

FUNCTIONS: Mapping[str, Functions] = {
    one.dialect: one
    for one in (
        Functions(
            "postgres",
            text_of="TO_JSONB(:value) #>> '{}'",
            find="SUBSTRING(:value FROM :pattern)",
            days="CAST(:value AS DATE) - CAST('1970-01-01' AS DATE)",
            microseconds="CAST(EXTRACT(EPOCH FROM :value) * 1000000 AS BIGINT)",
            zoned=("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE"),
            members=_MEMBERS["postgres"],
            list_type="TEXT[]",
            exact="BIGINT",
            bucket=_POSTGRES_BUCKET,
            is_exact=True,
            barrier=True,
            is_materialized=True,
        ),
        Functions(
            "redshift",
            text_of="JSON_SERIALIZE(:value)",
            find="NULLIF(REGEXP_SUBSTR(:value, :pattern), '')",
            days="DATEDIFF(DAY, CAST('1970-01-01' AS DATE), CAST(:value AS DATE))",
            microseconds="CAST(EXTRACT(EPOCH FROM :value) AS BIGINT) * 1000000 + EXTRACT(MICROSECOND FROM :value)",
            zoned=("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE"),
            members=_MEMBERS["redshift"],
            list_type="SUPER",
        ),
        Functions(
            "snowflake",
            text_of="CAST(:value AS VARCHAR)",
            find="REGEXP_SUBSTR(:value, :pattern)",
            days="DATEDIFF(DAY, CAST('1970-01-01' AS DATE), CAST(:value AS DATE))",
            microseconds="DATE_PART(EPOCH_MICROSECOND, :value)",
            zoned=("TIMESTAMP_TZ", "TIMESTAMP_LTZ"),
            members=_MEMBERS["snowflake"],
            list_type="ARRAY",
        ),
        Functions(
            "bigquery",
            text_of="COALESCE(JSON_VALUE(TO_JSON(:value)), TO_JSON_STRING(:value))",
            find="REGEXP_EXTRACT(:value, :pattern)",
            days="UNIX_DATE(CAST(:value AS DATE))",
            microseconds="UNIX_MICROS(TIMESTAMP(:value))",
            zoned=("TIMESTAMP",),
            members=_MEMBERS["bigquery"],
            list_type="ARRAY<STRING>",
            exact="BIGNUMERIC",
        ),
        Functions(
            "databricks",
            text_of="CAST(:value AS STRING)",
            find="NULLIF(REGEXP_EXTRACT(:value, :pattern, 0), '')",
            days="UNIX_DATE(CAST(:value AS DATE))",
            microseconds="UNIX_MICROS(CAST(:value AS TIMESTAMP))",
            zoned=("TIMESTAMP", "TIMESTAMP_LTZ"),
            members=_MEMBERS["databricks"],
            list_type="ARRAY<STRING>",
        ),
    )
}
