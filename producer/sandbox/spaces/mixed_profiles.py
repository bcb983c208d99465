"""What real profiles look like: every oddity that Segment's documentation admits, in known proportions.

Missing and null traits, a trait under its second name, numbers as text, text that only looks like a number,
values out of range, structures where a number is meant, entries that are not objects, and personal data beside
all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

_SCALE = 2.0**-32

_NO_OBJECT: tuple[object, ...] = ("deleted", None, 42, True, [], ["traits"])
_ODD_TEXT = ("1_000", "nan", "inf", "-Infinity", "٤٢", "abc", "12,50", "0x10", "N/A")
_NO_NUMBER: tuple[object, ...] = (True, False, ["12"], [], {"value": 12}, {})
_TOO_LARGE: tuple[object, ...] = (2 * 10**15, -(10**16), 10**18, 10**30, "1" + "0" * 20)
_ENORMOUS = 10**399 + 7
_NO_PROBABILITY: tuple[object, ...] = (1.5, -0.1, 85, "1.2", -1)

_INDUSTRIES = (
    "SaaS",
    "E-commerce",
    "Agency",
    "Fintech",
    "Health",
    "Education",
    "Media",
    "Travel",
    "Logistics",
    "Gaming",
    "Énergie",
    "Non-profit",
)
_PLANS = ("free", "starter", "pro", "team", "enterprise")
_FIRST_NAMES = ("Ada", "Grace", "Edsger", "Barbara", "Donald", "Łukasz", "Zoë", "Ken")


def mixed_entry(identifier: str, draw: Sequence[int]) -> object:
    """Returns one entry of a `mixed` space from sixteen 32-bit draws: 0.5 % not an object, 2 % without traits, 3 % with
    none of the three numbers, the rest with some of them usable and some not.
    """
    shape = draw[0] % 1000
    if shape < 5:
        return _pick(_NO_OBJECT, draw[1])
    entry: dict[str, object] = {"segment_id": identifier}
    if shape < 15:
        entry["traits"] = None
        return entry
    if shape < 25:
        return entry
    traits = _personal(draw[1])
    if shape >= 55:
        traits |= _number(("ltv", "lifetime_value"), draw[2], draw[3], _money, _negated)
        traits |= _number(("purchase_count", "order_count"), draw[4], draw[5], _count, _negated)
        traits |= _number(("churn_risk", "churn_probability"), draw[6], draw[7], _probability, _no_probability)
    traits |= _category("industry", _INDUSTRIES, draw[8], draw[9])
    traits |= _category("plan", _PLANS, draw[10], draw[11])
    traits["engagement_tier"] = ("low", "medium", "high")[draw[12] % 3]
    traits["is_subscriber"] = draw[13] % 2 == 0
    traits["tags"] = ["beta", "vip"][: draw[14] % 3]
    traits["last_seen"] = 1_700_000_000 + draw[15] % 30_000_000
    entry["traits"] = traits
    return entry


def _pick(values: Sequence[T], draw: int) -> T:
    return values[draw % len(values)]


def _personal(draw: int) -> dict[str, object]:
    first = _pick(_FIRST_NAMES, draw)
    return {
        "email": f"{first.lower()}.{draw % 99991}@personal.example",
        "name": f"{first} Private{draw % 9973}",
        "phone": f"+49 151 {draw % 10**8:08d}",
    }


def _number(
    names: tuple[str, str],
    kind: int,
    value: int,
    clean: Callable[[float], int | float],
    wrong: Callable[[int, int | float], object],
) -> dict[str, object]:
    """Returns a number trait under its two names: in four of five profiles usable under one of them, else one of the
    oddities.

    `wrong` makes the value that is a number but, for a probability, out of range.
    """
    first, second = names
    number = clean(value * _SCALE)
    part = kind % 100
    pick = kind // 100
    table: tuple[tuple[int, dict[str, object]], ...] = (
        (55, {first: number}),
        (60, {first: 0}),
        (66, {}),
        (70, {first: None}),
        (73, {first: ""}),
        (81, {second: number}),
        (84, {first: None, second: number}),
        (85, {first: _pick(_ODD_TEXT, pick), second: number}),
        (89, {first: f"{number:.2f}"}),
        (90, {second: f"{number:.2f}"}),
        (93, {first: wrong(pick, number)}),
        (96, {first: _pick(_ODD_TEXT, pick)}),
        (99, {first: _pick(_NO_NUMBER, pick)}),
        (100, {first: _ENORMOUS if pick % 20 == 0 else _pick(_TOO_LARGE, pick)}),
    )
    return next(trait for bound, trait in table if part < bound)


def _money(unit: float) -> float:
    return round(unit**3 * 2500, 2)


def _count(unit: float) -> int:
    return int(unit**2 * 15)


def _probability(unit: float) -> float:
    return round(unit, 3)


def _negated(_pick_of: int, number: int | float) -> object:
    return -number


def _no_probability(pick: int, _number_of: int | float) -> object:
    return _pick(_NO_PROBABILITY, pick)


def _category(name: str, values: Sequence[str], kind: int, value: int) -> dict[str, object]:
    """Returns a text trait, frequent values first (each about half as often as the one before, with a long tail)."""
    part = kind % 100
    if part < 88:
        unit = value * _SCALE
        return {name: values[int(unit**2.5 * len(values))]}
    if part < 92:
        return {}
    if part < 95:
        return {name: None}
    if part < 98:
        return {name: ""}
    return {name: [values[0]]}
