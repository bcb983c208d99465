"""Checks of the two credentials, for `doctor` and `init`: one page of Segment, and one free list of Mavera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import aiohttp

from producer.cli.commands.doctor.findings import Finding, describe_api_error, judge_rate, judge_usage
from producer.cli.commands.segment_pacing import RequestPacer
from worker.errors import ApiError
from worker.jobs.api_factories import segment_source
from worker.mavera import MaveraClient
from worker.models.request import SyncRequest
from worker.segment import AutoSource, Source
from worker.segment.pagination import Page
from worker.settings import FixedDialect, Settings

MOST_PROFILES = 20
"""Profiles whose traits are read where each costs a request; where they come with the page, it is all of them."""


@dataclass(frozen=True)
class FirstPage:
    """What the first request to a space has shown.

    Attributes:
        source: How the space was asked.
        dialect: In which dialect it answered.
        page: The page.
        profiles: The first profiles of the page, with their traits.
    """

    source: Source
    dialect: FixedDialect
    page: Page
    profiles: Sequence[object]

    @property
    def has_usual_scheme(self) -> bool:
        """Whether the dialect took the token by its usual authorization scheme."""
        return not (isinstance(self.source, AutoSource) and self.source.variant and self.source.variant.other_scheme)


async def read_first_page(
    settings: Settings, session: aiohttp.ClientSession, request: SyncRequest, pace: RequestPacer
) -> FirstPage:
    """Reads the first page of a space, with traits. Raises ApiError."""
    source = segment_source(settings, session, request, on_allowance=pace.observe_allowance)
    page = await pace(lambda: source.fetch_page("", 1, 0))
    dialect: FixedDialect = "inline"
    if isinstance(source, AutoSource):
        assert source.dialect
        dialect = source.dialect
    elif request.dialect != "auto":
        dialect = request.dialect
    most = None if dialect == "inline" else MOST_PROFILES
    looked_at = replace(page, profiles=page.profiles[:most])
    return FirstPage(source, dialect, page, (await source.fetch_traits(looked_at, 1, pace)).profiles)


def judge_access(settings: Settings, first: FirstPage, space_id: str) -> Finding:
    """Whether the token reads the space."""
    page = first.page
    if page.doubt:
        advice = "A sync would end as listing_incomplete and change nothing. Report these keys."
        return Finding("fail", "Segment", page.doubt, advice, id="segment.listing")
    dialect = f"dialect {first.dialect} at {settings.segment_url(first.dialect)}{_why_chosen(first.source)}"
    if not page.profiles:
        found = f"the token is good, and space {space_id} is empty; {dialect}"
        return Finding("warn", "Segment", found, id="segment.access")
    found = f"the token is good; one page: {len(page.profiles)} profiles; {dialect}"
    return Finding("ok", "Segment", found, id="segment.access")


async def check_account(settings: Settings, client: MaveraClient) -> list[Finding]:
    """Whether the key is good, how fast it may ask, and what the account has left. Raises ApiError if it is refused."""
    limit = await client.rate_limit()
    try:
        usage = await client.usage()
    except ApiError as error:
        unknown = Finding("warn", "Credits", *describe_api_error(error), id="mavera.credits")
        return [judge_rate(limit, settings.mavera_rate), unknown]
    known = limit if usage is None else usage.requests_per_minute or limit
    return [judge_rate(known, settings.mavera_rate), *judge_usage(usage)]


def _why_chosen(source: Source) -> str:
    """That `auto` has chosen the dialect, and why not the others; empty if it was set."""
    if not isinstance(source, AutoSource):
        return ""
    reasons = [f"; {dialect} does not answer: {error}" for dialect, error in source.refused.items()]
    scheme = ""
    if source.variant and source.variant.other_scheme:
        scheme = f", with the token as {'Basic' if source.dialect == 'inline' else 'Bearer'} authorization"
    return f", chosen by SEGMENT_DIALECT=auto{scheme}{''.join(reasons)}"
