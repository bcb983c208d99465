"""The budget of a sync: it is refused before it buys what would cost more, and bought persona by persona within it.

The lower of two ceilings counts: the request's own, and that of the worker's settings. What the sync has paid so far is
read anew before each purchase, so that neither a resume nor a persona deleted by hand exceeds the budget.
"""

from __future__ import annotations

from worker.errors import ResumableStop
from worker.jobs.context import WorkerContext
from worker.mavera import CREDITS_PER_PERSONA
from worker.settings import Settings
from worker.store.syncs import Begun
from worker.sync import SyncRequest


def ceiling(request: SyncRequest, settings: Settings) -> int | None:
    """The most credits that a sync may cost; None: no limit."""
    ceilings = [limit for limit in (request.max_credits, settings.max_credits) if limit is not None]
    return min(ceilings, default=None)


class Budget:
    """The budget of one sync."""

    def __init__(self, context: WorkerContext, begun: Begun) -> None:
        self._context = context
        self._sync_id = begun.lease.sync_id
        self.limit = ceiling(begun.request, context.settings)

    async def permit(self, personas: int) -> None:
        """Returns if so many personas more are within the budget. Raises ResumableStop `over_budget` if not."""
        if self.limit is None or not personas:
            return
        sync = await self._context.syncs.get(self._sync_id)
        paid, cost = sync.credits if sync else 0, personas * CREDITS_PER_PERSONA
        if paid + cost > self.limit:
            raise ResumableStop(
                "over_budget",
                f"{personas} more persona{'s' if personas > 1 else ''} would cost {cost:,} credits; "
                f"{paid:,} of the budget of {self.limit:,} credits are spent, and nothing more was bought. The budget "
                "is the lower of --max-credits and the workers' MAX_CREDITS",
            )
