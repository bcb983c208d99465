"""The store as it should be: its moves in plain Python, its contents as plain data, and Redis' contents to compare.

`Model` has the methods of the stores of syncs, batches and personas, so that one call can be sent to both. It knows no
clock: that something has a time, or a time to live, is modelled; which, is not. `read` reads Redis, key by key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import ANY

import orjson

from tests.support.syncs.batch_model import ModelBatch, ModelBatches, ModelLookAhead, out_of_order, stale
from worker.clusters.analysis.snapshot import Snapshot
from worker.jobs.job_payloads import batch_payload
from worker.models.outcome import PersonaOutcome, SyncFailure
from worker.models.plan import Plan
from worker.models.request import SyncRequest
from worker.models.sync import BatchKey, JobKind, Sync, SyncState, job_kind
from worker.store import (
    Checkpoint,
    Claim,
    ClaimAnswer,
    JobPayload,
    LeaseGrant,
    Listing,
    NewBatch,
    PersonaRecord,
    StorePool,
    keys,
)
from worker.store.progress.sync_progress import StartedJob
from worker.store.syncs.job_sync_store import HISTORY, Move

RUNNING = (SyncState.QUEUED, SyncState.FETCHING, SyncState.FINALIZING)
WAKE_TOKENS = 100
SUSPECT_AFTER = 2
TIMES = ("created_at", "started_at", "fetched_at", "finished_at", "applied_at")


STATE_MOVES: Mapping[SyncState, frozenset[SyncState]] = {
    SyncState.QUEUED: frozenset({SyncState.FETCHING, SyncState.FAILED, SyncState.CANCELLED}),
    SyncState.FETCHING: frozenset({SyncState.FINALIZING, SyncState.FAILED, SyncState.CANCELLED}),
    SyncState.FINALIZING: frozenset({SyncState.COMPLETED, SyncState.FAILED, SyncState.CANCELLED}),
    SyncState.COMPLETED: frozenset({SyncState.FINALIZING}),
    SyncState.FAILED: frozenset({SyncState.QUEUED, SyncState.FETCHING, SyncState.FINALIZING}),
    SyncState.CANCELLED: frozenset(),
}
"""State → states that one script may move it to: `resume` continues a failed sync, and `apply` a preview."""


@dataclass(frozen=True)
class Key:
    """One key of Redis: its value as plain data, and whether it will expire."""

    value: Any
    expires: bool


async def read(pool: StorePool) -> dict[str, Key]:
    """The contents of Redis. Sorted sets as member → score, lists as they are; all in bytes."""
    names = sorted([key async for key in pool.scan_iter(count=1000)])
    async with pool.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.type(name)
            pipe.pttl(name)
        found = await pipe.execute()
    present = [
        (name, kind, left) for name, kind, left in zip(names, found[::2], found[1::2], strict=True) if left != -2
    ]
    async with pool.pipeline(transaction=False) as pipe:
        for name, kind, _ in present:
            match kind:
                case b"string":
                    pipe.get(name)
                case b"hash":
                    pipe.hgetall(name)
                case b"list":
                    pipe.lrange(name, 0, -1)
                case b"set":
                    pipe.smembers(name)
                case _:
                    pipe.zrange(name, 0, -1, withscores=True)
        values = await pipe.execute()
    return {
        name.decode(errors="backslashreplace"): Key(dict(value) if kind == b"zset" else value, left >= 0)
        for (name, kind, left), value in zip(present, values, strict=True)
    }


@dataclass
class ModelSync:
    """One sync.

    paid: personas that its credits count. lost: its job may be gone, by a fault or by its own end. suspect: the job
    that last had to run alone.
    """

    id: str
    request: SyncRequest
    asked: str
    state: SyncState = SyncState.QUEUED
    epoch: int = 1
    holder: str = ""
    job: str = ""
    token: str = ""
    lookup: str = ""
    plan: str = ""
    accepted: str = ""
    baseline: str = ""
    note: str = ""
    at: Checkpoint = field(default_factory=Checkpoint)
    revivals: int = 0
    paid: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, PersonaOutcome] = field(default_factory=dict)
    failed_in: SyncState | None = None
    error: SyncFailure | None = None
    times: set[str] = field(default_factory=lambda: {"created_at"})
    lost: bool = False
    has_failed: bool = False
    asked_request: str = ""
    suspect: str = ""
    ahead: ModelLookAhead | None = None

    @property
    def runs(self) -> bool:
        return self.state in RUNNING

    @property
    def batches(self) -> list[ModelBatch]:
        """The outstanding ones."""
        return self.ahead.batches if self.ahead else []

    @property
    def parked(self) -> bool:
        """Whether no walk is due before a batch has made room."""
        return bool(self.ahead and self.ahead.parked)

    def waits(self, is_queued: Callable[[str], bool]) -> bool:
        """Whether its job waits in the queue; is_queued: whether a job is there and not taken."""
        return not self.parked and not self.holder and is_queued(self.job)

    def fields(self) -> dict[bytes, bytes]:
        """Its hash, without any time."""
        at, error = self.at, self.error
        texts: dict[str, object] = {f"paid:{persona_id}": price for persona_id, price in self.paid.items()}
        texts |= {
            "id": self.id,
            "format": 1,
            "request": self.request.model_dump_json(),
            "identity": self.request.identity,
        }
        texts |= {"state": self.state.value, "epoch": self.epoch, "holder": self.holder, "job": self.job}
        texts |= {"seq": at.seq, "token": self.token, "cursor": at.cursor, "guard": at.guard, "pages": at.pages}
        texts |= {"profiles": at.profiles, "complete": int(at.complete), "trouble_ms": at.trouble_ms}
        texts |= {
            "accepted": self.accepted,
            "baseline": self.baseline,
            "lookup": self.lookup,
            "plan": self.plan,
            "revivals": self.revivals,
            "note": self.note,
            "asked": self.asked,
        }
        texts |= {"aggregate": at.aggregate.decode(), "failed_in": self.failed_in.value if self.failed_in else ""}
        texts |= {"error_code": error.code if error else "", "error_message": error.message if error else ""}
        texts |= {"error_resumable": int(error.resumable) if error else ""}
        if self.has_failed:
            texts |= {"error_hint": error.hint if error else ""}
            texts |= {"error_needed_credits": (error.needed_credits if error else None) or ""}
            texts |= {"error_credit_limit": (error.credit_limit if error else None) or ""}
        texts |= dict.fromkeys(TIMES, "")
        texts |= self.ahead.fields() if self.ahead else {}
        texts |= {"asked_request": self.asked_request} if self.asked else {}
        texts |= {"suspect": self.suspect} if self.suspect else {}
        return {name.encode(): str(text).encode() for name, text in texts.items()}


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
        self.personas: dict[str, PersonaRecord] = {}
        self.claims: dict[str, tuple[str, str]] = {}
        self.batches = ModelBatches(self)

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

    def heartbeat(self, lease: LeaseGrant, *, note: str = "", for_s: float = 0.0) -> None:
        sync = self._owned(lease)
        sync.note = note
        self.due[sync.id] = False

    def store_lookup(self, lease: LeaseGrant, lookup: str) -> None:
        self._owned(lease).lookup = lookup

    def store_plan(self, lease: LeaseGrant, plan: Plan) -> None:
        self._owned(lease).plan = plan.encode()

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
        sync = self._owned(replace(lease, state=SyncState.FETCHING))
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
        sync = self._owned(lease)
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
        sync = self._owned(replace(lease, state=SyncState.FINALIZING))
        sync.token = token
        sync.plan = plan.encode() if plan else sync.plan
        sync.baseline = baseline.encode() if baseline else ""
        if snapshot:
            self.history = [snapshot, *(one for one in self.history if one.sync_id != snapshot.sync_id)][:HISTORY]
        self.finish(sync, SyncState.COMPLETED)

    def fail(self, lease: LeaseGrant, failure: SyncFailure, token: str) -> None:
        if self.syncs[lease.sync_id].token == token:
            return
        sync = self._owned(lease)
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

    # Personas

    def claim(self, lease: LeaseGrant, reference: str, by: str) -> ClaimAnswer:
        self._owned(replace(lease, state=SyncState.FINALIZING))
        if reference in self.personas:
            return ClaimAnswer("recorded", record=self.personas[reference])
        holder = self.claims.setdefault(reference, (by, lease.sync_id))
        return ClaimAnswer("won") if holder[0] == by else ClaimAnswer("held", claim=Claim(*holder, age_s=0))

    def release_claim(self, reference: str, by: str) -> bool:
        mine = self.claims.get(reference, ("", ""))[0] == by
        if mine:
            del self.claims[reference]
        return mine

    def record(self, reference: str, record: PersonaRecord, outcome: PersonaOutcome) -> None:
        self.personas[reference] = record
        self.claims.pop(reference, None)
        sync = self.syncs[record.sync_id]
        if sync.outcomes.get(outcome.cluster) != outcome:
            sync.outcomes[outcome.cluster] = outcome
            sync.revivals = 0
        if outcome.credits and outcome.persona_id not in sync.paid:
            sync.paid[outcome.persona_id] = outcome.credits

    def record_unsent(
        self,
        lease: LeaseGrant,
        reference: str,
        before: PersonaRecord | None,
        after: PersonaRecord | None,
        outcome: PersonaOutcome,
    ) -> None:
        sync = self.syncs[lease.sync_id]
        if (sync.state, sync.epoch) != (SyncState.COMPLETED, lease.epoch + 1):
            self._owned(replace(lease, state=SyncState.FINALIZING))
        if after and self.personas.get(reference) == before:
            self.personas[reference] = after
        if sync.outcomes.get(outcome.cluster) != outcome:
            sync.outcomes[outcome.cluster] = outcome
            sync.revivals = 0

    def delete_record(self, reference: str, record: PersonaRecord) -> bool:
        if self.personas.get(reference) != record:
            return False
        del self.personas[reference]
        return True

    def adopt(self, reference: str, record: PersonaRecord, identity: str) -> str:
        if running := self.active.get(identity):
            return running[-1]
        if self.personas.setdefault(reference, record) != record:
            return "exists"
        self.claims.pop(reference, None)
        return "ok"

    def rename(self, old: str, new: str, before: PersonaRecord, after: PersonaRecord, identity: str) -> str:
        if running := self.active.get(identity):
            return running[-1]
        found, there = self.personas.get(old), self.personas.get(new)
        if not found and there == after:
            return "ok"
        if there and (there != after or old == new):
            return "exists"
        if found != before:
            return "changed"
        if new in self.claims:
            return "doubt"
        self.personas[new] = after
        del self.personas[old]
        return "ok"

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

    def ready(self) -> set[str]:
        """Jobs that may start."""
        return self.queue - self.later - self.in_progress

    # What Redis should hold

    def expected(self) -> dict[str, Key]:
        """Every key, with True instead of each time."""
        found: dict[str, Key] = {}
        for sync in self.syncs.values():
            ended = not sync.runs
            times = {name.encode(): True for name in sync.times}
            found[keys.sync(sync.id)] = Key({**sync.fields(), **times}, ended)
            if sync.outcomes:
                texts = {name.encode(): orjson.dumps(one.as_json()) for name, one in sync.outcomes.items()}
                found[keys.outcomes(sync.id)] = Key(texts, ended)
            if sync.asked:
                found[sync.asked] = Key(sync.id.encode(), ended)
        waiting = {job_id for job_id in self.later if ":finalize:" in job_id}
        times_of = {keys.SYNCS: self.syncs, keys.DUE: self.due, keys.QUEUE: self.queue, keys.later(""): waiting}
        for name, members in times_of.items():
            if members:
                found[name] = Key({member.encode(): True for member in members}, expires=False)
        for identity, ids in self.active.items():
            if ids:
                found[keys.active(identity)] = Key({sync_id.encode(): True for sync_id in ids}, expires=False)
        if self.history:
            entries = [snapshot.encode().encode() for snapshot in self.history]
            found[keys.history("identity")] = Key(entries, expires=False)
        if self.wake:
            found[keys.WAKE] = Key([b"1"] * self.wake, expires=False)
        found |= {f"arq:job:{job_id}": Key(job, expires=True) for job_id, job in self.jobs.items()}
        found |= {f"arq:in-progress:{job_id}": Key(b"1", expires=True) for job_id in self.in_progress}
        if self.personas:
            records = {reference.encode(): record.encode() for reference, record in self.personas.items()}
            found[keys.personas("account")] = Key(records, expires=False)
        for reference, (by, sync_id) in self.claims.items():
            claim = {b"by": by.encode(), b"sync": sync_id.encode(), b"at": True, b"settle_ms": b"0"}
            found[keys.claim("account", reference)] = Key(claim, expires=False)
        return found

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

    def _owned(self, lease: LeaseGrant) -> ModelSync:
        if not self.owns(lease):
            raise stale(self.syncs[lease.sync_id])
        return self.syncs[lease.sync_id]


def without_times(found: dict[str, Key]) -> dict[str, Key]:
    """What `read` found, with True for each time that is not empty, and the mark of a suspect without its time."""
    result = {}
    for name, key in found.items():
        value = key.value
        if name.startswith("sp:sync:") and isinstance(value, dict):
            value = {field_: True if text and field_.decode() in TIMES else text for field_, text in value.items()}
            if mark := value.get(b"suspect"):
                value[b"suspect"] = mark.split()[0]
        elif name.startswith("sp:claim:"):
            value = {**value, b"at": True, b"settle_ms": b"0"}
        elif name in (keys.SYNCS, keys.DUE, keys.QUEUE, keys.later("")) or name.startswith("sp:active:"):
            value = dict.fromkeys(value, True)
        result[name] = Key(value, key.expires)
    return result
