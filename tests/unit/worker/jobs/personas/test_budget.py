"""The budget of a sync, with the price that Mavera has really charged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.syncs.syncs import PAGE, Syncs
from worker.errors import OverBudget
from worker.jobs.job_payloads import sync_payload
from worker.jobs.personas.budget import Budget
from worker.models.outcome import PersonaOutcome
from worker.store import PersonaRecord, StorePool
from worker.store.progress.sync_progress import new_token


async def budget_after(pool: StorePool, limit: int, *charged: int) -> Budget:
    """The budget of a sync that has bought a persona at each of these prices."""
    syncs = Syncs(pool)
    await syncs.create()
    fetching = (await syncs.begin()).lease
    first, finalizer = replace(PAGE, seq=0), sync_payload("s1", "finalize", fetching.epoch + 1)
    await syncs.jobs.commit(fetching, first, new_token(), move="finalize", payload=finalizer)
    for number, credits_charged in enumerate(charged):
        record = PersonaRecord(f"per_{number}", "s1", f"cluster_{number}", "s1", 20)
        outcome = PersonaOutcome(record.cluster, record.persona_id, "created", credits_charged)
        await syncs.personas.record(f"reference {number}", record, outcome)
    return Budget(await syncs.begin(), limit, syncs.jobs, syncs.personas)


@pytest.mark.parametrize(
    ("charged", "limit", "more"),
    [([], 600, 2), ([300], 600, 1), ([0], 600, 2), ([600], 1200, 1), ([600, 300], 1500, 1)],
)
async def test_a_sync_buys_as_many_as_its_budget_pays_at_the_highest_price(
    fake_pool: StorePool, charged: list[int], limit: int, more: int
) -> None:
    budget = await budget_after(fake_pool, limit, *charged)
    await budget.require_credits(more)
    with pytest.raises(OverBudget) as caught:
        await budget.require_credits(more + 1)
    price = max([300, *charged])
    assert (caught.value.needed_credits, caught.value.credit_limit) == (sum(charged) + (more + 1) * price, limit)
