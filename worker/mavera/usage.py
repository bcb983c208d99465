"""The account as `GET /usage` describes it: credits, billing period, rate limit, auto-recharge, limits.

Every part may be missing or have another form. A part that cannot be read is None, and nothing is concluded from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

CREDITS_PER_PERSONA = 300
_MOST = 10**12


@dataclass(frozen=True)
class Usage:
    """The usage of an account. Credits are whole numbers; None means not known.

    Attributes:
        used: credits used in the billing period.
        included: credits that the period includes.
        remaining: credits that are left of them.
        period_start: first day of the billing period, UTC.
        period_end: end of the billing period, UTC.
        requests_per_minute: the account's rate limit.
        auto_recharge: whether Mavera buys more credits by itself.
        usage_limit: most credits that may be used in the period.
        budget_alert: credits at which Mavera sends an alert.
    """

    used: int | None = None
    included: int | None = None
    remaining: int | None = None
    period_start: date | None = None
    period_end: date | None = None
    requests_per_minute: int | None = None
    auto_recharge: bool | None = None
    usage_limit: int | None = None
    budget_alert: int | None = None

    @property
    def available(self) -> int | None:
        """Credits that can be spent before Mavera refuses; None if they are unlimited or not known.

        A usage limit below the price of one persona is ignored, because it may be a percentage.
        """
        bounds = []
        if self.remaining is not None and self.auto_recharge is False:
            bounds.append(self.remaining)
        if self.usage_limit is not None and self.used is not None and self.usage_limit >= CREDITS_PER_PERSONA:
            bounds.append(max(0, self.usage_limit - self.used))
        return min(bounds, default=None)

    def describe(self) -> str:
        """Describes the credits in a phrase: `1,200 of 2,500 credits left until 31 March, auto-recharge off`."""
        if self.remaining is None:
            text = "how many credits are left is not known" if self.used is None else f"{self.used:,} credits used"
        else:
            text = f"{self.remaining:,}{'' if self.included is None else f' of {self.included:,}'} credits left"
        if self.period_end is not None:
            text += f" until {self.period_end.day} {self.period_end:%B}"
        if self.auto_recharge is not None:
            text += f", auto-recharge {'on' if self.auto_recharge else 'off'}"
        if self.usage_limit is not None:
            text += f", usage limit {self.usage_limit:,}"
        return text


def read_usage(body: Any) -> Usage | None:
    """Reads the parsed body of `GET /usage`, at the top level or in `data`; returns None if nothing in it is usable."""
    if not isinstance(body, Mapping):
        return None
    if "credits" not in body and isinstance(body.get("data"), Mapping):
        body = body["data"]
    credits_, period = _part(body, "credits"), _part(body, "billing_period")
    recharge, limits = _part(body, "auto_recharge"), _part(body, "limits")
    used, included, remaining = (_count(credits_.get(name)) for name in ("used", "included", "remaining"))
    if remaining is None and used is not None and included:
        remaining = max(0, included - used)
    found = Usage(
        used=used,
        included=included,
        remaining=remaining,
        period_start=_day(period.get("start")),
        period_end=_day(period.get("end")),
        requests_per_minute=_count(_part(body, "rate_limit").get("requests_per_minute")) or None,
        auto_recharge=_switch(recharge.get("enabled")),
        usage_limit=_count(limits.get("usage_limit")),
        budget_alert=_count(limits.get("budget_alert")),
    )
    return None if found == Usage() else found


def _part(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = body.get(name)
    return part if isinstance(part, Mapping) else {}


def _count(value: object) -> int | None:
    if isinstance(value, str):
        text = value.strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST:
        return None
    return int(value)


def _switch(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _day(value: object) -> date | None:
    """Returns the day of an ISO 8601 text or of a Unix time in seconds or milliseconds; None for any other value."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value.strip())
            return (moment.astimezone(UTC) if moment.tzinfo else moment).date()
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC).date()
    except (ValueError, OverflowError, OSError):
        return None
    return None
