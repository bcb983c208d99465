"""Rules and values in words: "LTV > $500 and churn risk < 15%". What a number means decides how it reads."""

from worker.clusters.rules.condition import Condition
from worker.clusters.rules.rules import Rules
from worker.clusters.rules.trait import Trait, Value

EVERYONE_ELSE = "everyone else"

_CURRENCIES = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
_SIGNS = {"gt": ">", "gte": "≥", "lt": "<", "lte": "≤", "eq": "="}
_AGES = {"gt": "more than", "gte": "at least", "lt": "less than", "lte": "at most"}
_AHEAD = {"gt": "less than", "gte": "at most", "lt": "more than", "lte": "at least"}


def amount(trait: Trait, value: float) -> str:
    """A value or a mean of a number trait, rounded to what people read: `$1,200`, `5%`, `80th percentile`."""
    match trait.scale:
        case "probability":
            return f"{value:.0%}"
        case "percent":
            return f"{value:.0f}%"
        case "percentile":
            return f"{_ordinal(round(value * 100))} percentile"
        case "currency":
            return _money(f"{abs(value):,.0f}" if abs(value) >= 10 else f"{abs(value):,.2f}", trait, value)
    return f"{value:,.1f}"


def threshold(trait: Trait, value: float) -> str:
    """A number of a condition, with every digit."""
    match trait.scale:
        case "probability":
            return f"{value * 100:,.10g}%"
        case "percent":
            return f"{value:,.10g}%"
        case "percentile":
            return f"{_ordinal(value * 100)} percentile"
        case "currency":
            return _money(f"{abs(value):,.15g}", trait, value)
    return f"{value:,.15g}"


def condition_in_words(condition: Condition | None, rules: Rules) -> str:
    """What a condition says."""
    return EVERYONE_ELSE if condition is None else _words(condition, rules, inner=False)


def trait_in_words(trait: Trait) -> str:
    """Type and scale of a trait, and what a missing value counts as."""
    kind: str = trait.type
    if trait.scale == "currency":
        kind = f"amount in {trait.currency}"
    elif trait.scale != "plain":
        kind = trait.scale
    parts = [kind]
    if trait.values is not None:
        parts.append(f"one of {', '.join(_value(trait, value) for value in trait.values)}")
    if trait.missing is not None:
        parts.append(f"missing counts as {_value(trait, trait.missing)}")
    if trait.missing_is_zero:
        parts.append("0 in means if missing")
    if trait.max_age_days is not None:
        parts.append(f"missing if older than {_days(trait.max_age_days)}")
    return ", ".join(parts)


def _words(condition: Condition, rules: Rules, *, inner: bool) -> str:
    """inner: it stands inside another one, so that several parts need brackets."""
    if condition.not_ is not None:
        return f"not ({_words(condition.not_, rules, inner=False)})"
    if condition.trait is not None:
        parts = _comparisons(condition, rules.trait(condition.trait))
    else:
        parts = [_words(part, rules, inner=True) for _, part in condition.parts]
    text = (" or " if condition.any is not None else " and ").join(parts)
    return f"({text})" if inner and len(parts) > 1 else text


def _comparisons(condition: Condition, trait: Trait) -> list[str]:
    parts = []
    for field, value in condition.comparisons.items():
        if field == "missing":
            parts.append(f"{trait.label} is missing" if value else f"{trait.label} is there")
        elif trait.type == "date":
            how = f"{_AHEAD[field]} {_days(-value)} ahead" if value < 0 else f"{_AGES[field]} {_days(value)} ago"
            parts.append(f"{trait.label} {how}")
        elif trait.type == "list":
            words = " or ".join(_value(trait, one) for one in (value if field == "in_" else (value,)))
            parts.append(f"{trait.label} holds {words}")
        elif field == "in_":
            parts.append(f"{trait.label} is {' or '.join(_value(trait, one) for one in value)}")
        elif trait.type == "number":
            parts.append(f"{trait.label} {_SIGNS[field]} {threshold(trait, value)}")
        else:
            parts.append(f"{trait.label} is {_value(trait, value)}")
    return parts


def _value(trait: Trait, value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return f'"{value}"'
    return _days(value) if trait.type == "date" else threshold(trait, value)


def _money(digits: str, trait: Trait, value: float) -> str:
    sign = "-" if value < 0 else ""
    symbol = _CURRENCIES.get(trait.currency or "")
    return f"{sign}{symbol}{digits}" if symbol else f"{sign}{digits} {trait.currency}"


def _days(value: float) -> str:
    return f"{value:,.10g} day{'' if value == 1 else 's'}"


def _ordinal(number: float) -> str:
    text = f"{number:.10g}"
    if text.endswith(("11", "12", "13")):
        return f"{text}th"
    return text + {"1": "st", "2": "nd", "3": "rd"}.get(text[-1], "th")
