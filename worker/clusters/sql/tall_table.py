"""A tall table, with a row for each trait of a profile, as one row for each profile."""

from sqlglot import exp

from worker.clusters.sql.source_shape import SourceShape
from worker.clusters.sql.templates import column, sql, text


def value_of_key(shape: SourceShape, key: str) -> exp.Expr:
    """Returns the value of a key as an aggregate of a profile's rows; NULL if no row has the key."""
    return sql(
        "MAX(CASE WHEN :name = :key THEN :value END)",
        name=column(shape.name),
        key=text(key),
        value=column(shape.value),
    )


def group_traits(query: exp.Select, shape: SourceShape) -> exp.Select:
    """Groups the rows of a query by their profile. Rows without an identifier are part of no profile."""
    if shape.id is None:
        raise ValueError("a tall table needs the column of its identifiers")
    name = column(shape.id)
    return query.where(sql("NOT :name IS NULL", name=name), copy=False).group_by(name, copy=False)
