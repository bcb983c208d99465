"""Compiles rules into a statement.

DuckDB is in this process, so its statement returns the values that SQL does not surely read as the fold does, and the
fold reads them, see `statement`. A warehouse must not return them: its statement decides every value, see `warehouse`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from sqlglot import exp

from worker.clusters.rules.rules import Rules
from worker.clusters.sql.duckdb.result_rows import RowReader
from worker.clusters.sql.duckdb.statement import StatementBuilder
from worker.clusters.sql.result_columns import Row
from worker.clusters.sql.source_shape import SourceShape
from worker.clusters.sql.warehouse import WarehouseBuilder, WarehouseRowReader
from worker.clusters.statistics.aggregate import Aggregate

Dialect = Literal["duckdb", "postgres", "redshift", "snowflake", "bigquery", "databricks"]


class _Reader(Protocol):
    def read(self, rows: Iterable[Row]) -> Aggregate: ...


@dataclass(frozen=True, slots=True)
class CompiledStatement:
    """A statement and the reader of its result.

    Attributes:
        sql: The text of the statement.
    """

    sql: str
    _reader: _Reader

    def aggregate(self, rows: Iterable[Row]) -> Aggregate:
        """Returns the aggregate of the result's rows, which may come in any order and need not be in memory at once."""
        return self._reader.read(rows)


def compile_statement(
    rules: Rules,
    shape: SourceShape,
    relation: exp.Expr,
    *,
    dialect: Dialect = "duckdb",
    as_of: float,
    sample: float | None = None,
    comment: str = "",
) -> CompiledStatement:
    """Compiles rules into one statement.

    Args:
        rules: The rules.
        shape: How a row holds a profile.
        relation: The rows: a table, a function that returns a table, or a subquery.
        dialect: The dialect of SQL. All but `duckdb` are those of warehouses, which take `wide` and `tall` shapes.
        as_of: When the sync began, in Unix seconds.
        sample: Share of all profiles to read, above 0 and below 1; None for all.
        comment: Text of a comment before the statement.
    """
    reader: _Reader
    if dialect == "duckdb":
        builder = StatementBuilder(rules, shape, as_of, sample)
        statement = builder.build(relation)
        reader = RowReader(rules, builder.encodings, as_of)
    else:
        statement = WarehouseBuilder(rules, shape, dialect, as_of, sample).build(relation)
        reader = WarehouseRowReader(rules)
    text = statement.sql(dialect=dialect, pretty=True)
    if comment:
        text = f"/* {comment.replace('*/', '* /')} */\n{text}"
    return CompiledStatement(text, reader)
