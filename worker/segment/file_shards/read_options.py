"""The options of reading shards: rules, time, sample, and limits of DuckDB. Loads neither DuckDB nor sqlglot."""

from __future__ import annotations

from dataclasses import dataclass

from worker.clusters import Rules


@dataclass(frozen=True)
class EngineLimits:
    """The resources of DuckDB in one worker.

    Attributes:
        memory_mb: Memory in MiB; what does not fit is written to the directory for temporary files.
        threads: Number of threads.
    """

    memory_mb: int
    threads: int


@dataclass(frozen=True)
class ReadOptions:
    """The options of reading shards.

    Attributes:
        rules: Of the sync.
        as_of: When the sync began, Unix seconds.
        sample: Share of the profiles that is read; None: all.
        expected: Trait keys that must have a column, because they have one in the first shard.
    """

    rules: Rules
    as_of: float
    sample: float | None = None
    expected: tuple[str, ...] = ()
