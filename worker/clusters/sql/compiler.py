"""Compiles rules into a statement.

DuckDB is the only dialect so far. A warehouse needs three things: the patterns and casts of `key_columns` in
its functions, an exact sum and the bits of a float in `counts`, and an answer for odd values. Those of DuckDB are
returned to this process and folded here; a warehouse must not return them, so it has to decide them in SQL or count
them as not readable.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from sqlglot import exp

from worker.clusters.rules.rules import Rules
from worker.clusters.sql.result_rows import Row, RowReader
from worker.clusters.sql.source_shape import SourceShape
from worker.clusters.sql.statement import StatementBuilder
from worker.clusters.statistics.aggregate import Aggregate

Dialect = Literal["duckdb"]


@dataclass(frozen=True, slots=True)
class CompiledStatement:
    """A statement and the reader of its result.

    Attributes:
        sql: The text of the statement.
    """

    sql: str
    _reader: RowReader

    def aggregate(self, rows: Iterable[Row]) -> Aggregate:
        """Return the aggregate of the result's rows, which may come in any order and need not be in memory at once."""
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
    """Compile rules into one statement.

    Args:
        rules: The rules.
        shape: How a row holds a profile.
        relation: The rows: a table, a function that returns a table, or a subquery.
        dialect: The dialect of SQL.
        as_of: When the sync began, in Unix seconds.
        sample: Share of all profiles to read, above 0 and below 1; None for all.
        comment: Text of a comment before the statement.
    """
    builder = StatementBuilder(rules, shape, as_of, sample)
    statement = builder.build(relation)
    text = statement.sql(dialect=dialect, pretty=True)
    if comment:
        text = f"/* {comment.replace('*/', '* /')} */\n{text}"
    return CompiledStatement(text, RowReader(rules, builder.encodings, as_of))
