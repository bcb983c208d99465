"""The store as it should be: its moves in plain Python, its contents as plain data.

`Model` has the methods of the stores of syncs, and those of batches and personas under `batches` and `personas`, so
that one call can be sent to both. It knows no clock: that something has a time, or a time to live, is modelled; which,
is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any
from unittest.mock import ANY

from tests.support.store_model.batch_model import ModelBatches, ModelLookAhead, out_of_order, stale
from tests.support.store_model.persona_model import ModelPersonas
from tests.support.store_model.sync_model import ModelSync
from worker.clusters.analysis.snapshot import Snapshot
from worker.jobs.job_payloads import batch_payload
from worker.models.outcome import SyncFailure
from worker.models.plan import Plan
from worker.models.request import SyncRequest
from worker.models.sync import BatchKey, JobKind, Sync, SyncState, job_kind
from worker.store import Checkpoint, JobPayload, LeaseGrant, Listing, NewBatch, keys
from worker.store.progress.sync_progress import StartedJob
from worker.store.syncs.job_sync_store import HISTORY, Move

WAKE_TOKENS = 100
SUSPECT_AFTER = 2


class Model:
    """All of the store. due: sync → whether its time is over; later: jobs that may not start yet."""

    def __init__(self) -> None:
        self.syncs: dict[str, ModelSync] = {}
        self.due: dict[str, bool] = {}
        self.active: dict[str, list[str]] = {}
        self.asked: dict[str, str] = {}
        self.queue: set[str] = set()
        self.jobs: dict[str, bytes] = {}
        self.later: set[str] = set()
        self.in_progress: set[str] = set()
        self.wake = 0
        self.history: list[Snapshot] = []
        self.batches = ModelBatches(self)
        self.personas = ModelPersonas(self)

    # The client's moves

    def create(
        self,
        sync_id: str,
        request: SyncRequest,
        payload: JobPayload,
        *,
        force: bool = False,
        idempotency_key: str | None = None,
    ) -> str:
        if sync_id in self.syncs:
            return sync_id
        asked = keys.request(idempotency_key) if idempotency_key else ""
        if asked in self.asked:
            return self.asked[asked]
        meant = self._under_way(request)
        if meant and not force:
            return meant
        sync = self.syncs[sync_id] = ModelSync(sync_id, request, asked, asked_request=request.model_dump_json())
        self.set_job(sync, payload, 0)
        self._start(sync)
        if asked:
            self.asked[asked] = sync_id
        return sync_id

    def cancel(self, sync_id: str) -> SyncState | None:
        sync = self.syncs.get(sync_id)
        if sync is None:
            return None
        if sync.runs:
            self.finish(sync, SyncState.CANCELLED)
        return sync.state

    def resume(
        self,
        sync: Sync,
        payload: JobPayload,
        batches: Sequence[JobPayload] = (),
        *,
        restart: bool = False,
        request: SyncRequest | None = None,
        accept: bool = False,
    ) -> str:
        mine = self.syncs[sync.id]
        if mine.state is not SyncState.FAILED or mine.epoch != sync.epoch:
            return "changed"
        if other := self._under_way(mine.request):
            return other
        assert mine.failed_in
        mine.state, mine.request = mine.failed_in, request or sync.request
        if restart or accept:
            mine.accepted = "1" if accept else ""
        if restart or "applied_at" not in mine.times:
            mine.plan = ""
        if restart:
            mine.state = SyncState.FETCHING
            mine.at = Checkpoint(seq=mine.at.seq)
            mine.outcomes = {}
            mine.times = {"created_at", "started_at"}
        mine.at = replace(mine.at, trouble_ms=0)
        mine.epoch += 1
        mine.holder = mine.lookup = mine.note = ""
        mine.revivals = 0
        mine.error = mine.failed_in = None
        mine.times.discard("finished_at")
        self._start(mine)
        if mine.ahead:
            self._resume_look_ahead(mine, mine.ahead, batches, restart)
        if mine.parked:
            mine.job = ""
        else:
            self.set_job(mine, payload, 0)
        return "ok"

    def _resume_look_ahead(
        self, sync: ModelSync, ahead: ModelLookAhead, tickets: Sequence[JobPayload], restart: bool
    ) -> None:
        ahead.parked = False
        if restart:
            ahead.pages = ahead.profiles = 0
            ahead.listed = ahead.counted = ""
            ahead.slots = dict.fromkeys(ahead.slots)
            return
        ahead.parked = sync.state is SyncState.FETCHING and ahead.what_follows() == "park"
        for batch, payload in zip(sorted(ahead.batches, key=lambda one: one.key.number), tickets, strict=True):
            batch.next_try()
            batch.lost = batch.trouble_ms = 0
            self.due[batch.member] = False
            self.enqueue(payload, 0)

    def apply(self, sync: Sync, payload: JobPayload, request: SyncRequest, *, accept: bool = False) -> str:
        mine = self.syncs[sync.id]
        if mine.state is not SyncState.COMPLETED or mine.epoch != sync.epoch:
            return "changed"
        if other := self._under_way(request):
            return other
        mine.state, mine.request, mine.accepted = SyncState.FINALIZING, request, "1" if accept else ""
        mine.at = replace(mine.at, trouble_ms=0)
        mine.epoch += 1
        mine.holder = mine.lookup = mine.note = ""
        mine.revivals = 0
        mine.times = {*mine.times, "applied_at"} - {"finished_at"}
        self.set_job(mine, payload, 0)
        self._start(mine)
        return "ok"

    # A job's moves

    def begin(self, sync_id: str, epoch: int, kind: JobKind, holder: str) -> StartedJob:
        sync = self.syncs.get(sync_id)
        if (
            sync is None
            or not sync.runs
            or job_kind(sync.state) != kind
            or sync.epoch != epoch
            or sync.holder not in ("", holder)
            or sync.parked
        ):
            raise stale(sync)
        if sync.state is SyncState.QUEUED:
            sync.state = SyncState.FETCHING
            sync.times.add("started_at")
        sync.holder = holder
        if not sync.at.trouble_ms:
            sync.note = ""
        self.due[sync_id] = False
        lease = LeaseGrant(sync_id, sync.state, epoch, holder)
        accepted = sync.accepted == "1"
        listing = self.batches.listing(sync)
        return StartedJob(lease, sync.request, sync.at, listing, ANY, sync.lookup, sync.plan, accepted, ANY, sync.note)

    def heartbeat(self, lease: LeaseGrant, *, note: str = "") -> None:
        sync = self.owned(lease)
        sync.note = note
        self.due[sync.id] = False

    def store_lookup(self, lease: LeaseGrant, lookup: str) -> None:
        self.owned(lease).lookup = lookup

    def store_plan(self, lease: LeaseGrant, plan: Plan) -> None:
        self.owned(lease).plan = plan.encode()

    def commit(
        self,
        lease: LeaseGrant,
        checkpoint: Checkpoint,
        token: str,
        *,
        move: Move = "stay",
        payload: JobPayload | None = None,
        delay_s: float = 0.0,
        note: str = "",
    ) -> Checkpoint:
        following = replace(checkpoint, seq=checkpoint.seq + 1)
        if self.syncs[lease.sync_id].token == token:
            return following
        sync = self.owned(replace(lease, state=SyncState.FETCHING))
        if sync.at.seq != checkpoint.seq:
            raise out_of_order(sync, checkpoint.seq)
        if checkpoint.pages > sync.at.pages:
            sync.revivals = 0
        sync.at, sync.token, sync.note = following, token, note
        if move != "stay":
            assert payload
            sync.epoch += 1
            sync.holder = ""
            if move == "finalize":
                sync.state = SyncState.FINALIZING
                sync.revivals = 0
                sync.times.add("fetched_at")
                sync.outcomes = {}
            self.set_job(sync, payload, delay_s)
        self.due[sync.id] = False
        return following

    def hand_over(
        self,
        lease: LeaseGrant,
        payload: JobPayload,
        token: str,
        *,
        delay_s: float = 0.0,
        trouble_ms: int = 0,
        note: str = "",
    ) -> None:
        if self.syncs[lease.sync_id].token == token:
            return
        sync = self.owned(lease)
        sync.at = replace(sync.at, trouble_ms=trouble_ms)
        sync.token, sync.note, sync.holder = token, note, ""
        sync.epoch += 1
        self.set_job(sync, payload, delay_s)
        self.due[sync.id] = False

    def complete(
        self,
        lease: LeaseGrant,
        token: str,
        plan: Plan | None = None,
        *,
        baseline: Snapshot | None = None,
        snapshot: Snapshot | None = None,
        identity: str = "",
    ) -> None:
        if self.syncs[lease.sync_id].token == token:
            return
        sync = self.owned(replace(lease, state=SyncState.FINALIZING))
        sync.token = token
        sync.plan = plan.encode() if plan else sync.plan
        sync.baseline = baseline.encode() if baseline else ""
        if snapshot:
            self.history = [snapshot, *(one for one in self.history if one.sync_id != snapshot.sync_id)][:HISTORY]
        self.finish(sync, SyncState.COMPLETED)

    def fail(self, lease: LeaseGrant, failure: SyncFailure, token: str) -> None:
        if self.syncs[lease.sync_id].token == token:
            return
        sync = self.owned(lease)
        sync.token, sync.error, sync.failed_in = token, failure, sync.state
        self.finish(sync, SyncState.FAILED)

    # The watcher's move

    def revive_sync(
        self, sync_id: str, state: SyncState, epoch: int, payload: JobPayload, *, max_revivals: int, message: str
    ) -> str:
        sync = self.syncs[sync_id]
        if not sync.runs:
            return "gone"
        if (sync.state, sync.epoch) != (state, epoch):
            return "changed"
        if not self.due[sync_id]:
            return "early"
        if sync.parked:
            self.due[sync_id] = False
            return "waiting"
        if not sync.holder and self.is_queued(sync.job):
            self.due[sync_id] = False
            return "waiting"
        if sync.revivals >= max_revivals:
            sync.error, sync.failed_in = SyncFailure("worker_lost", message, resumable=True), sync.state
            self.finish(sync, SyncState.FAILED)
            return "failed"
        sync.epoch += 1
        sync.holder = ""
        sync.revivals += 1
        self.set_job(sync, payload, 0)
        self.due[sync_id] = False
        return "revived"

    def revive_batch(self, key: BatchKey, payload: JobPayload, *, max_lost: int, message: str) -> str:
        return self.batches.revive(key, payload, max_lost=max_lost, message=message)

    def commit_listing(
        self, lease: LeaseGrant, listing: Listing, batches: Sequence[NewBatch], token: str, **options: Any
    ) -> Listing:
        return self.batches.commit_listing(lease, listing, batches, token, **options)

    # What happens to jobs elsewhere

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
        for job_id in taken:
            sync_id, kind, slot, *_ = job_id.split(":")
            member = f"{sync_id} {slot}" if kind == "batch" else sync_id
            if member in self.due:
                self.due[member] = False
        return set(taken)

    @staticmethod
    def _losses(sync: ModelSync, job_id: str) -> int:
        """How often what a job does was lost without progress."""
        for batch in sync.batches:
            if batch_payload(batch.key).job_id == job_id:
                return batch.lost
        return sync.revivals

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

    def owns(self, lease: LeaseGrant) -> bool:
        """Whether the job of this lease may still move its sync."""
        sync = self.syncs[lease.sync_id]
        return (sync.state, sync.epoch, sync.holder) == (lease.state, lease.epoch, lease.holder)

    def owned(self, lease: LeaseGrant) -> ModelSync:
        """The sync of this lease. Raises LeaseLost if its job may not move it."""
        if not self.owns(lease):
            raise stale(self.syncs[lease.sync_id])
        return self.syncs[lease.sync_id]

    def ready(self) -> set[str]:
        """Jobs that may start."""
        return self.queue - self.later - self.in_progress

    # Private

    def _under_way(self, request: SyncRequest) -> str | None:
        running = [self.syncs[sync_id] for sync_id in self.active.get(request.identity, [])]
        same = [sync for sync in running if sync.request == request]
        return (same or running)[-1].id if running else None

    def _start(self, sync: ModelSync) -> None:
        self.due[sync.id] = False
        self.active.setdefault(sync.request.identity, []).append(sync.id)

    def set_job(self, sync: ModelSync, payload: JobPayload, delay_s: float) -> None:
        """The next job of a sync, instead of the one before."""
        self.end_job(sync.job)
        sync.job, sync.lost = payload.job_id, False
        self.enqueue(payload, delay_s)

    def enqueue(self, payload: JobPayload, delay_s: float) -> None:
        """A job is put into the queue."""
        self.queue.add(payload.job_id)
        self.jobs[payload.job_id] = payload.job
        if delay_s:
            self.later.add(payload.job_id)
        else:
            self.wake = min(self.wake + 1, WAKE_TOKENS)

    def finish(self, sync: ModelSync, state: SyncState) -> None:
        """A sync ends, and with it all its jobs."""
        self.end_job(sync.job)
        for batch in sync.batches:
            self.end_job(batch_payload(batch.key).job_id)
            self.due.pop(batch.member)
        sync.state, sync.job, sync.holder, sync.note = state, "", "", ""
        sync.has_failed = sync.has_failed or state is SyncState.FAILED
        sync.epoch += 1
        sync.times.add("finished_at")
        self.due.pop(sync.id)
        self.active[sync.request.identity].remove(sync.id)
