"""SQL expressions from constant text: the text is parsed once, and `:names` in it are replaced by expressions.

Values never enter the text. They are literals and identifiers of sqlglot, which quotes them for the dialect.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache

import sqlglot
from sqlglot import exp

TEMPLATE_DIALECT = "duckdb"


def sql(template: str, **parts: exp.Expr) -> exp.Expr:
    """Returns an expression with its placeholders replaced.

    Args:
        template: Constant SQL in DuckDB's dialect, such as `:value BETWEEN :low AND :high`.
        parts: Expressions by the names of their placeholders.
    """
    return fill_template(template, TEMPLATE_DIALECT, parts)


def fill_template(template: str, dialect: str, parts: Mapping[str, exp.Expr]) -> exp.Expr:
    """Returns an expression from a template in any dialect, see `sql`."""
    return exp.replace_placeholders(
        _parse(template, dialect), **{name: _enclosed(part) for name, part in parts.items()}
    )


def _enclosed(part: exp.Expr) -> exp.Expr:
    """Returns a copy of an expression that keeps its meaning inside any other one."""
    is_open = isinstance(part, exp.Binary | exp.Connector | exp.Unary | exp.Between | exp.In)
    return exp.Paren(this=part.copy()) if is_open and not isinstance(part, exp.Paren) else part.copy()


@lru_cache(maxsize=1024)
def _parse(template: str, dialect: str) -> exp.Expr:
    return sqlglot.parse_one(template, dialect=dialect)


def column(name: str) -> exp.Expr:
    """Returns a column with a quoted name."""
    return exp.column(exp.to_identifier(name, quoted=True))


def text(value: str) -> exp.Expr:
    """Returns a literal of text."""
    return exp.Literal.string(value)


def integer(value: int) -> exp.Expr:
    """Returns a literal of an integer."""
    literal = exp.Literal.number(str(abs(value)))
    return exp.Neg(this=literal) if value < 0 else literal


def double(value: float) -> exp.Expr:
    """Returns a literal that is a double to the last bit: the shortest decimal of the float, with an exponent."""
    digits = repr(abs(float(value)))
    literal = exp.Literal.number(digits if "e" in digits else f"{digits}e0")
    return exp.Neg(this=literal) if value < 0 else literal


def case(branches: Iterable[tuple[exp.Expr, exp.Expr]], default: exp.Expr | None = None) -> exp.Case:
    """Returns `CASE WHEN … THEN … END` of pairs of a condition and a result."""
    made = exp.Case()
    for condition, result in branches:
        made = made.when(condition, result, copy=False)
    return made if default is None else made.else_(default, copy=False)


def is_in(value: exp.Expr, words: Iterable[str]) -> exp.Expr:
    """Returns `value IN (words)`; false for no words."""
    found = [text(word) for word in words]
    return exp.In(this=value.copy(), expressions=found) if found else exp.false()
