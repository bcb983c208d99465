"""Client, jobs, watcher and misfortune, as rules of a machine that sends any call to a store and to its model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from tests.support.examples import THOROUGH
from tests.support.store_model.compared_stores import MOST_REVIVALS, Call, ComparedStores
from tests.support.store_model.sync_model import TIMES
from worker.clusters.analysis.snapshot import Snapshot
from worker.jobs.job_payloads import batch_payload, sync_payload
from worker.models.outcome import PersonaOutcome, SyncFailure
from worker.models.plan import Plan
from worker.models.request import SyncRequest
from worker.models.sync import JobKind, SyncState, job_kind
from worker.store import Checkpoint, LeaseGrant, PersonaRecord

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


def compared(lease: LeaseGrant, n: int) -> dict[str, Any]:
    """What a sync says of its space when it ends: nothing, or what it was and is like."""
    if n % 3 == 0:
        return {}
    figures = {"counted": "", "unclassified": 0, "coverage": {}, "clusters": {}, "read_from": 0, "read_to": n}
    before, now = (Snapshot(sync_id=sync_id, profiles=n, **figures) for sync_id in ("before", lease.sync_id))
    return {"baseline": before, "snapshot": now, "identity": "identity"}


class StoreMachine(ComparedStores):
    """Client, jobs, watcher and misfortune, on one store."""

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
            "heartbeat": Call("heartbeat", (lease,), {"note": f"note {n}"}),
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
        by = self.model.personas.claims.get(reference, ("nobody", ""))[0] if right else "another"
        known = self.model.personas.records.get(reference) or PersonaRecord("unknown", "space", "cluster", "sync", n=0)
        calls = {
            "claim": Call("personas.claim", (self.job(ago).lease, reference, f"by{self.fresh()}")),
            "release": Call("personas.release_claim", (reference, by)),
            "forget": Call(
                "personas.delete_record", (reference, known if right else replace(known, persona_id="another"))
            ),
        }
        self.make(when, calls[what])

    @rule(which=WHICH, reference=st.sampled_from(["r1", "r2"]), persona=st.integers(1, 3), new=st.booleans(), when=WHEN)
    def record(self, which: int, reference: str, persona: int, new: bool, when: str) -> None:
        sync_id, persona_id = self.sync(which).id, f"per_{persona}"
        record = PersonaRecord(persona_id, "space", f"cluster {reference}", sync_id, n=persona)
        action, credits_ = ("created", 300) if new else ("updated", 0)
        outcome = PersonaOutcome(f"cluster {reference}", persona_id, action, credits_)
        self.make(when, Call("personas.record", (reference, record, outcome)))

    @rule(ago=AGO, reference=st.sampled_from(["r1", "r2"]), right=st.booleans(), skip=st.booleans(), when=WHEN)
    @precondition(lambda self: self.views)
    def leave(self, ago: int, reference: str, right: bool, skip: bool, when: str) -> None:
        """A cluster for which nothing is sent. right: with the present record, if there is one."""
        lease, known = self.job(ago).lease, self.model.personas.records.get(reference)
        before = known if right else PersonaRecord("another", "space", "cluster", "sync", n=0)
        after = None if skip else PersonaRecord("per_1", "space", f"cluster {reference}", lease.sync_id, n=self.fresh())
        outcome = PersonaOutcome(f"cluster {reference}", "per_1", "skipped" if skip else "unchanged", 0)
        self.make(when, Call("personas.record_unsent", (lease, reference, before, after, outcome)))

    @rule(what=st.sampled_from(["adopt", "rename"]), right=st.booleans(), space=st.sampled_from([0, 1]), when=WHEN)
    def by_hand(self, what: str, right: bool, space: int, when: str) -> None:
        """What people do to the records themselves."""
        identity = SyncRequest(space_id=f"space{space}").identity
        record = PersonaRecord("per_9", "space", "cluster r2", "", n=0)
        known = self.model.personas.records.get("r1") if right else None
        calls = {
            "adopt": Call("personas.adopt", ("r2", record, identity)),
            "rename": Call("personas.rename", ("r1", "r2", known or record, replace(known or record, n=9), identity)),
        }
        self.make(when, calls[what])

    # The watcher

    @rule(which=WHICH, when=WHEN)
    def revive(self, which: int, when: str) -> None:
        mine = self.sync(which)
        following = sync_payload(mine.id, job_kind(mine.state), mine.epoch + 1)
        options = {"max_revivals": MOST_REVIVALS, "message": "lost"}
        self.make(when, Call("revive_sync", (mine.id, mine.state, mine.epoch, following), options))

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

    # Any call, again or at last

    @rule(ago=st.integers(0, 12))
    @precondition(lambda self: self.calls)
    def again(self, ago: int) -> None:
        self.send(self.calls[-1 - ago % len(self.calls)])

    @rule(ago=st.integers(0, 2))
    @precondition(lambda self: self.kept)
    def at_last(self, ago: int) -> None:
        self.make("now", self.kept.pop(-1 - ago % len(self.kept)))
