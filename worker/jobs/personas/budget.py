"""The budget of a sync: checked for all purchases before the first one, and again before each.

The lower of two ceilings counts: the request's own, and that of the worker's settings. What the sync has paid so far is
read before each purchase, so that neither a resume nor a persona deleted by hand exceeds the budget. An open claim of
the sync may have bought a persona, so it counts as spent. If Mavera has charged more than the usual price for a
persona of the sync, the higher price is expected for the others too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from worker.errors import OverBudget
from worker.jobs.personas.lookup.persona_list import cluster_reference
from worker.mavera import CREDITS_PER_PERSONA
from worker.models.outcome import PersonaOutcome
from worker.models.request import SyncRequest
from worker.store import JobSyncStore, PersonaStore
from worker.store.progress.sync_progress import StartedJob


def credit_limit(request: SyncRequest, max_credits: int | None) -> int | None:
    """Returns the most credits that a sync may cost; None: unlimited.

    Args:
        request: Of the sync.
        max_credits: Limit of the worker (`MAX_CREDITS`) in credits; None if it has none.
    """
    limits = [limit for limit in (request.max_credits, max_credits) if limit is not None]
    return min(limits, default=None)


def highest_price(outcomes: Iterable[PersonaOutcome]) -> int:
    """Returns the credits to expect for a further persona: the usual price, or the highest that Mavera has charged."""
    return max([CREDITS_PER_PERSONA, *(one.credits for one in outcomes)])


class Budget:
    """The budget of one sync.

    Args:
        started: The sync.
        limit: The most credits that it may cost, as of `credit_limit`.
        syncs: Where the credits that a sync has paid are kept.
        personas: Where claims are kept.
    """

    def __init__(self, started: StartedJob, limit: int | None, syncs: JobSyncStore, personas: PersonaStore) -> None:
        self.limit = limit
        self._sync_id = started.lease.sync_id
        self._request = started.request
        self._syncs = syncs
        self._personas = personas

    async def require_credits(self, personas: int, *, without: Collection[str] = ()) -> None:
        """Returns if so many personas more are within the budget.

        Args:
            personas: How many will be bought.
            without: References whose open claims do not count: they are among those to be bought.

        Raises:
            OverBudget: They are not.
        """
        if self.limit is None or not personas:
            return
        sync = await self._syncs.get(self._sync_id)
        paid, price = (sync.credits, highest_price(sync.outcomes)) if sync else (0, CREDITS_PER_PERSONA)
        cost, in_doubt = personas * price, await self._open_claims(without) * price
        if paid + in_doubt + cost > self.limit:
            and_doubt = f", and {in_doubt:,} more may be spent by purchases in doubt" if in_doubt else ""
            raise OverBudget(
                f"{personas} more persona{'s' if personas > 1 else ''} would cost {cost:,} credits; "
                f"{paid:,} of the budget of {self.limit:,} credits are spent{and_doubt}, and nothing more was bought",
                needed_credits=paid + in_doubt + cost,
                credit_limit=self.limit,
                hint="The budget is the lower of --max-credits and the workers' MAX_CREDITS; raise the lower one.",
            )

    async def _open_claims(self, without: Collection[str]) -> int:
        """Returns how many personas the sync may have bought without having recorded them."""
        count = 0
        for cluster in self._request.rules.cluster_keys:
            reference = str(cluster_reference(self._request, self._sync_id, cluster))
            if reference not in without:
                claim = await self._personas.find_claim(reference)
                count += claim is not None and claim.sync_id == self._sync_id
        return count
