"""Resume goes on from where a sync stopped; cancel stops it within seconds. Both are idempotent and refuse nonsense."""

from __future__ import annotations

import asyncio

import pytest

from producer import SyncConflict, SyncNotFound
from producer.sandbox import Fault, SpaceSpec
from tests.support.checks import until
from tests.support.redis_server import RedisServer
from tests.support.stage import RECIPE, Stage, Start, staged
from worker.jobs.personas.create_persona import LAST_POST_S
from worker.models.sync import Sync, SyncState
from worker.store import keys

LONG = {"spa": SpaceSpec(4000, "mixed", seed=21)}
"""Twenty pages."""
PATIENT = {"MAVERA_TIMEOUT_S": "8", "MAVERA_SETTLE_S": "10"}
"""A POST may be held for long without being in doubt."""
ONE_LEASE = {"LEASE_S": "30"}
"""No hand-over, which would ask for a page again that it had asked for and not yet counted."""
WRONG_TOKEN = Fault("segment", "status", page=10, times=1, status=401)


async def failed_on_page_11(stage: Stage) -> Sync:
    sync = await stage.sync()
    assert (sync.state, sync.failed_in, sync.pages) == (SyncState.FAILED, SyncState.FETCHING, 10)
    assert sync.error
    assert (sync.error.code, sync.error.resumable) == ("segment_unauthorized", True)
    return sync


async def test_resume_goes_on_from_the_checkpoint(session_redis: RedisServer, start_worker: Start) -> None:
    async with staged(session_redis, start_worker, LONG, settings=ONE_LEASE, faults=(WRONG_TOKEN,)) as stage:
        stage.worker()
        sync = await failed_on_page_11(stage)
        resumed = await stage.client.resume(sync.id)
        assert (resumed.id, resumed.error, resumed.pages) == (sync.id, None, 10)
        await stage.assert_bought_once(await stage.ended(sync))
        assert stage.sandbox.journal.count("segment.page", 200) == 20


async def test_resume_starts_one_job_however_often_it_is_asked(session_redis: RedisServer, start_worker: Start) -> None:
    async with staged(session_redis, start_worker, LONG, settings=ONE_LEASE, faults=(WRONG_TOKEN,)) as stage:
        worker = stage.worker()
        sync = await failed_on_page_11(stage)
        assert worker.terminate() == 0
        resumed = await asyncio.gather(*(stage.client.resume(sync.id) for _ in range(20)))
        assert {(one.id, one.state, one.epoch) for one in resumed} == {(sync.id, SyncState.FETCHING, sync.epoch + 1)}
        assert await stage.pool.zcard(stage.queue) == 1
        stage.worker()
        await until(lambda: _is_past(stage, sync, 10))
        assert (await stage.client.resume(sync.id)).id == sync.id
        await stage.assert_bought_once(await stage.ended(sync))
        assert stage.sandbox.journal.count("segment.page", 200) == 20
        with pytest.raises(SyncConflict, match="completed"):
            await stage.client.resume(sync.id)


