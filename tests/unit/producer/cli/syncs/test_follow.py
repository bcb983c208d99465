"""Following: workers that are missing, and patience that ends."""

from __future__ import annotations

import io

import pytest

from producer import SyncClient, SyncNotFound, SyncRequest, SyncState
from producer.cli.syncs.follow import Follower, WorkerWatch
from producer.cli.syncs.next_steps import after_interruption
from producer.cli.terminal import Screen
from producer.cli.views.progress import LineProgress
from worker.errors import StoreUnavailable
from worker.jobs.store_factories import worker_registry
from worker.settings import load_settings
from worker.store import StorePool


@pytest.fixture
def client(fake_pool: StorePool) -> SyncClient:
    return SyncClient.from_pool(fake_pool, load_settings())


async def test_a_missing_worker_is_shown_once_with_how_to_start_one(fake_pool: StorePool, client: SyncClient) -> None:
    said: list[str] = []
    now = 100.0
    watch = WorkerWatch(client, said.append, lambda: now)
    registry = worker_registry(fake_pool, load_settings())
    await watch.check()
    (sentence,) = said
    assert sentence.startswith("No worker is running, so the sync waits. Start one")
    assert "  segment-personas worker\n" in sentence
    now += 1
    await watch.check()
    await registry.heartbeat("host", 7)
    await watch.check()  # too soon to ask again
    assert len(said) == 1
    now += 1
    await watch.check()
    assert said[1:] == ["A worker is running now: host:7"]
    await registry.remove("host", 7)
    now += 5
    await watch.check()
    assert said[2].startswith("No worker is running any more")


async def test_a_worker_that_is_alive_is_not_mentioned(fake_pool: StorePool, client: SyncClient) -> None:
    said: list[str] = []
    await worker_registry(fake_pool, load_settings()).heartbeat("host", 7)
    await WorkerWatch(client, said.append).check()
    assert said == []


async def test_after_an_outage_no_worker_is_missed_before_its_heartbeat(
    client: SyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    sync = await client.enqueue(SyncRequest(space_id="spa_1"))
    await client.cancel(sync.id)
    outage = [StoreUnavailable("Redis does not answer")]

    async def workers() -> list[object]:
        if outage:
            raise outage.pop()
        return []

    monkeypatch.setattr(client, "workers", workers)
    await Follower(client, [sync], LineProgress(Screen(stream))).run()
    assert "Redis answers again." in stream.getvalue()
    assert "No worker is running" not in stream.getvalue()


async def test_following_ends_when_all_have_ended(client: SyncClient) -> None:
    stream = io.StringIO()
    syncs = [await client.enqueue(SyncRequest(space_id=f"spa_{i}")) for i in range(3)]
    ended = [await client.cancel(sync.id) for sync in syncs]
    follower = Follower(client, syncs, LineProgress(Screen(stream)))
    await follower.run()
    assert follower.syncs == ended
    assert stream.getvalue().count("cancelled") == 3


async def test_patience_ends_and_what_was_seen_last_is_known(client: SyncClient) -> None:
    sync = await client.enqueue(SyncRequest(space_id="spa_1"))
    follower = Follower(client, [sync], LineProgress(Screen(io.StringIO())), watch_workers=False)
    with pytest.raises(TimeoutError):
        await follower.run(timeout_s=0.01)
    assert follower.syncs[0].state is SyncState.QUEUED


async def test_what_a_sync_waits_for_is_known_when_patience_ends(client: SyncClient) -> None:
    sync = await client.enqueue(SyncRequest(space_id="spa_1"))
    plan = await client.enqueue(SyncRequest(space_id="spa_2", plan_only=True))
    follower = Follower(client, [sync], LineProgress(Screen(io.StringIO())))
    with pytest.raises(TimeoutError):
        await follower.run(timeout_s=0.01)
    steps = after_interruption([sync, plan], follower.condition)
    assert steps[0].sentence.startswith("When a worker runs, the sync continues and will change personas.")
    assert steps[1].sentence.startswith("When a worker runs, the sync only reads and will change no persona.")
    assert after_interruption([sync])[0].sentence.startswith("The sync continues and will change personas.")


async def test_a_sync_that_is_no_longer_known_cannot_be_followed(fake_pool: StorePool, client: SyncClient) -> None:
    sync = await client.enqueue(SyncRequest(space_id="spa_1"))
    await fake_pool.flushall()
    with pytest.raises(SyncNotFound):
        await Follower(client, [sync], LineProgress(Screen(io.StringIO()))).run()
