"""Rules and values as text: "LTV > $500 and churn risk < 15%". The scale of a trait decides how its numbers read."""

from typing import Any

from worker.clusters.rules.condition import Condition
from worker.clusters.rules.rules import Rules
from worker.clusters.rules.trait import Trait, Value

EVERYONE_ELSE = "everyone else"

_CURRENCIES = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
_SIGNS = {"gt": ">", "gte": "≥", "lt": "<", "lte": "≤", "eq": "="}
_AGES = {"gt": "more than", "gte": "at least", "lt": "less than", "lte": "at most"}
_AHEAD = {"gt": "less than", "gte": "at most", "lt": "more than", "lte": "at least"}


def format_amount(trait: Trait, value: float) -> str:
    """Formats a value or a mean of a number trait, rounded for reading: `$1,200`, `5%`, `80th percentile`, `2.5`."""
    match trait.scale:
        case "probability":
            return f"{value:.0%}"
        case "percent":
            return f"{value:.0f}%"
        case "percentile":
            return f"{_format_ordinal(round(value * 100))} percentile"
        case "currency":
            digits = 0 if abs(value) >= 10 else 2
            return _format_money(_format_rounded(abs(value), digits), trait, value)
    return _format_rounded(value, 1)


def _format_rounded(value: float, digits: int) -> str:
    """Rounds a number to so many digits after the point; a whole number has none."""
    text = f"{value:,.{digits}f}"
    whole, _, fraction = text.partition(".")
    return text if fraction.strip("0") else whole


def format_threshold(trait: Trait, value: float) -> str:
    """Formats a number of a condition with every digit."""
    match trait.scale:
        case "probability":
            return f"{value * 100:,.10g}%"
        case "percent":
            return f"{value:,.10g}%"
        case "percentile":
            return f"{_format_ordinal(value * 100)} percentile"
        case "currency":
            return _format_money(f"{abs(value):,.15g}", trait, value)
    return f"{value:,.15g}"


def describe_condition(condition: Condition | None, rules: Rules) -> str:
    """Describes a condition; None is the condition of the cluster for everyone else."""
    return EVERYONE_ELSE if condition is None else _describe(condition, rules, inner=False)


def describe_trait_definition(trait: Trait) -> str:
    """Describes the type and scale of a trait, and what a missing value counts as."""
    kind: str = trait.type
    if trait.scale == "currency":
        kind = f"amount in {trait.currency}"
    elif trait.scale != "plain":
        kind = trait.scale
    parts = [kind]
    if trait.values is not None:
        parts.append(f"one of {', '.join(_format_word(trait, value) for value in trait.values)}")
    if trait.missing is not None:
        parts.append(f"missing counts as {_format_word(trait, trait.missing)}")
    if trait.missing_is_zero:
        parts.append("0 in means if missing")
    if trait.max_age_days is not None:
        parts.append(f"missing if older than {_format_days(trait.max_age_days)}")
    return ", ".join(parts)


def _describe(condition: Condition, rules: Rules, *, inner: bool) -> str:
    """Describes a condition.

    Args:
        condition: The condition.
        rules: The rules that have its traits.
        inner: Whether it is part of another one, so that several parts need brackets.
    """
    if condition.not_ is not None:
        return f"not ({_describe(condition.not_, rules, inner=False)})"
    if condition.trait is not None:
        trait = rules.trait(condition.trait)
        parts = [_describe_comparison(trait, field, value) for field, value in condition.comparisons.items()]
    else:
        parts = [_describe(part, rules, inner=True) for _, part in condition.parts]
    text = (" or " if condition.any is not None else " and ").join(parts)
    return f"({text})" if inner and len(parts) > 1 else text


def _describe_comparison(trait: Trait, field: str, value: Any) -> str:
    label = trait.label
    if field == "missing":
        return f"{label} is missing" if value else f"{label} is present"
    if trait.type == "date":
        if value < 0:
            return f"{label} {_AHEAD[field]} {_format_days(-value)} ahead"
        return f"{label} {_AGES[field]} {_format_days(value)} ago"
    words = " or ".join(_format_word(trait, one) for one in (value if field == "in_" else (value,)))
    if trait.type == "list":
        return f"{label} holds {words}"
    if trait.type == "number" and field != "in_":
        return f"{label} {_SIGNS[field]} {format_threshold(trait, value)}"
    return f"{label} is {words}"


def _format_word(trait: Trait, value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return f'"{value}"'
    return _format_days(value) if trait.type == "date" else format_threshold(trait, value)


def _format_money(digits: str, trait: Trait, value: float) -> str:
    sign = "-" if value < 0 else ""
    symbol = _CURRENCIES.get(trait.currency or "")
    return f"{sign}{symbol}{digits}" if symbol else f"{sign}{digits} {trait.currency}"


def _format_days(value: float) -> str:
    return f"{value:,.10g} day{'' if value == 1 else 's'}"


def _format_ordinal(number: float) -> str:
    text = f"{number:.10g}"
    if text.endswith(("11", "12", "13")):
        return f"{text}th"
    return text + {"1": "st", "2": "nd", "3": "rd"}.get(text[-1], "th")
