"""An arq Worker that is woken instead of polling, survives an outage of Redis, and stops in time.

arq runs the jobs. This class decides which jobs it takes from the queue, and when: one script takes the jobs that may
start and drops entries that are not jobs (arq needs four commands a job, and some malformed entries end its process). A
token in Redis wakes the worker when a job is enqueued; polling is the fallback.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import cast

import orjson
from arq.connections import ArqRedis
from arq.jobs import DeserializationError, deserialize_job_raw
from arq.worker import Function, Worker, func

from worker.errors import PersonasError, StoreUnavailable
from worker.jobs.composition.tasks import batch, finalize, walk
from worker.jobs.job_payloads import JOB_VERSION, sync_id_of
from worker.jobs.services import WorkerServices, job_timeout_s
from worker.log_format import log_about
from worker.settings import Settings
from worker.store import keys
from worker.store.connection.pool import JOB_LIFETIME_MS
from worker.store.queue import TakenJob, TakenJobs

log = logging.getLogger("segment_personas.worker")

STOP_S = 8.0
"""Seconds that a stopping worker gives its jobs to hand over; the grace period of a container must be longer."""

LISTING_POLL_S = 0.025
"""Seconds between two polls of the queue by a worker that lists pages for batches. Such a worker is not woken, because
other jobs would delay the listing that all workers depend on: it takes only what the others leave."""

_SYNC_ID = re.compile(r"[!-~]{1,128}")

_ARGUMENTS = {"walk": (str, int), "batch": (str, int, int, int), "finalize": (str, int)}
"""Types of the arguments of each job. The names are in stored payloads and stay."""

_UNLIMITED_TRIES = 1_000_000_000
"""arq counts every start as a try; the watchdog decides how often a job is repeated."""


def job_functions(settings: Settings) -> list[Function]:
    """Returns the jobs that a worker runs, for arq."""
    timeout_s = job_timeout_s(settings)
    jobs = (
        ("walk", walk, timeout_s + settings.warehouse_timeout_s),
        ("batch", batch, timeout_s + settings.files_timeout_s),
        ("finalize", finalize, timeout_s),
    )
    return [
        func(job, name=name, timeout=limit_s, keep_result=0, max_tries=_UNLIMITED_TRIES) for name, job, limit_s in jobs
    ]


class SyncWorker(Worker):
    """arq's worker with its own access to the queue.

    Args:
        services: What its jobs use.
    """

    def __init__(self, services: WorkerServices) -> None:
        super().__init__(
            functions=job_functions(services.settings),
            queue_name=services.queue.name,
            redis_pool=cast(ArqRedis, services.pool),  # it has the attributes that arq uses
            handle_signals=False,
            max_jobs=services.settings.worker_slots,
            keep_result=0,
            max_tries=_UNLIMITED_TRIES,
            job_serializer=services.pool.job_serializer,
            job_deserializer=services.pool.job_deserializer,
            expires_extra_ms=JOB_LIFETIME_MS,
            log_results=False,
            ctx={"worker": services},
        )
        self._store_pool = services.pool
        self._queue = services.queue
        self._settings = services.settings
        self._tracer = services.tracer
        self._listings = services.listings
        self._accounts: dict[str, str] = {}
        """Job → the account whose queue has it."""
        self._taking: asyncio.Task[TakenJobs] | None = None

    async def main(self) -> None:
        """Takes jobs and starts them, until cancelled."""
        queue, settings = self._queue, self._settings
        while True:
            if len(self.tasks) >= self.max_jobs:
                await asyncio.wait(self.tasks.values(), return_when=asyncio.FIRST_COMPLETED)
                await asyncio.sleep(0)  # lets the done callbacks empty their slots
                continue
            # One job at a time, so that workers share the queue and a busy one takes less. Shielded, because a worker
            # that stops must know what it has taken in order to give it back.
            self._taking = asyncio.create_task(
                queue.take_jobs(1, self.in_progress_timeout_s, running=dict(self._accounts))
            )
            take = await asyncio.shield(self._taking)
            self._taking = None
            for job_id, reason in take.dropped:
                log.warning("dropped %r from the queue: %s", job_id[:100], reason)
            for job in take.jobs:
                await self._start(job)
            if take.waits_for_suspect and self.tasks:
                await asyncio.wait(self.tasks.values(), timeout=settings.poll_s, return_when=asyncio.FIRST_COMPLETED)
                await asyncio.sleep(0)
            elif not take.jobs:
                wait_s = settings.poll_s if take.next_s is None else min(settings.poll_s, take.next_s)
                if self._listings.count:
                    await asyncio.sleep(min(LISTING_POLL_S, wait_s))
                elif not await queue.wait_for_job(max(0.01, wait_s)):
                    log.warning("dropped %r: expected a list", keys.WAKE)

    async def stop(self) -> None:
        """Cancels the running jobs, which hand their syncs over, and returns jobs that wait here to the queue."""
        self._store_pool.outage.stop_waiting(STOP_S / 2)
        for task in self.tasks.values():
            task.cancel()
        ending = {*self.tasks.values()}
        if self._taking:
            ending.add(asyncio.create_task(self._give_back_all(self._taking)))
        if ending:
            await asyncio.wait(ending, timeout=STOP_S)

    async def _start(self, job: TakenJob) -> None:
        if _is_of_newer_version(job):
            log.info("left %r in the queue: a newer version wrote it", job.job_id[:100])
            await self._queue.leave_job(job)
            return
        problem = self._problem(job)
        if problem:
            log.warning("dropped %r from the queue: %s", job.job_id[:100], problem)
            await self._queue.drop_job(job.job_id, job.account)
            return
        job_id = job.job_id.decode()
        if job_id in self.tasks:
            # The clock of Redis jumped past the end of its mark, or the same job id was enqueued again.
            log.warning("%s: this worker runs the job already", job_id)
            return
        task = asyncio.create_task(self._run(job_id, job), name=job_id)
        self.tasks[job_id] = task
        self._accounts[job_id] = job.account
        task.add_done_callback(self._done)

    async def _run(self, job_id: str, job: TakenJob) -> None:
        try:
            sync_id = sync_id_of(job_id)
            with log_about(sync=sync_id, job=job_id), self._tracer.job(sync_id, job_id, job.score):
                await self.run_job(job_id, job.score)
            await self._queue.remove_ended(job, self.queue_name)
        except StoreUnavailable:
            raise
        except Exception:
            # A job that arq cannot run would stay at the head of the queue.
            await self._queue.drop_job(job.job_id, job.account)
            raise
        finally:
            # The worker may stop before arq starts the job. Nothing is given back of a job that ran.
            task = asyncio.current_task()
            if task and task.cancelling():
                await self._give_back(job)

    async def _give_back_all(self, taking: asyncio.Task[TakenJobs]) -> None:
        await asyncio.wait({taking})
        if taking.cancelled() or taking.exception():
            return
        for job in taking.result().jobs:
            await self._give_back(job)

    async def _give_back(self, job: TakenJob) -> None:
        try:
            await self._queue.give_back_job(job)
        except PersonasError as error:
            log.info("could not return %r to the queue: %s", job.job_id[:100], error)

    def _problem(self, job: TakenJob) -> str | None:
        """Returns why a queue entry is not one of our jobs; None if it is one. It executes nothing."""
        try:
            job.job_id.decode()
            name, args, kwargs, _, _ = deserialize_job_raw(job.job, deserializer=self.job_deserializer)
        except UnicodeDecodeError:
            return "its id is not text"
        except DeserializationError:
            return "its data is not a job"
        if name not in self.functions:
            return f"unknown function {name[:50]!r}"
        if kwargs or tuple(map(type, args)) != _ARGUMENTS[name]:
            return f"wrong arguments for {name}"
        if not _SYNC_ID.fullmatch(args[0]):
            return f"{name} with an invalid sync id"
        return None

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.pop(task.get_name(), None)
        self._accounts.pop(task.get_name(), None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("%s: arq could not finish the job (%s)", task.get_name(), type(error).__name__)


def _is_of_newer_version(job: TakenJob) -> bool:
    """Returns whether the data of a job names a version that only newer workers know."""
    try:
        version = orjson.loads(job.job).get("v")
    except (ValueError, AttributeError):
        return False  # not a job
    return isinstance(version, int) and version > JOB_VERSION
