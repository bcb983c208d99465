"""Finds the persona of a cluster at Mavera, or proves that it does not exist.

    a row shows its reference                                it exists
    a possible match, read by its id, shows its reference    it exists
    possible matches remain                                  in doubt
    the list is not complete                                 in doubt
    Redis was restarted recently                             wait: a claim may have been lost in the restart
    otherwise                                                it does not exist

The proof needs two lists: one of the whole account, because a search may see only as much of a description as the list
shows, and one that is at most `FRESH_S` old. For a small account one list is both. `worker.mavera.possible_matches`
defines which rows are possible matches.
"""

from __future__ import annotations

import math

from worker.errors import ApiError, ResumableStop, WaitUntil
from worker.jobs.api_caller import ApiCaller, Defer
from worker.jobs.personas.lookup.persona_list import Listing, PersonaLister, cluster_reference
from worker.jobs.personas.lookup.shared_list import SharedList
from worker.mavera import MaveraClient, Persona, PersonaGone, PersonaPayload, Reference
from worker.mavera.listing import MAX_PAGES
from worker.mavera.payload import NAME_PREFIX
from worker.mavera.possible_matches import (
    WantedPersona,
    find_possible_matches,
    is_shown_whole,
    matches_beginning,
    visible_reference,
)
from worker.models.request import SyncRequest
from worker.store import PersonaStore

FRESH_S = 5.0
"""Largest age in seconds of a list that permits a POST. A list that takes long to read is used for longer."""

MAX_READ = 25
"""Number of possible matches of one list that are read by their ids."""


