"""The life of a sync against a plain model: any call may be repeated, delayed, or come from an old epoch or holder.

Every call goes to the scripts and to `tests.support.syncs.model`; then answers and all keys must be the same, and what
must always hold does. On the in-memory Redis and on the real one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.support.examples import THOROUGH
from tests.support.servers.redis_server import RedisServer
from tests.support.syncs.model import RUNNING, STATE_MOVES, TIMES, Key, Model, ModelSync, read, without_times
from worker.clusters.analysis.snapshot import Snapshot
from worker.errors import LeaseLost
from worker.jobs.job_payloads import batch_payload, sync_payload
from worker.models.outcome import PersonaOutcome, SyncFailure
from worker.models.plan import Plan
from worker.models.request import Strategy, SyncRequest
from worker.models.sync import JobKind, SyncState, job_kind
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
    PersonaRecord,
    PersonaStore,
    StartedBatch,
    StorePool,
    WatchdogStore,
    embedded_pool,
    keys,
    redis_pool,
)
from worker.store.progress.sync_progress import StartedJob

HOUR_MS = 3_600_000
MOST_REVIVALS = 2
CALM = settings(
    max_examples=200 if THOROUGH else 15,
    stateful_step_count=50,
    database=None,
    derandomize=True,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)

WHICH = st.sampled_from([0, 0, 0, 1, 1, 2, 3])
AGO = st.sampled_from([0, 0, 0, 0, 0, 0, 1, 2, 5])
WHEN = st.sampled_from(["now", "now", "now", "twice", "later"])


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


def compared(lease: LeaseGrant, n: int) -> dict[str, Any]:
    """What a sync says of its space when it ends: nothing, or what it was and is like."""
    if n % 3 == 0:
        return {}
    figures = {"counted": "", "unclassified": 0, "coverage": {}, "clusters": {}, "read_from": 0, "read_to": n}
    before, now = (Snapshot(sync_id=sync_id, profiles=n, **figures) for sync_id in ("before", lease.sync_id))
    return {"baseline": before, "snapshot": now, "identity": "identity"}


class StoreMachine(RuleBasedStateMachine):
    """Client, jobs, watcher and misfortune, on one store."""

    strategy: Strategy = "chain"

    def __init__(self, connect: Callable[[], StorePool]) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.pool = connect()
        self.wait(self.pool.flushall())
        self.client = ClientSyncStore(self.pool, stall_ms=HOUR_MS, retention_ms=HOUR_MS)
        self.jobs = JobSyncStore(self.pool, stall_ms=HOUR_MS, retention_ms=HOUR_MS)
        self.watchdog = WatchdogStore(self.pool, stall_ms=HOUR_MS, retention_ms=HOUR_MS)
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

    # The client

    @initialize(steps=st.integers(0, 5), fails=st.booleans())
    def first(self, steps: int, fails: bool) -> None:
        """A sync to begin with, somewhere in its life."""
        self.create(space=0, size=3, force=False, key=None, when="now")
        for _ in range(steps):
            self.work_well(0, "finalize", when="now")
        if fails and self.views:
            self.say(0, "failure", when="now")

    @rule(
        space=st.sampled_from([0, 0, 1]),
        size=st.sampled_from([3, 4]),
        force=st.booleans(),
        key=st.sampled_from([None, "k"]),
        when=WHEN,
    )
    @precondition(lambda self: len(self.model.syncs) < 5)
    def create(self, space: int, size: int, force: bool, key: str | None, when: str) -> None:
        sync_id = f"s{self.fresh():03}"
        request = SyncRequest(space_id=f"space{space}", min_cluster_size=size, strategy=self.strategy)
        args = (sync_id, request, sync_payload(sync_id, "walk", 1))
        self.make(when, Call("create", args, {"force": force, "idempotency_key": key}))

    @rule(which=WHICH, restart=st.booleans(), when=WHEN)
    @precondition(lambda self: any(sync.failed_in for sync in self.model.syncs.values()))
    def resume(self, which: int, restart: bool, when: str) -> None:
        failed = [sync for sync in self.model.syncs.values() if sync.failed_in]
        mine = failed[-1 - which % len(failed)]
        assert mine.failed_in
        seen = self.wait(self.client.get(mine.id))
        kind = "walk" if restart else job_kind(mine.failed_in)
        following = sync_payload(mine.id, kind, mine.epoch + 1)
        request = mine.request.with_budget(self.fresh()) if which else None
        batches = () if restart else tuple(batch_payload(key.next_attempt()) for key in seen.outstanding)
        options = {"restart": restart, "request": request, "accept": which > 1}
        self.make(when, Call("resume", (seen, following, batches), options))

    @rule(which=WHICH, when=WHEN)
    @precondition(lambda self: any(sync.state is SyncState.COMPLETED for sync in self.model.syncs.values()))
    def apply(self, which: int, when: str) -> None:
        """Whether there is a plan is the client's business; the store takes any completed sync back."""
        completed = [sync for sync in self.model.syncs.values() if sync.state is SyncState.COMPLETED]
        mine = completed[-1 - which % len(completed)]
        seen = self.wait(self.client.get(mine.id))
        following = sync_payload(mine.id, "finalize", mine.epoch + 1)
        self.make(
            when, Call("apply", (seen, following, mine.request.applied_within(self.fresh())), {"accept": which > 0})
        )

    @rule(which=WHICH)
    def look(self, which: int) -> None:
        mine = self.sync(which)
        seen = self.wait(self.client.get(mine.id))
        assert (seen.state, seen.epoch, seen.request) == (mine.state, mine.epoch, mine.request)
        assert (seen.pages, seen.profiles, seen.complete) == (mine.at.pages, mine.at.profiles, mine.at.complete)
        assert (seen.note, seen.revivals, seen.aggregate) == (mine.note, mine.revivals, mine.at.aggregate)
        assert (seen.error, seen.failed_in, seen.credits) == (mine.error, mine.failed_in, sum(mine.paid.values()))
        assert {one.cluster: one for one in seen.outcomes} == mine.outcomes
        assert seen.outstanding == tuple(sorted((one.key for one in mine.batches), key=lambda key: key.number))
        planned = Plan.decode(mine.plan) if seen.state.is_final or seen.applied_at else None
        assert seen.plan == planned
        assert seen.baseline == Snapshot.decode(mine.baseline)
        times = {name for name in TIMES[1:] if getattr(seen, name) is not None}
        assert times | {"created_at"} == mine.times
        assert {sync.id for sync in self.wait(self.client.newest())} == set(self.model.syncs)

    # Jobs

    @rule(which=WHICH, how=st.sampled_from(["right", "right", "right", "old epoch", "other kind"]), when=WHEN)
    def begin(self, which: int, how: str, when: str) -> None:
        mine = self.sync(which)
        kind: JobKind = job_kind(mine.state)
        epoch = mine.epoch
        if how == "old epoch":
            epoch -= 1
        elif how == "other kind":
            kind = "walk" if kind == "finalize" else "finalize"
        self.make(when, Call("begin", (mine.id, epoch, kind, f"h{self.fresh()}")))

    @rule(which=WHICH, move=st.sampled_from(["stay", "walk", "finalize", "hand-over", "failure"]), when=WHEN)
    @precondition(lambda self: any(sync.runs for sync in self.model.syncs.values()))
    def work_well(self, which: int, move: str, when: str) -> None:
        """The next step of a sync, as it should be; by chance alone a sync would hardly come to its end."""
        mine = self.sync(which)
        if not mine.runs:
            return
        if not mine.holder:
            self.begin(which, "right", when=when)
        elif move in ("hand-over", "failure"):
            self.say(0, move, when=when)
        elif mine.state is SyncState.FETCHING:
            self.commit(0, "stay", pages=1, later=False, when="later")
            self.commit(0, "stay", pages=2, later=False, when=when)
            if move == "stay":
                self.at_last(0)
            else:
                self.commit(0, move, pages=1, later=False, when=when)
        elif not mine.outcomes:
            self.buy(0, "claim", "r1", right=True, when=when)
            self.record(which, "r1", persona=1, new=True, when=when)
        else:
            self.say(0, "end", when=when)

    @rule(
        ago=AGO,
        move=st.sampled_from(["stay", "stay", "walk", "finalize"]),
        pages=st.integers(0, 2),
        later=st.booleans(),
        when=WHEN,
    )
    @precondition(lambda self: self.views)
    def commit(self, ago: int, move: str, pages: int, later: bool, when: str) -> None:
        view = self.job(ago)
        at, lease = view.checkpoint, view.lease
        total = at.pages + pages
        checkpoint = Checkpoint(
            seq=at.seq,
            cursor=f"cursor {total}",
            guard=f"guard {total}",
            pages=total,
            profiles=200 * total,
            complete=move == "finalize",
            trouble_ms=total % 3,
            aggregate=b"." * total,
        )
        options: dict[str, Any] = {"move": move, "note": f"page {total}"}
        if move != "stay":
            kind: JobKind = "walk" if move == "walk" else "finalize"
            options |= {"payload": sync_payload(lease.sync_id, kind, lease.epoch + 1), "delay_s": 60 if later else 0}
        self.make(when, Call("commit", (lease, checkpoint, f"t{self.fresh()}"), options, view))

    @rule(ago=AGO, what=st.sampled_from(["heartbeat", "look-up", "plan", "hand-over", "failure", "end"]), when=WHEN)
    @precondition(lambda self: self.views)
    def say(self, ago: int, what: str, when: str) -> None:
        """A job's other moves."""
        lease, n = self.job(ago).lease, self.fresh()
        following = sync_payload(lease.sync_id, job_kind(lease.state), lease.epoch + 1)
        failure = SyncFailure("code", f"Sentence {n}", n % 2 == 0, *((f"Hint {n}", 300 * n, n) if n % 3 == 0 else ()))
        calls = {
            "heartbeat": Call("heartbeat", (lease,), {"note": f"note {n}", "for_s": 3}),
            "look-up": Call("store_lookup", (lease, f"look-up {n}")),
            "plan": Call("store_plan", (lease, Plan(max_credits=n))),
            "hand-over": Call("hand_over", (lease, following, f"t{n}"), {"delay_s": 60 * (n % 2), "trouble_ms": n}),
            "failure": Call("fail", (lease, failure, f"t{n}")),
            "end": Call("complete", (lease, f"t{n}", Plan(max_credits=n) if n % 2 else None), compared(lease, n)),
        }
        self.make(when, calls[what])

    # Personas

    @rule(
        ago=AGO,
        what=st.sampled_from(["claim", "release", "forget"]),
        reference=st.sampled_from(["r1", "r1", "r2"]),
        right=st.booleans(),
        when=WHEN,
    )
    @precondition(lambda self: self.views)
    def buy(self, ago: int, what: str, reference: str, right: bool, when: str) -> None:
        """What belongs to a purchase but the record. right: by the holder of the claim."""
        by = self.model.claims.get(reference, ("nobody", ""))[0] if right else "another"
        known = self.model.personas.get(reference) or PersonaRecord("unknown", "space", "cluster", "sync", n=0)
        calls = {
            "claim": Call("claim", (self.job(ago).lease, reference, f"by{self.fresh()}")),
            "release": Call("release_claim", (reference, by)),
            "forget": Call("delete_record", (reference, known if right else replace(known, persona_id="another"))),
        }
        self.make(when, calls[what])

    @rule(which=WHICH, reference=st.sampled_from(["r1", "r2"]), persona=st.integers(1, 3), new=st.booleans(), when=WHEN)
    def record(self, which: int, reference: str, persona: int, new: bool, when: str) -> None:
        sync_id, persona_id = self.sync(which).id, f"per_{persona}"
        record = PersonaRecord(persona_id, "space", f"cluster {reference}", sync_id, n=persona)
        action, credits_ = ("created", 300) if new else ("updated", 0)
        outcome = PersonaOutcome(f"cluster {reference}", persona_id, action, credits_)
        self.make(when, Call("record", (reference, record, outcome)))

    @rule(ago=AGO, reference=st.sampled_from(["r1", "r2"]), right=st.booleans(), skip=st.booleans(), when=WHEN)
    @precondition(lambda self: self.views)
    def leave(self, ago: int, reference: str, right: bool, skip: bool, when: str) -> None:
        """A cluster for which nothing is sent. right: with the present record, if there is one."""
        lease, known = self.job(ago).lease, self.model.personas.get(reference)
        before = known if right else PersonaRecord("another", "space", "cluster", "sync", n=0)
        after = None if skip else PersonaRecord("per_1", "space", f"cluster {reference}", lease.sync_id, n=self.fresh())
        outcome = PersonaOutcome(f"cluster {reference}", "per_1", "skipped" if skip else "unchanged", 0)
        self.make(when, Call("record_unsent", (lease, reference, before, after, outcome)))

    @rule(what=st.sampled_from(["adopt", "rename"]), right=st.booleans(), space=st.sampled_from([0, 1]), when=WHEN)
    def by_hand(self, what: str, right: bool, space: int, when: str) -> None:
        """What people do to the records themselves."""
        identity = SyncRequest(space_id=f"space{space}").identity
        record = PersonaRecord("per_9", "space", "cluster r2", "", n=0)
        known = self.model.personas.get("r1") if right else None
        calls = {
            "adopt": Call("adopt", ("r2", record, identity)),
            "rename": Call("rename", ("r1", "r2", known or record, replace(known or record, n=9), identity)),
        }
        self.make(when, calls[what])

    # The watcher

    @rule(which=WHICH, when=WHEN)
    def revive(self, which: int, when: str) -> None:
        mine = self.sync(which)
        following = sync_payload(mine.id, job_kind(mine.state), mine.epoch + 1)
        options = {"max_revivals": MOST_REVIVALS, "message": "lost"}
        self.make(when, Call("revive_sync", (mine.id, mine.state, mine.epoch, following), options))

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

    @rule(
        which=WHICH, how=st.sampled_from(["all is lost", "silent", "job taken", "job dropped", "cancelled"]), when=WHEN
    )
    def befall(self, which: int, how: str, when: str) -> None:
        """What comes from outside."""
        if how in ("job taken", "all is lost"):
            self.take(most=1 + which)
        if how in ("silent", "all is lost"):
            self.silence()
        if how == "all is lost":
            self.revive(which, when)
        if how == "job dropped":
            mine = self.sync(which)
            for job_id in [mine.job, *(batch_payload(batch.key).job_id for batch in mine.batches[:1])]:
                self.drop(job_id)
        if how == "cancelled":
            self.make(when, Call("cancel", (self.sync(which).id,)))

    def take(self, most: int) -> None:
        """A worker takes jobs."""
        in_order = [raw.decode() for raw in self.wait(self.pool.zrange(keys.QUEUE, 0, -1))]
        taken = self.wait(self.queue.take_jobs(most, 3600))
        assert {job.job_id.decode() for job in taken.jobs} == self.model.take(most, in_order)
        assert all(self.model.jobs[job.job_id.decode()] == job.job for job in taken.jobs)
        assert taken.dropped == []
        self.check()

    def drop(self, job_id: str) -> None:
        """arq ends a job that has not moved its sync, or somebody deletes it."""
        self.wait(self.queue.drop_job(job_id.encode()))
        self.model.end_job(job_id)
        self.check()

    # Any call, again or at last

    @rule(ago=st.integers(0, 12))
    @precondition(lambda self: self.calls)
    def again(self, ago: int) -> None:
        self.send(self.calls[-1 - ago % len(self.calls)])

    @rule(ago=st.integers(0, 2))
    @precondition(lambda self: self.kept)
    def at_last(self, ago: int) -> None:
        self.make("now", self.kept.pop(-1 - ago % len(self.kept)))

    # How it is done

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
        stores = (self.client, self.jobs, self.watchdog, self.personas)
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
        assert without_times(self.found) == self.model.expected()
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


def test_the_store_does_what_the_model_does_in_memory() -> None:
    run_state_machine_as_test(lambda: StoreMachine(embedded_pool), settings=CALM)


def test_the_store_does_what_the_model_does_on_a_real_redis(session_redis: RedisServer) -> None:
    def connect() -> StorePool:
        return redis_pool(session_redis.url, max_wait_s=10)

    run_state_machine_as_test(lambda: StoreMachine(connect), settings=CALM)
