"""The persona that is sent to Mavera for a cluster, to the letter of the recipe.

Text and field names follow the recipe's `POST /personas` body, so that whoever replaces the recipe finds
the same personas; only the reference at the end of the description is added.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b

from worker.clusters.summary import ClusterSummary
from worker.mavera.reference import Reference

NOT_AVAILABLE = "n/a"

LAYOUT = 1
"""Version of the text and the fields. Another one sends every persona again once."""


@dataclass(frozen=True, slots=True)
class PersonaPayload:
    """The body of a persona's creation or update.

    demographic: the most frequent `industries` and `plans`, empty if no profile has one. psychographic: the cluster's
    key and raw means, None if no profile has the trait. wording: digest of all that does not come from statistics.
    """

    name: str
    description: str
    demographic: Mapping[str, object]
    psychographic: Mapping[str, object]
    wording: str

    def as_json(self) -> dict[str, object]:
        """The body as it is sent: `name`, `description`, `demographic`, `psychographic`."""
        body = asdict(self)
        del body["wording"]
        return body


def build(summary: ClusterSummary, reference: Reference) -> PersonaPayload:
    """The persona of a cluster, with its reference as the last words of its description."""
    name = f"Segment CDP: {summary.label}"
    return PersonaPayload(
        name=name,
        description=f"{_sentences(summary)} {reference}",
        demographic={"industries": list(summary.industries), "plans": list(summary.plans)},
        psychographic={
            "cluster": summary.key,
            "avg_ltv": summary.avg_ltv,
            "avg_churn_risk": summary.avg_churn,
            "engagement_tier": summary.engagement_tier,
        },
        wording=_digest(LAYOUT, name, str(reference)),
    )


def _digest(*parts: object) -> str:
    return blake2b(json.dumps(parts).encode(), digest_size=8).hexdigest()


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