class PersonaInDoubt(ResumableStop):
    """It is not known whether a persona exists, so none is bought. Other clusters of the sync are not affected."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__("persona_in_doubt", message, hint=hint)


class RedisUnsettled(Defer):
    """Redis was restarted recently and may lack a claim. Nothing is bought until it has run for the settle time."""


class PersonaFinder:
    """Finds personas at Mavera for one job of a sync, and keeps the lists that it has read.

    Args:
        request: The options of the sync.
        sync_id: Id of the sync.
        mavera: Client of the account.
        caller: Sends the job's requests to Mavera.
        lister: Reads Mavera's list.
        shared: The list of the account that other jobs of this process have read.
        personas: Store of records and claims.
        settle_s: Largest age in seconds of the list of the sync's family (`MAVERA_SETTLE_S`).
    """

    def __init__(
        self,
        request: SyncRequest,
        sync_id: str,
        *,
        mavera: MaveraClient,
        caller: ApiCaller,
        lister: PersonaLister,
        shared: SharedList,
        personas: PersonaStore,
        settle_s: float,
    ) -> None:
        self._mavera = mavera
        self._caller = caller
        self._lister = lister
        self._shared = shared
        self._personas = personas
        self._settle_s = settle_s
        self._clock = caller.policy.clock
        self._request = request
        self._family = cluster_reference(request, sync_id, "").family
        self._of_family: Listing | None = None
        self._of_account: Listing | None = None
        self._not_before = -math.inf
        self._read: dict[str, Persona | None] = {}

    async def list_family(self, max_age_s: float | None = None) -> Listing:
        """Returns the list of the sync's family, read again if it is too old.

        Args:
            max_age_s: Largest age in seconds; the settle time if None.
        """
        known = self._of_family
        limit_s = self._settle_s if max_age_s is None else max_age_s
        if known is None or self._clock() - known.begun_at > limit_s:
            known = self._of_family = await self._lister.list(self._family)
        return known

    async def list_account(self) -> Listing:
        """Returns the list of all personas of the account, read again if it is too old."""
        known = self._of_account
        if known is None or not self._is_fresh(known):
            known = self._of_account = await self._shared.get(lambda: self._lister.list(""), usable=self._may_share)
        return known

    def _is_fresh(self, of_account: Listing) -> bool:
        return self._clock() - of_account.begun_at <= max(FRESH_S, 10 * of_account.took_s)

    def _may_share(self, of_account: Listing) -> bool:
        """Returns whether a list of another job serves as well as one that this job would read now."""
        age_s = self._clock() - of_account.begun_at
        is_young = self._is_fresh(of_account) and age_s <= self._settle_s and of_account.begun_at > self._not_before
        return is_young and of_account.complete and not of_account.unsettled_s

    def forget_lists(self) -> None:
        """Discards the lists, because the personas at Mavera may have changed since."""
        self._of_family = self._of_account = None
        self._not_before = self._clock()

    async def is_listed(self, persona_id: str) -> bool:
        """Returns whether the list has the persona with its reference, as far as the list shows references."""
        listing = await self.list_family()
        row = next((one for one in listing.personas if one.id == persona_id), None)
        if row is None:
            return False
        mine = visible_reference(row)
        return mine.family == self._family if mine else _shows_too_little(row, listing)

    async def is_still_listed(self, persona_id: str) -> bool:
        """Returns whether a new list of the account has the persona. Raises PersonaInDoubt if it is not complete."""
        self.forget_lists()
        listing = await self.list_account()
        if not listing.has(persona_id) and not listing.complete:
            raise PersonaInDoubt(
                f"It is not known whether persona {persona_id} exists: {_why_incomplete(listing)}",
                hint=_ENDLESS_HINT if listing.endless else "",
            )
        return listing.has(persona_id)

    async def find(self, payload: PersonaPayload, reference: Reference, *, claimed: bool = False) -> str | None:
        """Finds the persona that has this reference, and this payload if it is up to date.

        Args:
            payload: The fields that would be sent.
            reference: The cluster's reference.
            claimed: Whether this sync has claimed the persona, so that a single row that matches it is accepted.

        Returns:
            The id of the persona, or of the oldest one if several have the reference. None if it does not exist.

        Raises:
            PersonaInDoubt: It is not known whether the persona exists.
            RedisUnsettled: It is not listed, but Redis may have lost a claim in a recent restart.
            ApiError, Defer: As `ApiCaller.call`.
        """
        wanted = WantedPersona(reference, payload.name, payload.description)
        for known in filter(None, (self._of_family, self._of_account)):
            if persona_id := known.lookup(self._family).found.get(str(reference)):
                return persona_id
        listing = await self.list_account()
        lists = [listing]
        if self._clock() - listing.begun_at > FRESH_S or not listing.complete:
            lists.append(await self.list_family(FRESH_S))
        for one in lists:
            if persona_id := one.lookup(self._family).found.get(str(reference)):
                return persona_id
        proven = next((one for one in lists if one.complete and (not one.family or self._is_searched(one))), None)
        if persona_id := await self._among_matches(lists, wanted, claimed=claimed):
            return persona_id
        if proven is None:
            raise PersonaInDoubt(
                f"It is not known whether {payload.name} has a persona: {_why_incomplete(listing)}. None was bought",
                hint=_ENDLESS_HINT if listing.endless else "",
            )
        if listing.unsettled_s or lists[-1].unsettled_s:
            raise RedisUnsettled(
                max(listing.unsettled_s, lists[-1].unsettled_s),
                "Redis has started recently, so records may be missing; waiting before personas are bought",
            )
        return None

    async def find_twins(self, reference: Reference) -> tuple[str, ...]:
        """Returns the ids of the personas that share this reference, the oldest first; empty if fewer than two do."""
        listing = self._newest() or await self.list_family()
        return tuple(listing.lookup(self._family).twins.get(str(reference), ()))

    def redis_run(self) -> str:
        """Returns the run of Redis when the newest list was read; empty if none was."""
        newest = self._newest()
        return newest.run if newest else ""

    def _newest(self) -> Listing | None:
        known = [one for one in (self._of_family, self._of_account) if one]
        return max(known, key=lambda one: one.begun_at, default=None)

    def _is_searched(self, listing: Listing) -> bool:
        """Returns whether the search found references, which shows that it would have found the others too."""
        return bool(listing.lookup(self._family).found)

    async def _among_matches(self, lists: list[Listing], wanted: WantedPersona, *, claimed: bool) -> str | None:
        """Finds the persona among the possible matches. Raises PersonaInDoubt if it may be one of them."""
        if not (found := self._matches(lists, wanted, ())):
            return None
        others = await self._recorded(wanted)
        for row in self._matches(lists, wanted, others)[:MAX_READ]:
            await self._read_one(row)
        shown = {
            persona_id: mine
            for persona_id, one in self._read.items()
            if one and (mine := visible_reference(one)) is not None
        }
        carriers = sorted(persona_id for persona_id, mine in shown.items() if mine == wanted.reference)
        if carriers:
            return carriers[0]
        answers = [one.description or "" for one in self._read.values() if one]
        plain = {one.id for one in self._read.values() if one and is_shown_whole(one.description or "", answers)}
        found = self._matches(lists, wanted, others | shown.keys() | plain)
        if not found:
            return None
        if claimed and len(found) == 1 and matches_beginning(found[0], wanted):
            return found[0].id
        raise _doubt(found, wanted)

    def _matches(self, lists: list[Listing], wanted: WantedPersona, known: set[str] | tuple[()]) -> list[Persona]:
        rows: dict[str, Persona] = {}
        for listing in lists:
            if listing.shows_references:
                continue
            found = find_possible_matches(
                listing.personas,
                wanted,
                known,
                searched=self._filters(listing, lists[0]),
                other_names=[f"{NAME_PREFIX}{one.label}" for one in self._request.rules.clusters],
            )
            rows |= {one.id: one for one in found}
        return list(rows.values())

    @staticmethod
    def _filters(listing: Listing, of_account: Listing) -> bool:
        """Returns whether the search leaves rows out; an API that ignores the search returns the whole list."""
        return bool(listing.family) and len(listing.personas) < len(of_account.personas)

    async def _recorded(self, wanted: WantedPersona) -> set[str]:
        """Returns the ids of the personas that are recorded for another cluster or space."""
        records = await self._personas.all_records()
        return {record.persona_id for text, record in records.items() if text != str(wanted.reference)}

    async def _read_one(self, row: Persona) -> None:
        """Reads one possible match by its id. The route is not documented, so after a failure it remains one."""

        async def ask() -> Persona | None:
            try:
                return await self._mavera.get(row.id)
            except WaitUntil:
                raise
            except (PersonaGone, ApiError):
                return None

        if row.id not in self._read:
            self._read[row.id] = await self._caller.call(ask)


def _shows_too_little(row: Persona, listing: Listing) -> bool:
    text = (row.description or "").rstrip()
    longest = max((len(one.description or "") for one in listing.personas), default=0)
    return not text or text.endswith(("…", "...")) or len(text) >= longest


_ENDLESS_HINT = (
    "Resuming alone does not help: delete personas that are not needed, or record this cluster's persona with "
    "`segment-personas personas adopt`."
)


def _why_incomplete(listing: Listing) -> str:
    if listing.endless:
        return f"Mavera lists more than {MAX_PAGES * 100:,} personas and does not find ours by their reference"
    return f"Mavera's list of personas is not complete ({listing.why})"


def _doubt(found: list[Persona], wanted: WantedPersona) -> PersonaInDoubt:
    ids = ", ".join(one.id for one in found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
    return PersonaInDoubt(
        f"Mavera lists {ids}, which may be the persona {wanted.name}, but shows too little of the description to find "
        f"the reference {wanted.reference}. None was bought",
        hint="If one of them is that persona, run `segment-personas personas adopt`, or put the reference at the end "
        "of its description. If none is, give them other names at Mavera.",
    )
