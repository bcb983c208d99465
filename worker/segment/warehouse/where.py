"""`WAREHOUSE_WHERE`: a condition on rows that is parsed, so that it can be nothing but one condition."""

from __future__ import annotations

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from worker.errors import ResumableStop


def parse_where(text: str, dialect: str) -> exp.Condition:
    """Parses a condition. Comments in it are dropped.

    Args:
        text: SQL, such as `received_at > now() - interval '1 year'`.
        dialect: Of the warehouse.

    Raises:
        ResumableStop: `warehouse_where`: it is not exactly one condition in this dialect.
    """
    try:
        found = [part for part in sqlglot.parse(text, dialect=dialect) if part is not None]
    except SqlglotError:
        found = []
    if len(found) != 1 or not isinstance(found[0], exp.Condition) or isinstance(found[0], exp.Query):
        raise ResumableStop(
            "warehouse_where",
            f"WAREHOUSE_WHERE is not one condition in the SQL of {dialect}",
            hint="Set it to what may follow WHERE, such as region = 'emea', in the environment of every worker.",
        )
    for part in found[0].walk():
        part.comments = None
    return found[0]
