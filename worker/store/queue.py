"""The worker's side of arq's queue: takes the jobs that may start, gives them back, or leaves them to others.

Jobs are enqueued by the script that makes the move which needs them. Taking them is one script for each look at the
queue, where arq needs four commands a job. Entries that are not jobs are dropped.
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
    """A job that this worker may start, and that is marked as in progress.

    Attributes:
        job_id: Id of the job.
        score: When it was due, Unix milliseconds by the clock of Redis.
        job: The job as arq serialised it.
    """

    job_id: bytes
    score: int
    job: bytes


@dataclass(frozen=True)
class TakenJobs:
    """The outcome of one look at the queue.

    Attributes:
        jobs: The jobs that were taken.
        dropped: Id of each entry that was dropped, and the reason.
        next_s: Seconds until a deferred job is due; None if none waits.
        waits_for_suspect: Whether a job that may kill its worker runs alone here, or waits until this worker is idle.
    """

    jobs: list[TakenJob]
    dropped: list[tuple[bytes, str]]
    next_s: float | None
    waits_for_suspect: bool = False


class JobQueue:
    """The queue of one worker: the jobs of its account, and those of syncs that name no account yet.

    Args:
        pool: Client of Redis.
        account: The Mavera account of the worker (`account_name`).
        suspect_after: Lost jobs without progress after which the next job of a sync runs alone on its worker.
        own_syncs: Ids of the syncs that the worker works on, which may change; None: all.
        skips_pipes: Whether it leaves syncs that read standard input, or another file of one process, to others.
    """

    def __init__(
        self,
        pool: StorePool,
        account: str = "",
        *,
        suspect_after: int = 2,
        own_syncs: Collection[str] | None = None,
        skips_pipes: bool = False,
    ) -> None:
        self._pool = pool
        self._account = account
        self._suspect_after = suspect_after
        self._own_syncs = own_syncs
        self._skips_pipes = skips_pipes
        self.name = keys.queue(account)
        self._wakes = [*dict.fromkeys((keys.wake(account), keys.WAKE))]

    async def take_jobs(self, most: int, in_progress_s: float, *, running: Collection[str] = ()) -> TakenJobs:
        """Takes due jobs and marks them as in progress.

        Args:
            most: The most jobs to take.
            in_progress_s: Seconds after which the mark expires.
            running: Ids of the jobs that the worker runs.
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
            own_syncs="" if self._own_syncs is None else f" {' '.join(self._own_syncs)} ",
            skips_pipes=self._skips_pipes,
        )
        jobs = [TakenJob(one.job_id, _milliseconds(one.score), one.job) for one in found.taken]
        dropped = [(one.job_id, one.reason) for one in found.dropped]
        next_s = None if found.next_ms < 0 else found.next_ms / 1000
        return TakenJobs(jobs, dropped, next_s, found.waits_for_suspect)

    async def give_back_job(self, job: TakenJob) -> None:
        """Gives back a job that was taken and not begun, and wakes another worker for it."""
        await queue_scripts.give_back_job(
            self._pool, queue=self.name, wake=keys.wake(self._account), job_id=job.job_id, score=job.score
        )

    async def leave_job(self, job: TakenJob, for_s: float = 2.0) -> None:
        """Leaves a job that was taken to workers of a newer version, which may take it after `for_s` seconds."""
        await queue_scripts.leave_job(self._pool, queue=self.name, job_id=job.job_id, delay_ms=int(for_s * 1000))

    async def drop_job(self, job_id: bytes) -> None:
        """Removes a job from the queue, with all keys that arq has for it."""
        await self._pool.zrem(self.name, job_id)
        await self._pool.zrem(keys.later(self._account), job_id)
        await self._pool.delete(b"arq:job:" + job_id, b"arq:in-progress:" + job_id, b"arq:retry:" + job_id)

    async def wait_for_job(self, timeout_s: float) -> bool:
        """Waits until a job is enqueued for some worker.

        Args:
            timeout_s: Longest wait in seconds; at most three are waited.

        Returns:
            False if it did not wait, because the key of the wake tokens was not a list. The key is then deleted.
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
    """Returns a score in whole milliseconds; 0 if it is not a finite number."""
    value = float(score)
    return int(value) if math.isfinite(value) else 0
