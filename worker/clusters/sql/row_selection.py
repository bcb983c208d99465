"""Selects the rows that count as profiles: those in the sample that were not merged into others.

The rows of a tall table, one for each trait of a profile, are grouped to one row for each profile.
"""

from sqlglot import exp

from worker.clusters.sql.source_shape import SourceShape
from worker.clusters.sql.templates import column, integer, sql, text

NOT_MERGED = (
    *("", "null", "none", "nan", "nil", "\\n", "<null>", "undefined"),
    *("false", "0", "0.0", "-0.0", "[]", "{}"),
)
"""Texts, and JSON as text, that mean that a profile was not merged; in lower case."""

SAMPLE_DIGITS = 13
"""Digits of the MD5 of an identifier that decide whether it is in a sample: as many as a double represents."""


def is_merged(shape: SourceShape) -> exp.Expr | None:
    """Returns whether a row names another profile that it was merged into; None if the source does not say so.

    NULL, empty values, NULL as text and the own identifier do not name one.
    """
    if shape.kind == "object" and shape.is_entry:
        target, own = _text_of("merged_to"), _field("id")
    elif shape.merged_to is not None:
        target, own = _text_of("merged_to"), exp.Null() if shape.id is None else _text_of("id")
    else:
        return None
    return sql(
        "CASE WHEN :target IS NULL THEN FALSE "
        "ELSE NOT LOWER(TRIM(:target)) IN :nothing AND TRIM(:target) <> COALESCE(:own, '') END",
        target=target,
        own=own,
        nothing=exp.Tuple(expressions=[text(word) for word in NOT_MERGED]),
    )


def is_outside_sample(shape: SourceShape, share: float) -> exp.Expr:
    """Returns whether a profile is not in the sample: whether the MD5 of its identifier is not below the share.

    A profile without an identifier is outside.
    """
    if shape.kind == "object" and shape.is_entry:
        name: exp.Expr = exp.func("COALESCE", _field("segment_id"), _field("id"))
    else:
        name = _text_of("id")
    bound = f"{min(int(share * 16**SAMPLE_DIGITS), 16**SAMPLE_DIGITS - 1):0{SAMPLE_DIGITS}x}"
    return sql(
        "COALESCE(SUBSTRING(MD5(:name), 1, :digits) >= :bound, TRUE)",
        name=name,
        digits=integer(SAMPLE_DIGITS),
        bound=text(bound),
    )


def _field(name: str) -> exp.Expr:
    return exp.func("JSON_EXTRACT_STRING", column("document"), text(f"/{name}"))


def _text_of(name: str) -> exp.Expr:
    """Returns the text of a column, which may be JSON."""
    return sql("TRIM(CAST(:value AS VARCHAR), '\"')", value=column(name))


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
