"""Apply: a completed preview continues to its personas, once, and only if no other sync works on its space."""

from __future__ import annotations

import pytest

from tests.support.syncs.syncs import STATES, Syncs
from worker.jobs.job_payloads import sync_payload
from worker.models.outcome import SyncFailure
from worker.models.plan import Plan
from worker.models.request import SyncRequest
from worker.models.sync import Sync, SyncState
from worker.store import JobPayload, keys
from worker.store.progress.sync_progress import new_token

PREVIEW = SyncRequest(space_id="s1", plan_only=True)
PLAN = Plan(max_credits=7)
BUDGET = 900


async def planned(syncs: Syncs) -> Sync:
    """A preview whose plan is made."""
    await syncs.create("s1", PREVIEW)
    begun = await syncs.begin()
    following = sync_payload("s1", "finalize", begun.lease.epoch + 1)
    await syncs.jobs.commit(begun.lease, begun.checkpoint, new_token(), move="finalize", payload=following)
    lease = (await syncs.begin()).lease
    await syncs.jobs.store_lookup(lease, "found")
    await syncs.jobs.complete(lease, new_token(), PLAN)
    return await syncs.get()


def next_payloads(sync: Sync) -> JobPayload:
    return sync_payload(sync.id, "finalize", sync.epoch + 1)


async def test_a_planned_preview_continues_with_the_request_that_it_is_given(syncs: Syncs) -> None:
    seen = await planned(syncs)
    assert (seen.state, seen.planned, seen.applied_at) == (SyncState.COMPLETED, PLAN, None)

    assert await syncs.client.apply(seen, next_payloads(seen), seen.request.applied_within(BUDGET)) == "ok"

    sync = await syncs.get()
    assert (sync.state, sync.epoch, sync.finished_at) == (SyncState.FINALIZING, seen.epoch + 1, None)
    assert (sync.request.plan_only, sync.request.max_credits) == (False, BUDGET)
    assert (sync.plan, sync.planned) == (PLAN, None)
    assert sync.applied_at is not None
    assert sync.fetched_at == seen.fetched_at
    found = await syncs.dump()
    assert {name for name, key in found.items() if key.expires} == {f"arq:job:{next_payloads(seen).job_id}"}
    assert await syncs.pool.zrange(keys.active(PREVIEW.identity), 0, -1) == [b"s1"]
    begun = await syncs.begin()
    assert (begun.request, begun.lookup) == (sync.request, "")
    await syncs.jobs.complete(begun.lease, new_token())
    done = await syncs.get()
    assert (done.state, done.plan, done.planned) == (SyncState.COMPLETED, PLAN, None)


async def test_a_plan_is_applied_once_however_often_it_is_asked(syncs: Syncs) -> None:
    seen = await planned(syncs)
    request = seen.request.applied_within(BUDGET)
    assert await syncs.client.apply(seen, next_payloads(seen), request) == "ok"
    before = await syncs.dump()
    assert await syncs.client.apply(seen, next_payloads(seen), request) == "changed"
    assert await syncs.dump() == before


@pytest.mark.parametrize("state", [state for state in STATES if state is not SyncState.COMPLETED])
async def test_only_a_completed_sync_is_applied(syncs: Syncs, state: SyncState) -> None:
    await syncs.bring(state)
    seen, before = await syncs.get(), await syncs.dump()
    assert await syncs.client.apply(seen, next_payloads(seen), seen.request) == "changed"
    assert await syncs.dump() == before


async def test_a_preview_that_is_no_longer_kept_is_gone(syncs: Syncs) -> None:
    seen = await planned(syncs)
    await syncs.pool.flushall()
    assert await syncs.client.apply(seen, next_payloads(seen), seen.request) == "gone"
    assert await syncs.names() == set()


async def test_apply_waits_for_another_sync_of_the_same_space(syncs: Syncs) -> None:
    seen = await planned(syncs)
    await syncs.create("s2", SyncRequest(space_id="s1"))
    before = await syncs.dump()
    assert await syncs.client.apply(seen, next_payloads(seen), seen.request) == "s2"
    assert await syncs.dump() == before
    await syncs.client.cancel("s2")
    assert await syncs.client.apply(seen, next_payloads(seen), seen.request) == "ok"


async def test_an_applied_sync_keeps_its_plan_on_resume_and_not_on_restart(
    syncs: Syncs,
) -> None:
    seen = await planned(syncs)
    await syncs.client.apply(seen, next_payloads(seen), seen.request.applied_within(BUDGET))
    for restart in (False, True):
        await syncs.jobs.fail((await syncs.begin()).lease, SyncFailure("code", "Why.", resumable=True), new_token())
        failed = await syncs.get()
        request = failed.request.with_budget(1200)
        again = sync_payload("s1", "walk" if restart else "finalize", failed.epoch + 1)
        assert await syncs.client.resume(failed, again, restart=restart, request=request) == "ok"
        resumed = await syncs.get()
        assert resumed.request == request
        assert (resumed.plan, resumed.applied_at) == ((None, None) if restart else (PLAN, failed.applied_at))


async def test_a_plan_that_is_not_whole_is_for_the_next_job_only(syncs: Syncs) -> None:
    await syncs.create("s1", PREVIEW)
    begun = await syncs.begin()
    await syncs.jobs.commit(
        begun.lease, begun.checkpoint, new_token(), move="finalize", payload=sync_payload("s1", "finalize", 2)
    )
    lease = (await syncs.begin()).lease
    await syncs.jobs.store_plan(lease, PLAN)
    assert (await syncs.get()).plan is None
    await syncs.jobs.hand_over(lease, sync_payload("s1", "finalize", 3), new_token())
    begun = await syncs.begin()
    assert Plan.decode(begun.plan) == PLAN
    await syncs.jobs.fail(begun.lease, SyncFailure("code", "Why.", resumable=True), new_token())
    failed = await syncs.get()
    await syncs.client.resume(failed, sync_payload("s1", "finalize", failed.epoch + 1))
    assert (await syncs.begin()).plan == ""  # what it saw may be long ago
