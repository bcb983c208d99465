"""Conditions of rules as SQL. A comparison is never NULL, so that `not` of a comparison with a missing value holds."""

from collections.abc import Mapping
from functools import reduce

from sqlglot import exp

from worker.clusters.rules.condition import Condition
from worker.clusters.rules.rules import Rules
from worker.clusters.rules.trait import Trait, Value
from worker.clusters.sql.templates import double, integer, is_in, sql, text

_SIGNS: Mapping[str, type[exp.Binary]] = {"gt": exp.GT, "gte": exp.GTE, "lt": exp.LT, "lte": exp.LTE, "eq": exp.EQ}


def compile_condition(condition: Condition, values: Mapping[str, tuple[Trait, exp.Expr]]) -> exp.Expr:
    """Returns a condition as an expression that is true or false.

    Args:
        condition: The condition.
        values: The traits by their names, each with the column of its value: a double (the age of a date, 1 or 0 of a
            boolean), a word, or a list of words; NULL if it is missing.
    """
    if condition.trait is not None:
        return _joined(exp.And, _comparisons(condition, *values[condition.trait]))
    parts = [compile_condition(part, values) for _, part in condition.parts]
    if condition.not_ is not None:
        return exp.Not(this=exp.Paren(this=parts[0]))
    return _joined(exp.And if condition.all is not None else exp.Or, parts)


def cluster_states(
    rules: Rules, values: Mapping[str, tuple[Trait, exp.Expr]]
) -> tuple[list[tuple[exp.Expr, exp.Expr]], exp.Expr]:
    """Returns the condition of each cluster with its state, and the state of everyone else.

    Args:
        rules: The rules. The state of a cluster is its number, from 1; 0: in none.
        values: As of `compile_condition`.
    """
    branches: list[tuple[exp.Expr, exp.Expr]] = []
    rest: exp.Expr = integer(0)
    for i, cluster in enumerate(rules.clusters):
        if cluster.when is None:
            rest = integer(i + 1)
        else:
            branches.append((compile_condition(cluster.when, values), integer(i + 1)))
    return branches, rest


def _comparisons(condition: Condition, trait: Trait, found: exp.Expr) -> list[exp.Expr]:
    compared = condition.comparisons
    made: list[exp.Expr] = []
    if (missing := compared.pop("missing", None)) is not None:
        made.append(sql(":found IS NULL" if missing else "NOT :found IS NULL", found=found))
    if not compared:
        return made
    if trait.missing is None:
        made.append(sql("NOT :found IS NULL", found=found))
        value = found
    else:
        value = sql("COALESCE(:found, :missing)", found=found, missing=_literal(trait.missing))
    for field, other in compared.items():
        if trait.type == "list":
            words = other if field == "in_" else (other,)
            contained = [sql("LIST_CONTAINS(:value, :word)", value=value, word=_literal(word)) for word in words]
            made.append(_joined(exp.Or, contained))
        elif field != "in_":
            made.append(_SIGNS[field](this=value.copy(), expression=_literal(other)))
        elif trait.type == "category":
            made.append(is_in(value, map(str, other)))
        else:
            made.append(exp.In(this=value.copy(), expressions=list(map(_literal, other))))
    return made


def _literal(value: Value) -> exp.Expr:
    return text(value) if isinstance(value, str) else double(value)


def _joined(connector: type[exp.Connector], parts: list[exp.Expr]) -> exp.Expr:
    return exp.Paren(this=reduce(lambda left, right: connector(this=left, expression=right), parts))
