"""arq's queue as it should be, in plain Python: a part of `Model`."""

from __future__ import annotations

from collections.abc import Iterable

from tests.support.syncs.model_sync import ModelSync
from worker.jobs.job_payloads import batch_payload
from worker.store import JobPayload

WAKE_TOKENS = 100
SUSPECT_AFTER = 2


class ModelQueue:
    """The jobs in the queue, and the syncs that they belong to. later: jobs that may not start yet."""

    def __init__(self) -> None:
        self.syncs: dict[str, ModelSync] = {}
        self.queue: set[str] = set()
        self.jobs: dict[str, bytes] = {}
        self.later: set[str] = set()
        self.in_progress: set[str] = set()
        self.wake = 0

    def enqueue(self, payload: JobPayload, delay_s: float) -> None:
        """A job is put into the queue."""
        self.queue.add(payload.job_id)
        self.jobs[payload.job_id] = payload.job
        if delay_s:
            self.later.add(payload.job_id)
        else:
            self.wake = min(self.wake + 1, WAKE_TOKENS)

    def end_job(self, job_id: str) -> None:
        """arq is through with a job, or it was dropped: nothing is left of it."""
        self.queue.discard(job_id)
        self.jobs.pop(job_id, None)
        self.in_progress.discard(job_id)
        self.later.discard(job_id)
        for sync in self.syncs.values():
            sync.lost = sync.lost or sync.job == job_id
            for batch in sync.batches:
                batch.gone = batch.gone or batch_payload(batch.key).job_id == job_id

    def is_queued(self, job_id: str) -> bool:
        """Whether a job is in the queue and no worker has taken it."""
        return job_id in self.queue and job_id in self.jobs and job_id not in self.in_progress

    def ready(self) -> set[str]:
        """Jobs that may start."""
        return self.queue - self.later - self.in_progress

    def take(self, most: int, in_order: Iterable[str]) -> set[str]:
        """A worker that runs nothing takes jobs; in_order: the queue, the next job first.

        Only a suspect makes it take fewer than `most` of those that are ready: it takes a suspect alone, and none after
        another job.
        """
        taken: list[str] = []
        for job_id in in_order:
            if len(taken) == most:
                break
            if job_id not in self.ready():
                continue
            sync = self.syncs[job_id.split(":")[0]]
            if self._losses(sync, job_id) < SUSPECT_AFTER:
                taken.append(job_id)
                continue
            sync.suspect = job_id
            if not taken:
                taken.append(job_id)
            break
        self.in_progress |= set(taken)
        return set(taken)

    @staticmethod
    def _losses(sync: ModelSync, job_id: str) -> int:
        """How often what a job does was lost without progress."""
        for batch in sync.batches:
            if batch_payload(batch.key).job_id == job_id:
                return batch.lost
        return sync.revivals
