"""arq's queue as we use it: tickets go in with the move that needs them, and workers take what they may start.

A payload is an arq job that `jobs/` prepared; its bytes are opaque here. Taking is one script for the whole poll, where
arq needs four commands a job, and it drops what is no job at all.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from worker.errors import StoreUnusable
from worker.store import keys
from worker.store.connection.pool import StorePool
from worker.store.scripts import queue as queue_scripts


@dataclass(frozen=True)
class TakenJob:
    """A job that this worker may start; it is marked as in progress. score: when it was due, ms."""

    job_id: bytes
    score: int
    job: bytes


@dataclass(frozen=True)
class TakenJobs:
    """The outcome of one look at the queue. next_s: seconds until a deferred job is due, None if none waits.

    waits_for_suspect: a job that may kill workers runs alone here, or waits until this worker runs nothing.
    """

    jobs: list[TakenJob]
    dropped: list[tuple[bytes, str]]
    next_s: float | None
    waits_for_suspect: bool = False


class JobQueue:
    """The worker's side of the queue: the jobs of its account, and those of syncs that name none yet.

    suspect_after: lost jobs without progress after which the next one runs alone on its worker.
    """

    def __init__(self, pool: StorePool, account: str = "", *, suspect_after: int = 2) -> None:
        self._pool = pool
        self._account = account
        self._suspect_after = suspect_after
        self.name = keys.queue(account)
        self._wakes = [*dict.fromkeys((keys.wake(account), keys.WAKE))]

    async def take_jobs(self, most: int, in_progress_s: float, *, running: Collection[str] = ()) -> TakenJobs:
        """Takes up to `most` due jobs and marks them as in progress for `in_progress_s` seconds.

        running: the ids of the jobs that the worker runs.
        """
        found = await queue_scripts.take_jobs(
            self._pool,
            queue=self.name,
            common=keys.QUEUE,
            most=most,
            in_progress_ms=int(in_progress_s * 1000),
            account=self._account,
            running=len(running),
            only=next(iter(running)) if len(running) == 1 else "",
            suspect_after=self._suspect_after,
        )
        jobs = [TakenJob(one.job_id, _milliseconds(one.score), one.job) for one in found.taken]
        dropped = [(one.job_id, one.reason) for one in found.dropped]
        next_s = None if found.next_ms < 0 else found.next_ms / 1000
        return TakenJobs(jobs, dropped, next_s, found.waits_for_suspect)

    async def give_back_job(self, job: TakenJob) -> None:
        """Makes a job that was taken and not begun free for others, and wakes one."""
        await queue_scripts.give_back_job(
            self._pool, queue=self.name, wake=keys.wake(self._account), job_id=job.job_id, score=job.score
        )

    async def leave_job(self, job: TakenJob, for_s: float = 2.0) -> None:
        """Leaves a job that was taken to workers of a newer version, who may take it after `for_s` seconds."""
        await queue_scripts.leave_job(self._pool, queue=self.name, job_id=job.job_id, delay_ms=int(for_s * 1000))

    async def drop_job(self, job_id: bytes) -> None:
        """Takes a job out of the queue with everything that arq keeps of it."""
        await self._pool.zrem(self.name, job_id)
        await self._pool.zrem(keys.later(self._account), job_id)
        await self._pool.delete(b"arq:job:" + job_id, b"arq:in-progress:" + job_id, b"arq:retry:" + job_id)

    async def wait_for_job(self, timeout_s: float) -> bool:
        """Returns when a job was enqueued for some worker, or after `timeout_s` seconds (at most about three).

        False: what workers wait for was no list; it is dropped, and there was no waiting.
        """
        try:
            await self._pool.execute_command("BLPOP", *self._wakes, min(timeout_s, 3.0))
        except StoreUnusable:
            broken = [key for key in self._wakes if await self._pool.type(key) not in (b"list", b"none")]
            if not broken:
                raise
            await self._pool.delete(*broken)
            return False
        return True


def _milliseconds(score: bytes) -> int:
    """A score as arq takes it; one that is no time is 0, since it was due for ever."""
    value = float(score)
    return int(value) if math.isfinite(value) else 0
