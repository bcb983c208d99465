"""Checks Mavera for `doctor`: the key, its rate, the credits left in the account, and the personas of a space.

All of it is free. `init` checks a key in the same way.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp

from producer.cli.command_lines import with_program_name
from producer.cli.commands.doctor.findings import (
    Finding,
    describe_api_error,
    judge_personas,
    judge_rate,
    judge_usage,
)
from producer.cli.connect import open_pool
from worker.clusters import Rules
from worker.errors import ApiError, PersonasError
from worker.jobs.api_factories import mavera_client
from worker.jobs.personas.lookup.orphans import Owner, find_orphans
from worker.jobs.personas.lookup.persona_list import age_order, find_twins
from worker.jobs.store_factories import persona_store
from worker.mavera import MaveraClient, Persona, list_pages, make_reference
from worker.settings import Settings
from worker.store import PersonaRecord


async def check_account(settings: Settings, client: MaveraClient) -> list[Finding]:
    """Returns whether the key is good, how fast it may ask, and what the account has left. Raises ApiError if it is
    refused.
    """
    limit = await client.rate_limit()
    try:
        usage = await client.usage()
    except ApiError as error:
        unknown = Finding("warn", "Credits", *describe_api_error(error), id="mavera.credits")
        return [judge_rate(limit, settings.mavera_rate), unknown]
    known = limit if usage is None else usage.requests_per_minute or limit
    return [judge_rate(known, settings.mavera_rate), *judge_usage(usage)]


async def check_mavera(
    settings: Settings, session: aiohttp.ClientSession, space_id: str | None, rules: Rules
) -> AsyncIterator[Finding]:
    """Yields what is found about the account and, with a space, about its personas."""
    if settings.mavera_api_key is None:
        advice = with_program_name("Export the key of your account. `segment-personas init` asks for it.")
        yield Finding("fail", "Mavera", "MAVERA_API_KEY is not set", advice, id="mavera.access")
        return
    client = mavera_client(settings, session)
    try:
        findings = await check_account(settings, client)
    except ApiError as error:
        yield Finding("fail", "Mavera", *describe_api_error(error), id="mavera.access")
        return
    for finding in findings:
        yield finding
    if space_id is not None:
        for finding in await _check_personas(settings, client, Owner(space_id, "users", rules.name), rules):
            yield finding


async def _check_personas(settings: Settings, client: MaveraClient, place: Owner, rules: Rules) -> list[Finding]:
    """Looks for personas of the space that are there twice, or that the rules leave behind."""
    family = make_reference(place.space_id, place.collection, place.rules, "").family
    listed: list[Persona] = []
    try:
        async for page in list_pages(client, family, lambda send: send()):
            listed += (one for one in page.personas if one.reference and one.reference.family == family)
        records = await _read_records(settings)
    except ApiError as error:
        return [Finding("warn", "Personas", *describe_api_error(error), id="personas.surplus")]
    found = {str(one.reference): one.id for one in sorted(listed, key=age_order, reverse=True)}
    return judge_personas(find_twins(listed), find_orphans(records, found, place, rules.cluster_keys), place)


async def _read_records(settings: Settings) -> dict[str, PersonaRecord]:
    """Returns the records in Redis; empty if Redis does not answer, which another finding reports."""
    try:
        async with open_pool(settings) as pool:
            return await persona_store(pool, settings).all_records()
    except PersonasError:
        return {}
