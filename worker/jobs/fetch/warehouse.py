"""The warehouse strategy: one page holds the aggregate of the whole table, which the job counts as the chain does."""

from __future__ import annotations

from worker.clusters import Aggregate
from worker.jobs.fetch.chain import ChainStrategy
from worker.jobs.fetch.page_prefetcher import FetchedPage


class WarehouseStrategy(ChainStrategy):
    """Counts the aggregate that a statement returned; see `FetchStrategy`."""

    def wanted(self, waiting: int) -> bool:
        """Returns whether the statement has not been counted yet."""
        return not self.ended and not waiting

    def take(self, page: FetchedPage) -> int:
        """Merges the aggregate of the only page."""
        (found,) = page.entries
        assert isinstance(found, Aggregate)
        self._aggregate.merge(found)
        self.pages += 1
        limit = self._request.max_profiles
        read = found.entries + found.left_out + found.merged
        self.ended = True
        self._complete = self._request.sample is None and (limit is None or read < limit)
        return found.entries
