"""The interface of strategies: the chain folds the pages of a fetch job, fan-out gives them to batch jobs."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

from worker.jobs.fetch.page_prefetcher import FetchedPage
from worker.segment import Source


@dataclass(frozen=True)
class HandOver:
    """A fetch job gives its sync to the next job.

    Attributes:
        delay_s: Seconds after which the next job may begin.
        note: What the sync waits for meanwhile.
    """

    delay_s: float = 0.0
    note: str = ""


class FetchStrategy(Protocol):
    """The strategy of one fetch job.

    Attributes:
        source: What the pages are read from.
        counts_pages: Whether the profiles of the pages are counted here, and not by batches.
    """

    source: Source
    counts_pages: bool

    @property
    def cursor(self) -> str:
        """The cursor of the next page; empty for the first."""

    @property
    def pages(self) -> int:
        """The number of pages that were taken, also by earlier jobs."""

    @property
    def listed(self) -> int:
        """The number of entries of those pages."""

    @property
    def ended(self) -> bool:
        """Whether every page that the sync needs was taken."""

    def wanted(self, waiting: int) -> bool:
        """Returns whether a further page should be requested.

        Args:
            waiting: Number of entries of pages that are read and not yet taken.
        """

    def take(self, page: FetchedPage) -> int:
        """Takes the next page and moves on, both or neither.

        Returns:
            How many profiles of it are counted here, and not by batches.

        Raises:
            Permanent: The cursors form a loop.
        """

    def due(self) -> bool:
        """Returns whether it is time to commit."""

    def commit(self, trouble_ms: int, *, last: bool = False, hand_over: HandOver | None = None) -> Awaitable[None]:
        """Writes what was taken up to the moment of the call; one commit at a time.

        Args:
            trouble_ms: How long a request to an API has failed by now, in milliseconds.
            last: Whether the job takes no further page.
            hand_over: Given if the job ends with this commit.

        Raises:
            LeaseLost: The epoch is over; nothing was written.
        """
