"""Lists the personas of one family, or of the account, and finds them by their reference.

A missing record in Redis does not prove that a persona does not exist: a power cut can lose a claim and its record
together, and another process may use another Redis. Mavera's list is therefore read before the first `POST`, which is
free. A listed persona exists; `persona_finder` decides when one that is not listed does not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from worker.clusters import ClusterSummary
from worker.jobs.api_caller import ApiCaller, Defer
from worker.jobs.personas.lookup.settle_watch import SettleWatch
from worker.mavera import MaveraClient, Persona, Reference, list_pages, make_reference
from worker.mavera.listing import Call
from worker.models.request import SyncRequest
from worker.store import PersonaRecord, PersonaStore

T = TypeVar("T")

READS = 3
"""Most times that a list is read whose order changes meanwhile."""


class Lookup(BaseModel):
    """The personas of one family that a list showed.

    Attributes:
        run: Run of Redis when the list was read.
        unsettled_s: Seconds from then until Redis has run for the settle time; 0 if it had.
        complete: Whether the list was read to its end.
        found: Reference → id of its persona; of several with one reference, the oldest.
        listed: Ids of all personas of the family.
        twins: Reference → ids, as `find_twins` returns them.
        why: Why the list is not complete; empty if it is.
        version: Version of this format.
    """

    model_config = ConfigDict(frozen=True)

    run: str
    unsettled_s: float
    complete: bool
    found: Mapping[str, str]
    listed: frozenset[str] = frozenset()
    twins: Mapping[str, tuple[str, ...]] = {}
    why: str = ""
    version: int = 1

    @classmethod
    def decode(cls, text: str) -> Lookup | None:
        """Reads the look-up that a fetch job stored; returns None if there is none, or one of another version."""
        try:
            found = cls.model_validate_json(text) if text else None
        except ValidationError:
            return None
        return found if found and found.version == 1 else None


def cluster_reference(request: SyncRequest, sync_id: str, cluster: str) -> Reference:
    """Returns the reference of a cluster's persona. In mode `create` it contains the sync's id."""
    own = sync_id if request.mode == "create" else None
    return make_reference(request.space_id, request.collection, request.rules.name, cluster, sync_id=own)


def found_record(request: SyncRequest, sync_id: str, summary: ClusterSummary, persona_id: str) -> PersonaRecord:
    """Returns the record of a persona of which only the id is known. It counts as complete, to be safe."""
    return PersonaRecord(
        persona_id,
        request.space_id,
        summary.key,
        sync_id,
        summary.n,
        collection=request.collection,
        rules=request.rules.name,
    )


def find_twins(personas: Iterable[Persona]) -> dict[str, tuple[str, ...]]:
    """Finds the references that several personas have, because one was bought twice or copied by hand.

    Args:
        personas: Rows of Mavera's list, in any order; a row may be repeated.

    Returns:
        Reference → ids of its personas, the oldest first. Syncs use and update the oldest one.
    """
    carriers: dict[str, dict[str, Persona]] = {}
    for persona in personas:
        if persona.reference:
            carriers.setdefault(str(persona.reference), {})[persona.id] = persona
    return {
        text: tuple(one.id for one in sorted(same.values(), key=age_order))
        for text, same in carriers.items()
        if len(same) > 1
    }


def age_order(persona: Persona) -> tuple[str, str]:
    """Returns a sort key that orders personas from the oldest to the youngest, with ties broken by id."""
    return str(persona.created_at), persona.id


@dataclass(frozen=True)
class Listing:
    """Mavera's list as one job read it. The jobs of a process share it, so its rows are searched once.

    Attributes:
        family: The family that was searched for; empty for a list of the whole account.
        personas: Its rows, without repetitions.
        why: Why it may not be complete; empty if it was read to its end.
        endless: Whether it is longer than the most pages that are read.
        run: Run of Redis when the first page was requested.
        unsettled_s: Seconds from then until Redis has run for the settle time; 0 if it had.
        begun_at: When the first page was requested, by the worker's monotonic clock in seconds.
        took_s: Seconds that reading it took.
    """

    family: str
    personas: tuple[Persona, ...]
    why: str
    endless: bool
    run: str
    unsettled_s: float
    begun_at: float
    took_s: float

    @property
    def complete(self) -> bool:
        """Whether the list was read to its end."""
        return not self.why

    def lookup(self, family: str) -> Lookup:
        """Returns the personas of a family in this list."""
        ours = self._by_family.get(family, [])
        found: dict[str, Persona] = {}
        for persona in ours:
            # Every look-up must return the same one of several personas with one reference.
            text = str(persona.reference)
            found[text] = min(found.get(text, persona), persona, key=age_order)
        return Lookup(
            run=self.run,
            unsettled_s=self.unsettled_s,
            complete=self.complete,
            why=self.why,
            found={text: one.id for text, one in found.items()},
            listed=frozenset(persona.id for persona in ours),
            twins=find_twins(ours),
        )

    def has(self, persona_id: str) -> bool:
        """Returns whether the list has a row of this persona, even if the row shows only the id."""
        return persona_id in self._ids

    @cached_property
    def shows_references(self) -> bool:
        """Whether each row that may be ours shows a reference, so that none may be a persona whose reference is cut."""
        return all(one.ends_with_reference or one.is_custom is False for one in self.personas)

    @cached_property
    def _ids(self) -> frozenset[str]:
        return frozenset(one.id for one in self.personas)

    @cached_property
    def _by_family(self) -> dict[str, list[Persona]]:
        rows: dict[str, list[Persona]] = {}
        for persona in self.personas:
            if persona.reference:
                rows.setdefault(persona.reference.family, []).append(persona)
        return rows


@dataclass
class PersonaLister:
    """Reads Mavera's list of personas for one job.

    Attributes:
        mavera: Client of the account.
        caller: Sends the job's requests to Mavera.
        personas: Store of records and claims, which reports how long Redis has been running.
        settle_watch: Measures how long this process has seen the run of Redis.
        settle_s: Seconds (`MAVERA_SETTLE_S`) for which a restarted Redis may lack a claim.
    """

    mavera: MaveraClient
    caller: ApiCaller
    personas: PersonaStore
    settle_watch: SettleWatch
    settle_s: float

    async def list(self, family: str) -> Listing:
        """Lists the personas whose text contains `family`; all personas of the account if it is empty.

        A long list is read to its end even if the rate limit makes it wait. A later job would have to begin with the
        first page again, and might never reach the last one.

        If a row comes on two pages, the order of the list has changed between them, and a row that moved the other way
        was on neither. The list is then read again, and the rows of all readings count.

        Raises:
            Defer: The first request has to wait.
            ApiError: As `ApiCaller.call`; a wrong key is detected here.
        """
        clock = self.caller.policy.clock
        begun_at = clock()
        run, reported_s = await self.personas.redis_run()
        steady_s = self.settle_watch.steady_s(run, reported_s)
        rows: dict[str, Persona] = {}
        call = _WaitingCaller(self.caller).call
        for _ in range(READS):
            read = await _read_list(self.mavera, family, call)
            rows |= read.rows
            if not read.moved or read.why:
                break
        return Listing(
            family=family,
            personas=tuple(rows.values()),
            why=read.why,
            endless=read.endless,
            run=run,
            unsettled_s=max(0.0, self.settle_s - steady_s),
            begun_at=begun_at,
            took_s=clock() - begun_at,
        )


@dataclass
class _ReadList:
    """One reading of a list.

    Attributes:
        rows: Its personas by id.
        why: Why it may not be complete; empty if it was read to its end.
        endless: Whether it is longer than the most pages that are read.
        moved: Whether a page repeated a row of an earlier page, so that another row may have been passed over.
    """

    rows: dict[str, Persona] = field(default_factory=dict)
    why: str = ""
    endless: bool = False
    moved: bool = False


async def _read_list(mavera: MaveraClient, family: str, call: Call) -> _ReadList:
    read = _ReadList()
    async for page in list_pages(mavera, family, call):
        here = {persona.id: persona for persona in page.personas}
        read.moved = read.moved or not read.rows.keys().isdisjoint(here)
        read.why = read.why or page.doubt
        read.endless = page.endless
        read.rows |= here
    return read


class _WaitingCaller:
    """Sends the requests for the pages of one list. From the second request on, it waits instead of raising Defer."""

    def __init__(self, caller: ApiCaller) -> None:
        self._caller = caller
        self._has_begun = False

    async def call(self, send: Callable[[], Awaitable[T]]) -> T:
        """Sends one request. Raises Defer only for the first request, and ApiError as `ApiCaller.call`."""
        while True:
            try:
                result = await self._caller.call(send)
            except Defer as wait:
                if not self._has_begun:
                    raise
                await self._caller.policy.sleep(wait.wait_s)
            else:
                self._has_begun = True
                return result
