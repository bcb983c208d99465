"""Rules as SQL: one statement that reads, filters, classifies and aggregates where the profiles are.

`compile_statement` makes the statement and the function that turns its result rows into an `Aggregate`, which equals
that of the fold. Nothing here does I/O: the caller runs the statement.
"""

from worker.clusters.sql.compiler import CompiledStatement, Dialect, compile_statement
from worker.clusters.sql.source_shape import SourceShape

__all__ = ["CompiledStatement", "Dialect", "SourceShape", "compile_statement"]
