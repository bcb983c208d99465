"""The recipe's own clustering: profile by profile, all of them kept, and a summary of each cluster at the end.

It is what the rivals that read a space in their own way do with its profiles.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any


def cluster(pages: Iterable[list[dict[str, Any]]]) -> int:
    """Clusters and summarises all profiles; returns how many there were."""
    clusters: dict[str, list[dict[str, Any]]] = {"high_value": [], "growth": [], "at_risk": [], "new": []}
    for page in pages:
        for profile in page:
            traits = profile.get("traits", {})
            clusters[classify(traits)].append(traits)
    for users in clusters.values():
        summarise(users)
    return sum(map(len, clusters.values()))


def classify(traits: dict[str, Any]) -> str:
    """The recipe's rules, as it reads them."""
    ltv = float(traits.get("ltv", traits.get("lifetime_value", 0)) or 0)
    purchases = int(traits.get("purchase_count", traits.get("order_count", 0)) or 0)
    churn_risk = float(traits.get("churn_risk", traits.get("churn_probability", 0.5)) or 0.5)
    if ltv > 500 and churn_risk < 0.15:
        return "high_value"
    if ltv > 100 and purchases >= 2:
        return "growth"
    return "at_risk" if churn_risk > 0.4 else "new"


def summarise(users: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The recipe's summary of one cluster."""
    if not users:
        return None
    industries: defaultdict[str, int] = defaultdict(int)
    plans: defaultdict[str, int] = defaultdict(int)
    for user in users:
        if user.get("industry"):
            industries[user["industry"]] += 1
        if user.get("plan"):
            plans[user["plan"]] += 1
    return {
        "avg_ltv": sum(float(user.get("ltv", 0) or 0) for user in users) / len(users),
        "avg_purchases": sum(int(user.get("purchase_count", 0) or 0) for user in users) / len(users),
        "avg_churn": sum(float(user.get("churn_risk", 0) or 0) for user in users) / len(users),
        "industries": sorted(industries, key=lambda name: industries[name], reverse=True)[:3],
        "plans": sorted(plans, key=lambda name: plans[name], reverse=True)[:3],
    }
