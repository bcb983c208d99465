"""The JSON document of a sync's statistics: the distributions of each cluster, for charts.

Pure. It has no more of a profile than a persona has: no minimum and maximum, no percentile of few values, and no count
of fewer than `MIN_PROFILES` profiles.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from math import ceil
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from worker.clusters import ClusterSummary, Rules, summarise
from worker.clusters.analysis.summary import MIN_PROFILES_FOR_DETAIL, NumberSummary, number_values
from worker.clusters.statistics.aggregate import ClusterAggregate
from worker.clusters.statistics.category import MIN_PROFILES
from worker.clusters.statistics.numeric import NumberAggregate
from worker.documents.document_types import Key, Label, SyncId
from worker.documents.sync_results import sync_statistics
from worker.mavera import build_payload, make_reference
from worker.models.sync import Sync

BINS = 12
"""Most bins of a histogram."""

MAX_WHOLE = 200
"""Range from which the bins of whole numbers are as those of other numbers."""

Known = Annotated[int, Field(ge=0, description="Profiles that have the trait")]


class Histogram(TypedDict):
    """The distribution of the values between the 10th and the 90th percentile."""

    edges: Annotated[list[float], Field(description="Bounds of the bins, ascending; one more than bins")]
    counts: Annotated[
        list[int | None],
        Field(description=f"Values of each bin; null: 1 to {MIN_PROFILES - 1}. The last bin includes its upper bound"),
    ]


class NumberStatistics(TypedDict):
    """A number, or the age of a date in days; null: too few values."""

    known: Known
    mean: float | None
    std: float | None
    median: float | None
    p10: float | None
    p90: float | None
    histogram: Histogram | None


class ValueShare(TypedDict):
    """A value of a category or list."""

    value: str
    share: Annotated[float | None, Field(ge=0, le=1, description="Of the profiles that have the trait; null: too few")]


class CategoryStatistics(TypedDict):
    """The most frequent values of a category or list."""

    known: Known
    top: list[ValueShare]


class BooleanStatistics(TypedDict):
    """A boolean."""

    known: Known
    true: Annotated[
        float | None, Field(ge=0, le=1, description="Share of the profiles that have the trait; null: too few")
    ]


class ClusterStatistics(TypedDict):
    """A cluster so far."""

    cluster: Label
    key: Key
    n: Annotated[int, Field(ge=0)]
    share: Annotated[float, Field(ge=0, le=1, description="Of the profiles that are in a cluster")]
    numbers: Annotated[dict[str, NumberStatistics], Field(description="Numbers and ages of dates, by trait")]
    categories: dict[str, CategoryStatistics]
    booleans: dict[str, BooleanStatistics]
    payload: NotRequired[
        Annotated[dict[str, Any], Field(description="If the sync made or kept its persona: the fields of the persona")]
    ]


class TraitDescription(TypedDict):
    """A trait of the rules."""

    name: str
    label: str
    type: Literal["number", "category", "list", "boolean", "date"]
    scale: Literal["plain", "currency", "probability", "percent", "percentile"]
    currency: Annotated[str | None, Field(description="ISO 4217 code", examples=["USD"])]


class SyncStatistics(TypedDict):
    """The statistics of a sync so far."""

    sync_id: SyncId
    collection: Literal["users", "accounts"]
    rules: Annotated[str, Field(description="Name of the rules")]
    profiles: Annotated[int, Field(ge=0, description="Profiles that are counted")]
    unclassified: Annotated[int, Field(ge=0, description="Profiles without any deciding trait")]
    traits: list[TraitDescription]
    clusters: list[ClusterStatistics]


def statistics_document(sync: Sync) -> dict[str, object]:
    """Returns the statistics of a sync as JSON, in the form of `SyncStatistics`."""
    aggregate, rules = sync_statistics(sync), sync.request.rules
    return {
        "sync_id": sync.id,
        "collection": sync.request.collection,
        "rules": rules.name,
        "profiles": aggregate.profiles,
        "unclassified": aggregate.unclassified,
        "traits": [
            trait.model_dump(mode="json", include={"name", "label", "type", "scale", "currency"})
            for trait in rules.traits
        ],
        "clusters": [
            {
                "cluster": summary.label,
                "key": summary.key,
                "n": summary.n,
                "share": summary.share,
                **_traits(summary, aggregate.clusters.get(summary.key, ClusterAggregate()), rules),
                **_payload(sync, summary),
            }
            for summary in summarise(aggregate, rules)
        ],
    }


def histogram(values: NumberAggregate, low: float, high: float) -> dict[str, object] | None:
    """Returns the histogram of the values from `low` to `high`; None if these are equal.

    Bins of whole numbers begin and end between two of them, so that all bins hold equally many numbers.
    """
    inner = [(value, n) for value, n in values.sketch.counted_values() if low <= value <= high]
    if all(value.is_integer() for value, _ in inner) and high - low < MAX_WHOLE:
        width = ceil((high - low + 1) / BINS)
        edges = [low - 0.5 + width * step for step in range(ceil((high - low + 1) / width) + 1)]
    else:
        edges = [low + (high - low) * step / BINS for step in range(BINS)] + [high]
    if low == high or any(after <= before for before, after in pairwise(edges)):
        return None
    counts = [0] * (len(edges) - 1)
    for value, n in inner:
        counts[min(bisect_right(edges, value), len(counts)) - 1] += n
    return {"edges": edges, "counts": [None if 0 < n < MIN_PROFILES else n for n in counts]}


def _traits(summary: ClusterSummary, group: ClusterAggregate, rules: Rules) -> dict[str, object]:
    numbers = {**summary.numbers, **summary.dates}
    return {
        "numbers": {name: _number(found, number_values(group, rules.trait(name))) for name, found in numbers.items()},
        "categories": {
            name: {
                "known": found.coverage,
                "top": [{"value": one.value, "share": _if_detailed(one.share, found.coverage)} for one in found.top],
            }
            for name, found in summary.categories.items()
        },
        "booleans": {
            name: {"known": found.coverage, "true": _if_detailed(found.share, found.coverage)}
            for name, found in summary.booleans.items()
        },
    }


def _number(found: NumberSummary, values: NumberAggregate) -> dict[str, object]:
    shown = None if found.p10 is None or found.p90 is None else histogram(values, found.p10, found.p90)
    return {
        "known": found.coverage,
        "mean": found.mean,
        "std": _if_detailed(found.std, values.count),
        "median": found.median,
        "p10": found.p10,
        "p90": found.p90,
        "histogram": shown,
    }


def _if_detailed(value: float | None, known: int) -> float | None:
    """Returns the value if enough profiles support it for it to be shown."""
    return value if known >= MIN_PROFILES_FOR_DETAIL else None


def _payload(sync: Sync, summary: ClusterSummary) -> dict[str, object]:
    """Returns the fields of the persona that the sync made or kept; nothing if it made none."""
    if not any(outcome.cluster == summary.key and not outcome.skipped for outcome in sync.outcomes):
        return {}
    request = sync.request
    own = sync.id if request.mode == "create" else None
    reference = make_reference(request.space_id, request.collection, request.rules.name, summary.key, sync_id=own)
    return {"payload": build_payload(summary, reference, request.rules).as_json()}
