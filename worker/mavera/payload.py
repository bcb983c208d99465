"""The persona that is sent to Mavera for a cluster, to the letter of the recipe.

Text and field names follow the recipe's `POST /personas` body, so that whoever replaces the recipe finds
the same personas; only the reference at the end of the description is added.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from worker.clusters.summary import ClusterSummary
from worker.mavera.reference import Reference

NOT_AVAILABLE = "n/a"


@dataclass(frozen=True, slots=True)
class Demographic:
    """The most frequent industries and plans, at most three each; empty if no profile has one."""

    industries: list[str]
    plans: list[str]


@dataclass(frozen=True, slots=True)
class Psychographic:
    """The cluster's key and raw means (None if no profile has the trait)."""

    cluster: str
    avg_ltv: float | None
    avg_churn_risk: float | None
    engagement_tier: str


@dataclass(frozen=True, slots=True)
class PersonaPayload:
    """The body of a persona's creation or update."""

    name: str
    description: str
    demographic: Demographic
    psychographic: Psychographic

    def as_json(self) -> dict[str, object]:
        """The body as it is sent: `name`, `description`, `demographic`, `psychographic`."""
        return asdict(self)


def build(summary: ClusterSummary, reference: Reference) -> PersonaPayload:
    """The persona of a cluster, with its reference as the last words of its description."""
    return PersonaPayload(
        name=f"Segment CDP: {summary.label}",
        description=f"{_sentences(summary)} {reference}",
        demographic=Demographic(list(summary.industries), list(summary.plans)),
        psychographic=Psychographic(summary.key, summary.avg_ltv, summary.avg_churn, summary.engagement_tier),
    )


def _sentences(summary: ClusterSummary) -> str:
    return (
        f"{summary.label} segment from Segment computed traits. N={summary.n}. "
        f"Avg LTV: {_mean(summary.avg_ltv, '${:.0f}'.format)}. "
        f"Avg purchases: {_mean(summary.avg_purchases, '{:.1f}'.format)}. "
        f"Avg churn risk: {_mean(summary.avg_churn, '{:.0%}'.format)}. "
        f"Industries: {_listing(summary.industries)}. "
        f"Plans: {_listing(summary.plans)}."
    )


def _mean(value: float | None, render: Callable[[float], str]) -> str:
    return NOT_AVAILABLE if value is None else render(value)


def _listing(values: Sequence[str]) -> str:
    return ", ".join(values) or NOT_AVAILABLE
