"""What is at Mavera already: the personas of one family, found by their reference.

No record in Redis proves that there is none: a power cut can lose a claim and its record together. So before the
first `POST` the family is listed at Mavera, which is free. Presence is believed at once. Absence is believed only if
the listing was complete and Redis has not been restarted shortly before or since, for its restart may have lost a
claim.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict, ValidationError

from worker.clusters import ClusterSummary
from worker.jobs.attempts import Patience
from worker.jobs.context import WorkerContext
from worker.mavera import Persona, Reference, list_pages, reference
from worker.store import PersonaRecord
from worker.sync import SyncRequest


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

    @classmethod
    def decode(cls, text: str) -> Lookup | None:
        """Reads what a walk remembered; None if it remembered nothing."""
        try:
            return cls.model_validate_json(text) if text else None
        except ValidationError:
            return None


def cluster_reference(request: SyncRequest, sync_id: str, cluster: str) -> Reference:
    """The reference of a cluster's persona. In mode `create` it is this sync's own."""
    own = sync_id if request.mode == "create" else None
    return reference(request.space_id, request.collection, request.rules.name, cluster, sync_id=own)


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


async def look_up(context: WorkerContext, patience: Patience, family: str) -> Lookup:
    """Lists the personas of a family. Raises what `Patience.call` raises; a wrong key is found here."""
    run, steady_s = await context.personas.redis_run()
    unsettled_s = max(0.0, context.settings.mavera_settle_s - steady_s)
    found: dict[str, Persona] = {}
    ours: list[Persona] = []
    why = ""
    async for page in list_pages(context.mavera, family, patience.call):
        why = why or page.doubt
        for persona in page.personas:
            mine = persona.reference
            if mine and mine.family == family:
                ours.append(persona)
                # Of two with one reference (bought twice, or copied by hand) every look-up must name the same one.
                known = found.get(str(mine), persona)
                found[str(mine)] = min(known, persona, key=age_order)
    return Lookup(
        run=run,
        unsettled_s=unsettled_s,
        complete=not why,
        found={text: one.id for text, one in found.items()},
        listed=frozenset(persona.id for persona in ours),
        twins=find_twins(ours),
        why=why,
    )
