"""Many syncs at once: those that began first finish first, and a space that kills workers harms no other."""

from __future__ import annotations

from producer.sandbox import SpaceSpec
from tests.support.redis_server import RedisServer
from tests.support.stage import Start, staged

MANY = 20


async def test_syncs_that_began_first_finish_before_the_last_ones_begin(
    session_redis: RedisServer, start_worker: Start
) -> None:
    """Shown by the order of what happened, not by how long it took: one worker, one job at a time."""
    spaces = {f"spa{number}": SpaceSpec(60, "recipe") for number in range(MANY)}
    async with staged(session_redis, start_worker, spaces, settings={"WORKER_SLOTS": "1"}) as stage:
        asked = [await stage.enqueue(space) for space in spaces]
        stage.worker()
        syncs = [await stage.ended(sync) for sync in asked]
        for sync in syncs:
            await stage.assert_bought_once(sync)
        begun = [sync.started_at for sync in syncs]
        finished = [sync.finished_at for sync in syncs]
        assert begun == sorted(begun)
        # When half of them had finished, at most a few more had begun: reads do not run ahead of the purchases.
        half = sorted(finished)[MANY // 2]
        assert sum(start < half for start in begun) <= MANY // 2 + 3
        assert finished == sorted(finished)
