"""The history of complete syncs: the last ones, each once, for good, and nothing else."""

from __future__ import annotations

from tests.support.syncs.spaces import snapshot
from tests.support.syncs.syncs import Syncs
from worker.clusters.analysis.snapshot import Snapshot
from worker.models.sync import SyncState
from worker.store import keys
from worker.store.progress.sync_progress import new_token
from worker.store.syncs.job_sync_store import HISTORY

IDENTITY = "identity"


async def complete(syncs: Syncs, sync_id: str, baseline: Snapshot | None = None) -> Snapshot:
    """A sync that has read a space; what it was like."""
    lease = await syncs.lease(SyncState.FINALIZING, sync_id)
    now = snapshot({"growth": 10}, sync_id=sync_id)
    await syncs.jobs.complete(lease, new_token(), baseline=baseline, snapshot=now, identity=IDENTITY)
    return now


async def test_a_space_that_was_never_read_has_no_history(syncs: Syncs) -> None:
    assert await syncs.client.history(IDENTITY) == []


async def test_complete_syncs_are_remembered_newest_first_and_for_good(syncs: Syncs) -> None:
    first = await complete(syncs, "s1")
    second = await complete(syncs, "s2", baseline=first)
    assert await syncs.client.history(IDENTITY) == [second, first]
    assert await syncs.client.history("other") == []
    assert await syncs.pool.pttl(keys.history(IDENTITY)) == -1
    assert ((await syncs.get("s1")).baseline, (await syncs.get("s2")).baseline) == (None, first)


async def test_a_sync_that_is_not_complete_is_not_remembered(syncs: Syncs) -> None:
    lease = await syncs.lease(SyncState.FINALIZING)
    await syncs.jobs.complete(lease, new_token())
    assert await syncs.names() & {keys.history(""), keys.history(IDENTITY)} == set()


async def test_so_many_are_remembered_and_no_more(syncs: Syncs) -> None:
    for n in range(HISTORY + 2):
        await complete(syncs, f"s{n}")
    found = [one.sync_id for one in await syncs.client.history(IDENTITY)]
    assert found == [f"s{n}" for n in range(HISTORY + 1, 1, -1)]


async def test_a_sync_whose_end_was_cut_short_is_remembered_once(syncs: Syncs) -> None:
    lease = await syncs.lease(SyncState.FINALIZING)
    old, now = snapshot({"growth": 9}, sync_id="s0"), snapshot({"growth": 10}, sync_id="s1")
    # As if a restarted Redis had kept no more than the first write of the move.
    for entry in (old, now):
        await syncs.pool.lpush(keys.history(IDENTITY), entry.encode())
    await syncs.jobs.complete(lease, new_token(), snapshot=now, identity=IDENTITY)
    assert await syncs.client.history(IDENTITY) == [now, old]


async def test_an_entry_that_is_not_a_snapshot_is_skipped(syncs: Syncs) -> None:
    await syncs.pool.rpush(keys.history(IDENTITY), "nonsense", "{}")
    now = await complete(syncs, "s1")
    assert await syncs.client.history(IDENTITY) == [now]


async def test_nothing_foreign_keeps_a_sync_from_its_end(syncs: Syncs) -> None:
    await syncs.pool.set(keys.history(IDENTITY), "something else")
    await complete(syncs, "s1")
    assert (await syncs.get("s1")).state is SyncState.COMPLETED
    assert await syncs.client.history(IDENTITY) == []
    assert await syncs.pool.get(keys.history(IDENTITY)) == b"something else"
