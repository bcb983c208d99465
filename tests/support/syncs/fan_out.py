"""A fan-out sync with its walk and its batches, each brought somewhere by its own moves."""

from __future__ import annotations

from dataclasses import replace

from tests.support.syncs.syncs import REQUEST, RETENTION_MS, STALL_MS, Syncs
from worker.jobs.job_payloads import batch_payload, next_payloads, sync_payload
from worker.models.sync import BatchKey, Sync
from worker.store import (
    BatchGrant,
    BatchStore,
    BatchWork,
    Counted,
    LeaseGrant,
    Listing,
    NewBatch,
    StartedBatch,
    StorePool,
    keys,
)
from worker.store.progress.sync_progress import new_token

FAN_OUT = REQUEST.model_copy(update={"strategy": "fan-out"})
PAGES = 8
"""Pages of each batch."""


def work(number: int) -> BatchWork:
    """What the batch of this number is to read."""
    first = (number - 1) * PAGES + 1
    return BatchWork(first, tuple((f"cursor {page}", 200) for page in range(first, first + PAGES)), "next")


def batch_jobs(numbers: range, attempt: int = 1) -> set[str]:
    """The jobs of the first batches, in the order of their slots."""
    return {f"s1:batch:{number - 1}:{number}:{attempt}" for number in numbers}


class FanOut(Syncs):
    """The sync `s1`. lease: of its last walk; listing: how far that has come."""

    def __init__(self, pool: StorePool, *, retention_ms: int = RETENTION_MS) -> None:
        super().__init__(pool, retention_ms=retention_ms)
        self.batches = BatchStore(pool, stall_ms=STALL_MS, retention_ms=retention_ms)
        self.lease: LeaseGrant
        self.listing = Listing()

    async def walk(self) -> None:
        """A walk begins."""
        begun = await self.begin()
        self.lease, self.listing = begun.lease, begun.listing

    async def start(self, batches: int = 0, *, ended: bool = False, leave: bool = False) -> None:
        """A new sync, its walk, and the first batches that it lists."""
        await self.create(request=FAN_OUT)
        await self.walk()
        if batches or leave:
            await self.list(batches, ended=ended, leave=leave)

    async def list(self, batches: int, *, ended: bool = False, leave: bool = False, token: str = "") -> Listing:
        """The walk lists so many batches more."""
        at = self.listing
        added = []
        for number, slot in enumerate(at.free_slots[:batches], at.batches + 1):
            key = BatchKey("s1", slot, number, 1)
            added.append(NewBatch(key, work(number), batch_payload(key)))
        assert len(added) == batches
        pages = at.pages + PAGES * batches
        after = replace(
            at,
            cursor=f"cursor {pages}",
            guard=f"guard {pages}",
            pages=pages,
            profiles=200 * pages,
            batches=at.batches + batches,
            ended=ended,
            complete=ended,
        )
        self.listing = await self.jobs.commit_listing(
            self.lease,
            after,
            added,
            token or new_token(),
            following=next_payloads("s1", self.lease.epoch + 1) if leave else None,
        )
        return self.listing

    async def begin_batch(self, number: int) -> StartedBatch:
        """A job begins the present try at a batch."""
        return await self.batches.begin(await self.key(number), f"holder-{new_token()}")

    async def key(self, number: int) -> BatchKey:
        """The present try at an outstanding batch."""
        return next(key for key in (await self.get()).outstanding if key.number == number)

    async def count(self, begun: StartedBatch, base: Counted | None = None) -> Counted | None:
        """A batch counts its pages on top of `base`, or of what it began with."""
        base = base or begun.counted
        now = replace(
            base, token=new_token(), pages=base.pages + PAGES, profiles=base.profiles + 200 * PAGES, aggregate=b"{}"
        )
        return await self.batches.count(begun.lease, base, now, next_payloads("s1", base.epoch + 1))

    async def read(self, number: int) -> Sync:
        """A batch is read and counted; the sync as it is then."""
        begun = await self.begin_batch(number)
        behind = await self.count(begun)
        while behind:
            behind = await self.count(begun, behind)
        return await self.get()

    async def resume(self, *, restart: bool = False) -> Sync:
        """The failed sync continues, with another try of each batch unless it begins again."""
        sync = await self.get()
        batches = [] if restart else [batch_payload(key.next_attempt()) for key in sync.outstanding]
        assert (
            await self.client.resume(sync, sync_payload("s1", "walk", sync.epoch + 1), batches, restart=restart) == "ok"
        )
        return await self.get()

    async def lease_of(self, number: int) -> BatchGrant:
        """A batch is begun: its lease."""
        return (await self.begin_batch(number)).lease

    async def queued(self) -> set[str]:
        """Jobs in the queue; each has its data."""
        queued = {raw.decode() for raw in await self.pool.zrange(keys.QUEUE, 0, -1)}
        stored = {name.removeprefix("arq:job:") for name in await self.names() if name.startswith("arq:job:")}
        assert queued == stored
        return queued

    async def watched(self) -> set[str]:
        """What has a due time."""
        return {raw.decode() for raw in await self.pool.zrange(keys.DUE, 0, -1)}

    async def silence(self) -> None:
        """Time passes without a heartbeat."""
        for member in await self.watched():
            await self.pool.zadd(keys.DUE, {member: 1})
