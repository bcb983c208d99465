"""Jobs in arq's queue, as JSON.

`walk(sync_id, epoch)`, `finalize(sync_id, epoch)`, `batch(sync_id, slot, number, attempt)`.

The worker or client that moves a sync prepares the payload of the next job; the script that makes the move enqueues it.
These function names are a storage format.
"""

from __future__ import annotations

import re
import time

import orjson

from worker.models.sync import BatchKey, JobKind
from worker.store import JobPayload, NextPayloads

JOB_VERSION = 1
"""Version of a job's data. Jobs of a newer version are left in the queue; data without a version is of version 1."""


_JOB_ID = re.compile(r":(?:walk|finalize|batch)(?::\d+)+$")


def sync_payload(sync_id: str, kind: JobKind, epoch: int) -> JobPayload:
    """Returns the job of an epoch. Its id is never used twice, because an epoch has one job.

    Args:
        sync_id: Id of the sync.
        kind: `walk` for a fetch job, `finalize` for a finalize job.
        epoch: Epoch in which the job may work.
    """
    return JobPayload(f"{sync_id}:{kind}:{epoch}", _job(kind, sync_id, epoch))


def sync_id_of(job_id: str) -> str:
    """Returns the sync of a job id. The id of a sync may contain colons."""
    return _JOB_ID.sub("", job_id)


def next_payloads(sync_id: str, epoch: int) -> NextPayloads:
    """Returns the jobs that can follow a fetch job in an epoch: another fetch job, or a finalize job."""
    return NextPayloads(sync_payload(sync_id, "walk", epoch), sync_payload(sync_id, "finalize", epoch))


def batch_payload(key: BatchKey) -> JobPayload:
    """Returns the job of one attempt at a batch. Scripts build the same id to remove it from the queue."""
    job_id = f"{key.sync_id}:batch:{key.slot}:{key.number}:{key.attempt}"
    return JobPayload(job_id, _job("batch", key.sync_id, key.slot, key.number, key.attempt))


def _job(name: str, *arguments: str | int) -> bytes:
    """Serialises a job as `arq.jobs.serialize_job` does, without importing arq, which would load its worker."""
    return orjson.dumps(
        {"t": None, "f": name, "a": arguments, "k": {}, "v": JOB_VERSION, "et": time.time_ns() // 1_000_000}
    )
