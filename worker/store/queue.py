"""The worker's side of arq's queue: takes the jobs that may start, gives them back, or leaves them to others.

Jobs are enqueued by the script that makes the move which needs them. Taking them is one script for each look at the
queue, where arq needs four commands a job. Entries that are not jobs are dropped.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Protocol

import orjson

from worker.errors import StoreUnusable
from worker.store import keys
from worker.store.connection.pool import StorePool
from worker.store.progress.sync_progress import new_token
from worker.store.scripts import queue as queue_scripts

_END_OF_JOB_ID = re.compile(r":(walk|finalize|batch):[\d:]+$")
"""What follows the id of its sync."""

_ASSIGNED_AT_ONCE = 100


@dataclass(frozen=True)
class TakenJob:
    """A job that this worker may start, and that is marked as in progress.

    Attributes:
        job_id: Id of the job.
        score: When it was due, Unix milliseconds by the clock of Redis.
        job: The job as arq serialised it.
        account: The account whose queue has it.
    """

    job_id: bytes
    score: int
    job: bytes
    account: str = ""


@dataclass(frozen=True)
class TakenJobs:
    """The outcome of one poll of the queue.

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


class AccountMap(Protocol):
    """Which accounts a worker serves, and to which a sync belongs that names none. It may change."""

    def accounts(self) -> Sequence[str]:
        """Returns the accounts (`account_name`), at least one."""

    def account_of(self, space_id: str) -> str:
        """Returns the account of a space; empty if it has none."""


