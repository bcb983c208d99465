"""What a space was like when a sync had read all of it: sizes, means and coverage, small enough to keep many of them.

Pure data, as JSON. A snapshot can be compared with a later one if both were counted alike: by the same rules, from
traits of the same class.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict

from worker.clusters.analysis.summary import ClusterSummary, NumberSummary
from worker.clusters.statistics.aggregate import Aggregate

MAX_BYTES = 32 * 1024
"""A snapshot that would be larger is kept without its means."""

_DIGITS = 9
"""Significant digits of a mean and a deviation."""


class NumberFigures(BaseModel):
    """A number trait in one cluster. mean, std: of the `n` profiles that have it; std is None for fewer than two."""

    model_config = ConfigDict(frozen=True)

    n: int
    mean: float
    std: float | None


class ClusterFigures(BaseModel):
    """One cluster: `n` profiles, their share (0 to 1) of all classified ones, and its numbers by trait."""

    model_config = ConfigDict(frozen=True)

    n: int
    share: float
    numbers: Mapping[str, NumberFigures] = {}


class Snapshot(BaseModel):
    """A space as one sync has read it.

    read_from, read_to: Unix seconds. counted: digest of how it was counted. coverage: for each trait that decides, how
    many profiles have it. clusters: by key, in the rules' order.
    """

    model_config = ConfigDict(frozen=True)

    sync_id: str
    read_from: float
    read_to: float
    counted: str
    profiles: int
    unclassified: int
    coverage: Mapping[str, int]
    clusters: Mapping[str, ClusterFigures]

    @property
    def classified(self) -> int:
        """How many profiles are in a cluster."""
        return sum(cluster.n for cluster in self.clusters.values())

    def encode(self) -> str:
        """As JSON of at most about `MAX_BYTES`."""
        text = self.model_dump_json()
        if len(text) <= MAX_BYTES:
            return text
        bare = {key: cluster.model_copy(update={"numbers": {}}) for key, cluster in self.clusters.items()}
        return self.model_copy(update={"clusters": bare}).model_dump_json()

    @classmethod
    def decode(cls, text: str | bytes) -> Self | None:
        """Reads what `encode` wrote; None if there is nothing."""
        return cls.model_validate_json(text) if text else None


def take(
    aggregate: Aggregate,
    summaries: Sequence[ClusterSummary],
    deciding: Collection[str],
    *,
    sync_id: str,
    read_from: float,
    read_to: float,
    counted: str,
) -> Snapshot:
    """The snapshot of what was counted. deciding: the traits that the rules need."""
    return Snapshot(
        sync_id=sync_id,
        read_from=read_from,
        read_to=read_to,
        counted=counted,
        profiles=aggregate.profiles,
        unclassified=aggregate.unclassified,
        coverage={trait: sum(summary.coverage(trait) for summary in summaries) for trait in deciding},
        clusters={
            summary.key: ClusterFigures(
                n=summary.n,
                share=summary.share,
                numbers={name: _figures(number) for name, number in summary.numbers.items() if number.mean is not None},
            )
            for summary in summaries
        },
    )


def _figures(number: NumberSummary) -> NumberFigures:
    assert number.mean is not None
    std = number.std
    return NumberFigures(n=number.coverage, mean=_rounded(number.mean), std=None if std is None else _rounded(std))


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