async def test_an_expired_cursor_needs_a_restart_which_begins_with_fresh_sums(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with staged(session_redis, start_worker, LONG, settings=ONE_LEASE, faults=(WRONG_TOKEN,)) as stage:
        stage.worker()
        sync = await failed_on_page_11(stage)
        stage.sandbox.add_fault(Fault("segment", "expired_cursor", times=1))
        await stage.client.resume(sync.id)
        sync = await stage.ended(sync)
        assert sync.error
        assert (sync.error.code, sync.error.resumable) == ("cursor_expired", False)
        assert "page 11" in sync.error.message
        assert "from the start" in sync.error.hint
        with pytest.raises(SyncConflict, match="restart"):
            await stage.client.resume(sync.id)
        assert (await stage.client.get(sync.id)).epoch == sync.epoch

        restarted = await stage.client.resume(sync.id, restart=True)
        assert (restarted.pages, restarted.profiles, restarted.aggregate) == (0, 0, b"")
        await stage.assert_bought_once(await stage.ended(sync))
        await stage.assert_clean()
        assert stage.sandbox.journal.count("segment.page", 200) == 10 + 20


async def test_a_restart_keeps_what_was_bought_and_what_it_cost(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with staged(session_redis, start_worker, LONG, settings=ONE_LEASE, credits=600, usage_route=False) as stage:
        stage.worker()
        sync = await stage.sync()
        assert (sync.state, sync.failed_in, len(sync.outcomes)) == (SyncState.FAILED, SyncState.FINALIZING, 2)
        bought = {outcome.cluster: outcome.persona_id for outcome in sync.outcomes}
        stage.sandbox.set_options(credits=600)
        await stage.client.resume(sync.id, restart=True)
        sync = await stage.ended(sync)
        assert sync.state is SyncState.COMPLETED, sync.error
        assert stage.sandbox.journal.count("segment.page") == 2 * 20
        outcomes = {outcome.cluster: outcome for outcome in sync.outcomes}
        assert {cluster: outcomes[cluster].persona_id for cluster in bought} == bought
        assert [outcomes[cluster].action for cluster in bought] == ["unchanged", "unchanged"]
        assert len(stage.sandbox.personas) == 4
        assert sync.credits == 1200


async def test_a_cancelled_sync_that_no_worker_had_begun_never_begins(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with staged(session_redis, start_worker, {"spa": RECIPE, "spa_other": RECIPE}) as stage:
        sync = await stage.enqueue()
        cancelled = [await stage.client.cancel(sync.id) for _ in range(2)]
        assert {(one.state, one.error) for one in cancelled} == {(SyncState.CANCELLED, None)}
        assert await stage.pool.zcard(keys.QUEUE) == 0
        stage.worker()
        await stage.assert_bought_once(await stage.sync("spa_other"))
        await stage.assert_clean()
        assert stage.sandbox.journal.times("segment.page", "spa") == []


async def test_a_sync_cancelled_while_it_reads_stops_within_seconds(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with staged(session_redis, start_worker, LONG, settings=ONE_LEASE, latency_s=0.2) as stage:
        worker = stage.worker()
        sync = await stage.enqueue()
        await stage.sandbox.journal.wait_answered("segment.page", 4)
        await stage.client.cancel(sync.id)
        await until(lambda: _says(worker.text, "fetch job of epoch 1 stops"))
        asked = stage.sandbox.journal.arrived["segment.page"]
        assert asked < 20
        # The slot is free again, and the space too.
        stage.sandbox.set_options(latency_s=0)
        again = await stage.sync()
        await stage.assert_bought_once(again)
        await stage.assert_clean()
        assert stage.sandbox.journal.arrived["segment.page"] == asked + 20
        assert (await stage.client.get(sync.id)).state is SyncState.CANCELLED


async def test_a_cancelled_sync_buys_no_further_persona_and_records_the_one_on_its_way(
    session_redis: RedisServer, start_worker: Start
) -> None:
    hold = Fault("mavera", "hold", route="create", at=2)
    async with staged(session_redis, start_worker, settings=PATIENT, faults=(hold,)) as stage:
        worker = stage.worker()
        sync = await stage.enqueue()
        await stage.sandbox.journal.wait_arrived("mavera.create", 2)
        await stage.client.cancel(sync.id)
        # Longer than a worker waits that is told to stop: here only the sync is over.
        await asyncio.sleep(LAST_POST_S + 0.7)
        stage.sandbox.clear_faults()
        await until(lambda: _says(worker.text, "stops: the sync was cancelled"))
        sync = await stage.client.get(sync.id)
        assert sync.state is SyncState.CANCELLED
        assert sorted((o.cluster, o.action) for o in sync.outcomes) == [
            ("growth", "created"),
            ("high_value", "created"),
        ]
        assert sync.credits == 600
        assert {persona.id for persona in stage.sandbox.personas} == {o.persona_id for o in sync.outcomes}
        await stage.assert_clean()

        again = await stage.sync()
        await stage.assert_bought_once(again, credits_charged=300)
        assert len(stage.sandbox.posts) == 3


async def test_what_makes_no_sense_is_refused_and_changes_nothing(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with staged(session_redis, start_worker, {"spa": RECIPE, "spa_failed": RECIPE}) as stage:
        stage.worker()
        completed = await stage.sync()
        stage.sandbox.add_fault(Fault("segment", "status", space="spa_failed", status=400))
        failed = await stage.sync("spa_failed")
        assert failed.error
        assert (failed.error.code, failed.error.resumable) == ("segment_bad_request", False)
        cancelled = await stage.client.cancel((await stage.enqueue("spa_failed")).id)

        with pytest.raises(SyncConflict, match="completed"):
            await stage.client.cancel(completed.id)
        with pytest.raises(SyncConflict, match="failed"):
            await stage.client.cancel(failed.id)
        for restart in (False, True):
            with pytest.raises(SyncConflict, match="completed"):
                await stage.client.resume(completed.id, restart=restart)
            with pytest.raises(SyncConflict, match="cancelled"):
                await stage.client.resume(cancelled.id, restart=restart)
        with pytest.raises(SyncConflict, match="segment_bad_request"):
            await stage.client.resume(failed.id)
        for asked in (stage.client.get, stage.client.cancel, stage.client.resume):
            with pytest.raises(SyncNotFound, match="syn_unknown"):
                await asked("syn_unknown")
        for sync in (completed, failed, cancelled):
            assert await stage.client.get(sync.id) == sync
        await stage.assert_clean()


async def test_a_failed_sync_is_not_resumed_beside_another_of_the_same_space(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with staged(session_redis, start_worker, LONG, settings=ONE_LEASE, faults=(WRONG_TOKEN,)) as stage:
        worker = stage.worker()
        failed = await failed_on_page_11(stage)
        assert worker.terminate() == 0
        other = await stage.enqueue()
        with pytest.raises(SyncConflict, match=other.id):
            await stage.client.resume(failed.id)
        await stage.client.cancel(other.id)
        await stage.client.resume(failed.id)
        stage.worker()
        await stage.assert_bought_once(await stage.ended(failed))


async def _is_past(stage: Stage, sync: Sync, pages: int) -> bool:
    return (await stage.client.get(sync.id)).pages > pages


async def _says(text: object, words: str) -> bool:
    return words in text()  # type: ignore[operator]
