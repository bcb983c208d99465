"""Sampling: a source that reads only a sample of a space.

A profile is in the sample if the hash of its identifier, as a number from 0 to 1, is below the sample's share. Every
profile therefore has the same chance, whatever its traits; every sync and every worker select the same profiles; and a
larger sample contains every smaller one. A profile that is merged into another one leaves the sample.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b
from math import ceil

from worker.errors import Permanent
from worker.segment.page import Page, profile_identifier
from worker.segment.source import Call, FetchedProfiles, Source

_SALT = b"segment-personas sample\0"
"""Another salt would select another sample, so it must not change."""

_BYTES = 8


@dataclass(frozen=True, slots=True)
class SampledPage:
    """The entries of a page that are in the sample.

    Attributes:
        entries: Entries in their order. Entries that are not objects are included; objects without an identifier are
            None.
        left_out: Number of profiles that are not in the sample.
        without_id: Number of objects without an identifier.
    """

    entries: list[object]
    left_out: int
    without_id: int


def select_sample(entries: Iterable[object], share: float) -> SampledPage:
    """Selects the entries of a page that are in the sample.

    Args:
        entries: Entries of the page.
        share: Share of all profiles, above 0 and below 1.
    """
    bound = ceil(share * 2 ** (8 * _BYTES)).to_bytes(_BYTES, "big")
    kept: list[object] = []
    left_out = without_id = 0
    for entry in entries:
        if not isinstance(entry, dict):
            kept.append(entry)
        elif (name := profile_identifier(entry)) is None:
            kept.append(None)
            without_id += 1
        elif _hash(name) < bound:
            kept.append(entry)
        else:
            left_out += 1
    return SampledPage(kept, left_out, without_id)


def _hash(name: str) -> bytes:
    return blake2b(_SALT + name.encode(errors="surrogatepass"), digest_size=_BYTES).digest()


class SampledSource:
    """A source with only the profiles that are in the sample.

    Args:
        source: The source of all profiles.
        share: Share of all profiles, above 0 and below 1.
    """

    def __init__(self, source: Source, share: float) -> None:
        self._source = source
        self._share = share

    @property
    def concurrent_pages(self) -> int:
        """Number of pages that may be fetched at a time, as of the source."""
        return self._source.concurrent_pages

    async def fetch_page(self, cursor: str, number: int, before: int | None = None) -> Page:
        """Fetches one page, as `Source.fetch_page`, without the profiles that are not in the sample.

        Raises:
            Permanent: `no_ids`: the source gives its profiles no identifiers.
            ApiError: As the source.
        """
        page = await self._source.fetch_page(cursor, number, before)
        sample = select_sample(page.profiles, self._share)
        if sample.without_id and not any(isinstance(entry, dict) for entry in sample.entries) and not sample.left_out:
            raise Permanent(
                "no_ids",
                f"Page {number}: no profile has an identifier, so no sample can be picked",
                hint="Read all profiles, or use the dialect profile-api or a file with an id in each line.",
            )
        return replace(page, profiles=sample.entries, left_out=sample.left_out)

    async def fetch_traits(self, page: Page, number: int, call: Call) -> FetchedProfiles:
        """Fetches the traits of a page's profiles, as `Source.fetch_traits`."""
        return await self._source.fetch_traits(page, number, call)
