"""What is at Mavera already: the personas of one family, or of the account, found by their reference.

No record in Redis proves that there is none: a power cut can lose a claim and its record together, and another process
may know another Redis. So before the first `POST` Mavera's list is read, which is free. Presence is believed at once;
what it takes to believe absence is `persona_finder`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from worker.clusters import ClusterSummary
from worker.jobs.api_caller import ApiCaller, Defer
from worker.jobs.settle_watch import SettleWatch
from worker.mavera import MaveraClient, Persona, Reference, list_pages, make_reference
from worker.models.request import SyncRequest
from worker.store import PersonaRecord, PersonaStore

T = TypeVar("T")


class Lookup(BaseModel):
    """Reference → persona id, as found; of several personas with one reference, the oldest.

    twins: as of `find_twins`. listed: every persona of the family, also the younger ones. why: of a list that is not
    complete. run: of Redis, at that time. unsettled_s: seconds from then until Redis' last restart is long enough ago;
    0: it was.
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
        """Reads what a walk remembered; None if it remembered nothing."""
        try:
            found = cls.model_validate_json(text) if text else None
        except ValidationError:
            return None
        return found if found and found.version == 1 else None


def cluster_reference(request: SyncRequest, sync_id: str, cluster: str) -> Reference:
    """The reference of a cluster's persona. In mode `create` it is this sync's own."""
    own = sync_id if request.mode == "create" else None
    return make_reference(request.space_id, request.collection, request.rules.name, cluster, sync_id=own)


def found_record(request: SyncRequest, sync_id: str, summary: ClusterSummary, persona_id: str) -> PersonaRecord:
    """The record of a persona of which only its id is known. With what it says, caution takes it for complete."""
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
    """Finds the references that several personas carry: bought twice, or copied by hand.

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
    """Sorts personas from the oldest to the youngest, and always in the same way."""
    return str(persona.created_at), persona.id


@dataclass(frozen=True)
class Listing:
    """Mavera's list as it was read.

    Attributes:
        family: What was searched for; empty: the list is of the whole account.
        personas: Its rows, without repetitions.
        why: Why it may not be complete; empty if it was read to its end.
        endless: Whether it is longer than we read.
        run: Of Redis, when the first page was asked for.
        unsettled_s: Seconds from then until Redis' last restart is long enough ago; 0: it was.
        begun_at: When that was, by the clock of the worker.
        took_s: How long it took to read, in seconds.
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
        """Whether it was read to its end."""
        return not self.why

    def lookup(self, family: str) -> Lookup:
        """What it says of the personas of a family."""
        ours = [one for one in self.personas if (mine := one.reference) and mine.family == family]
        found: dict[str, Persona] = {}
        for persona in ours:
            # Of two with one reference (bought twice, or copied by hand) every look-up must name the same one.
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
        """Whether it has a row of this persona, whatever the row shows."""
        return any(one.id == persona_id for one in self.personas)


class PersonaLister:
    """Reads Mavera's list of personas for one job.

    Args:
        mavera: Client of the account.
        caller: Sends the job's requests to Mavera.
        personas: Records and claims, which know how long Redis has been running.
        settle_watch: What this process has seen of Redis' restarts.
        settle_s: Seconds (`MAVERA_SETTLE_S`) for which a restarted Redis may lack a claim.
    """

    def __init__(
        self,
        mavera: MaveraClient,
        caller: ApiCaller,
        personas: PersonaStore,
        settle_watch: SettleWatch,
        settle_s: float,
    ) -> None:
        self._mavera = mavera
        self._caller = caller
        self._personas = personas
        self._settle_watch = settle_watch
        self._settle_s = settle_s

    async def list(self, family: str) -> Listing:
        """Lists the personas whose text holds `family`; all personas of the account if it is empty.

        A long list is read to its end although the rate limit makes it wait: a later job would begin with its first
        page again, and might never reach the last one.

        Raises:
            Defer: The first request has to wait.
            ApiError: As `ApiCaller.call`; a wrong key is found here.
        """
        clock = self._caller.policy.clock
        begun_at = clock()
        run, reported_s = await self._personas.redis_run()
        steady_s = self._settle_watch.steady_s(run, reported_s)
        rows: dict[str, Persona] = {}
        why = ""
        endless = False
        async for page in list_pages(self._mavera, family, _PatientCaller(self._caller).call):
            why = why or page.doubt
            endless = page.endless
            rows |= {persona.id: persona for persona in page.personas}
        return Listing(
            family=family,
            personas=tuple(rows.values()),
            why=why,
            endless=endless,
            run=run,
            unsettled_s=max(0.0, self._settle_s - steady_s),
            begun_at=begun_at,
            took_s=clock() - begun_at,
        )


class _PatientCaller:
    """Sends the requests for the pages of one list; from the second one on it waits instead of handing over."""

    def __init__(self, caller: ApiCaller) -> None:
        self._caller = caller
        self._has_begun = False

    async def call(self, send: Callable[[], Awaitable[T]]) -> T:
        """Sends one request. Raises Defer only for the first one; otherwise as `ApiCaller.call`."""
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
