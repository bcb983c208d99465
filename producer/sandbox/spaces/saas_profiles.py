"""Users of a B2B product: seats, tenure, plan, modules in use, trials, and how much of the product they have taken up.

Made so that there is something to find: who uses much has been there long, pays more and was there lately. Beside them
are what every space has: own staff, anonymous visitors, values that are missing or odd, and personal data.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

_SCALE = 2.0**-32
_DAY = timedelta(days=1)

_PLANS = ("free", "team", "business", "enterprise")
_PRICES = {"free": 0.0, "team": 12.0, "business": 25.0, "enterprise": 41.0}
"""Dollars a seat and month."""
_MODULES = ("tasks", "docs", "chat", "reports", "automation", "api")
_ROLES = ("admin", "manager", "member", "guest")


def saas_entry(identifier: str, draw: Sequence[int], as_of: float) -> object:
    """Returns one entry of a `saas` space from sixteen 32-bit draws; all its dates lie before `as_of`, Unix seconds.

    3 % are anonymous visitors with next to no traits, 2 % are staff, 12 % are in a trial.
    """
    entry: dict[str, object] = {"segment_id": identifier}
    shape = draw[0] % 100
    now = datetime.fromtimestamp(as_of, UTC)
    if shape < 3:
        entry["traits"] = {"last_active": _iso(now, draw[1] * _SCALE * 30)}
        return entry
    is_trial = shape < 15
    taken_up = draw[2] * _SCALE
    tenure = draw[3] * _SCALE * (30 if is_trial else 1500 * (0.2 + 0.8 * taken_up))
    silence = (draw[4] * _SCALE) ** 3 * 200 * (1.2 - taken_up)
    plan = "team" if is_trial else _PLANS[min(3, int(taken_up * 3 + draw[5] * _SCALE * 2))]
    seats = 1 + int((draw[6] * _SCALE) ** 4 * (250 if plan == "enterprise" else 60))
    entry["traits"] = {
        "email": f"user{draw[7] % 99991}@company{draw[8] % 997}.example",
        "name": f"User Private{draw[7] % 9973}",
        "feature_adoption": round(taken_up * 100, 1),
        "seats": seats,
        "mrr": 0.0 if is_trial else round(seats * _PRICES[plan], 2),
        "signed_up": _written(now, tenure, draw[9]),
        "last_active": _iso(now, min(silence, tenure)),
        "plan": plan,
        "role": _ROLES[draw[10] % 4],
        "active_modules": [name for i, name in enumerate(_MODULES) if draw[11] >> (4 * i) & 15 < 2 + 13 * taken_up],
        "is_trial": is_trial,
        "is_staff": shape >= 98,
        "expansion": round((taken_up + draw[12] * _SCALE) / 2, 2),
        **_oddity(draw[13], draw[14]),
    }
    return entry


def _iso(now: datetime, days: float) -> str:
    return (now - days * _DAY).isoformat(timespec="seconds")


def _written(now: datetime, days: float, draw: int) -> object:
    """Returns a date in one of the ways in which systems write them."""
    moment = now - days * _DAY
    form = draw % 10
    if form < 7:
        return moment.isoformat(timespec="seconds")
    return int(moment.timestamp()) * (1 if form < 9 else 1000)


def _oddity(kind: int, which: int) -> dict[str, object]:
    """In one of ten profiles a trait that is missing, null, text, or not usable at all."""
    traits = ("feature_adoption", "seats", "mrr", "signed_up", "plan", "active_modules", "is_trial")
    trait = traits[which % len(traits)]
    part = kind % 100
    if part < 90:
        return {}
    if part < 95:
        return {trait: None}
    return {"seats": str(which % 50)} if part < 98 else {trait: {"unknown": True}}
