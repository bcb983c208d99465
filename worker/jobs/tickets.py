"""Jobs as they stand in arq's queue: `walk(sync_id, epoch)` and `finalize(sync_id, epoch)`, as JSON.

Whoever moves a sync, here or in the producer, prepares the ticket of the job that follows; the script that makes the
move enqueues it.
"""

from __future__ import annotations

import orjson
from arq.jobs import serialize_job
from arq.utils import timestamp_ms

from worker.store import Ticket
from worker.sync import JobKind


def ticket(sync_id: str, kind: JobKind, epoch: int) -> Ticket:
    """The job that carries a sync on in an epoch. Its id is never used twice, for an epoch has one job."""
    job = serialize_job(kind, (sync_id, epoch), {}, None, timestamp_ms(), serializer=orjson.dumps)
    return Ticket(f"{sync_id}:{kind}:{epoch}", job)
