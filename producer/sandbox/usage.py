"""The body of Mavera's `GET /usage`: credits of the billing period, rate limit, auto-recharge and limits."""

from __future__ import annotations

from datetime import datetime

from producer.sandbox.state import State


def usage(state: State, now: datetime) -> dict[str, object]:
    """The usage of the sandbox's one account at `now`; its billing period is the calendar month."""
    options = state.options
    included = None if state.credits is None else state.credits_used + state.credits
    start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return {
        "object": "usage",
        "billing_period": {"start": _iso(start), "end": _iso(end)},
        "credits": {
            "used": state.credits_used,
            "included": included,
            "remaining": state.credits,
            "percentage_used": round(100 * state.credits_used / included, 1) if included else 0,
        },
        "rate_limit": {"requests_per_minute": options.mavera_limit},
        "auto_recharge": {
            "enabled": options.auto_recharge is not None,
            "threshold": None if options.auto_recharge is None else 0,
            "credits_to_add": options.auto_recharge,
        },
        "limits": {"budget_alert": None, "usage_limit": options.usage_limit},
    }


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
