"""Checks Segment for `doctor`: one page of a space, its traits, and which strategy would be faster.

`init` checks a token by the first page, too.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

import aiohttp

from producer.cli.command_lines import with_program_name
from producer.cli.commands.doctor.findings import (
    Finding,
    describe_api_error,
    judge_filter,
    judge_strategy,
    judge_traits,
    measure_coverage,
)
from producer.cli.request_pacer import RequestPacer, open_request_pacer
from worker.clusters import Rules
from worker.errors import ApiError, InvalidRequest
from worker.jobs.api_factories import segment_source
from worker.models.request import SyncRequest
from worker.segment import AutoSource, Source
from worker.segment.page import Page
from worker.settings import FixedDialect, Settings

MEASURED_PAGES = 3
"""Pages of either kind whose time is taken; their median counts."""

MOST_PROFILES = 20
"""Profiles whose traits are read where each costs a request; where they come with the page, it is all of them."""


@dataclass(frozen=True)
class FirstPage:
    """The result of the first request to a space.

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
    """Returns whether the token reads the space."""
    page = first.page
    if page.doubt:
        advice = "A sync would fail as listing_incomplete and change nothing. Report these keys to Segment."
        return Finding("fail", "Segment", page.doubt, advice, id="segment.listing")
    dialect = f"dialect {first.dialect} at {settings.segment_url(first.dialect)}{_why_chosen(first.source)}"
    if not page.profiles:
        found = f"the token is good, and space {space_id} is empty; {dialect}"
        return Finding("warn", "Segment", found, id="segment.access")
    found = f"the token is good; one page: {len(page.profiles)} profiles; {dialect}"
    return Finding("ok", "Segment", found, id="segment.access")


async def check_segment(
    settings: Settings, session: aiohttp.ClientSession, space_id: str | None, rules: Rules
) -> AsyncIterator[Finding]:
    """Yields what is found about a space."""
    if settings.segment_token is None and (space_id is not None or settings.spaces_file is None):
        advice = with_program_name("Export a token that may read the space. `segment-personas init` asks for it.")
        yield Finding("fail", "Segment", "SEGMENT_TOKEN is not set", advice, id="segment.access")
        return
    if space_id is None:
        advice = "Give one (doctor SPACE_ID), or export SEGMENT_SPACE_ID."
        yield Finding("warn", "Segment", "no space id is given, so no space is checked", advice, id="segment.access")
        return
    try:
        request = SyncRequest(space_id=space_id, dialect=settings.segment_dialect, rules=rules)
    except InvalidRequest:
        found = f"{space_id!r} is not a valid space id"
        yield Finding("fail", "Segment", found, "Copy it from Segment: spa_…", id="segment.access")
        return
    async with open_request_pacer(settings, space_id) as pace:
        async for finding in _check_space(settings, session, request, pace):
            yield finding


async def _check_space(
    settings: Settings, session: aiohttp.ClientSession, request: SyncRequest, pace: RequestPacer
) -> AsyncIterator[Finding]:
    """Yields the findings about the content of a space."""
    space_id, rules = request.space_id, request.rules
    try:
        first = await read_first_page(settings, session, request, pace)
    except ApiError as error:
        yield Finding("fail", "Segment", *describe_api_error(error), id="segment.access")
        return
    yield judge_access(settings, first, space_id)
    if first.page.doubt or not first.page.profiles:
        return
    profiles = first.profiles
    now = time.time()
    for finding in judge_traits(measure_coverage(profiles, rules, as_of=now), len(profiles), space_id):
        yield finding
    for finding in judge_filter(profiles, rules, as_of=now):
        yield finding
    if first.dialect == "inline" and first.has_usual_scheme and first.page.next_cursor is not None:
        yield await _compare_strategies(settings, session, request.model_copy(update={"dialect": "inline"}), pace)


async def _compare_strategies(
    settings: Settings, session: aiohttp.ClientSession, request: SyncRequest, pace: RequestPacer
) -> Finding:
    """Measures the first page of a space of several, with traits and without."""
    clock = asyncio.get_running_loop().time
    sources = [segment_source(settings, session, request, traits=traits) for traits in (True, False)]
    times: list[list[float]] = [[], []]
    lengths = [0, 0]
    try:
        for _ in range(MEASURED_PAGES):
            for kind, source in enumerate(sources):
                await pace.slot()
                asked_at = clock()
                lengths[kind] = len((await source.fetch_page("", 1)).profiles)
                times[kind].append(clock() - asked_at)
    except ApiError as error:
        return Finding("warn", "Strategy", *describe_api_error(error), id="strategy")
    if lengths[0] < lengths[1]:
        found = (
            f"a page has {lengths[0]} profiles with their traits and {lengths[1]} without, so fan-out cannot be used"
        )
        return Finding("ok", "Strategy", found, id="strategy")
    return judge_strategy(statistics.median(times[0]), statistics.median(times[1]), settings.segment_rate)


def _why_chosen(source: Source) -> str:
    """Says that `auto` has chosen the dialect, and why it refused the others; empty if the dialect was set."""
    if not isinstance(source, AutoSource):
        return ""
    reasons = [f"; {dialect} does not answer: {error}" for dialect, error in source.refused.items()]
    scheme = ""
    if source.variant and source.variant.other_scheme:
        scheme = f", with the token as {'Basic' if source.dialect == 'inline' else 'Bearer'} authorization"
    return f", chosen by SEGMENT_DIALECT=auto{scheme}{''.join(reasons)}"
