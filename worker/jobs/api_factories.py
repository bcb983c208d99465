"""Builds the clients of external systems: the source of a space, its warehouse, Mavera, and the limiters of both APIs.

Jobs get them from `WorkerServices`; commands such as `doctor` make them from the settings alone.
"""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable
from functools import partial

import aiohttp

from worker.errors import ResumableStop
from worker.http.client import HttpClient, HttpLimits, OnAllowance, OnAnswer
from worker.jobs.store_factories import known_account
from worker.mavera import MaveraClient
from worker.models.request import SyncRequest
from worker.segment import (
    AutoSource,
    DialectMemory,
    DialectVariant,
    InlineApi,
    NoDialectMemory,
    ProfileApi,
    Source,
)
from worker.segment.file_shards import EngineLimits
from worker.segment.profile_api import MAX_PAGE_SIZE
from worker.segment.warehouse import EngineOptions, WarehouseAccess, open_engine
from worker.settings import FixedDialect, Settings
from worker.store import Limiter, RateScope, StorePool
from worker.warehouse_url import WarehouseUrl


def segment_source(
    settings: Settings,
    session: aiohttp.ClientSession,
    request: SyncRequest,
    *,
    traits: bool = True,
    every_trait: bool = False,
    on_allowance: OnAllowance | None = None,
    on_answer: OnAnswer | None = None,
    memory: DialectMemory | None = None,
) -> Source:
    """Returns the source that reads the space of a request, in its dialect or, with `auto`, in the one that answers.

    Args:
        settings: Of the worker.
        session: HTTP session of the worker.
        request: Names the space, the dialect and the rules.
        traits: Whether profiles are read with their traits; a listing without them is cheaper (`inline`).
        every_trait: Whether all traits are read, not only those of the rules (`profile-api`; `inline` always does).
        on_allowance: Called with the rate limit that an answer states.
        on_answer: Called after each request, for metrics.
        memory: Keeps the dialect that answered; None forgets it.

    Raises:
        ConfigurationError: `SEGMENT_TOKEN` is not set.
    """
    settings.require("segment_token")

    def make_source(dialect: FixedDialect, *, other_scheme: bool = False) -> Source:
        http = _segment_http(settings, session, dialect, on_allowance, on_answer, other_scheme=other_scheme)
        if dialect == "inline":
            return InlineApi(http, request, settings.segment_page_size, traits=traits)
        return ProfileApi(
            http,
            request,
            () if every_trait else request.rules.keys,
            page_size=min(settings.segment_page_size, MAX_PAGE_SIZE),
            concurrent_requests=settings.segment_concurrency,
            ages=request.rules.needs_ages,
        )

    if request.dialect != "auto":
        return make_source(request.dialect)
    urls = dialect_urls(settings)
    variants = [DialectVariant(dialect, other_scheme) for other_scheme in (False, True) for dialect in urls]
    sources = {variant: make_source(variant.dialect, other_scheme=variant.other_scheme) for variant in variants}
    return AutoSource(sources, urls, memory or NoDialectMemory())


def dialect_urls(settings: Settings) -> dict[FixedDialect, str]:
    """Returns the base URL of each dialect, in the order in which `auto` asks them."""
    dialects: tuple[FixedDialect, ...] = ("inline", "profile-api")
    return {dialect: settings.segment_url(dialect) for dialect in dialects}


def _segment_http(
    settings: Settings,
    session: aiohttp.ClientSession,
    dialect: FixedDialect,
    on_allowance: OnAllowance | None,
    on_answer: OnAnswer | None,
    *,
    other_scheme: bool = False,
) -> HttpClient:
    assert settings.segment_token
    token = settings.segment_token.get_secret_value()
    basic = b64encode(f"{token}:".encode()).decode()
    is_bearer = (dialect == "inline") != other_scheme
    headers = {"Authorization": f"Bearer {token}" if is_bearer else f"Basic {basic}"}
    limits = _limits(settings, settings.segment_timeout_s)
    return HttpClient(
        session, settings.segment_url(dialect), headers, limits, on_allowance=on_allowance, on_answer=on_answer
    )


def warehouse_access(settings: Settings, space_id: str | None, *, timeout_s: float | None = None) -> WarehouseAccess:
    """Returns how the warehouse of a space is read.

    Args:
        settings: Of the space.
        space_id: For the message; None: none is named.
        timeout_s: Seconds that a statement may take; None: `WAREHOUSE_TIMEOUT_S`.

    Raises:
        ResumableStop: `warehouse_not_configured`.
    """
    if settings.warehouse_url is None:
        whose = "" if space_id is None else f" for the space {space_id}"
        raise ResumableStop(
            "warehouse_not_configured",
            f"No warehouse is known{whose}",
            hint="Set WAREHOUSE_URL in the environment of every worker, or warehouse_url in SPACES_FILE.",
        )
    url = WarehouseUrl.parse(settings.warehouse_url.get_secret_value())
    limits = EngineLimits(settings.duckdb_memory, settings.threads)
    options = EngineOptions(settings.warehouse_timeout_s if timeout_s is None else timeout_s, limits)
    return WarehouseAccess(url, settings.warehouse_where, partial(open_engine, url, options))


def mavera_client(
    settings: Settings,
    session: aiohttp.ClientSession,
    *,
    on_allowance: OnAllowance | None = None,
    on_answer: OnAnswer | None = None,
) -> MaveraClient:
    """Makes a client of the Mavera account.

    Args:
        settings: Of the worker.
        session: HTTP session of the worker.
        on_allowance: Called with the rate limit that an answer states.
        on_answer: Called after each request, for metrics.

    Raises:
        ConfigurationError: `MAVERA_API_KEY` is not set.
    """
    settings.require("mavera_api_key")
    assert settings.mavera_api_key
    headers = {"Authorization": f"Bearer {settings.mavera_api_key.get_secret_value()}"}
    limits = _limits(settings, settings.mavera_timeout_s)
    return MaveraClient(
        HttpClient(session, settings.mavera_base_url, headers, limits, on_allowance=on_allowance, on_answer=on_answer)
    )


def _limits(settings: Settings, total_s: float) -> HttpLimits:
    return HttpLimits(min(10.0, total_s), total_s, int(settings.max_body_mb * (1 << 20)))


def segment_limiter(
    pool: StorePool,
    settings: Settings,
    space_id: str,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Limiter:
    """Makes the limiter of a space, which all processes share that send requests about it.

    Args:
        pool: Client of Redis.
        settings: Of the process.
        space_id: Id of the space.
        clock: Returns monotonic seconds.
        sleep: Sleeps for the given number of seconds.
    """
    scope = RateScope.per_second(f"segment:{space_id}", settings.segment_rate)
    return Limiter(pool, scope, longest_pause_s=settings.retry_after_max_s, clock=clock, sleep=sleep)


def mavera_limiter(
    pool: StorePool,
    settings: Settings,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Limiter:
    """Makes the limiter of the Mavera account, which all processes share; arguments: as of `segment_limiter`."""
    scope = RateScope.per_minute(f"mavera:{known_account(settings)}", settings.mavera_rate, settings.mavera_gap_s)
    return Limiter(pool, scope, longest_pause_s=settings.retry_after_max_s, clock=clock, sleep=sleep)
