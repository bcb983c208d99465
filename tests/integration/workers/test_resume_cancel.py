"""Resume continues where a sync stopped; cancel stops it in seconds. Both are idempotent and refuse other states."""

from __future__ import annotations

import asyncio

import pytest

from producer import SyncConflict, SyncNotFound
from producer.sandbox import Fault, SpaceSpec
from tests.support.scenarios.checks import until
from tests.support.scenarios.scenario import RECIPE, Scenario, Start, start_scenario
from tests.support.servers.redis_server import RedisServer
from worker.jobs.personas.create_persona import LAST_POST_S
from worker.models.sync import Sync, SyncState
from worker.store import keys

LONG = {"spa": SpaceSpec(400, "mixed", seed=21)}
PAGE_SIZE = 20
"""Of that space, which has twenty pages."""
PATIENT = {"MAVERA_TIMEOUT_S": "8", "MAVERA_SETTLE_S": "10"}
"""A POST may be held for long without being in doubt."""
ONE_LEASE = {"LEASE_S": "30", "STALL_S": "60"}
"""No hand-over and no revival, which would ask for a page again that it had asked for and not yet counted."""
WRONG_TOKEN = Fault("segment", "status", page=10, times=1, status=401)


async def failed_on_page_11(scenario: Scenario) -> Sync:
    sync = await scenario.sync()
    assert (sync.state, sync.failed_in, sync.pages) == (SyncState.FAILED, SyncState.FETCHING, 10)
    assert sync.error
    assert (sync.error.code, sync.error.resumable) == ("segment_unauthorized", True)
    return sync


async def test_resume_continues_from_the_checkpoint(session_redis: RedisServer, start_worker: Start) -> None:
    async with start_scenario(
        session_redis, start_worker, LONG, page_size=PAGE_SIZE, settings=ONE_LEASE, faults=(WRONG_TOKEN,)
    ) as scenario:
        scenario.worker()
        sync = await failed_on_page_11(scenario)
        resumed = await scenario.client.resume(sync.id)
        assert (resumed.id, resumed.error, resumed.pages) == (sync.id, None, 10)
        await scenario.assert_bought_once(await scenario.ended(sync))
        assert scenario.sandbox.journal.count("segment.page", 200) == 20


async def test_resume_starts_one_job_however_often_it_is_asked(session_redis: RedisServer, start_worker: Start) -> None:
    async with start_scenario(
        session_redis, start_worker, LONG, page_size=PAGE_SIZE, settings=ONE_LEASE, faults=(WRONG_TOKEN,)
    ) as scenario:
        worker = scenario.worker()
        sync = await failed_on_page_11(scenario)
        assert worker.terminate() == 0
        resumed = await asyncio.gather(*(scenario.client.resume(sync.id) for _ in range(20)))
        assert {(one.id, one.state, one.epoch) for one in resumed} == {(sync.id, SyncState.FETCHING, sync.epoch + 1)}
        assert await scenario.pool.zcard(scenario.queue) == 1
        scenario.worker()
        await until(lambda: _is_past(scenario, sync, 10))
        assert (await scenario.client.resume(sync.id)).id == sync.id
        await scenario.assert_bought_once(await scenario.ended(sync))
        assert scenario.sandbox.journal.count("segment.page", 200) == 20
        with pytest.raises(SyncConflict, match="completed"):
            await scenario.client.resume(sync.id)


