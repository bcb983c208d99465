"""A store and its model side by side: every call goes to both, and answers and all keys must be the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any

from hypothesis.stateful import RuleBasedStateMachine

from tests.support.store_model.model import Model
from tests.support.store_model.redis_contents import Key, expected_contents, read, without_times
from tests.support.store_model.sync_model import RUNNING, STATE_MOVES, ModelSync
from worker.errors import LeaseLost
from worker.jobs.job_payloads import batch_payload
from worker.models.request import Strategy
from worker.models.sync import SyncState
from worker.store import (
    BatchStore,
    Checkpoint,
    ClaimAnswer,
    ClientSyncStore,
    Counted,
    JobQueue,
    JobSyncStore,
    LeaseGrant,
    Listing,
    PersonaStore,
    StartedBatch,
    StorePool,
    WatchdogStore,
    keys,
)
from worker.store.progress.sync_progress import StartedJob

HOUR_MS = 3_600_000
MOST_REVIVALS = 2


@dataclass
class View:
    """What one job knows: its lease and its last checkpoint. It may be long out of date."""

    lease: LeaseGrant
    checkpoint: Checkpoint
    listing: Listing


@dataclass
class BatchView:
    """What the job of a batch knows: what it began with, and the statistics that it would add its pages to."""

    begun: StartedBatch
    counted: Counted


@dataclass
class Call:
    """A call that can be sent now, later, or again."""

    name: str
    args: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)
    view: View | BatchView | None = None


class ComparedStores(RuleBasedStateMachine):
    """The stores over one Redis, and the model; the calls that were made, and what their jobs know."""

    strategy: Strategy = "chain"

    def __init__(self, connect: Callable[[], StorePool]) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.pool = connect()
        self.wait(self.pool.flushall())
        self.client = ClientSyncStore(self.pool, stall_ms=HOUR_MS, retention_ms=HOUR_MS)
        self.jobs = JobSyncStore(self.pool, stall_ms=HOUR_MS, retention_ms=HOUR_MS)
        self.watchdog = WatchdogStore(self.pool, stall_ms=HOUR_MS, retention_ms=HOUR_MS, accounts=lambda: ("",))
        self.batches = BatchStore(self.pool, stall_ms=HOUR_MS, retention_ms=HOUR_MS)
        self.personas = PersonaStore(self.pool, "account")
        self.queue = JobQueue(self.pool, stall_ms=HOUR_MS)
        self.model = Model()
        self.calls: list[Call] = []
        self.kept: list[Call] = []
        self.views: list[View] = []
        self.batch_views: list[BatchView] = []
        self.found: dict[str, Key] = {}
        self.number = 0

    def teardown(self) -> None:
        self.wait(self.pool.aclose())
        self.loop.close()

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def fresh(self) -> int:
        self.number += 1
        return self.number

    def sync(self, which: int) -> ModelSync:
        """One of the syncs, those under way first, and of them the newest."""
        known = sorted(self.model.syncs.values(), key=lambda sync: (sync.runs, sync.id))
        return known[-1 - which % len(known)]

    def job(self, ago: int) -> View:
        """One of the jobs that have begun, those that still own their sync first, and of them the newest."""
        known = sorted(self.views, key=lambda view: self.model.owns(view.lease))
        return known[-1 - ago % len(known)]

    def make(self, when: str, call: Call) -> None:
        """Sends a call now; twice, because the answer was lost; or later: when `at_last` comes to it."""
        if when == "later":
            self.kept.append(call)
            return
        self.calls.append(call)
        self.send(call)
        if when == "twice":
            self.send(call)

    def send(self, call: Call) -> None:
        expected = self.model_answer(call)
        answer = self.wait(self.store_answer(call))
        assert answer == expected, call
        if isinstance(answer, StartedJob):
            self.views.append(View(answer.lease, answer.checkpoint, answer.listing))
        if isinstance(answer, StartedBatch):
            self.batch_views.append(BatchView(answer, answer.counted))
        if isinstance(answer, Checkpoint) and isinstance(call.view, View):
            call.view.checkpoint = answer
        if isinstance(answer, Listing) and isinstance(call.view, View):
            call.view.listing = answer
        if isinstance(answer, Counted) and isinstance(call.view, BatchView):
            call.view.counted = answer
        restarted = call.args[0].id if call.name == "resume" and call.options["restart"] else None
        self.check(restarted)

    def model_answer(self, call: Call) -> object:
        try:
            return attrgetter(call.name)(self.model)(*call.args, **call.options)
        except LeaseLost as error:
            return f"LeaseLost: {error}"

    async def store_answer(self, call: Call) -> object:
        stores = (self.client, self.jobs, self.watchdog)
        face = self if "." in call.name else next(store for store in stores if hasattr(store, call.name))
        try:
            answer = await attrgetter(call.name)(face)(*call.args, **call.options)
        except LeaseLost as error:
            return f"LeaseLost: {error}"
        if isinstance(answer, ClaimAnswer) and answer.claim:
            assert answer.claim.age_s >= 0
            return replace(answer, claim=replace(answer.claim, age_s=0))
        return answer

    def check(self, restarted: str | None = None) -> None:
        """Redis holds what the model says, and what must always hold does, whatever the model says."""
        before, self.found = self.found, self.wait(read(self.pool))
        self.follow_ties()
        assert without_times(self.found) == expected_contents(self.model)
        running = set()
        for sync_id, mine in self.model.syncs.items():
            fields = self.found[keys.sync(sync_id)].value
            state = SyncState(fields[b"state"].decode())
            if state in RUNNING:
                running.add(sync_id)
            self.check_jobs(mine, state, fields[b"job"].decode())
            assert int(fields[b"revivals"]) <= MOST_REVIVALS
            assert len(fields[b"aggregate"]) == int(fields[b"pages"]) == int(fields[b"profiles"]) // 200
            if keys.sync(sync_id) in before:
                old = before[keys.sync(sync_id)].value
                came_from = SyncState(old[b"state"].decode())
                assert state is came_from or state in STATE_MOVES[came_from]
                assert int(fields[b"epoch"]) >= int(old[b"epoch"])
                assert {name for name in old if name.startswith(b"paid:")} <= set(fields)
                if sync_id != restarted:
                    assert int(fields[b"pages"]) >= int(old[b"pages"])
        watched = {batch.member for sync_id in running for batch in self.model.syncs[sync_id].batches}
        assert self.members(keys.DUE) == running | watched
        actives = [self.members(name) for name in self.found if name.startswith("sp:active:")]
        assert sorted(sync_id for ids in actives for sync_id in ids) == sorted(running)

    def check_jobs(self, mine: ModelSync, state: SyncState, job: str) -> None:
        """A running sync has exactly one live job, unless it was taken from it; an ended one has none."""
        queued = {one for one in self.members(keys.QUEUE) if one.startswith(f"{mine.id}:")}
        stored = {name.removeprefix("arq:job:") for name in self.found if name.startswith(f"arq:job:{mine.id}:")}
        assert queued == stored
        if state not in RUNNING:
            assert (queued, job) == (set(), "")
            return
        batches = {batch_payload(batch.key).job_id for batch in mine.batches if not batch.gone}
        if mine.parked:
            assert mine.batches
            assert (queued, job) == (batches, "")
        elif mine.lost:
            assert queued == batches
        else:
            assert queued == batches | {job}

    def members(self, name: str) -> set[str]:
        return {member.decode() for member in self.found[name].value} if name in self.found else set()

    def follow_ties(self) -> None:
        """Of two syncs begun in one millisecond Redis may take either for the newer; the model does as Redis does."""
        for identity, ids in self.model.active.items():
            found = self.found.get(keys.active(identity), Key({}, expires=False)).value
            scores = {member.decode(): score for member, score in found.items()}
            if set(scores) == set(ids):
                times = [scores[sync_id] for sync_id in ids]
                assert times == sorted(times)
                ids.sort(key=lambda sync_id: (scores[sync_id], sync_id))

    # What befalls both

    def silence(self) -> None:
        """Time passes without a heartbeat."""
        for member in self.model.due:
            self.wait(self.pool.zadd(keys.DUE, {member: 1}))
            self.model.due[member] = True
        due = self.wait(self.watchdog.due())
        running = [sync for sync in self.model.syncs.values() if sync.runs]
        expected: set[object] = set()
        for one in running:
            if one.waits(self.model.is_queued):
                self.model.due[one.id] = False
            else:
                expected.add((one.id, one.state, one.epoch))
            for batch in one.batches:
                if batch.holder == "-" and self.model.is_queued(batch_payload(batch.key).job_id):
                    self.model.due[batch.member] = False
                else:
                    expected.add(batch.key)
        assert set(due) == expected
        self.check()

    def take(self, most: int) -> None:
        """A worker takes jobs."""
        in_order = [raw.decode() for raw in self.wait(self.pool.zrange(keys.QUEUE, 0, -1))]
        taken = self.wait(self.queue.take_jobs(most, 3600))
        assert {job.job_id.decode() for job in taken.jobs} == self.model.take(most, in_order)
        assert all(self.model.jobs[job.job_id.decode()] == job.job for job in taken.jobs)
        assert taken.dropped == []
        self.check()

    def drop(self, job_id: str) -> None:
        """arq ends a job that has not moved its sync, or a user deletes it."""
        self.wait(self.queue.drop_job(job_id.encode()))
        self.model.end_job(job_id)
        self.check()
