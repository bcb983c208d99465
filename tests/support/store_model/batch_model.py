"""What the model needs for fan-out: the look-ahead of a sync and the moves of its batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from unittest.mock import ANY

from worker.errors import LeaseLost
from worker.jobs.job_payloads import batch_payload
from worker.models.outcome import SyncFailure
from worker.models.sync import BatchKey, SyncState
from worker.store import (
    BatchGrant,
    BatchWork,
    Counted,
    JobPayload,
    LeaseGrant,
    Listing,
    NewBatch,
    NextPayloads,
    StartedBatch,
    keys,
)

if TYPE_CHECKING:
    from tests.support.store_model.model import Model
    from tests.support.store_model.sync_model import ModelSync


@dataclass
class ModelBatch:
    """A batch in its slot, as it should be. gone: its job may be gone, by a fault or by its own end."""

    key: BatchKey
    work: BatchWork
    lost: int = 0
    holder: str = "-"
    trouble_ms: int = 0
    gone: bool = False

    @property
    def member(self) -> str:
        """What watches it."""
        return f"{self.key.sync_id} {self.key.slot}"

    @property
    def text(self) -> str:
        parts = (
            self.key.number,
            self.key.attempt,
            self.lost,
            self.holder,
            self.trouble_ms,
            self.work.encode().decode(),
        )
        return " ".join(map(str, parts))

    def next_try(self) -> None:
        self.key = self.key.next_attempt()
        self.holder, self.gone = "-", False


@dataclass
class ModelLookAhead:
    """The look-ahead of a fan-out sync, as it should be. listed: the present value of the field."""

    pages: int = 0
    profiles: int = 0
    issued: int = 0
    listed: str = "0"
    parked: bool = False
    counted: str | None = None
    slots: dict[int, ModelBatch | None] = field(default_factory=dict)

    @property
    def batches(self) -> list[ModelBatch]:
        """The outstanding ones."""
        return [batch for batch in self.slots.values() if batch]

    def fields(self) -> dict[str, object]:
        """Its part of the sync's hash."""
        texts: dict[str, object] = {f"slot:{slot}": batch.text if batch else "" for slot, batch in self.slots.items()}
        texts |= {"pages_listed": self.pages, "profiles_listed": self.profiles, "batches": self.issued}
        texts |= {"listed": self.listed, "parked": "1" if self.parked else ""}
        return texts if self.counted is None else texts | {"counted": self.counted}

    @property
    def free(self) -> tuple[int, ...]:
        return tuple(slot for slot in range(keys.SLOTS) if not self.slots.get(slot))

    def what_follows(self) -> str:
        """`finalize`, `walk` or `park`, where no walk is at work."""
        if self.listed == "1":
            return "park" if self.batches else "finalize"
        return "walk" if len(self.free) >= keys.SLOTS / 4 else "park"