async def test_an_expired_cursor_needs_a_restart_which_begins_with_fresh_sums(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(
        session_redis, start_worker, LONG, page_size=PAGE_SIZE, settings=ONE_LEASE, faults=(WRONG_TOKEN,)
    ) as scenario:
        scenario.worker()
        sync = await failed_on_page_11(scenario)
        scenario.sandbox.add_fault(Fault("segment", "expired_cursor", times=1))
        await scenario.client.resume(sync.id)
        sync = await scenario.ended(sync)
        assert sync.error
        assert (sync.error.code, sync.error.resumable) == ("cursor_expired", False)
        assert "page 11" in sync.error.message
        assert "from the start" in sync.error.hint
        with pytest.raises(SyncConflict, match="cannot continue") as refused:
            await scenario.client.resume(sync.id)
        assert "restart" in refused.value.hint
        assert (await scenario.client.get(sync.id)).epoch == sync.epoch

        restarted = await scenario.client.resume(sync.id, restart=True)
        assert (restarted.pages, restarted.profiles, restarted.aggregate) == (0, 0, b"")
        await scenario.assert_bought_once(await scenario.ended(sync))
        await scenario.assert_clean()
        assert scenario.sandbox.journal.count("segment.page", 200) == 10 + 20


async def test_a_restart_keeps_what_was_bought_and_what_it_cost(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(
        session_redis, start_worker, LONG, page_size=PAGE_SIZE, settings=ONE_LEASE, credits=600, usage_route=False
    ) as scenario:
        scenario.worker()
        sync = await scenario.sync()
        assert (sync.state, sync.failed_in, len(sync.outcomes)) == (SyncState.FAILED, SyncState.FINALIZING, 2)
        bought = {outcome.cluster: outcome.persona_id for outcome in sync.outcomes}
        scenario.sandbox.set_options(credits=600)
        await scenario.client.resume(sync.id, restart=True)
        sync = await scenario.ended(sync)
        assert sync.state is SyncState.COMPLETED, sync.error
        assert scenario.sandbox.journal.count("segment.page") == 2 * 20
        outcomes = {outcome.cluster: outcome for outcome in sync.outcomes}
        assert {cluster: outcomes[cluster].persona_id for cluster in bought} == bought
        assert [outcomes[cluster].action for cluster in bought] == ["unchanged", "unchanged"]
        assert len(scenario.sandbox.personas) == 4
        assert sync.credits == 1200


async def test_a_cancelled_sync_that_no_worker_had_begun_never_begins(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker, {"spa": RECIPE, "spa_other": RECIPE}) as scenario:
        sync = await scenario.enqueue()
        cancelled = [await scenario.client.cancel(sync.id) for _ in range(2)]
        assert {(one.state, one.error) for one in cancelled} == {(SyncState.CANCELLED, None)}
        assert await scenario.pool.zcard(keys.QUEUE) == 0
        scenario.worker()
        await scenario.assert_bought_once(await scenario.sync("spa_other"))
        await scenario.assert_clean()
        assert scenario.sandbox.journal.times("segment.page", "spa") == []


async def test_a_sync_cancelled_while_it_reads_stops_within_seconds(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(
        session_redis, start_worker, LONG, page_size=PAGE_SIZE, settings=ONE_LEASE, latency_s=0.2
    ) as scenario:
        worker = scenario.worker()
        sync = await scenario.enqueue()
        await scenario.sandbox.journal.wait_answered("segment.page", 4)
        await scenario.client.cancel(sync.id)
        await until(lambda: _says(worker.text, "fetch job of epoch 1 stops"))
        asked = scenario.sandbox.journal.arrived["segment.page"]
        assert asked < 20
        # The slot is free again, and the space too.
        scenario.sandbox.set_options(latency_s=0)
        again = await scenario.sync()
        await scenario.assert_bought_once(again)
        await scenario.assert_clean()
        assert scenario.sandbox.journal.arrived["segment.page"] == asked + 20
        assert (await scenario.client.get(sync.id)).state is SyncState.CANCELLED


async def test_a_cancelled_sync_buys_no_more_and_records_the_post_on_its_way(
    session_redis: RedisServer, start_worker: Start
) -> None:
    hold = Fault("mavera", "hold", route="create", at=2)
    async with start_scenario(session_redis, start_worker, settings=PATIENT, faults=(hold,)) as scenario:
        worker = scenario.worker()
        sync = await scenario.enqueue()
        await scenario.sandbox.journal.wait_arrived("mavera.create", 2)
        await scenario.client.cancel(sync.id)
        # Longer than a stopping worker waits: here only the sync is over.
        await asyncio.sleep(LAST_POST_S + 0.7)
        scenario.sandbox.clear_faults()
        await until(lambda: _says(worker.text, "stops: the sync was cancelled"))
        sync = await scenario.client.get(sync.id)
        assert sync.state is SyncState.CANCELLED
        assert sorted((o.cluster, o.action) for o in sync.outcomes) == [
            ("growth", "created"),
            ("high_value", "created"),
        ]
        assert sync.credits == 600
        assert {persona.id for persona in scenario.sandbox.personas} == {o.persona_id for o in sync.outcomes}
        await scenario.assert_clean()

        again = await scenario.sync()
        await scenario.assert_bought_once(again, credits_charged=300)
        assert len(scenario.sandbox.posts) == 3


async def test_what_makes_no_sense_is_refused_and_changes_nothing(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker, {"spa": RECIPE, "spa_failed": RECIPE}) as scenario:
        scenario.worker()
        completed = await scenario.sync()
        scenario.sandbox.add_fault(Fault("segment", "status", space="spa_failed", status=400))
        failed = await scenario.sync("spa_failed")
        assert failed.error
        assert (failed.error.code, failed.error.resumable) == ("segment_bad_request", False)
        cancelled = await scenario.client.cancel((await scenario.enqueue("spa_failed")).id)

        with pytest.raises(SyncConflict, match="completed"):
            await scenario.client.cancel(completed.id)
        with pytest.raises(SyncConflict, match="failed"):
            await scenario.client.cancel(failed.id)
        for restart in (False, True):
            with pytest.raises(SyncConflict, match="completed"):
                await scenario.client.resume(completed.id, restart=restart)
            with pytest.raises(SyncConflict, match="cancelled"):
                await scenario.client.resume(cancelled.id, restart=restart)
        with pytest.raises(SyncConflict, match="segment_bad_request"):
            await scenario.client.resume(failed.id)
        for asked in (scenario.client.get, scenario.client.cancel, scenario.client.resume):
            with pytest.raises(SyncNotFound, match="syn_unknown"):
                await asked("syn_unknown")
        for sync in (completed, failed, cancelled):
            assert await scenario.client.get(sync.id) == sync
        await scenario.assert_clean()


async def test_a_failed_sync_is_not_resumed_beside_another_of_the_same_space(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(
        session_redis, start_worker, LONG, page_size=PAGE_SIZE, settings=ONE_LEASE, faults=(WRONG_TOKEN,)
    ) as scenario:
        worker = scenario.worker()
        failed = await failed_on_page_11(scenario)
        assert worker.terminate() == 0
        other = await scenario.enqueue()
        with pytest.raises(SyncConflict, match=other.id):
            await scenario.client.resume(failed.id)
        await scenario.client.cancel(other.id)
        await scenario.client.resume(failed.id)
        scenario.worker()
        await scenario.assert_bought_once(await scenario.ended(failed))


async def _is_past(scenario: Scenario, sync: Sync, pages: int) -> bool:
    return (await scenario.client.get(sync.id)).pages > pages


async def _says(text: object, words: str) -> bool:
    return words in text()  # type: ignore[operator]
