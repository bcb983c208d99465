"""The life of a fan-out sync against the model: its walk, its batches and their watcher, each call now, twice, or late.

As `test_state_machine`, with what fan-out adds instead of personas.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from tests.support.examples import THOROUGH
from tests.support.servers.redis_server import RedisServer
from tests.support.store_model.compared_stores import MOST_REVIVALS, BatchView, Call
from tests.support.store_model.store_machine import AGO, CALM, WHEN, WHICH, StoreMachine
from worker.jobs.job_payloads import batch_payload, next_payloads
from worker.models.outcome import SyncFailure
from worker.models.sync import BatchKey, SyncState
from worker.store import BatchWork, Counted, NewBatch, StorePool, embedded_pool, keys, redis_pool
from worker.store.typed_script.lua_script import script_text

NEXT = [
    "list",
    "list",
    "leave",
    "end",
    "begin",
    "begin",
    "begin",
    "count",
    "count",
    "count",
    "read",
    "retry",
    "fail",
    "lose",
]


class FanOutMachine(StoreMachine):
    """Look-aheads that fill and empty, whatever befalls."""

    strategy = "fan-out"
    create = commit = apply = buy = record = leave = by_hand = None  # type: ignore[assignment]

    @initialize(steps=st.lists(st.sampled_from(NEXT), min_size=5, max_size=25), another=st.booleans())
    def first(self, steps: list[str], another: bool) -> None:  # type: ignore[override]
        """A sync to begin with, somewhere in its life, or two."""
        for space in range(1 + another):
            StoreMachine.create(self, space=space, size=3, force=False, key=None, when="now")
        for what in steps:
            self.work_well([(0, what)], when="now")

    @rule(which=WHICH, how=st.sampled_from([*4 * ["all is lost", "job taken", "job dropped"], "cancelled"]), when=WHEN)
    def befall(self, which: int, how: str, when: str) -> None:
        StoreMachine.befall(self, which, how, when)

    @rule(steps=st.lists(st.tuples(WHICH, st.sampled_from(NEXT)), max_size=6), when=WHEN)
    def work_well(self, steps: list[tuple[int, str]], when: str) -> None:  # type: ignore[override]
        """The next steps of syncs, as they should be; by chance alone one would hardly come to its end."""
        for which, what in steps:
            self.step(which, what, when)

    def step(self, which: int, what: str, when: str) -> None:
        mine = self.sync(which)
        if mine.failed_in:
            self.resume(0, what == "end", when)
        if mine.state not in (SyncState.QUEUED, SyncState.FETCHING):
            return
        begun = [batch for batch in mine.batches if batch.holder != "-"]
        if what in ("begin", "count") and len(begun) < len(mine.batches) and (what == "begin" or not begun):
            waiting = next(batch for batch in mine.batches if batch.holder == "-")
            self.make(when, Call("batches.begin", (waiting.key, f"h{self.fresh()}")))
        elif what == "count" and begun:
            self.count(len(begun) - 1, when)
        elif what == "read" and mine.batches:
            for _ in range(2 * len(mine.batches)):
                self.step(which, "count", when)
        elif what in ("retry", "fail") and begun:
            self.batch_say(0, what, when)
        elif what == "lose" and begun:
            self.silence()
            self.revive_batch(which, begun[0].key.slot, silent=False, when=when)
        elif not mine.holder:
            self.begin(which, "right", when)
        else:
            self.commit_listing(0, 2, "stay" if what == "list" else "leave", what == "end", when)

    @rule(ago=AGO, batches=st.integers(0, 3), move=st.sampled_from(["stay", "leave"]), ended=st.booleans(), when=WHEN)
    @precondition(lambda self: self.views)
    def commit_listing(self, ago: int, batches: int, move: str, ended: bool, when: str) -> None:
        view = self.job(ago)
        at, lease, added = view.listing, view.lease, []
        for number, slot in enumerate(at.free_slots[:batches], at.batches + 1):
            key = BatchKey(lease.sync_id, slot, number, 1)
            work = BatchWork(at.pages + len(added) + 1, ((f"cursor {number}", 200),), None)
            added.append(NewBatch(key, work, batch_payload(key)))
        total = at.pages + len(added)
        ends = ended and move == "leave"
        listing = replace(
            at,
            cursor=f"cursor {total}",
            guard=f"guard {total}",
            pages=total,
            profiles=200 * total,
            batches=at.batches + len(added),
            ended=ends,
            complete=ends,
            trouble_ms=total % 3,
        )
        options: dict[str, Any] = {"note": f"listed {total}"}
        if move == "leave":
            options |= {"following": next_payloads(lease.sync_id, lease.epoch + 1), "delay_s": 60 * (total % 2)}
        self.make(when, Call("commit_listing", (lease, listing, added, f"t{self.fresh()}"), options, view))

    @rule(which=st.integers(0, 5), how=st.sampled_from(["right", "old try", "other slot"]), when=WHEN)
    def begin_batch(self, which: int, how: str, when: str) -> None:
        known = [batch.key for sync in self.model.syncs.values() for batch in sync.batches]
        if not known:
            return
        key = known[which % len(known)]
        if how == "old try":
            key = replace(key, attempt=key.attempt - 1)
        elif how == "other slot":
            key = replace(key, slot=(key.slot + 1) % keys.SLOTS)
        self.make(when, Call("batches.begin", (key, f"h{self.fresh()}")))

    @rule(ago=AGO, when=WHEN)
    @precondition(lambda self: self.batch_views)
    def count(self, ago: int, when: str) -> None:
        """A batch of one page is counted."""
        view = self.batch_job(ago)
        base, lease = view.counted, view.begun.lease
        pages = base.pages + 1
        now = Counted(base.epoch, f"t{self.fresh()}", pages, 200 * pages, b"." * pages)
        after = next_payloads(lease.sync_id, base.epoch + 1)
        self.make(when, Call("batches.count", (lease, base, now, after), view=view))

    @rule(ago=AGO, what=st.sampled_from(["heartbeat", "retry", "fail"]), when=WHEN)
    @precondition(lambda self: self.batch_views)
    def batch_say(self, ago: int, what: str, when: str) -> None:
        """The other moves of a batch's job."""
        lease, n = self.batch_job(ago).begun.lease, self.fresh()
        next_try = batch_payload(lease.key.next_attempt())
        calls = {
            "heartbeat": Call("batches.heartbeat", (lease,), {"note": f"note {n}" if n % 2 else ""}),
            "retry": Call("batches.retry", (lease, next_try), {"delay_s": 60 * (n % 2), "trouble_ms": n}),
            "fail": Call("batches.fail", (lease, SyncFailure("code", f"Sentence {n}", resumable=n % 2 == 0))),
        }
        self.make(when, calls[what])

    @rule(which=WHICH, slot=st.integers(0, 3), silent=st.booleans(), when=WHEN)
    def revive_batch(self, which: int, slot: int, silent: bool, when: str) -> None:
        """The watchdog looks at a slot, whatever it holds."""
        mine = self.sync(which)
        if silent:
            self.silence()
        key = next((one.key for one in mine.batches if one.key.slot == slot), BatchKey(mine.id, slot, 0, 0))
        options = {"max_lost": MOST_REVIVALS, "message": "lost"}
        self.make(when, Call("revive_batch", (key, batch_payload(key.next_attempt())), options))

    def batch_job(self, ago: int) -> BatchView:
        """One of the jobs that have begun a batch, those that still own it first, and of them the newest."""
        known = sorted(self.batch_views, key=lambda view: self.model.batches.owns(view.begun.lease))
        return known[-1 - ago % len(known)]


@pytest.fixture(autouse=True)
def short_look_ahead(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Few slots, so that they are all taken in few steps."""
    monkeypatch.setattr(keys, "SLOTS", 4)
    script_text.cache_clear()
    yield
    script_text.cache_clear()


# Half as many as for syncs: each takes longer, and the two machines overlap.
BRIEF = settings(CALM, max_examples=100 if THOROUGH else 8)


def test_the_store_does_with_batches_what_the_model_does_in_memory() -> None:
    run_state_machine_as_test(lambda: FanOutMachine(embedded_pool), settings=BRIEF)


def test_the_store_does_with_batches_what_the_model_does_on_a_real_redis(session_redis: RedisServer) -> None:
    def connect() -> StorePool:
        return redis_pool(session_redis.url, max_wait_s=10)

    run_state_machine_as_test(lambda: FanOutMachine(connect), settings=BRIEF)
