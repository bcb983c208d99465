"""Snapshots: sizes, means and coverage of a space at the end of a complete sync, small enough to keep many of them.

Two snapshots can be compared if their counting digests are equal: the same rules were applied to traits of the same
class.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from worker.clusters.analysis.summary import ClusterSummary, NumberSummary
from worker.clusters.statistics.aggregate import Aggregate
from worker.clusters.statistics.serialization import check_document_version

MAX_BYTES = 32 * 1024
"""A larger snapshot is stored without its means."""

_DIGITS = 9
"""Significant digits of means and standard deviations."""


class NumberSnapshot(BaseModel):
    """A number trait in one cluster.

    Attributes:
        n: Number of profiles that have the trait.
        mean: Their mean.
        std: Their standard deviation (n − 1); None for fewer than two.
    """

    model_config = ConfigDict(frozen=True)

    n: int
    mean: float
    std: float | None


class ClusterSnapshot(BaseModel):
    """One cluster.

    Attributes:
        n: Number of profiles.
        share: Share of all classified profiles (0 to 1).
        numbers: Its number traits by name.
    """

    model_config = ConfigDict(frozen=True)

    n: int
    share: float
    numbers: Mapping[str, NumberSnapshot] = {}


class Snapshot(BaseModel):
    """A space as one sync read it.

    Attributes:
        sync_id: Id of the sync.
        read_from: When reading began, in Unix seconds.
        read_to: When reading ended, in Unix seconds.
        counting_digest: Digest of the rules and the class of traits, see `SyncRequest.counting_digest`.
        profiles: Number of profiles.
        unclassified: Number of profiles in no cluster.
        coverage: By trait that the rules compare, the number of profiles that have it.
        clusters: Clusters by key, in the order of the rules.
    """

    model_config = ConfigDict(frozen=True)

    sync_id: str
    read_from: float
    read_to: float
    counting_digest: str = Field(
        validation_alias=AliasChoices("counted", "counting_digest"), serialization_alias="counted"
    )
    profiles: int
    unclassified: int
    coverage: Mapping[str, int]
    clusters: Mapping[str, ClusterSnapshot]
    version: int = 1

    @property
    def classified(self) -> int:
        """Number of profiles that are in a cluster."""
        return sum(cluster.n for cluster in self.clusters.values())

    def encode(self) -> str:
        """Returns the snapshot as JSON of at most about `MAX_BYTES`."""
        text = self.model_dump_json(by_alias=True)
        if len(text) <= MAX_BYTES:
            return text
        bare = {key: cluster.model_copy(update={"numbers": {}}) for key, cluster in self.clusters.items()}
        return self.model_copy(update={"clusters": bare}).model_dump_json(by_alias=True)

    @classmethod
    def decode(cls, text: str | bytes) -> Self | None:
        """Reads what `encode` returned. An empty text gives None. Raises NewerVersion."""
        if not text:
            return None
        check_document_version("a snapshot of a space", text, 1)
        return cls.model_validate_json(text)


def take_snapshot(
    aggregate: Aggregate,
    summaries: Sequence[ClusterSummary],
    deciding: Collection[str],
    *,
    sync_id: str,
    read_from: float,
    read_to: float,
    counting_digest: str,
) -> Snapshot:
    """Makes the snapshot of a sync.

    Args:
        aggregate: What the sync counted.
        summaries: The summaries of the same aggregate.
        deciding: Names of the traits that the rules compare.
        sync_id: Id of the sync.
        read_from: When reading began, in Unix seconds.
        read_to: When reading ended, in Unix seconds.
        counting_digest: See `SyncRequest.counting_digest`.
    """
    return Snapshot(
        sync_id=sync_id,
        read_from=read_from,
        read_to=read_to,
        counting_digest=counting_digest,
        profiles=aggregate.profiles,
        unclassified=aggregate.unclassified,
        coverage={trait: sum(summary.coverage(trait) for summary in summaries) for trait in deciding},
        clusters={
            summary.key: ClusterSnapshot(
                n=summary.n,
                share=summary.share,
                numbers={
                    name: _number_snapshot(number)
                    for name, number in summary.numbers.items()
                    if number.mean is not None
                },
            )
            for summary in summaries
        },
    )


def _number_snapshot(number: NumberSummary) -> NumberSnapshot:
    assert number.mean is not None
    std = number.std
    return NumberSnapshot(n=number.coverage, mean=_round(number.mean), std=None if std is None else _round(std))


def _round(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
