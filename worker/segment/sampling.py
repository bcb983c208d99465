"""A source of which only a sample is read: the others are left out before anything is asked about them."""

from __future__ import annotations

from dataclasses import replace

from worker.clusters import sampled
from worker.errors import Permanent
from worker.segment.pagination import Page
from worker.segment.source import Call, FetchedProfiles, Source


class SampledSource:
    """The profiles of `source` that are in the sample. share: of all profiles, above 0 and below 1."""

    def __init__(self, source: Source, share: float) -> None:
        self._source = source
        self._share = share

    @property
    def ahead(self) -> int:
        """As of the source."""
        return self._source.ahead

    async def page(self, cursor: str, number: int, before: int | None = None) -> Page:
        """The page at `cursor` without the profiles that are not in the sample. Raises ApiError; Permanent `no_ids` if
        the source gives its profiles no identifiers."""
        page = await self._source.page(cursor, number, before)
        sample = sampled(page.profiles, self._share)
        if sample.without_id and not any(isinstance(entry, dict) for entry in sample.entries) and not sample.left_out:
            raise Permanent(
                "no_ids",
                f"Page {number}: no profile has an identifier, so no sample can be picked. Read all of them, or use "
                "the dialect profile-api or a file with an id in each line",
            )
        return replace(page, profiles=sample.entries, left_out=sample.left_out)

    async def fetch_traits(self, page: Page, number: int, call: Call) -> FetchedProfiles:
        """The profiles of a page with their traits."""
        return await self._source.fetch_traits(page, number, call)