@dataclass
class JobQueue:
    """The queue of one worker: the jobs of its accounts, and those of syncs that name no account yet.

    Attributes:
        pool: Client of Redis.
        account: The Mavera account of the worker (`account_name`).
        stall_ms: Milliseconds after which a sync is silent, as for the stores of syncs.
        account_map: Its accounts, if it serves several; `account` is then not used.
        suspect_after: Lost jobs without progress after which the next job of a sync runs alone on its worker.
        own_syncs: Ids of the syncs that the worker works on, which may change; None: all.
        skips_pipes: Whether it leaves syncs that read standard input, or another file of one process, to others.
    """

    pool: StorePool
    account: str = ""
    _: KW_ONLY
    stall_ms: int
    account_map: AccountMap | None = None
    suspect_after: int = 2
    own_syncs: Collection[str] | None = None
    skips_pipes: bool = False

    def __post_init__(self) -> None:
        self._turns: dict[str, int] = {}
        """Account → when it last had a turn, as a number that grows."""

    @property
    def name(self) -> keys.SortedSetKey:
        """The queue of the worker's account, the first if it has several."""
        return keys.queue(self._accounts[0])

    async def take_jobs(
        self, most: int, in_progress_s: float, *, running: Mapping[str, str] | Collection[str] = ()
    ) -> TakenJobs:
        """Takes due jobs and marks them as in progress.

        Args:
            most: The most jobs to take.
            in_progress_s: Seconds after which the mark expires.
            running: Ids of the jobs that the worker runs. A worker of several accounts gives the account of each, and
                takes the next job from the account of which it runs fewest; of equals, from the one that waits longest.
        """
        accounts = self._accounts
        if self.account_map is not None:
            await self._assign_jobs(self.account_map)
            jobs_of = Counter(running.values() if isinstance(running, Mapping) else ())
            accounts = sorted(accounts, key=lambda account: (jobs_of[account], self._turns.get(account, 0)))
        queues = tuple(map(keys.queue, accounts))
        token, repeats = new_token(), self.pool.outage.repeats
        found = await queue_scripts.take_jobs(
            self.pool,
            common=keys.QUEUE if self.account_map is None else queues[0],
            due=keys.DUE,
            queues=queues,
            most=most,
            in_progress_ms=int(in_progress_s * 1000),
            stall_ms=self.stall_ms,
            account=accounts[0],
            running=len(running),
            only=next(iter(running)) if len(running) == 1 else "",
            suspect_after=self.suspect_after,
            own_syncs="" if self.own_syncs is None else f" {' '.join(self.own_syncs)} ",
            skips_pipes=self.skips_pipes,
            in_turn=self.account_map is not None,
            token=token,
        )
        if self.pool.outage.repeats != repeats:
            await self._give_back_lost(accounts, token, tuple(one.job_id for one in found.taken))
        jobs = [TakenJob(one.job_id, _milliseconds(one.score), one.job, accounts[one.queue - 1]) for one in found.taken]
        dropped = [(one.job_id, one.reason) for one in found.dropped]
        for job in jobs:
            self._turns[job.account] = max(self._turns.values(), default=0) + 1
        next_s = None if found.next_ms < 0 else found.next_ms / 1000
        return TakenJobs(jobs, dropped, next_s, found.waits_for_suspect)

    async def _give_back_lost(self, accounts: Sequence[str], token: str, kept: tuple[bytes, ...]) -> None:
        """Gives back what earlier attempts of the call `token` took, whose answers were lost; not the jobs `kept`."""
        for account in accounts:
            with contextlib.suppress(StoreUnusable):  # the watchdog finds the jobs later
                await queue_scripts.give_back_lost(
                    self.pool, queue=keys.queue(account), wake=keys.wake(account), token=token, kept=kept
                )

    async def _assign_jobs(self, account_map: AccountMap) -> None:
        """Moves jobs of the common queue to the queues of their spaces' accounts."""
        try:
            job_ids = await self.pool.zrange(keys.QUEUE, 0, _ASSIGNED_AT_ONCE - 1)
        except StoreUnusable:
            await self.pool.delete(keys.QUEUE)  # it is not a queue
            return
        for job_id in job_ids:
            sync = keys.sync(_END_OF_JOB_ID.sub("", job_id.decode(errors="replace")))
            account = ""
            with contextlib.suppress(ValueError, KeyError, TypeError, StoreUnusable):  # not one of our jobs
                request = await self.pool.hash_field(sync, "request")
                account = account_map.account_of(orjson.loads(request or b"")["space_id"])
            await queue_scripts.assign_job(
                self.pool,
                common=keys.QUEUE,
                sync=sync,
                job_id=job_id,
                account=account,
                other=account_map.accounts()[0],
            )

    @property
    def _accounts(self) -> Sequence[str]:
        return (self.account,) if self.account_map is None else self.account_map.accounts()

    async def give_back_job(self, job: TakenJob) -> None:
        """Gives back a job that was taken and not begun, and wakes another worker for it."""
        await queue_scripts.give_back_job(
            self.pool,
            queue=keys.queue(job.account),
            wake=keys.wake(job.account),
            job_id=job.job_id,
            score=job.score,
        )

    async def leave_job(self, job: TakenJob, for_s: float = 2.0) -> None:
        """Leaves a job that was taken to workers of a newer version, which may take it after `for_s` seconds."""
        queue, delay_ms = keys.queue(job.account), int(for_s * 1000)
        await queue_scripts.leave_job(self.pool, queue=queue, job_id=job.job_id, delay_ms=delay_ms)

    async def drop_job(self, job_id: bytes, account: str | None = None) -> None:
        """Removes a job from the queue of an account, with all keys that arq has for it.

        Args:
            job_id: Id of the job.
            account: Whose queue has it; None: that of the worker.
        """
        account = self._accounts[0] if account is None else account
        await self.pool.zrem(keys.queue(account), job_id)
        await self.pool.zrem(keys.later(account), job_id)
        await self.pool.delete(b"arq:job:" + job_id, b"arq:in-progress:" + job_id, b"arq:retry:" + job_id)

    async def remove_ended(self, job: TakenJob, removed_from: str) -> None:
        """Removes a job that has run from its queue, unless arq has removed it from the same queue (`removed_from`)."""
        queue = keys.queue(job.account)
        if queue != removed_from and not await self.pool.exists(b"arq:job:" + job.job_id):
            await self.pool.zrem(queue, job.job_id)

    async def wait_for_job(self, timeout_s: float) -> bool:
        """Waits until a job is enqueued for some worker.

        Args:
            timeout_s: Longest wait in seconds; at most three are waited.

        Returns:
            False if it did not wait, because the key of the wake tokens was not a list. The key is then deleted.
        """
        wakes = [*dict.fromkeys((*map(keys.wake, self._accounts), keys.WAKE))]
        try:
            await self.pool.execute_command("BLPOP", *wakes, min(timeout_s, 3.0))
        except StoreUnusable:
            broken = [key for key in wakes if await self.pool.type(key) not in (b"list", b"none")]
            if not broken:
                raise
            await self.pool.delete(*broken)
            return False
        return True


def _milliseconds(score: bytes) -> int:
    """Returns a score in whole milliseconds; 0 if it is not a finite number."""
    value = float(score)
    return int(value) if math.isfinite(value) else 0