class ModelBatches:
    """The moves of `BatchStore`."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def listing(self, sync: ModelSync) -> Listing:
        """How far the listing of a sync has come."""
        at, ahead = sync.at, sync.ahead or ModelLookAhead()
        return Listing(
            seq=at.seq,
            cursor=at.cursor,
            guard=at.guard,
            pages=ahead.pages,
            profiles=ahead.profiles,
            batches=ahead.issued,
            ended=ahead.listed == "1",
            complete=at.complete,
            trouble_ms=at.trouble_ms,
            free_slots=ahead.free,
        )

    def commit_listing(
        self,
        lease: LeaseGrant,
        listing: Listing,
        batches: Sequence[NewBatch],
        token: str,
        *,
        following: NextPayloads | None = None,
        delay_s: float = 0.0,
        note: str = "",
    ) -> Listing:
        model, sync = self._model, self._model.syncs[lease.sync_id]
        ahead = sync.ahead or ModelLookAhead()
        if sync.token != token:
            if not model.owns(replace(lease, state=SyncState.FETCHING)):
                raise stale(sync)
            if sync.at.seq != listing.seq:
                raise out_of_order(sync, listing.seq)
            if taken := [batch.key.slot for batch in batches if batch.key.slot not in ahead.free]:
                raise LeaseLost(f"slot {taken[0]} already holds a batch")
            if listing.pages > ahead.pages:
                sync.revivals = 0
            sync.ahead = ahead
            ahead.pages, ahead.profiles, ahead.issued = listing.pages, listing.profiles, listing.batches
            ahead.listed, ahead.parked = str(int(listing.ended)), False
            sync.token, sync.note = token, note
            sync.at = replace(
                sync.at,
                seq=listing.seq + 1,
                cursor=listing.cursor,
                guard=listing.guard,
                complete=listing.complete,
                trouble_ms=listing.trouble_ms,
            )
            for new in batches:
                batch = ahead.slots[new.key.slot] = ModelBatch(new.key, new.work)
                model.due[batch.member] = False
                model.enqueue(new.payload, 0)
            model.due[sync.id] = False
            if following:
                self._move_on(sync, ahead, following, delay_s)
        return replace(listing, seq=listing.seq + 1, free_slots=ahead.free)

    def begin(self, key: BatchKey, holder: str) -> StartedBatch:
        sync, batch = self._find(key)
        if batch.holder not in ("-", holder):
            raise stale(sync)
        batch.holder = holder
        self._model.due[batch.member] = False
        lease = BatchGrant(key, holder)
        return StartedBatch(lease, sync.request, ANY, batch.work, self._counted(sync), batch.trouble_ms)

    def heartbeat(self, grant: BatchGrant, *, note: str = "") -> None:
        sync, batch = self._owned(grant)
        sync.note = note or sync.note
        self._model.due[batch.member] = False

    def count(self, grant: BatchGrant, base: Counted, now: Counted, following: NextPayloads) -> Counted | None:
        sync, batch = self._owned(grant)
        ahead = sync.ahead
        assert ahead
        slots = {**ahead.slots, grant.key.slot: None}
        moves = ahead.parked and replace(ahead, slots=slots).what_follows() != "park"
        if (ahead.counted or "") != base.token or (moves and sync.epoch != base.epoch):
            self._model.due[batch.member] = False
            return self._counted(sync)
        ahead.slots, ahead.counted = slots, now.token
        sync.at = replace(sync.at, pages=now.pages, profiles=now.profiles, aggregate=now.aggregate)
        sync.note = ""
        self._model.end_job(batch_payload(batch.key).job_id)
        self._model.due.pop(batch.member)
        if moves:
            self._move_on(sync, ahead, following, 0)
        return None

    def retry(
        self, grant: BatchGrant, payload: JobPayload, *, delay_s: float = 0.0, trouble_ms: int = 0, note: str = ""
    ) -> None:
        sync, batch = self._owned(grant)
        self._model.end_job(batch_payload(batch.key).job_id)
        batch.next_try()
        batch.trouble_ms = trouble_ms
        sync.note = note
        self._model.enqueue(payload, delay_s)
        self._model.due[batch.member] = False

    def fail(self, grant: BatchGrant, failure: SyncFailure) -> None:
        sync, _ = self._owned(grant)
        self._fail(sync, failure)

    def revive(self, key: BatchKey, payload: JobPayload, *, max_lost: int, message: str) -> str:
        model, sync = self._model, self._model.syncs[key.sync_id]
        batch = sync.ahead.slots.get(key.slot) if sync.ahead else None
        if batch is None or sync.state is not SyncState.FETCHING:
            return "gone"
        if batch.key != key:
            return "changed"
        if not model.due[batch.member]:
            return "early"
        job_id = batch_payload(key).job_id
        if batch.holder == "-" and model.is_queued(job_id):
            model.due[batch.member] = False
            return "waiting"
        if batch.lost >= max_lost:
            self._fail(sync, SyncFailure("worker_lost", message, resumable=True))
            return "failed"
        model.end_job(job_id)
        batch.next_try()
        batch.lost += 1
        model.enqueue(payload, 0)
        model.due[batch.member] = False
        return "revived"

    def owns(self, grant: BatchGrant) -> bool:
        """Whether the job of this grant may still move its batch."""
        try:
            self._owned(grant)
        except LeaseLost:
            return False
        return True

    def _move_on(self, sync: ModelSync, ahead: ModelLookAhead, following: NextPayloads, delay_s: float) -> None:
        model, follows = self._model, ahead.what_follows()
        sync.epoch += 1
        sync.holder = ""
        ahead.parked = follows == "park"
        if follows == "park":
            model.end_job(sync.job)
            sync.job = ""
            return
        if follows == "finalize":
            sync.state, sync.revivals, sync.outcomes = SyncState.FINALIZING, 0, {}
            sync.times.add("fetched_at")
        payload = following.finalize if follows == "finalize" else following.walk
        model.set_job(sync, payload, delay_s if follows == "walk" else 0)
        model.due[sync.id] = False

    def _fail(self, sync: ModelSync, failure: SyncFailure) -> None:
        sync.error, sync.failed_in = failure, sync.state
        self._model.finish(sync, SyncState.FAILED)

    def _counted(self, sync: ModelSync) -> Counted:
        assert sync.ahead
        at = sync.at
        return Counted(sync.epoch, sync.ahead.counted or "", at.pages, at.profiles, at.aggregate)

    def _find(self, key: BatchKey) -> tuple[ModelSync, ModelBatch]:
        sync = self._model.syncs[key.sync_id]
        batch = sync.ahead.slots.get(key.slot) if sync.ahead else None
        if batch is None or batch.key != key or sync.state is not SyncState.FETCHING:
            raise stale(sync)
        return sync, batch

    def _owned(self, grant: BatchGrant) -> tuple[ModelSync, ModelBatch]:
        sync, batch = self._find(grant.key)
        if batch.holder != grant.holder:
            raise stale(sync)
        return sync, batch


def stale(sync: ModelSync | None) -> LeaseLost:
    """What a job gets that does not own the sync, or no longer."""
    return LeaseLost(f"the sync is now {sync.state if sync else 'gone'}, epoch {sync.epoch if sync else ''}")


def out_of_order(sync: ModelSync, seq: int) -> LeaseLost:
    """What a job gets whose commit does not follow the last one."""
    return LeaseLost(f"commit {seq + 1} was refused: the sync holds commit {sync.at.seq}")
