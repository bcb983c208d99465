"""A guard that stops a sync if most recorded personas are no longer at Mavera.

A single persona may have been deleted by hand and is created again. If most are gone, the key probably belongs to
another account, or the list is wrong; creating all of them again would be expensive.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from worker.clusters.analysis.quality_guards import Alarm
from worker.jobs.personas.lookup.persona_finder import PersonaFinder
from worker.jobs.personas.lookup.persona_list import Listing, cluster_reference
from worker.store import PersonaRecord, PersonaStore
from worker.store.progress.sync_progress import StartedJob

CODE = "guard_personas"


async def check_missing_personas(
    started: StartedJob, finder: PersonaFinder, personas: PersonaStore, *, min_share: float, settle_s: float
) -> Alarm | None:
    """Compares the records with Mavera's list.

    The records are those of the sync's own clusters. If fewer than two clusters have one, they are all records of the
    account, which then must all be gone. Nothing is concluded from a list that is not complete.

    Args:
        started: The sync.
        finder: What is at Mavera.
        personas: The records.
        min_share: Share of the recorded personas that must be listed (`GUARD_PERSONAS`); 0 turns the guard off.
        settle_s: Seconds after which Mavera lists a new persona (`MAVERA_SETTLE_S`).

    Returns:
        The alarm; None if there is none.

    Raises:
        ApiError, Defer: As `PersonaFinder.list_account`.
    """
    if not min_share:
        return None
    now = await personas.now()
    of_sync = await _recorded(started, personas, now, settle_s)
    if len(of_sync) >= 2 and not _most_are_gone(of_sync, await finder.list_family(), min_share):
        return None
    if len(of_sync) < 2:
        records = (record for _, record in await personas.read_records() if _should_be_listed(record, now, settle_s))
        return await _all_are_gone(records, finder)
    listing = await finder.list_account()
    if not listing.complete or not _most_are_gone(of_sync, listing, min_share):
        return None
    return _alarm([one for one in of_sync if not listing.has(one)], of_sync, started.request.space_id)


async def _all_are_gone(records: Iterator[PersonaRecord], finder: PersonaFinder) -> Alarm | None:
    """Returns the alarm if none of two or more records is listed. Usually the first one is, so few are decoded."""
    known = list(itertools.islice(records, 2))
    if len(known) < 2 or not (listing := await finder.list_account()).complete:
        return None
    gone: set[str] = set()
    for record in itertools.chain(known, records):
        if listing.has(record.persona_id):
            return None
        gone.add(record.persona_id)
    return _alarm(gone, gone, "this account") if len(gone) > 1 else None


async def _recorded(started: StartedJob, personas: PersonaStore, now: float, settle_s: float) -> list[str]:
    references = [
        str(cluster_reference(started.request, started.lease.sync_id, cluster))
        for cluster in started.request.rules.cluster_keys
    ]
    records = await personas.find_records(references)
    return [record.persona_id for record in records if record and _should_be_listed(record, now, settle_s)]


def _should_be_listed(record: PersonaRecord, now: float, settle_s: float) -> bool:
    """Returns whether a persona was made so long ago that Mavera lists it by now.

    Args:
        record: The record of the persona.
        now: Unix seconds by Redis' clock.
        settle_s: Seconds after which Mavera lists a new persona (`MAVERA_SETTLE_S`).
    """
    return record.sent is None or now - record.sent.at > settle_s


def _most_are_gone(ids: list[str], listing: Listing, min_share: float) -> bool:
    there = sum(map(listing.has, ids))
    return len(ids) - there >= 2 and there <= min_share * len(ids)


def _alarm(gone: Iterable[str], recorded: Iterable[str], where: str) -> Alarm:
    names, total = sorted(gone), len(list(recorded))
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return Alarm(
        CODE,
        f"Mavera lists {total - len(names)} of the {total} personas that are recorded for {where}; missing: {shown}",
        hint="Check that MAVERA_API_KEY belongs to the account in which they were created.",
    )
